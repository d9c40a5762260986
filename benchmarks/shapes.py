"""Backlogs of other shapes: one large transaction, a thousand tables, rows of many columns; and
rows that are there for a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks import backlog

__all__ = (
    "SNAPSHOT_ROWS",
    "STANDARD_ROWS",
    "TABLES",
    "WIDTHS",
    "Shape",
    "large_transaction",
    "many_tables",
    "snapshot",
    "standard",
    "wide",
)

STANDARD_ROWS: Final = 300_000
"""Inserts of the standard backlog; with updates and deletes it has 450,000 row changes."""

SNAPSHOT_ROWS: Final = 2_000_000

TABLES: Final = 1000

WIDTHS: Final = {4: 200_000, 16: 100_000, 64: 40_000, 256: 12_000}
"""Rows by number of columns."""

_LARGE_TRANSACTION: Final = 5_000_000

_TYPES: Final = (
    ("bigint", "n::bigint * 1000003"),
    ("int", "n % 2147483647"),
    ("text", "md5(n::text)"),
    ("numeric(10,2)", "(n % 100000000) / 100.0"),
    ("timestamptz", "timestamptz '2026-01-02 03:04:05.123456+00' + n * interval '1 second'"),
    ("bool", "n % 2 = 0"),
    (
        "jsonb",
        "jsonb_build_object('name', md5(n::text), 'size', n, 'tags', jsonb_build_array('a', 'b'))",
    ),
    ("uuid", "md5(n::text)::uuid"),
)
"""What the standard row is made of, without its key."""


@dataclass(frozen=True)
class Shape:
    """A backlog: how its tables are made, and what is written to them."""

    name: str
    """Also that of its database."""
    tables: Sequence[str]
    statements: Sequence[str]
    events: int
    """Row changes that the statements make."""
    snapshot: bool = False
    """Whether the rows of the tables are what is read; then no slot is made before them."""


def standard(scale: float = 1) -> Shape:
    """Return the standard backlog: transactions of 100 rows."""
    rows = _whole(STANDARD_ROWS * scale)
    tables, statements = [backlog.TABLE_SQL], backlog.workload(rows)
    return Shape("standard", tables, statements, _changes_of(rows))


def large_transaction(scale: float = 1) -> Shape:
    """Return one transaction with as many inserts, updates and deletes in proportion."""
    rows = _whole(_LARGE_TRANSACTION * scale / 1.5)
    statements = [
        "BEGIN",
        f"INSERT INTO standard SELECT {backlog.ROW_SQL} FROM generate_series(0, {rows - 1}) n",
        f"UPDATE standard SET number = number + 1 WHERE id < {rows // 3}",
        f"DELETE FROM standard WHERE id < {rows // 6}",
        "COMMIT",
    ]
    return Shape("large_transaction", [backlog.TABLE_SQL], statements, _changes_of(rows))


def many_tables(scale: float = 1) -> Shape:
    """Return the standard changes in the standard transactions, each to the next table."""
    rows = _whole(STANDARD_ROWS * scale)
    tables = [
        backlog.TABLE_SQL.replace("TABLE standard", f"TABLE standard_{number:03}")
        for number in range(TABLES)
    ]
    changes = (
        (rows, f"'INSERT INTO %I SELECT {_quoted(backlog.ROW_SQL)} FROM (VALUES ($1)) v(n)'"),
        (rows // 3, "'UPDATE %I SET number = number + 1 WHERE id = $1'"),
        (rows // 6, "'DELETE FROM %I WHERE id = $1'"),
    )
    statements = [
        f"DO $$ BEGIN FOR i IN 0..{count - 1} LOOP "
        f"EXECUTE format({change}, 'standard_' || to_char(i % {TABLES}, 'FM000')) USING i; "
        "IF i % 100 = 99 THEN COMMIT; END IF; END LOOP; END $$"
        for count, change in changes
    ]
    return Shape("many_tables", tables, statements, _changes_of(rows))


def wide(columns: int, scale: float = 1) -> Shape:
    """Return inserts of rows of so many columns: a key, and the types of the standard row."""
    rows = _whole(WIDTHS[columns] * scale)
    chosen = [_TYPES[number % len(_TYPES)] for number in range(columns - 1)]
    listed = "".join(f", c{number:03} {kind}" for number, (kind, _) in enumerate(chosen))
    # A row of 256 columns has some 6,000 bytes: kept whole, so that no TOAST is read for it.
    table = f"CREATE TABLE wide (id bigint PRIMARY KEY{listed}) WITH (toast_tuple_target = 8160)"
    values = ", ".join(["n", *(expression for _, expression in chosen)])
    statements = [
        f"INSERT INTO wide SELECT {values} FROM generate_series({n}, {n + 99}) n"
        for n in range(0, rows, 100)
    ]
    return Shape(f"wide_{columns}", [table], statements, rows)


def snapshot(scale: float = 1) -> Shape:
    """Return the rows of the standard table, as a server has them that has been left alone."""
    rows = max(1, round(SNAPSHOT_ROWS * scale))
    statements = [
        f"INSERT INTO standard SELECT {backlog.ROW_SQL} FROM generate_series(0, {rows - 1}) n",
        # Else the first who reads them would pay for their hint bits.
        "VACUUM (FREEZE, ANALYZE) standard",
        "CHECKPOINT",
    ]
    return Shape(f"snapshot_{rows}", [backlog.TABLE_SQL], statements, rows, snapshot=True)


def _whole(rows: float) -> int:
    """Round so that every third and sixth of the rows is full transactions of a hundred."""
    return max(1, round(rows / 600)) * 600


def _changes_of(rows: int) -> int:
    return rows + rows // 3 + rows // 6


def _quoted(expression: str) -> str:
    return expression.replace("'", "''").replace("%", "%%")
