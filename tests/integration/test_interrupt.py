"""Ctrl-C: the reader ends within a second, and what it acknowledged arrives."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.reading import active_pid, keys, make_slot, read, wait_until

if TYPE_CHECKING:
    from tests.servers import Database

_ROOT: Final = Path(__file__).parents[2]


def _start(database: Database, kind: str, slot: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.integration.interrupted", kind, database.dsn, slot]
    return subprocess.Popen(
        command, cwd=_ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.pg
@pytest.mark.parametrize(("kind", "left"), [("wait", []), ("body", [3, 4])])
def test_ctrl_c(database: Database, slot_name: str, kind: str, left: list[int]) -> None:
    make_slot(database, slot_name)
    for number in range(1, 5):
        database.execute("INSERT INTO t VALUES (%s)", [number])
    with _start(database, kind, slot_name) as process:
        assert process.stdout is not None
        last = "4" if kind == "wait" else "3"
        while process.stdout.readline().strip() != last:
            assert process.poll() is None
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - began < 2  # a second, and Python's own end
    assert "KeyboardInterrupt" in errors
    wait_until(lambda: active_pid(database, slot_name) is None)
    assert keys(read(database, slot_name)) == left


@pytest.mark.pg
@pytest.mark.newest
def test_storm_of_signals_loses_nothing(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for number in range(400):
        database.execute("INSERT INTO t VALUES (%s)", [number])
    with _start(database, "storm", slot_name) as process:
        output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    interrupts, goings_on = map(int, output.split())
    assert interrupts >= 5
    assert goings_on >= 5
