"""Chunk: some rows of a table, and the statements that read them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from attrs import define
from psycopg import sql

from pglogical_cdc.events import SnapshotPoint
from pglogical_cdc.postgres import Conversation, Parametrised
from pglogical_cdc.protocol import BinaryValue, RelationMessage, TupleData
from pglogical_cdc.snapshot.incremental import IncrementalSnapshot
from pglogical_cdc.snapshot.opening import OpenedTable
from pglogical_cdc.snapshot.row_key import RowKey
from pglogical_cdc.snapshot.selection import SelectedTable
from pglogical_cdc.snapshot.window import Key, Window

__all__ = ("Chunk", "equal_keys", "read_rows")


@define(eq=False)
class Chunk:
    """Rows of a table between their two watermarks."""

    snapshot: IncrementalSnapshot
    token: str
    """What tells its watermarks from others."""
    opened: OpenedTable
    taken: SnapshotPoint
    window: Window
    read_again: Sequence[Key]
    """The keys that it was read for; none if it is of what comes next."""
    last: Key | None
    """The key of its last row; None if it has none."""
    ended: bool
    """Whether there is nothing behind it."""

    @property
    def is_in_one_piece(self) -> bool:
        """Whether its rows are still to be read, those of a table without a key."""
        return self.snapshot.key is None


def read_rows(
    table: SelectedTable,
    message: RelationMessage,
    key: RowKey,
    *,
    after: Key | None,
    again: Sequence[Key],
    limit: int,
    binary: bool,
) -> Conversation[dict[Key, TupleData]]:
    """Read rows in the order of their key.

    Args:
        table: the table.
        message: names the columns.
        key: the key.
        after: read what comes behind this key; None for the beginning.
        again: if there are any, read the rows with these keys instead.
        limit: read so many at most.
        binary: whether values are to come in binary.
    """
    width = len(key.columns)
    conditions: list[sql.Composable] = []
    if table.row_filter is not None:
        conditions.append(sql.SQL(f"({table.row_filter}\n)"))
    if again:
        each = [key.is_equal(1 + i * width) for i in range(len(again))]
        conditions.append(sql.SQL("({})").format(sql.SQL(" OR ").join(each)))
    elif after is not None:
        conditions.append(key.is_after(1))
    given = list(again) if again else [] if after is None else [after]
    names = [column.name for column in message.columns]
    statement = sql.SQL("SELECT {} FROM {}{}{} ORDER BY {} LIMIT {}").format(
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL("" if table.is_partitioned else "ONLY "),
        table.quoted,
        sql.SQL(" WHERE {}" if conditions else "{}").format(sql.SQL(" AND ").join(conditions)),
        key.order,
        sql.Literal(limit),
    )
    rows = yield Parametrised(
        statement,
        values=[value for each in given for value in each],
        types=key.types * len(given),
        binary=binary,
    )
    if binary:
        rows = [
            tuple([None if value is None else BinaryValue(value) for value in row]) for row in rows
        ]
    positions = [names.index(column.name) for column in key.columns]
    return {tuple([row[i] for i in positions]): row for row in rows}


def equal_keys(
    key: RowKey, rows: Iterable[Key], touched: Iterable[Key], *, binary: bool
) -> Conversation[list[Key]]:
    """Have the server find the keys of rows that are equal to one of others.

    Args:
        key: the key.
        rows: keys of rows.
        touched: the others.
        binary: whether values are in binary.
    """
    mine = list(rows)
    columns = range(len(key.columns))
    arrays = [
        _array([each[i] for each in some], key.columns[i].type_oid, binary=binary)
        for some in (mine, list(touched))
        for i in columns
    ]
    condition = key.equal(
        [key.columns[i].collated(sql.SQL(f"c.k{i}")) for i in columns],
        [key.columns[i].collated(sql.SQL(f"t.k{i}")) for i in columns],
    )
    # In the list of columns, because unnest of composite values would make many columns of one.
    statement = sql.SQL(
        "SELECT DISTINCT c.i::pg_catalog.int4"
        " FROM (SELECT {}, pg_catalog.generate_subscripts($1, 1) AS i) c, (SELECT {}) t WHERE {}"
    ).format(
        sql.SQL(", ").join(sql.SQL(f"pg_catalog.unnest(${i + 1}) AS k{i}") for i in columns),
        sql.SQL(", ").join(
            sql.SQL(f"pg_catalog.unnest(${len(columns) + i + 1}) AS k{i}") for i in columns
        ),
        condition,
    )
    found = yield Parametrised(
        statement,
        values=arrays,
        types=[column.array_oid for column in key.columns] * 2,
        binary=binary,
    )
    return [mine[(int.from_bytes(i, "big") if binary else int(i)) - 1] for (i,) in found]


def _array(values: Sequence[bytes], type_oid: int, *, binary: bool) -> bytes:
    """Return an array of values, as its input or receive function takes it."""
    if binary:
        # array_recv: dimensions, whether there are NULLs, type of the elements; size, lower bound.
        head = struct.pack(">iiI", 1, 0, type_oid) + struct.pack(">ii", len(values), 1)
        return head + b"".join(struct.pack(">i", len(value)) + value for value in values)
    quoted = (value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') for value in values)
    return b"{" + b",".join(b'"' + value + b'"' for value in quoted) + b"}"
