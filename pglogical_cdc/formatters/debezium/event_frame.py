"""EventFrame: all of an event but its rows, for one operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from pglogical_cdc.events import Delete, Insert, Relation, SnapshotRead, SnapshotRows, Update
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.debezium.source import SourceBlock
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock
from pglogical_cdc.formatters.packed_records import PackedRecords
from pglogical_cdc.formatters.wire.column_writer import ColumnWriter
from pglogical_cdc.formatters.wire.row_writer import WriteEvent

__all__ = ("OPERATIONS", "EventFrame", "FramedTable", "after_rows")

OPERATIONS: Final[dict[type, str]] = {Insert: "c", Update: "u", Delete: "d", SnapshotRead: "r"}
"""Letters of the changes that `EventFrame.records` takes."""

FramedTable: TypeAlias = tuple[Relation, WriteEvent, str, str]
"""A version of a table, what writes its events, its topic, and its names as ``source`` has them.

One tuple: of many tables nothing is in the caches of the processor when a row of theirs comes, and
so it counts how much is looked at."""

_FIRST: Final = 1_000_000
"""The first time that has all of its digits."""

_digits: Final = int.__repr__
"""An `LSN` writes itself otherwise."""


def after_rows(
    source: SourceBlock, names: str, lsn: int, block: TransactionBlock | None, op: str, now: int
) -> str:
    """Return the JSON of an event from the end of its row, or rows, on.

    Args:
        source: that of the change.
        names: `TableFormat.source`.
        lsn: start of the change's message in the WAL.
        block: its ``transaction``, if that is asked for.
        op: the operation's letter.
        now: nanoseconds since 1970-01-01 UTC.
    """
    place = "null" if block is None else block.json().decode()
    return (
        f',"source":{source.json(names, lsn)},"transaction":{place},"op":"{op}"'
        f',"ts_ms":{now // 1_000_000},"ts_us":{now // 1000},"ts_ns":{now}}}'
    )


class EventFrame:
    """Makes the records of one operation, without schemas.

    It keeps what the changes of one transaction have in common and, apart from that, what those of
    one table have: each may be another one at every change.

    Args:
        kind: class of the changes.
        tables: those whose changes it takes, by OID.
        headers: of each record.
        tombstone: whether a delete is followed by a record without value.
    """

    __slots__ = (
        "_before",
        "_commit_lsn",
        "_head",
        "_headers",
        "_kind",
        "_middle",
        "_names",
        "_rest",
        "_source",
        "_tables",
        "_tombstone",
        "_topic",
        "_transaction_id",
        "_write",
        "relation",
    )

    def __init__(
        self,
        kind: type,
        tables: Mapping[int, FramedTable],
        headers: Sequence[tuple[str, bytes]],
        *,
        tombstone: bool,
    ) -> None:
        self.relation: Relation | None = None
        """The version of the table whose changes `records` takes; see `turn_to`."""
        self._kind = kind
        self._headers = headers
        self._tombstone = tombstone
        self._head = '{"before":' if kind is Delete else '{"before":null,"after":'
        self._source: SourceBlock | None = None
        """That of the last change."""
        self._tables = tables

    def turn_to(self, relation: Relation) -> bool:
        """Go on with the changes of a table; tell whether this version of it is there."""
        table = self._tables.get(relation.oid)
        if table is None or table[0] is not relation:
            return False
        self.relation, self._write, self._topic, self._names = table
        return True

    def records(self, source: SourceBlock, change: Any, now: int) -> Sequence[Record] | None:
        """Return the records of a change.

        Args:
            source: that of the change's transaction.
            change: of the frame's class and `relation`.
            now: nanoseconds since 1970-01-01 UTC.

        Returns:
            None if it is one whose key may have changed, or that is older than a millisecond.
        """
        kind = self._kind
        if now < _FIRST or (kind is Update and change.before is not None):
            return None
        if source is not self._source:
            self._render(source)
        row = change.before if kind is Delete else change.after
        value, key = self._write(
            row.raw,
            self._head,
            self._before,
            _digits(change.wal_start),
            self._middle,
            self._names,
            self._transaction_id,
            self._rest,
            _time(now),
        )
        topic, headers, place = self._topic, self._headers, (self._commit_lsn, change.ordinal)
        record = Record(topic, key, value, headers, place)
        if kind is Delete and self._tombstone:
            return record, Record(topic, key, None, headers, place)
        return (record,)

    def rows(
        self, source: SourceBlock, rows: SnapshotRows, writer: ColumnWriter, now: int
    ) -> PackedRecords | None:
        """Return the records of rows of a snapshot.

        Args:
            source: that of the rows.
            rows: of `relation`.
            writer: writes them.
            now: nanoseconds since 1970-01-01 UTC.

        Returns:
            None if one of the rows has to be looked at by itself.
        """
        columns = rows.columns()
        if columns is None or now < _FIRST:
            return None
        if source is not self._source:
            self._render(source)
        lsn = _digits(rows.lsn)
        tail = (
            f"{self._before}{lsn}{self._middle}{self._names}{self._transaction_id}{lsn}"
            f"{self._rest}{_time(now)}"
        )
        made = writer.write(columns.values, columns.with_null, self._head, tail)
        if made is None:
            return None
        values, keys = made
        head = Record, self._topic, self._headers, (self._commit_lsn, 0)
        return PackedRecords(head, keys, values)

    def _render(self, source: SourceBlock) -> None:
        """Render what the events of a transaction have in common."""
        after = ',"after":null' if self._kind is Delete else ""
        self._before = f'{after},"source":{source.head}'
        self._middle, self._transaction_id = source.middle, source.transaction_id
        self._rest = f'{source.end},"transaction":null,"op":"{OPERATIONS[self._kind]}","ts_ms":'
        self._commit_lsn = source.commit_lsn
        self._source = source


def _time(now: int) -> str:
    """Return the end of an event, from its first time on."""
    ns = f"{now}"
    return f'{ns[:-6]},"ts_us":{ns[:-3]},"ts_ns":{ns}}}'
