"""The scenarios: a snapshot and its stream, folded into a copy, under writers that never rest.

Each of them fails unless the copy is in the end what the server has. The tests run a few seeds of
each, ``python -m tests.snapshot.page`` as many as it is told.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from pglogical_cdc import SnapshotRead
from tests.reading import reader
from tests.servers import Database
from tests.snapshot.fold import Fold, differences, read_tables
from tests.snapshot.killed import Mark, load, resumable, run_until
from tests.snapshot.locks import locks_watched
from tests.snapshot.writers import TABLES, create_tables, writers

__all__ = ("SCENARIOS", "Scenario", "Told")

_ROWS: Final = 3000
"""Rows of each table when writing begins."""

_KILLS: Final[tuple[tuple[Mark, float], ...]] = (
    ("start", 1.2),
    ("row", 0.3),
    ("row", 0.3),
    ("change", 0.6),
    ("start", 1.2),
    ("change", 0.6),
)
"""Where a consumer is killed, and so many seconds later at most."""


@dataclass(frozen=True)
class Told:
    """What a scenario went through before its copy was compared."""

    rows: int
    """Rows of snapshots, also of those that were begun anew."""
    changes: int
    """Changes of the stream that were folded into the copy."""
    kills: int = 0
    """How often the consumer was killed."""


Scenario: TypeAlias = Callable[[Database, str, int, Path], Told]
"""Takes an empty database, the name of a slot, a seed, and a folder of its own."""


def copy_equals_the_source(database: Database, slot: str, seed: int, folder: Path) -> Told:
    """Read the rows, and then the stream, of which each change has to fit."""
    create_tables(database.dsn, _ROWS)
    fold = Fold(strict=True)
    with (
        locks_watched(database.dsn),
        writers(database.dsn, seed),
        reader(database, slot, create=True, snapshot="initial") as made,
    ):
        time.sleep(0.3)
        changes = iter(made)
        deadline = time.monotonic() + 1.5
        for change in changes:
            fold.apply(change)
            if time.monotonic() > deadline and not isinstance(change, SnapshotRead):
                made.stop()
    assert fold.has_read, "no row of the snapshot has come"
    with reader(database, slot, until="now") as made:
        for change in made:
            fold.apply(change)
    assert fold.unfit == {}, f"changes that did not fit: {fold.unfit}"
    _check(fold, database)
    return Told(fold.rows, fold.changes)


def copy_of_a_consumer_that_is_killed(
    database: Database, slot: str, seed: int, folder: Path
) -> Told:
    """Kill the consumer again and again: while it starts, reads the rows, or streams."""
    create_tables(database.dsn, _ROWS)
    source, path = random.Random(seed), folder / "copy"
    with writers(database.dsn, seed):
        for mark, longest in _KILLS:
            run_until(mark, source.uniform(0, longest), database.dsn, slot, path)
    fold = load(path)
    assert fold.changes > 0, "no change was folded before a kill"
    with reader(database, slot, create=True, snapshot="initial", until="now") as made:
        if made.stats.snapshot is not None:
            fold.begin_anew()
        for change in made:
            fold.apply(change)
    _check(fold, database)
    slots = database.execute(
        "SELECT slot_name FROM pg_replication_slots WHERE database = %s", [database.name]
    )
    assert slots == [(slot,)], f"slots that are there: {slots}"
    return Told(fold.rows, fold.changes, len(_KILLS))


def copy_of_three_tables_beside_the_stream(
    database: Database, slot: str, seed: int, folder: Path
) -> Told:
    """Ask for the rows of all tables at once, while the stream goes on."""
    create_tables(database.dsn, _ROWS)
    fold = Fold(strict=False)
    with (
        locks_watched(database.dsn),
        writers(database.dsn, seed),
        reader(database, slot, create=True) as made,
    ):
        begun = [made.snapshot_table(f"public.{name}", chunk_rows=250) for name in TABLES]
        for change in made:
            fold.apply(change)
            if all(each.is_over for each in begun):
                made.stop()
    states = [each.state for each in begun]
    assert states == ["complete"] * len(TABLES), f"snapshots ended as {states}"
    assert fold.has_read, "no row of a snapshot has come"
    with reader(database, slot, until="now") as made:
        for change in made:
            fold.apply(change)
    _check(fold, database)
    return Told(fold.rows, fold.changes)


def copy_of_a_killed_consumer_that_resumes(
    database: Database, slot: str, seed: int, folder: Path
) -> Told:
    """Kill the consumer again and again; the snapshot goes on where it was."""
    create_tables(database.dsn, _ROWS)
    source, path, offsets = random.Random(seed), folder / "copy", folder / "offsets"
    given = resumable(offsets)
    with locks_watched(database.dsn):
        with writers(database.dsn, seed):
            for mark, longest in _KILLS:
                run_until(mark, source.uniform(0, longest), database.dsn, slot, path, offsets)
        fold = load(path)
        assert fold.changes > 0, "no change was folded before a kill"
        with reader(database, slot, create=True, snapshot="initial", until="now", **given) as made:
            for change in made:
                fold.apply(change)
    _check(fold, database)
    stored = given["offsets"].load(slot)
    assert stored is not None
    assert stored.snapshot == "", "the snapshot is not over"
    return Told(fold.rows, fold.changes, len(_KILLS))


def _check(fold: Fold, database: Database) -> None:
    found = differences(fold.tables, read_tables(database.dsn))
    assert found == [], (
        f"the copy is not what the server has: {found}; it was emptied by {fold.history},"
        f" and its last change is at {fold.last}"
    )


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "copy equals the source": copy_equals_the_source,
    "copy of a consumer that is killed": copy_of_a_consumer_that_is_killed,
    "copy of three tables beside the stream": copy_of_three_tables_beside_the_stream,
    "copy of a killed consumer that resumes": copy_of_a_killed_consumer_that_resumes,
}
"""By name, as the table of the docs has it."""
