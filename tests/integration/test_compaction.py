"""What the records say, one after the other, is the table."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import psycopg
import pytest

from pglogical_cdc import (
    Change,
    DebeziumFormatter,
    DmsFormatter,
    Record,
    Tombstones,
    UnwrappedFormatter,
)
from pglogical_cdc.formatters.debezium.unwrapped import DeleteTombstoneMode
from tests.golden.comparison import formatted
from tests.reading import make_slot, read
from tests.servers import Database

pytestmark = pytest.mark.pg

_Folded = dict[tuple[str, str], Any]

_DDL: Final = """
    CREATE TABLE plain (id int PRIMARY KEY, a text, n int NOT NULL DEFAULT 3, big text);
    ALTER TABLE plain ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE whole (b text, a int, n int, v text, PRIMARY KEY (a, b));
    ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE TABLE single (id bigint PRIMARY KEY, a text UNIQUE, n int);
    CREATE TABLE parent (id int, part int, v text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
    CREATE TABLE child_1 PARTITION OF parent FOR VALUES IN (1);
    CREATE TABLE child_2 PARTITION OF parent FOR VALUES IN (2);
"""
_TABLES: Final = {
    "plain": ["id"],
    "whole": ["a", "b"],
    "single": ["id"],
    "child_1": ["part", "id"],
    "child_2": ["part", "id"],
}


def _statements(r: random.Random) -> Iterable[str]:
    def row() -> tuple[int, str, int]:
        return r.randint(1, 12), r.choice("xyz"), r.randint(0, 99)

    for _ in range(120):
        id, letter, n = row()
        yield r.choice(
            (
                f"INSERT INTO plain VALUES ({id}, '{letter}', {n}, repeat('{letter}', 3000))"
                f" ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a || {n}",
                f"UPDATE plain SET n = {n} WHERE id = {id}",
                f"UPDATE plain SET id = id + 20 WHERE id = {id}",
                "UPDATE plain SET id = id - 20 WHERE id > 20 AND id - 20 NOT IN"
                " (SELECT id FROM plain)",
                f"DELETE FROM plain WHERE id = {id}",
                f"INSERT INTO whole VALUES ('{letter}', {id}, {n}, NULL) ON CONFLICT DO NOTHING",
                f"UPDATE whole SET v = '{n}', n = NULL WHERE a = {id}",
                f"UPDATE whole SET b = b || '!' WHERE a = {id}",
                f"DELETE FROM whole WHERE b = '{letter}'",
                f"INSERT INTO single VALUES ({id}, 'u{n}', {n}) ON CONFLICT DO NOTHING",
                f"WITH d AS (DELETE FROM single WHERE id = {id} RETURNING *)"
                " INSERT INTO single SELECT id, a || '?', n FROM d",
                f"INSERT INTO parent VALUES ({id}, {1 + n % 2}, '{letter}') ON CONFLICT DO NOTHING",
                f"UPDATE parent SET part = 3 - part WHERE id = {id} AND"
                f" (SELECT count(*) FROM parent WHERE id = {id}) = 1",
                f"DELETE FROM parent WHERE id = {id}",
                f"BEGIN; DELETE FROM plain WHERE id = {id}; INSERT INTO plain VALUES ({id}, 'new');"
                f" UPDATE plain SET id = {id + 40} WHERE id = {id}; COMMIT",
                f"BEGIN; DELETE FROM plain WHERE id = {id}; ROLLBACK",
            )
        )


def _changes(database: Database, slot_name: str, seed: int) -> list[Change]:
    make_slot(database, slot_name, _DDL)
    connection = database.connect()
    for statement in _statements(random.Random(seed)):
        try:
            connection.execute(statement.encode())
        except psycopg.errors.UniqueViolation:
            connection.execute("ROLLBACK")
    return read(database, slot_name)


def _content(database: Database) -> _Folded:
    """Return the rows of all tables, as the records would have them."""
    content: _Folded = {}
    for table, key in _TABLES.items():
        for (text,) in database.execute(f"SELECT to_json(t)::text FROM {table} AS t"):
            row = json.loads(str(text))
            name = json.dumps({column: row[column] for column in key}, separators=(",", ":"))
            content[f"dbz.public.{table}", name] = row
    return content


def _folded(records: Iterable[Record], *, unwrapped: bool = False) -> _Folded:
    """Keep the last record of each key, and forget those after which comes none."""
    kept: _Folded = {}
    gone: _Folded = {}
    for record in records:
        assert record.key is not None
        identity = record.topic, record.key.decode()
        if record.value is None:
            assert identity in kept, "a tombstone is of a row that was there"
            gone[identity] = kept.pop(identity)
            continue
        value = json.loads(record.value)
        if unwrapped:
            after = value if value.pop("__deleted", "false") == "false" else None
        else:
            assert (value["op"] == "c") is (identity not in kept), "c is the start of a row"
            after = value["after"]
        if after is None:
            # Its tombstone follows.
            continue
        # A row that moves to another key keeps what the server does not send again.
        moved = dict(record.headers).get("__debezium.oldkey")
        earlier = kept.get(identity) if moved is None else gone[record.topic, moved.decode()]
        kept[identity] = {
            name: earlier[name] if earlier and text == "__debezium_unavailable_value" else text
            for name, text in after.items()
        }
    return kept


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_records_of_a_table_are_the_table(
    database: Database, slot_name: str, seed: int
) -> None:
    changes = _changes(database, slot_name, seed)
    content = _content(database)

    assert len(content) > 5
    assert {change.op for change in changes} == {"insert", "update", "delete"}
    assert _folded(formatted(changes, DebeziumFormatter(topic_prefix="dbz"))) == content
    modes: list[DeleteTombstoneMode] = ["delete-to-tombstone", "rewrite-with-tombstone"]
    for mode in modes:
        formatter = UnwrappedFormatter(topic_prefix="dbz", delete_tombstone_handling_mode=mode)
        assert _folded(formatted(changes, formatter), unwrapped=True) == content


@pytest.mark.newest
def test_ten_thousand_records_of_dms_are_the_table(database: Database, slot_name: str) -> None:
    """The keys of DMS alone would let a compacted topic keep one row of each table."""
    make_slot(
        database,
        slot_name,
        "CREATE TABLE accounts (region text, id int, balance numeric, note text, open bool,"
        " seen timestamptz, PRIMARY KEY (id, region))",
    )
    _ten_thousand_changes(database, random.Random(4))
    formatter = DmsFormatter(message_format="json-unformatted", include_null_and_empty=True)
    records = formatted(read(database, slot_name), Tombstones(formatter))
    assert sum(record.value is not None for record in records) == 10_000

    kept: dict[bytes, dict[str, object]] = {}
    for record in records:
        assert record.key is not None
        if record.value is None:
            del kept[record.key]
        else:
            kept[record.key] = json.loads(record.value, parse_float=Decimal)["data"]

    rows = database.execute(
        "SELECT region, id, balance, note, open,"
        """ to_char(seen AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM accounts"""
    )
    content = {
        json.dumps(
            {"schema": "public", "table": "accounts", "id": row[1], "region": row[0]},
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode(): dict(zip(("region", "id", "balance", "note", "open", "seen"), row, strict=True))
        for row in rows
    }
    assert len(content) > 30
    assert kept == content


def test_records_of_dms_with_toasted_values_are_the_table(
    database: Database, slot_name: str
) -> None:
    """With ``reselect`` the last record of each key is the whole row."""
    make_slot(
        database,
        slot_name,
        "CREATE TABLE notes (id int PRIMARY KEY, n int, body text);"
        "ALTER TABLE notes ALTER body SET STORAGE EXTERNAL",
    )
    r = random.Random(5)
    with database.connect() as connection:
        for number in range(300):
            id = r.randint(1, 12)
            connection.execute(
                r.choice(
                    (
                        f"INSERT INTO notes VALUES ({id}, 0, repeat('{number}.', 2000))"
                        " ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body",
                        f"UPDATE notes SET n = {number} WHERE id = {id}",
                        f"UPDATE notes SET id = id + 12 WHERE id = {id}"
                        f" AND NOT EXISTS (SELECT FROM notes WHERE id = {id + 12})",
                        f"DELETE FROM notes WHERE id = {id + r.choice((0, 12))}",
                    )
                ).encode()
            )
    changes = read(database, slot_name, reselect=True)
    formatter = DmsFormatter(message_format="json-unformatted", include_null_and_empty=True)
    kept: dict[bytes | None, Any] = {}
    for record in formatted(changes, Tombstones(formatter)):
        if record.value is None:
            del kept[record.key]
        else:
            kept[record.key] = json.loads(record.value)["data"]
    rows = database.execute("SELECT id, n, body FROM notes")
    assert len(rows) > 5
    assert {row["id"]: (row["n"], row["body"]) for row in kept.values()} == {
        id: (n, body) for id, n, body in rows
    }


def _ten_thousand_changes(database: Database, r: random.Random) -> None:
    """Insert, update, move and delete rows of a hundred keys, in transactions of all sizes."""
    keys = [(region, number) for region in ("eu", "é😀", "a.b", '"') for number in range(25)]
    here: set[tuple[str, int]] = set()

    def values() -> tuple[object, ...]:
        return (
            r.choice([None, Decimal(r.randint(-(10**30), 10**30)).scaleb(-r.randint(0, 12))]),
            r.choice([None, "", "x" * r.randint(1, 40), "\t\n\\\x01", "😀 é"]),
            r.choice([None, True, False]),
            r.choice([None, f"20{r.randint(10, 30)}-03-04 05:06:07.{r.randint(0, 999999):06d}+02"]),
        )

    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        for _ in range(10_000):
            key = r.choice(keys)
            if key not in here:
                cursor.execute("INSERT INTO accounts VALUES (%s,%s,%s,%s,%s,%s)", [*key, *values()])
                here.add(key)
            elif r.random() < 0.3:
                cursor.execute("DELETE FROM accounts WHERE (region, id) = (%s,%s)", key)
                here.remove(key)
            elif r.random() < 0.3 and (free := [each for each in keys if each not in here]):
                other = r.choice(free)
                cursor.execute(
                    "UPDATE accounts SET (region, id) = (%s,%s) WHERE (region, id) = (%s,%s)",
                    [*other, *key],
                )
                here.remove(key)
                here.add(other)
            else:
                cursor.execute(
                    "UPDATE accounts SET (balance, note, open, seen) = (%s,%s,%s,%s)"
                    " WHERE (region, id) = (%s,%s)",
                    [*values(), *key],
                )
            if r.random() < 0.02:
                cursor.execute("COMMIT")
                cursor.execute("BEGIN")
        cursor.execute("COMMIT")
