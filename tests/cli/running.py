"""Runs the command as a user does: in a process of its own, in a pipe or on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Final

import pglogical_cdc

__all__ = ("environment", "run", "run_on_terminal", "run_python", "start")

_ROOT: Final = Path(pglogical_cdc.__file__).parents[1]
_COMMAND: Final = [sys.executable, "-m", "pglogical_cdc"]


def environment(**extra: str) -> dict[str, str]:
    """Give the environment of a process: ours, without what is for libpq, pytest and Python."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PYT"))}
    return {**ours, "PYTHONPATH": str(_ROOT), **extra}


def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with its output in pipes."""
    return subprocess.run(
        [*_COMMAND, *arguments],
        env=environment(**extra),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def run_python(program: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment(**extra),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def start(*arguments: str, **extra: str) -> subprocess.Popen[bytes]:
    """Start the command with its output in pipes."""
    return subprocess.Popen(
        [*_COMMAND, *arguments],
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run_on_terminal(*arguments: str, stdout: int | None = None) -> tuple[int, str]:
    """Run the command to its end on a terminal, and give its exit code and what it shows.

    Args:
        arguments: of the command.
        stdout: a file descriptor instead of the terminal.
    """
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [*_COMMAND, *arguments],
        env=environment(TERM="xterm-256color", COLUMNS="120"),
        stdout=its if stdout is None else stdout,
        stderr=its,
    )
    os.close(its)
    shown = bytearray()
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so at the end
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(60), shown.decode()
