"""The row of the snapshots: that each contestant reads all rows, and what its tables say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.contestants import DEBEZIUM, DMS, PIPELINE, TYPED
from benchmarks.results import Results
from benchmarks.rows.row import Stage
from benchmarks.rows.snapshots import ROWS, TENTH, readers
from benchmarks.server import run_backlogs

(_ROW,) = ROWS
_ENGINE, _COPY = "Debezium 3.6.3.Final: its JSON", "psql: COPY ... TO STDOUT > /dev/null"

_ROWS = 3000


@pytest.fixture
def stage(server_choice: str) -> Iterator[Stage]:
    with run_backlogs(server_choice) as backlogs:
        yield Stage(backlogs, _ROWS / 2_000_000)


def _slots(stage: Stage) -> list[tuple[str]]:
    with stage.backlogs.connect() as connection:
        return connection.execute("SELECT slot_name FROM pg_replication_slots").fetchall()


@pytest.mark.pg
@pytest.mark.slow
def test_contestants_read_all_rows(stage: Stage) -> None:
    entries = {entry.name: entry for entry in _ROW.enter(stage)}
    assert list(entries) == [_ENGINE, TYPED, PIPELINE, DEBEZIUM, DMS, TENTH, _COPY]
    for name in (TYPED, PIPELINE, DEBEZIUM, DMS, TENTH, _COPY):
        sample = entries[name].run()
        assert sample["events"] == (_ROWS / 10 if name == TENTH else _ROWS)
        assert sample["wall"] > 0
        # So few rows are copied before the memory of psql is asked for.
        assert name == _COPY or sample["peak_mb"] > 1
    assert _slots(stage) == []


@pytest.mark.pg
@pytest.mark.newest
@pytest.mark.conformance
def test_engine_reads_all_rows_behind_its_first_batch(stage: Stage) -> None:
    _ROW.prepare()
    (engine,) = [entry for entry in _ROW.enter(stage) if entry.name == _ENGINE]
    sample = engine.run()
    assert 0 < sample["events"] < _ROWS
    assert sample["wall"] > 0
    assert _slots(stage) == []


def _results(*, times: float, growth: float) -> Results:
    results = Results()
    for name, events, wall, peak in (
        (_ENGINE, 1000, 1.0, 300.0),
        (PIPELINE, 1000, 1 / times, 40.0 + growth),
        (TENTH, 100, 0.1, 40.0),
    ):
        sample = {"events": events, "wall": wall, "cpu": 0.5, "peak_mb": peak}
        results.add("m", name, sample)
    return results


@pytest.mark.parametrize(
    ("times", "growth", "met"),
    [(4.5, 1, [True, True]), (3.5, 1, [False, True]), (4.5, 7, [True, False])],
)
def test_bars(times: float, growth: float, met: list[bool]) -> None:
    assert [line.met for line in _ROW.lines(_results(times=times, growth=growth))] == met


def test_readers_are_shown_beside_the_engine() -> None:
    shown = readers(_results(times=4.5, growth=0)).splitlines()
    cells = "1,000 | 4,500 | 0.50 | 500.00 | 40.0 | 4.50 (4.50 to 4.50)"
    assert shown[3] == f"| {PIPELINE} | {cells} |"
