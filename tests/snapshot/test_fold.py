"""Snapshot and stream, folded into a copy, under writers that never rest."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.reading import reader
from tests.snapshot.fold import Fold, differences, read_tables
from tests.snapshot.killed import load, run_for
from tests.snapshot.writers import TABLES, create_tables, writers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Database

_ROWS = 3000


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_copy_equals_the_source(database: Database, slot_name: str, seed: int) -> None:
    create_tables(database.dsn, _ROWS)
    fold = Fold(strict=True)
    with (
        _locks_watched(database.dsn),
        writers(database.dsn, seed),
        reader(database, slot_name, create=True, snapshot="initial") as made,
    ):
        time.sleep(0.3)
        changes = iter(made)
        deadline = time.monotonic() + 1.5
        for change in changes:
            fold.apply(change)
            if time.monotonic() > deadline:
                made.stop()
    assert fold.read > 0
    with reader(database, slot_name, until="now") as made:
        for change in made:
            fold.apply(change)
    assert fold.unfit == {}
    assert differences(fold.tables, read_tables(database.dsn)) == []


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_copy_of_a_consumer_that_is_killed(
    database: Database, slot_name: str, seed: int, tmp_path: Path
) -> None:
    create_tables(database.dsn, _ROWS)
    source, path = random.Random(seed), tmp_path / "copy"
    with writers(database.dsn, seed):
        # About the time that it takes to start, to read the rows, and to have streamed a while.
        for _ in range(6):
            run_for(source.uniform(0.3, 1.5), database.dsn, slot_name, path)
    fold = load(path)
    with reader(database, slot_name, create=True, snapshot="initial", until="now") as made:
        for change in made:
            fold.apply(change)
    assert differences(fold.tables, read_tables(database.dsn)) == []
    slots = database.execute(
        "SELECT slot_name FROM pg_replication_slots WHERE database = %s", [database.name]
    )
    assert slots == [(slot_name,)]


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_copy_of_three_tables_beside_the_stream(
    database: Database, slot_name: str, seed: int
) -> None:
    create_tables(database.dsn, _ROWS)
    fold = Fold(strict=False)
    with (
        _locks_watched(database.dsn),
        writers(database.dsn, seed),
        reader(database, slot_name, create=True) as made,
    ):
        begun = [made.snapshot_table(f"public.{name}", chunk_rows=250) for name in TABLES]
        for change in made:
            fold.apply(change)
            if all(each.is_over for each in begun):
                made.stop()
    assert [each.state for each in begun] == ["complete"] * len(TABLES)
    assert fold.read > 0
    with reader(database, slot_name, until="now") as made:
        for change in made:
            fold.apply(change)
    assert differences(fold.tables, read_tables(database.dsn)) == []


class _locks_watched:
    """See that no session of ours ever has a lock above ACCESS SHARE on a table."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._stopping = threading.Event()
        self._seen: set[str] = set()

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not self._stopping.wait(0.002):
                rows = connection.execute(
                    "SELECT DISTINCT mode FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                    " WHERE l.locktype = 'relation' AND l.relation >= 16384"
                    " AND a.application_name = 'pglogical_cdc'"
                ).fetchall()
                self._seen |= {mode for (mode,) in rows}

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        assert self._seen == {"AccessShareLock"}
