"""How processes are run, and their memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.peers.processes import answer


def test_an_answer_comes_with_the_memory_of_its_process_alone() -> None:
    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    program = "import time; print(input().upper(), end=''); time.sleep(0.2)"
    printed, peak_mb = answer([sys.executable, "-c", program], "what")
    assert printed == "WHAT"
    assert peak_mb is None or 1 < peak_mb < 100


def test_a_process_that_fails_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        answer([sys.executable, "-c", "raise SystemExit(3)"], "")
