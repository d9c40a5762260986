"""Executors for tests: as those of the library, and what can be seen of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

__all__ = ("Held", "die")


class Held(Executor):
    """Does the work at once or when it is told to, in a thread for each call.

    Args:
        holds: whether calls wait for `go_on`.
    """

    def __init__(self, *, holds: bool = False) -> None:
        self.calls = 0
        self._gate = threading.Event()
        if not holds:
            self._gate.set()

    def go_on(self) -> None:
        """Let all calls be done."""
        self._gate.set()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begin a call."""
        self.calls += 1
        future: Future[Any] = Future()

        def work() -> None:
            self._gate.wait()
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future


def die(path: Path) -> None:
    """Say that this process is there, and kill it a moment later."""
    path.write_text(str(os.getpid()), encoding="ascii")
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
