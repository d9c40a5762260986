"""Tests of `pglogical_cdc.snapshot.opening`; test_initial.py has what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pglogical_cdc.errors import ConfigurationError, SnapshotError, TableAlteredError
from pglogical_cdc.postgres import converse
from pglogical_cdc.snapshot import (
    OpenedTable,
    SelectedTable,
    begin_under,
    check_unaltered,
    definition,
    open_table,
    select_tables,
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


def _check(database: Database, tables: _Tables, name: str) -> None:
    opened, table = tables.open(name), tables.table(name)
    check_unaltered(table, opened.definition, converse(database.connect(), definition(table)))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "TRUNCATE t",
        "VACUUM FULL t",
        "ALTER TABLE t SET (fillfactor = 50)",
        "ALTER TABLE t ADD c int DEFAULT 1",
    ],
)
def test_what_loses_no_row(database: Database, statement: str) -> None:
    database.execute("CREATE TABLE t (a int, b text); CREATE PUBLICATION pub FOR TABLE t")
    tables = _Tables(database, "pub")
    database.execute(statement)
    _check(database, tables, "t")


@pytest.mark.parametrize(
    ("statement", "how"),
    [
        ("ALTER TABLE t ALTER a TYPE bigint", "written anew"),
        ("ALTER TABLE t ADD c float DEFAULT random()", "written anew"),
        ("ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a", "altered"),
        ("ALTER TABLE t SET SCHEMA other", "dropped or renamed"),
        # The usual way to put another table in the place of one.
        ("ALTER TABLE t RENAME TO old; ALTER TABLE u RENAME TO t", "renamed"),
        ("DROP TABLE t; ALTER TABLE u RENAME TO t", "dropped"),
    ],
)
def test_what_loses_rows(database: Database, statement: str, how: str) -> None:
    database.execute(
        "CREATE SCHEMA other; CREATE TABLE t (a int, b text); CREATE TABLE u (a int, b text);"
        "CREATE PUBLICATION pub FOR TABLE t"
    )
    tables = _Tables(database, "pub")
    database.execute(statement)
    with pytest.raises(TableAlteredError, match=how):
        _check(database, tables, "t")


def test_logged_again_is_not_truncated(database: Database) -> None:
    database.execute("CREATE TABLE t (a int, b text); CREATE PUBLICATION pub FOR ALL TABLES")
    tables = _Tables(database, "pub")
    database.execute("DROP PUBLICATION pub")
    database.execute("ALTER TABLE t SET UNLOGGED")
    database.execute("ALTER TABLE t SET LOGGED")
    with pytest.raises(TableAlteredError, match="written anew"):
        _check(database, tables, "t")


@pytest.mark.parametrize(
    ("statement", "how"),
    [
        ("ALTER TABLE p ALTER b TYPE bytea USING ''", "written anew"),
        ("ALTER TABLE p DETACH PARTITION p1", "robbed of a partition"),
        ("DROP TABLE p; CREATE TABLE p (a int, b text) PARTITION BY LIST (a)", "dropped"),
    ],
)
def test_partitions(database: Database, statement: str, how: str) -> None:
    database.execute(
        "CREATE TABLE p (a int, b text) PARTITION BY LIST (a);"
        "CREATE TABLE p1 PARTITION OF p DEFAULT;"
        "CREATE PUBLICATION pub FOR TABLE p WITH (publish_via_partition_root = true)"
    )
    tables = _Tables(database, "pub")
    _check(database, tables, "p")
    database.execute(statement)
    with pytest.raises(TableAlteredError, match=how):
        _check(database, tables, "p")


def test_a_table_that_somebody_keeps_locked(database: Database) -> None:
    database.execute("CREATE TABLE t (a int); CREATE PUBLICATION pub FOR TABLE t")
    tables = _Tables(database, "pub")
    with database.connect() as other:
        other.execute("BEGIN; LOCK TABLE t")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            tables.open("t")
    _check(database, tables, "t")


def test_rows_that_a_policy_would_hide(database: Database, slot_name: str) -> None:
    role = f"reads_{slot_name}"
    database.execute("CREATE TABLE t (a int); CREATE PUBLICATION pub FOR TABLE t")
    database.execute(
        f"CREATE ROLE {role}; GRANT SELECT ON t TO {role}; ALTER TABLE t ENABLE ROW LEVEL SECURITY"
    )
    try:
        tables = _Tables(database, "pub")
        tables.worker.execute(f"SET ROLE {role}".encode())
        with pytest.raises(ConfigurationError, match=r"would hide rows of public\.t"):
            tables.open("t")
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
