"""Tests of `pglogical_cdc.snapshot.opening`; test_initial.py has what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pglogical_cdc.errors import SnapshotError, TableAlteredError
from pglogical_cdc.postgres import converse
from pglogical_cdc.snapshot import (
    OpenedTable,
    SelectedTable,
    begin_under,
    open_table,
    select_tables,
    was_altered,
)

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


class _Tables:
    """A snapshot, and a connection in it."""

    def __init__(self, database: Database, *publications: str) -> None:
        self.holder = database.connect()
        self.holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((self.snapshot,),) = self.holder.execute("SELECT pg_export_snapshot()").fetchall()
        version = self.holder.info.server_version
        selected = converse(self.holder, select_tables(publications, version))
        self.selected = {table.name: table for table in selected}
        self.worker: psycopg.Connection[Any] = database.connect()

    def open(self, name: str, *, binary: bool = False) -> OpenedTable:
        converse(self.worker, begin_under(self.snapshot))
        try:
            return converse(self.worker, open_table(self.table(name), binary=binary))
        finally:
            self.worker.execute("ROLLBACK")

    def table(self, name: str) -> SelectedTable:
        return self.selected[name]


def _text(opened: OpenedTable) -> str:
    return opened.copy.as_string(None)


def test_the_command(database: Database) -> None:
    database.execute(
        'CREATE TABLE t (a int, "b c" text); CREATE TABLE none ();'
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p DEFAULT;"
        "CREATE PUBLICATION pub FOR TABLE t, none, p WITH (publish_via_partition_root = true)"
    )
    tables = _Tables(database, "pub")
    assert _text(tables.open("t")) == 'COPY "public"."t" ("a", "b c") TO STDOUT'
    assert _text(tables.open("t", binary=True)).endswith(" TO STDOUT WITH (FORMAT binary)")
    assert _text(tables.open("none")) == 'COPY (SELECT  FROM ONLY "public"."none") TO STDOUT'
    assert _text(tables.open("p")) == 'COPY (SELECT "a" FROM "public"."p") TO STDOUT'


@pytest.mark.pg(15)
def test_the_command_with_a_row_filter(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (a int PRIMARY KEY, b text); CREATE PUBLICATION pub FOR TABLE t (a)"
        " WHERE (a > 1)"
    )
    tables = _Tables(database, "pub")
    assert (
        _text(tables.open("t"))
        == 'COPY (SELECT "a" FROM ONLY "public"."t" WHERE (a > 1)) TO STDOUT'
    )


def test_a_snapshot_that_is_gone(database: Database) -> None:
    database.execute("CREATE TABLE t (a int); CREATE PUBLICATION pub FOR TABLE t")
    tables = _Tables(database, "pub")
    tables.holder.execute("COMMIT")
    with pytest.raises(SnapshotError, match="is gone"):
        tables.open("t")


def test_the_lock_is_the_weakest(database: Database) -> None:
    database.execute("CREATE TABLE t (a int); CREATE PUBLICATION pub FOR TABLE t")
    tables = _Tables(database, "pub")
    converse(tables.worker, begin_under(tables.snapshot))
    converse(tables.worker, open_table(tables.table("t"), binary=False))
    held = database.execute(
        "SELECT DISTINCT mode FROM pg_locks WHERE pid = %s AND relation = 't'::regclass",
        [tables.worker.info.backend_pid],
    )
    assert held == [("AccessShareLock",)]


@pytest.mark.parametrize(
    ("statement", "other_files", "altered"),
    [
        ("SELECT 1", False, False),
        ("TRUNCATE t", True, False),
        ("VACUUM FULL t", True, False),
        ("ALTER TABLE t SET (fillfactor = 50)", False, False),
        ("ALTER TABLE t ALTER a TYPE bigint", True, True),
        ("ALTER TABLE t ADD b float DEFAULT random()", True, True),
    ],
)
def test_why_a_table_has_other_files(
    database: Database, statement: str, *, other_files: bool, altered: bool
) -> None:
    database.execute("CREATE TABLE t (a int); CREATE PUBLICATION pub FOR TABLE t")
    tables = _Tables(database, "pub")
    database.execute(statement)
    opened = tables.open("t")
    assert (opened.rewritten is not None) is other_files
    if opened.rewritten is None:
        return
    check = was_altered(tables.table("t"), opened.rewritten)
    if altered:
        with pytest.raises(TableAlteredError, match="rewritten by ALTER TABLE"):
            converse(database.connect(), check)
    else:
        converse(database.connect(), check)


def test_a_partition_that_was_rewritten(database: Database) -> None:
    database.execute(
        "CREATE TABLE p (a int, b text) PARTITION BY LIST (a);"
        "CREATE TABLE p1 PARTITION OF p DEFAULT;"
        "CREATE PUBLICATION pub FOR TABLE p WITH (publish_via_partition_root = true)"
    )
    tables = _Tables(database, "pub")
    database.execute("ALTER TABLE p ALTER b TYPE bytea USING ''")
    opened = tables.open("p")
    assert opened.rewritten is not None
    with pytest.raises(TableAlteredError):
        converse(database.connect(), was_altered(tables.table("p"), opened.rewritten))
