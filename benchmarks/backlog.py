"""The standard row: the same table, seeded, on the wire and in a live server."""

from __future__ import annotations

import random
import uuid
from typing import Final

from pglogical_cdc.events import TableCatalog
from pglogical_cdc.events.catalog import CatalogColumn
from tests import wire

__all__ = ("COLUMNS", "TABLE_SQL", "catalog", "inserts", "preamble", "workload")

RELATION_ID: Final = 16384

COLUMNS: Final = (
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


def catalog() -> TableCatalog:
    """Return what the catalog says of the table."""
    columns = tuple(
        CatalogColumn(name, number, oid, modifier, "", name == "id", None, "", "")
        for number, (_, name, oid, modifier) in enumerate(COLUMNS, start=1)
    )
    return TableCatalog("bench", RELATION_ID, "public", "standard", columns, ("id",))


def preamble() -> list[bytes]:
    """Return Begin and Relation."""
    return [
        wire.begin(0x2000, 0, 700),
        wire.relation(RELATION_ID, "public", "standard", COLUMNS),
    ]


def inserts(count: int) -> list[bytes]:
    """Return so many Insert messages, the same at every call."""
    source = random.Random(1)
    return [
        wire.insert(
            RELATION_ID,
            [
                str(number),
                str(source.randrange(1 << 31)),
                f"{source.getrandbits(128):032x}",
                f"{source.randrange(10**10) / 100:.2f}",
                f"2026-01-02 03:04:05.{source.randrange(10**6):06d}+00",
                source.choice("tf"),
                f'{{"name": "{source.getrandbits(128):032x}", "tags": ["a", "b"], "size": '
                f"{source.randrange(10**6)}}}",
                str(uuid.UUID(int=source.getrandbits(128))),
            ],
        )
        for number in range(count)
    ]


def workload(rows: int) -> list[str]:
    """Return the statements of a backlog: inserts, a third as many updates, a sixth deletes.

    Each statement is a transaction of 100 rows.
    """
    row = (
        "n, n % 2147483647, md5(n::text), (n % 100000000) / 100.0,"
        " timestamptz '2026-01-02 03:04:05.123456+00' + n * interval '1 second', n % 2 = 0,"
        " jsonb_build_object('name', md5(n::text), 'size', n, 'tags', jsonb_build_array('a', 'b')),"
        " md5(n::text)::uuid"
    )
    return [
        *(
            f"INSERT INTO standard SELECT {row} FROM generate_series({n}, {n + 99}) n"
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
