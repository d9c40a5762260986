"""Tests of `pglogical_cdc.snapshot.chunk`: keys as the server compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from attrs import evolve
from psycopg import sql

from pglogical_cdc.postgres import Parametrised, converse
from pglogical_cdc.snapshot import row_key, select_tables
from pglogical_cdc.snapshot.chunk import equal_keys, read_rows
from pglogical_cdc.snapshot.opening import open_table

if TYPE_CHECKING:
    from pglogical_cdc.postgres import Conversation
    from pglogical_cdc.snapshot import Key
    from tests.servers import Database

pytestmark = [pytest.mark.pg, pytest.mark.newest]


def _wire(values: str, declared: str, *, binary: bool) -> Conversation[list[bytes]]:
    """Return some values as the server sends them."""
    query = sql.SQL(f"SELECT v::{declared} FROM unnest('{values}'::text[]) v")
    rows = yield Parametrised(query, [], [], binary)
    return [row[0] for row in rows]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(
    ("declared", "rows", "touched", "expected"),
    [
        ("numeric", "{1.0,2.5,NaN,3}", "{1.00,NaN,4}", [0, 2]),
        ("float8", "{-0.0,1.5,NaN}", "{0,NaN}", [0, 2]),
        ("citext", '{Straße,a,"b,\\"\\\\c"}', '{STRASSE,A,"B,\\"\\\\C"}', [1, 2]),
        ("interval", "{24:00:00,1 mon}", "{1 day,30 days}", [0, 1]),
        ("char(4)", "{a,b}", "{a,c}", [0]),
        ("jsonb", '{"{\\"a\\": 1.0}",2}', '{"{\\"a\\":1.00}"}', [0]),
        ("cents", "{1.0,2}", "{1}", [0]),
        ("pair", '{"(1.0,x)","(2,y)"}', '{"(1.00,x)","(2,z)"}', [0]),
    ],
)
def test_equal_keys(
    database: Database,
    declared: str,
    rows: str,
    touched: str,
    expected: list[int],
    *,
    binary: bool,
) -> None:
    database.execute(
        "CREATE EXTENSION citext; CREATE DOMAIN cents AS numeric;"
        "CREATE TYPE pair AS (a numeric, b text)"
    )
    database.execute(
        f"CREATE TABLE t (n int, k {declared}, PRIMARY KEY (k, n));CREATE PUBLICATION p FOR TABLE t"
    )
    with database.connect() as connection:
        (table,) = converse(connection, select_tables(["p"], connection.info.server_version))
        key = converse(connection, row_key(table))
        assert key is not None
        (one,) = converse(connection, _wire("{1}", "int", binary=binary))
        mine, theirs = (
            [(value, one) for value in converse(connection, _wire(some, declared, binary=binary))]
            for some in (rows, touched)
        )
        found = converse(connection, equal_keys(key, mine, theirs, binary=binary))
    assert sorted(mine.index(cast("tuple[bytes, bytes]", each)) for each in found) == expected


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_rows_behind_a_key_and_rows_of_keys(database: Database, *, binary: bool) -> None:
    database.execute(
        "CREATE TABLE t (v text, a int, b text, PRIMARY KEY (a, b));"
        "CREATE PUBLICATION p FOR TABLE t;"
        "INSERT INTO t SELECT 'v' || i, i / 3, i % 3 FROM generate_series(0, 20) i"
    )

    with database.connect() as connection:
        (table,) = converse(connection, select_tables(["p"], connection.info.server_version))
        key = converse(connection, row_key(table))
        assert key is not None
        with connection.transaction():
            message = converse(connection, open_table(table, binary=binary)).message

            def read(after: Key | None, again: list[Key] | None = None) -> dict[Key, str]:
                rows = converse(
                    connection,
                    read_rows(
                        table, message, key, after=after, again=again or [], limit=8, binary=binary
                    ),
                )
                return {key: bytes(cast("bytes", row[0])).decode() for key, row in rows.items()}

            found: list[str] = []
            after: Key | None = None
            while rows := read(after):
                found += rows.values()
                after = list(rows)[-1]
            assert found == [f"v{i}" for i in range(21)]
            first = list(read(None))
            assert list(read(None, [first[5], first[2]]).values()) == ["v2", "v5"]
            filtered = read_rows(
                evolve(table, row_filter="a > 5"),
                message,
                key,
                after=None,
                again=[],
                limit=100,
                binary=binary,
            )
            assert len(converse(connection, filtered)) == 3
