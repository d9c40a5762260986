"""Tests of `pglogical_cdc.postgres.iso_text`."""

from __future__ import annotations

import struct
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.string import ByteaBinaryLoader, TextBinaryLoader

from pglogical_cdc.postgres.iso_text import (
    date_text,
    interval_text,
    interval_timedelta,
    read_interval,
    read_interval_text,
    time_text,
    timestamp_text,
    timestamptz_text,
    timetz_text,
)
from tests.postgres.type_tables import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Database

_RANDOM = """
SELECT setseed(0.5);
CREATE TABLE moments AS SELECT
 -- the whole of each type's range, and the neighbourhood of the year 1
 ('4714-11-24 BC'::date + (5 * 365.25 * 10 ^ (random() * 5.5))::int) AS d,
 (random() * 86400000000)::int8 * interval '1 us' + time '00:00' AS t,
 ((random() * 86400)::int * interval '1 s' + timetz '00:00')
   AT TIME ZONE (((random() - 0.5) * 86400 * 1.3)::int * interval '1 s') AS tz,
 '4714-11-24 BC'::timestamp + random() * 99000 * interval '3 years' AS ts,
 timestamp '0001-01-01' + (random() - 0.5) * interval '4 years' AS year_1,
 -- as in the wild: each part positive, negative or nothing
 (round((random() - 0.5) * 3) * (10 ^ (random() * 6))::int) * interval '1 month'
   + (round((random() - 0.5) * 3) * (10 ^ (random() * 6))::int) * interval '1 day'
   + (round((random() - 0.5) * 3) * (10 ^ (random() * 12))::int8) * interval '1 us' AS i
FROM generate_series(1, 2000);
"""

_EDGES = """
INSERT INTO moments (d) VALUES ('infinity'), ('-infinity'), ('4714-11-24 BC'), ('0001-12-31 BC'),
 ('0001-01-01'), ('5874897-12-31'), ('2000-02-29'), ('1900-03-01');
INSERT INTO moments (t, tz) VALUES ('24:00', '24:00-15:59:59'), ('00:00', '00:00+15:59:59'),
 ('23:59:59.999999', '01:02:03-00:00:30'), ('12:00:00.1', '12:00:00.100000+05:30');
INSERT INTO moments (ts) VALUES ('infinity'), ('-infinity'), ('4714-11-24 BC'),
 ('294276-12-31 23:59:59.999999'), ('0001-12-31 23:59:59.999999 BC'), ('10000-01-01');
INSERT INTO moments (i) VALUES ('0'), ('178956970 years 7 mons'), ('-178956970 years -8 mons'),
 ('2147483647 days'), ('-2147483648 days'), ('1 year -1 day'), ('-1 mon +1 day -00:00:00.5'),
 ('-1 day +00:00:01'), ('1 mon'), ('-1 year'), ('100:00'), ('2147483647:59:59.999999');
"""


@pytest.mark.pg
def test_text_is_the_servers(database: Database) -> None:
    connection = connect(database)
    connection.execute(_RANDOM.encode())
    connection.execute(_EDGES.encode())
    if database.server.version >= 17:
        connection.execute("INSERT INTO moments (i) VALUES ('infinity'), ('-infinity')")
    connection.execute("ALTER TABLE moments ADD tstz timestamptz")
    connection.execute("UPDATE moments SET tstz = coalesce(year_1, ts) AT TIME ZONE 'UTC'")
    renderers: dict[str, Callable[[bytes], str]] = {
        "d": date_text,
        "t": time_text,
        "tz": timetz_text,
        "ts": timestamp_text,
        "year_1": timestamp_text,
        "tstz": timestamptz_text,
        "i": lambda data: interval_text(read_interval(data)),
    }
    for column, render in renderers.items():
        rows = _text_and_binary(connection, column)
        assert len(rows) > 1000
        assert [render(binary) for _, binary in rows] == [text for text, _ in rows]


@pytest.mark.pg
def test_intervals_are_read_from_both_forms(database: Database) -> None:
    connection = connect(database)
    connection.execute(_RANDOM.encode())
    connection.execute(_EDGES.encode())
    for text, binary in _text_and_binary(connection, "i"):
        assert read_interval_text(text.encode()) == read_interval(binary)


def _text_and_binary(
    connection: psycopg.Connection[tuple[object, ...]], column: str
) -> list[tuple[str, bytes]]:
    cursor = connection.cursor(binary=True)
    cursor.adapters.register_loader("text", TextBinaryLoader)
    for name in ("date", "time", "timetz", "timestamp", "timestamptz", "interval"):
        cursor.adapters.register_loader(name, ByteaBinaryLoader)
    query = f"SELECT {column}::text, {column} FROM moments WHERE {column} IS NOT NULL"
    found: list[tuple[str, bytes]] = []
    for text, binary in cursor.execute(query.encode()).fetchall():
        assert isinstance(text, str)
        assert isinstance(binary, bytes)
        found.append((text, binary))
    return found


def test_infinite_interval() -> None:
    least = (-(1 << 31), -(1 << 31), -(1 << 63))
    assert interval_text(least) == "-infinity"
    assert interval_text(((1 << 31) - 1, (1 << 31) - 1, (1 << 63) - 1)) == "infinity"
    assert interval_timedelta(least) is None


@pytest.mark.parametrize(
    "text", [b"", b"infinity", b"1 year 2 fortnights", b"P1Y", b"1:2:3", b"@ 1 day"]
)
def test_text_that_is_no_interval(text: bytes) -> None:
    assert read_interval_text(text) is None


@given(
    st.integers(-(1 << 31), (1 << 31) - 2),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
def test_interval_text_can_be_read_back(months: int, days: int, micros: int) -> None:
    interval = (months, days, micros)
    assert read_interval(struct.pack(">qii", micros, days, months)) == interval
    if months > -(1 << 31):
        assert read_interval_text(interval_text(interval).encode()) == interval


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((14, 3, 5), timedelta(days=365 + 60 + 3, microseconds=5)),
        ((-13, 2, -1), timedelta(days=-365 - 30 + 2, microseconds=-1)),
        ((0, 999_999_999, 0), timedelta(days=999_999_999)),
        ((0, 1_000_000_000, 0), None),
        ((178_000_000 * 12, 0, 0), None),
    ],
)
def test_interval_timedelta(interval: tuple[int, int, int], expected: timedelta | None) -> None:
    assert interval_timedelta(interval) == expected


def test_wrong_length() -> None:
    for read in (date_text, time_text, timetz_text, timestamp_text, timestamptz_text):
        with pytest.raises(struct.error):
            read(b"\0")
    with pytest.raises(struct.error):
        read_interval(b"\0")
