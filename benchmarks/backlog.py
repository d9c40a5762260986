"""The standard row: the same table, seeded, on the wire and in a live server."""

from __future__ import annotations

import random
import struct
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Final

from pglogical_cdc.events import TableCatalog
from pglogical_cdc.events.catalog import CatalogColumn
from pglogical_cdc.protocol.tuples import BinaryValue
from tests import wire

__all__ = (
    "COLUMNS",
    "ROW_SQL",
    "TABLE_SQL",
    "Columns",
    "binary_inserts",
    "catalog",
    "copied",
    "inserts",
    "preamble",
    "wide_columns",
    "workload",
)

RELATION_ID: Final = 16384

Columns = Sequence[tuple[int, str, int, int]]
"""Flags, name, type OID and type modifier, as the Relation message has them."""

COLUMNS: Final[Columns] = (
    (1, "id", 20, -1),
    (0, "number", 23, -1),
    (0, "label", 25, -1),
    (0, "price", 1700, (10 << 16 | 2) + 4),
    (0, "placed_at", 1184, -1),
    (0, "paid", 16, -1),
    (0, "document", 3802, -1),
    (0, "token", 2950, -1),
)

TABLE_SQL: Final = """
CREATE TABLE standard (
  id bigint PRIMARY KEY, number int, label text, price numeric(10,2),
  placed_at timestamptz, paid bool, document jsonb, token uuid
)"""

ROW_SQL: Final = (
    "n, n % 2147483647, md5(n::text), (n % 100000000) / 100.0,"
    " timestamptz '2026-01-02 03:04:05.123456+00' + n * interval '1 second', n % 2 = 0,"
    " jsonb_build_object('name', md5(n::text), 'size', n, 'tags', jsonb_build_array('a', 'b')),"
    " md5(n::text)::uuid"
)
"""The row of number ``n``."""

_VALUES: Final[dict[int, Callable[[random.Random], str]]] = {
    16: lambda source: source.choice("tf"),
    20: lambda source: str(source.randrange(1 << 63)),
    23: lambda source: str(source.randrange(1 << 31)),
    25: lambda source: f"{source.getrandbits(128):032x}",
    1184: lambda source: f"2026-01-02 03:04:05.{source.randrange(10**6):06d}+00",
    1700: lambda source: f"{source.randrange(10**10) / 100:.2f}",
    2950: lambda source: str(uuid.UUID(int=source.getrandbits(128))),
    3802: lambda source: (
        f'{{"name": "{source.getrandbits(128):032x}", "tags": ["a", "b"], "size": '
        f"{source.randrange(10**6)}}}"
    ),
}
"""By type OID."""


def wide_columns(count: int) -> Columns:
    """Return a key and columns of the standard types in turn."""
    return [
        COLUMNS[0],
        *((0, f"c{number:03}", *COLUMNS[number % len(COLUMNS)][2:]) for number in range(1, count)),
    ]


def catalog(columns: Columns = COLUMNS) -> TableCatalog:
    """Return what the catalog says of the table."""
    described = tuple(
        CatalogColumn(name, number, oid, modifier, "", name == "id", None, "", "")
        for number, (_, name, oid, modifier) in enumerate(columns, start=1)
    )
    return TableCatalog("bench", RELATION_ID, "public", "standard", described, ("id",))


def preamble(columns: Columns = COLUMNS) -> list[bytes]:
    """Return Begin and Relation."""
    return [
        wire.begin(0x2000, 0, 700),
        wire.relation(RELATION_ID, "public", "standard", columns),
    ]


def _rows(count: int, columns: Columns) -> list[list[str]]:
    source = random.Random(1)
    return [
        [str(number), *(_VALUES[oid](source) for _, _, oid, _ in columns[1:])]
        for number in range(count)
    ]


def inserts(count: int, columns: Columns = COLUMNS) -> list[bytes]:
    """Return so many Insert messages, the same at every call."""
    return [wire.insert(RELATION_ID, row) for row in _rows(count, columns)]


def copied(count: int, columns: Columns = COLUMNS) -> list[bytes]:
    """Return the same rows as COPY sends them; no value of theirs needs an escape."""
    return ["\t".join(row).encode() + b"\n" for row in _rows(count, columns)]


def binary_inserts(count: int, columns: Columns = COLUMNS) -> list[bytes]:
    """Return the same rows with their values in binary."""
    return [
        wire.insert(
            RELATION_ID,
            [
                BinaryValue(_binary(value, oid))
                for value, (_, _, oid, _) in zip(row, columns, strict=True)
            ],
        )
        for row in _rows(count, columns)
    ]


def _binary(value: str, oid: int) -> bytes:
    """Return what the server's send function of the type gives."""
    if oid == 16:
        return b"\1" if value == "t" else b"\0"
    if oid == 20:
        return struct.pack(">q", int(value))
    if oid == 23:
        return struct.pack(">i", int(value))
    if oid == 1184:
        passed = datetime.fromisoformat(f"{value}:00") - datetime(2000, 1, 1, tzinfo=timezone.utc)
        seconds = passed.days * 86_400 + passed.seconds
        return struct.pack(">q", seconds * 1_000_000 + passed.microseconds)
    if oid == 1700:
        return _binary_numeric(value)
    if oid == 2950:
        return uuid.UUID(value).bytes
    return (b"\1" if oid == 3802 else b"") + value.encode()


def _binary_numeric(value: str) -> bytes:
    """Return digits to the base of 10,000, and how many of them are before the point."""
    whole, _, fraction = value.partition(".")
    groups = -(-len(whole) // 4)
    digits = whole.rjust(4 * groups, "0") + fraction.ljust(4, "0")
    numbers = [int(digits[at : at + 4]) for at in range(0, len(digits), 4)]
    head = struct.pack(">hhHH", len(numbers), groups - 1, 0, len(fraction))
    return head + struct.pack(f">{len(numbers)}h", *numbers)


def workload(rows: int) -> list[str]:
    """Return the statements of a backlog: inserts, a third as many updates, a sixth deletes.

    Each statement is a transaction of 100 rows.
    """
    return [
        *(
            f"INSERT INTO standard SELECT {ROW_SQL} FROM generate_series({n}, {n + 99}) n"
            for n in range(0, rows, 100)
        ),
        *(
            f"UPDATE standard SET number = number + 1 WHERE id BETWEEN {n} AND {n + 99}"
            for n in range(0, rows // 3, 100)
        ),
        *(
            f"DELETE FROM standard WHERE id BETWEEN {n} AND {n + 99}"
            for n in range(0, rows // 6, 100)
        ),
    ]
