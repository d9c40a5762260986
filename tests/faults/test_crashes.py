"""kill -9 of a consumer, at random times and at each step of its work."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.consumer import FLAVOURS, Flavour
from tests.faults.crashing import KILLED, STEPS, Kind, Runs, read_lines, read_table
from tests.faults.load import Load, create_tables
from tests.servers import new_database

if TYPE_CHECKING:
    from tests.servers import Database

KINDS: tuple[Kind, ...] = ("lines", "table")


@pytest.mark.pg
@pytest.mark.fault(24)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_time_and_at_each_step(
    database: Database,
    slot_name: str,
    tmp_path: Path,
    kind: Kind,
    flavour: Flavour,
    fault_count: int,
    tally: Callable[..., None],
) -> None:
    chance = random.Random(f"{kind} {flavour} {database.server.version}")
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    path = tmp_path / "lines"
    with (
        new_database(database.server) as target,
        Load(database.dsn, rate=60) as load,
        Runs(
            kind, flavour, dsn=database.dsn, slot=slot_name, path=str(path), target=target.dsn
        ) as runs,
    ):
        kills = min(50, max(5, fault_count // 4))
        for _ in range(kills):
            runs.run_until_killed(0.05 + chance.random() * 0.4)
        steps = list(STEPS[kind])
        chance.shuffle(steps)
        for step in steps:
            assert runs.run(step=step, at=chance.randint(1, 3)) == KILLED, step
        assert runs.run(last=load.stop()) == 0
        truth = load.expected()
        if kind == "lines":
            ledger, repeats = read_lines(path)
            verdict = replace(ledger.verdict(truth), redelivered=repeats)
        else:
            verdict = read_table(target.dsn).verdict(truth)
            assert verdict.redelivered == 0
    into = "a file" if kind == "lines" else "a table, exactly once"
    tally(f"kill -9 of a consumer that writes to {into}, {flavour}", kills + len(steps), verdict)
