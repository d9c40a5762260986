"""Snapshot and stream, folded into a copy, under writers that never rest: a few seeds of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import Database
from tests.snapshot.scenarios import SCENARIOS, Scenario, copy_equals_the_source


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_scenario(
    database: Database, slot_name: str, scenario: Scenario, seed: int, tmp_path: Path
) -> None:
    scenario(database, slot_name, seed, tmp_path)


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("either_way", ["parallel"], indirect=True)
@pytest.mark.parametrize("seed", range(3))
def test_in_parallel(database: Database, slot_name: str, seed: int, tmp_path: Path) -> None:
    copy_equals_the_source(database, slot_name, seed, tmp_path)
