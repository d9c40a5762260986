"""Snapshot and stream, folded into a copy, under writers that never rest: a few seeds of each."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import Final

import pytest

from tests.servers import Server
from tests.snapshot.page import run_seed, run_seeds
from tests.snapshot.scenarios import SCENARIOS

_SEEDS: Final = 3


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes with a server each: most of a scenario is waiting."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_SEEDS, mp_context=context) as made:
        yield made


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(server_choice: str, scenario: str, pool: ProcessPoolExecutor) -> None:
    each = [[seed] for seed in range(_SEEDS)]
    found = pool.map(run_seeds, repeat(scenario), repeat(server_choice), each)
    outcomes = [outcome for some in found for outcome in some]
    failed = [outcome.seed for outcome in outcomes if outcome.told is None]
    assert failed == [], "what has failed is told above"
    assert len(outcomes) == _SEEDS


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("either_way", ["parallel"], indirect=True)
@pytest.mark.parametrize("seed", range(_SEEDS))
def test_in_parallel(server: Server, server_choice: str, seed: int) -> None:
    assert run_seed(server, "copy equals the source", server_choice, seed).told is not None
