"""How processes are run, and their memory."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from benchmarks.peers.processes import answer, timed


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


def test_a_process_is_timed_with_its_start_and_what_it_prints_is_gone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    began = time.perf_counter()
    run = timed([sys.executable, "-c", "print('much'); sum(range(10**6))"], 7)
    assert run.events == 7
    assert 0 < run.cpu <= 2 * run.wall
    assert run.wall <= time.perf_counter() - began
    assert capfd.readouterr().out == ""


def test_a_timed_process_that_fails_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        timed([sys.executable, "-c", "raise SystemExit(3)"], 1)
