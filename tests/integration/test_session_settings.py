"""What role and database set does not change what the values say."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc import ReplicationReader
from tests.reading import make_slot

if TYPE_CHECKING:
    from tests.servers import Database

_COLUMNS = "at timestamptz, day date, span interval, f float8, b bytea, money money, v text"
_VALUES = (
    "'2024-02-29 12:34:56.789012+09', '2024-02-03', '1 day 02:03:04',"
    " 0.1::float8 + 0.2::float8, '\\x00ff41', 1234.5, 'Größe'"
)


@pytest.mark.pg
def test_values_do_not_depend_on_role_or_database(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, f"CREATE TABLE v (id int PRIMARY KEY, {_COLUMNS})")
    role = f"{database.name}_role"
    database.execute(f"CREATE ROLE {role} LOGIN SUPERUSER REPLICATION")
    try:
        for name, value in (
            ("datestyle", "German, DMY"),
            ("intervalstyle", "sql_standard"),
            ("timezone", "Asia/Tokyo"),
            ("bytea_output", "escape"),
            ("extra_float_digits", "-5"),
            ("client_min_messages", "error"),
            ("client_encoding", "LATIN1"),
        ):
            database.execute(f"ALTER ROLE {role} SET {name} = '{value}'")
        database.execute(f"INSERT INTO v VALUES (1, {_VALUES})")
        dsn = database.server.dsn(database.name, user=role)
        with ReplicationReader(dsn, slot=slot_name, publications="pub", until="now") as reader:
            (change,) = reader
    finally:
        database.execute(f"DROP ROLE {role}")
    assert change.after is not None
    assert list(change.after.raw) == [
        b"1",
        b"2024-02-29 03:34:56.789012+00",
        b"2024-02-03",
        b"1 day 02:03:04",
        b"0.30000000000000004",
        b"\\x00ff41",
        b"$1,234.50",
        "Größe".encode(),
    ]
    row = dict(change.after)
    assert row["at"] == datetime.datetime(
        2024, 2, 29, 3, 34, 56, 789012, tzinfo=datetime.timezone.utc
    )
    assert row["span"] == datetime.timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert (row["f"], row["b"], row["v"]) == (0.1 + 0.2, b"\x00\xffA", "Größe")
