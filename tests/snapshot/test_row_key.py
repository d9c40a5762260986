"""Tests of `pglogical_cdc.snapshot.row_key`: by what the rows of a table are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.postgres import converse
from pglogical_cdc.snapshot import RowKey, row_key, select_tables

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


def _key(database: Database, ddl: str, columns: str = "") -> RowKey | None:
    database.execute(f"DROP PUBLICATION IF EXISTS p; DROP TABLE IF EXISTS t; {ddl}")
    database.execute(f"CREATE PUBLICATION p FOR TABLE t {columns}")
    with database.connect() as connection:
        (table,) = converse(connection, select_tables(["p"], connection.info.server_version))
        return converse(connection, row_key(table))


def _names(key: RowKey | None) -> list[str] | None:
    return None if key is None else [column.name for column in key.columns]


@pytest.mark.parametrize(
    ("ddl", "expected"),
    [
        ("CREATE TABLE t (b int, a int, PRIMARY KEY (a, b))", ["a", "b"]),
        ("CREATE TABLE t (a int, b int, PRIMARY KEY (a) INCLUDE (b))", ["a"]),
        ("CREATE TABLE t (a int)", None),
        # Old keys have the columns of the replica identity and no others.
        ("CREATE TABLE t (a int NOT NULL UNIQUE)", None),
        ("CREATE TABLE t (a int NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY FULL", ["a"]),
        ("CREATE TABLE t (a int UNIQUE); ALTER TABLE t REPLICA IDENTITY FULL", None),
        ("CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL);"
         " CREATE UNIQUE INDEX i ON t (b); ALTER TABLE t REPLICA IDENTITY USING INDEX i", ["b"]),
        ("CREATE TABLE t (a int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING", ["a"]),
        ("CREATE TABLE t (a int PRIMARY KEY DEFERRABLE)", None),
        ("CREATE TABLE t (a int PRIMARY KEY) PARTITION BY RANGE (a);"
         " CREATE TABLE t1 PARTITION OF t DEFAULT", ["a"]),
    ],
)  # fmt: skip
def test_index(database: Database, ddl: str, expected: list[str] | None) -> None:
    root = "WITH (publish_via_partition_root = true)" if "PARTITION" in ddl else ""
    assert _names(_key(database, ddl, root)) == expected


@pytest.mark.pg(15)
@pytest.mark.newest
def test_key_that_is_not_published(database: Database) -> None:
    ddl = "CREATE TABLE t (a int PRIMARY KEY, b int)"
    assert _key(database, ddl, "(b) WITH (publish = 'insert')") is None


@pytest.mark.newest
@pytest.mark.parametrize(
    ("declared", "is_plain"),
    [("int", True), ("text", True), ("uuid", True), ("mood", True), ("positive", True),
     ("numeric", False), ("float8", False), ("interval", False), ("jsonb", False),
     ("char(3)", False), ("citext", False), ("cents", False)],
)  # fmt: skip
def test_types_whose_bytes_can_be_compared(
    database: Database, declared: str, *, is_plain: bool
) -> None:
    database.execute(
        "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('sad');"
        "CREATE DOMAIN positive AS int; CREATE DOMAIN cents AS numeric"
    )
    key = _key(database, f"CREATE TABLE t (k {declared} PRIMARY KEY)")
    assert key is not None
    assert key.is_plain is is_plain


@pytest.mark.newest
def test_operators_are_those_of_the_index(database: Database) -> None:
    database.execute("CREATE SCHEMA away; CREATE EXTENSION citext SCHEMA away")
    key = _key(database, "CREATE TABLE t (a away.citext, b int, PRIMARY KEY (a, b))")
    assert key is not None
    assert key.columns[0].equal == ("away", "=")
    assert key.columns[1].greater == ("pg_catalog", ">")
    shown = key.is_after(1).as_string(None)
    assert 'OPERATOR("away".>) $1 OR' in shown
    assert "ROW" not in shown
    key = _key(database, "CREATE TABLE t (a int, b text, PRIMARY KEY (a, b))")
    assert key is not None
    assert key.is_after(3).as_string(None).startswith('ROW("a", ("b" COLLATE')
    assert key.is_after(3).as_string(None).endswith('OPERATOR("pg_catalog".>) ROW($3, $4)')
