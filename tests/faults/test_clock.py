"""A client whose clock is wrong, and jumps."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.consumer import FLAVOURS
from tests.faults.crashing import Runs, read_lines
from tests.faults.load import Load, create_tables

if TYPE_CHECKING:
    from tests.servers import Database

_HOUR = 3600


@pytest.mark.pg
@pytest.mark.fault(23)
def test_the_clock_decides_nothing(
    database: Database, tmp_path: Path, slot_name: str, tally: Callable[..., None]
) -> None:
    create_tables(database.dsn, publication="pub")
    # Within this time a status update has to come, or the connection is lost.
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '2s'")
    cases = [(_HOUR, 0), (_HOUR, -2 * _HOUR), (-_HOUR, 2 * _HOUR)]
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(contextlib.closing(Load(database.dsn, rate=60)))
        runs = {}
        for flavour in FLAVOURS:
            slot = f"{slot_name}_{flavour}"
            database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
            path = tmp_path / flavour
            runs[path] = stack.enter_context(
                Runs("lines", flavour, dsn=database.dsn, slot=slot, path=str(path))
            )
        for skew, jump in cases:
            for run in runs.values():
                run.start(skew=skew, jump=jump, idle_timeout=2)
            load.start()
            load.wait_for(60)
            last = load.stop()
            stopped = time.monotonic()
            for path, run in runs.items():
                # The idle time is over when it is, and no hour later or earlier.
                assert run.wait() == 0
                assert 1 < time.monotonic() - stopped < 10
                _check_latencies(path.with_name(path.name + ".stats"), skew, skew + jump)
                ledger, repeats = read_lines(path)
                assert ledger.saw(last)
                assert repeats == 0
        for path in runs:
            ledger, _ = read_lines(path)
            verdict = ledger.verdict(load.expected())
            tally(f"a clock that is an hour off, and jumps, {path.name}", len(cases), verdict)


def _check_latencies(path: Path, *skews: int) -> None:
    found = json.loads(path.read_text())
    assert found["reconnects"] == 0
    for latency in ("source", "target"):
        low, high = found[latency]
        # It is 0 while everything is acknowledged.
        at_rest = latency == "target"
        assert abs(low - min(skews)) < 60 or (at_rest and low == 0 < min(skews))
        assert abs(high - max(skews)) < 60 or (at_rest and high == 0 > max(skews))
