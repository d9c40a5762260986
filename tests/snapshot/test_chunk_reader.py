"""Tests of `pglogical_cdc.snapshot.chunk_reader`: what becomes of a chunk that cannot be read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc import ConfigurationError, ReplicationReader, SourceError
from tests.reading import make_slot, reader

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = [pytest.mark.pg, pytest.mark.slow]


@pytest.mark.parametrize(
    ("table", "where", "kind", "match"),
    [
        ("public.gone", None, ConfigurationError, "public.gone is not among the tables"),
        ("public.w", None, ConfigurationError, "views, unlogged tables"),
        ("public.t", "nothing = 1", SourceError, 'column "nothing" does not exist'),
        ("public.t", "v::int = 1", SourceError, "while it evaluated a value"),
    ],
)
def test_snapshot_fails_and_the_stream_goes_on(
    database: Database,
    slot_name: str,
    caplog: pytest.LogCaptureFixture,
    table: str,
    where: str | None,
    kind: type[Exception],
    match: str,
) -> None:
    make_slot(database, slot_name, "CREATE VIEW w AS SELECT 1")
    database.execute("INSERT INTO t VALUES (1, 'canary')")
    with reader(database, slot_name, until="now") as made:
        snapshot = made.snapshot_table(table, where=where)
        assert [change.op for change in made] == ["insert"]
    assert snapshot.state == "failed"
    assert isinstance(snapshot.error, kind)
    assert match in str(snapshot.error)
    assert "canary" not in caplog.text + str(snapshot.error)
    (logged,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert match in logged.getMessage()
    assert snapshot.stats is None or snapshot.stats.rows == 0


def test_role_that_may_not_read_the_table(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(f"CREATE ROLE {slot_name} LOGIN REPLICATION")
    try:
        dsn = database.server.dsn(database.name, user=slot_name)
        with ReplicationReader(dsn, slot=slot_name, publications="pub", until="now") as made:
            snapshot = made.snapshot_table("public.t")
            assert list(made) == []
        assert isinstance(snapshot.error, ConfigurationError)
        assert "grant the role SELECT" in str(snapshot.error)
    finally:
        database.execute(f"DROP OWNED BY {slot_name}; DROP ROLE {slot_name}")


def test_locked_table_is_tried_again(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1, 'a')")
    other = database.connect()
    other.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    with reader(database, slot_name) as made:
        assert made.poll(10) is not None
        snapshot = made.snapshot_table("public.t")
        for _ in range(4):
            assert made.poll(0.4) is None
        assert not snapshot.is_over
        other.execute("COMMIT")
        while (change := made.poll(1)) is None:
            assert not snapshot.is_over
        assert change.op == "read"


def test_connection_that_is_lost_is_made_anew(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT i, 'a' FROM generate_series(1, 30) i")
    with reader(database, slot_name, until="now") as made:
        list(made)
    with reader(database, slot_name, until="now") as made:
        snapshot = made.snapshot_table("public.t", chunk_rows=10)
        keys: list[object] = []
        for change in made:
            assert change.after is not None
            keys.append(change.after["id"])
            if len(keys) == 10:
                database.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'pglogical_cdc'"
                    " AND backend_type = 'client backend'"
                )
        assert snapshot.state == "complete"
    assert keys == list(range(1, 31))
