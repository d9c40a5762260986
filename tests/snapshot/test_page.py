"""Tests of `tests.snapshot.page`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pglogical_cdc import DecodingFailedError
from tests.servers import Database, Server
from tests.snapshot import page
from tests.snapshot.killed import CannotDecodeError, is_undecodable
from tests.snapshot.page import PAGE, Outcome, cannot_decode, run_seed, table, written
from tests.snapshot.scenarios import SCENARIOS, Told

_SCENARIO = "copy of a consumer that is killed"
_STARTS = tuple(f"| {scenario} |" for scenario in SCENARIOS)


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith(_STARTS)]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]


def test_table_has_sums_by_scenario_and_version() -> None:
    outcomes = [
        Outcome(_SCENARIO, "18", 0, 1.0, Told(1000, 200, 6)),
        Outcome(_SCENARIO, "18", 1, 1.0, None),
        Outcome(_SCENARIO, "18", 2, 1.0, Told(500, 30, 6), anew=2),
        Outcome(_SCENARIO, "14", 0, 1.0, Told(1, 2, 3)),
    ]
    assert _rows(table(outcomes, "abc")) == [
        [_SCENARIO, "14", "1", "1", "1", "2", "3", "0", "`abc`"],
        [_SCENARIO, "18", "3", "2", "1,500", "230", "12", "2", "`abc`"],
    ]


def test_rows_of_scenarios_that_were_not_run_stay() -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = table([Outcome(_SCENARIO, "18", 0, 1.0, Told(1, 2, 3))], "abc", page)
    others = [row for row in _rows(page) if row[0] != _SCENARIO]
    assert len(others) == 15
    assert [row for row in _rows(made) if row[0] != _SCENARIO] == others
    assert [row[1] for row in _rows(made) if row[0] == _SCENARIO] == ["18"]


@pytest.mark.pg
@pytest.mark.newest
def test_a_seed_passes_or_fails_and_leaves_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def passes(database: Database, slot: str, seed: int, folder: Path) -> Told:
        database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
        return Told(seed, 0)

    def fails(database: Database, slot: str, seed: int, folder: Path) -> Told:
        passes(database, slot, seed, folder)
        raise AssertionError("it differs")

    monkeypatch.setattr(page, "SCENARIOS", {"passes": passes, "fails": fails})
    assert run_seed(server, "passes", "18", 3).told == Told(3, 0)
    assert run_seed(server, "fails", "18", 3).told is None
    assert "fails, PostgreSQL 18, seed 3" in capsys.readouterr().err
    # The name of the slot is free again.
    assert run_seed(server, "passes", "18", 3).told == Told(3, 0)


@pytest.mark.pg
@pytest.mark.newest
def test_a_seed_is_run_anew_only_if_the_server_cannot_decode(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    def fails_twice(database: Database, slot: str, seed: int, folder: Path) -> Told:
        runs.append(seed)
        assert len(runs) > 2
        return Told(1, 0)

    monkeypatch.setattr(page, "SCENARIOS", {"fails": fails_twice})
    monkeypatch.setattr(page, "cannot_decode", lambda database: True)
    outcome = run_seed(server, "fails", "18", 7)
    assert (outcome.told, outcome.anew, runs) == (Told(1, 0), 2, [7, 7, 7])
    runs.clear()
    monkeypatch.setattr(page, "cannot_decode", lambda database: False)
    outcome = run_seed(server, "fails", "18", 7)
    assert (outcome.told, outcome.anew, runs) == (None, 0, [7])
    runs.clear()

    def is_told_twice(database: Database, slot: str, seed: int, folder: Path) -> Told:
        runs.append(seed)
        if len(runs) == 1:
            raise CannotDecodeError
        if len(runs) == 2:
            raise DecodingFailedError("could not map filenumber to relation OID")
        return Told(1, 0)

    monkeypatch.setattr(page, "SCENARIOS", {"fails": is_told_twice})
    outcome = run_seed(server, "fails", "18", 7)
    assert (outcome.told, outcome.anew, runs) == (Told(1, 0), 2, [7, 7, 7])
    assert not is_undecodable(DecodingFailedError("no binary output function"))


@pytest.mark.pg
@pytest.mark.newest
def test_slots_that_the_server_can_decode(database: Database) -> None:
    assert not cannot_decode(database)
    database.execute("CREATE TABLE t (i int); CREATE PUBLICATION pub FOR TABLE t")
    database.execute("SELECT pg_create_logical_replication_slot('decoded', 'pgoutput')")
    database.execute("INSERT INTO t VALUES (1)")
    assert not cannot_decode(database)


def test_what_is_made_replaces_what_was() -> None:
    made = written(PAGE.read_text(encoding="utf-8"), "new")
    assert "\n\nnew\n\n" in made
    assert _rows(made) == []
    assert written(made, "new") == made


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        written("no marks", "new")


def test_every_seed_on_the_page_has_passed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "-dirty" not in text
    rows = _rows(text)
    assert {scenario for scenario, *_ in rows} == set(SCENARIOS)
    for _, _, seeds, passed, read, folded, *_ in rows:
        assert passed == seeds
        assert int(read.replace(",", "")) > 0
        assert int(folded.replace(",", "")) > 0
