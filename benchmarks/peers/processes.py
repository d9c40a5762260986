"""The processes of the peers: how they end, and the memory that they take."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.runs import Run

__all__ = ("PeakMemory", "answer", "timed", "watched")

_INTERVAL: Final = 0.05
_PATIENCE: Final = 900.0


class PeakMemory:
    """The peak resident memory of a process, asked for again and again while it runs.

    What wait4() says is no use: a process begins with the peak of the one that started it
    (Linux, fs/exec.c, exec_mmap), which is a whole Python here.
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.mb: float | None = None
        """None where the system does not tell."""

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        self._look()
        while not self._over.wait(_INTERVAL):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(OSError):
            found = re.search(r"^VmHWM:\s+(\d+) kB$", self._status.read_text(), re.MULTILINE)
            if found:  # not of a process that has ended
                self.mb = int(found[1]) / 1024


@contextlib.contextmanager
def watched(process: subprocess.Popen[str]) -> Iterator[PeakMemory]:
    """Watch the memory of a process, and let it not outlive the block."""
    with process, PeakMemory(process.pid) as memory:
        try:
            yield memory
        except BaseException:
            process.kill()
            raise


def timed(command: Sequence[str], events: int) -> Run:
    """Run a command that throws away what it reads; its time is that of the whole process.

    Args:
        command: what is run; what it prints is thrown away too.
        events: it reads so many.
    """
    began = time.perf_counter()
    process: subprocess.Popen[str] = subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True)
    with watched(process) as memory:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[:1])
    return Run(events, wall, usage.ru_utime + usage.ru_stime, memory.mb)


def answer(command: Sequence[str], question: str) -> tuple[str, float | None]:
    """Run a command that reads a question and prints the answer.

    Returns:
        What it printed, and its peak memory in MB.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8")
    with watched(process) as memory:
        printed, _ = process.communicate(question, timeout=_PATIENCE)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return printed, memory.mb
