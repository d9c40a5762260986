"""Snapshot and stream, folded into a copy, under writers that never rest: a few seeds of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import Database
from tests.snapshot.scenarios import SCENARIOS, Scenario


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_scenario(
    database: Database, slot_name: str, scenario: Scenario, seed: int, tmp_path: Path
) -> None:
    scenario(database, slot_name, seed, tmp_path)
