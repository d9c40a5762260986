"""EventFrame: all of an event but its rows, for one operation on one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pglogical_cdc.events import Delete, Insert, Relation, RowChange, Update
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.debezium.source import SourceBlock
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock

__all__ = ("OPERATIONS", "EventFrame")

OPERATIONS: Final[dict[type, str]] = {Insert: "c", Update: "u", Delete: "d"}
"""Letters of the changes that `EventFrame.records` takes."""

_KINDS: Final = {op: kind for kind, op in OPERATIONS.items()}

_digits: Final = int.__repr__
"""An `LSN` writes itself otherwise."""


class EventFrame:
    """What the events of one operation on one table have around their rows.

    Args:
        table: version of the table.
        op: the operation's letter.
    """

    __slots__ = (
        "_before",
        "_between",
        "_commit_lsn",
        "_headers",
        "_op",
        "_rest",
        "_source",
        "_tombstone",
        "_topic",
        "_write",
        "kind",
        "op",
        "relation",
        "table",
    )

    def __init__(self, table: TableFormat, op: str) -> None:
        self.table = table
        self.relation: Relation = table.relation
        self.op = op
        self._topic = table.topic
        self._source: SourceBlock | None = None
        """That of the last change."""
        self._op = f',"op":"{op}","ts_ms":'
        self.kind: type[RowChange] | None = None
        """The class of the changes that `records` takes, once `open` has been called."""

    def open(self, headers: Sequence[tuple[str, bytes]], *, tombstone: bool) -> None:
        """Have `records` make the records of the changes that come.

        Args:
            headers: of each record.
            tombstone: whether a delete is followed by a record without value.
        """
        write = self.table.write_event
        if write is not None:
            self.kind = _KINDS.get(self.op)
            self._write = write
            self._headers, self._tombstone = headers, tombstone

    def records(self, source: SourceBlock, change: Any, now: int) -> Sequence[Record] | None:
        """Return the records of a change, without schemas.

        Args:
            source: that of the change's transaction.
            change: of the class `kind`, and of the table of this frame.
            now: nanoseconds since 1970-01-01 UTC.

        Returns:
            None if it is one whose key may have changed, or that is older than a millisecond.
        """
        kind = self.kind
        if now < 1_000_000 or (kind is Update and change.before is not None):
            return None
        if source is not self._source:
            self._render(source)
        at, between, rest, ns = _digits(change.wal_start), self._between, self._rest, f"{now}"
        place = (self._commit_lsn, change.ordinal)
        topic, headers, write = self._topic, self._headers, self._write
        if kind is Delete:
            raw, before = change.before.raw, f',"after":null{self._before}'
            value, key = write(raw, '{"before":', before, at, between, rest, ns)
            record = Record(topic, key, value, headers, place)
            if self._tombstone:
                return record, Record(topic, key, None, headers, place)
            return (record,)
        raw = change.after.raw
        value, key = write(raw, '{"before":null,"after":', self._before, at, between, rest, ns)
        return (Record(topic, key, value, headers, place),)

    def _render(self, source: SourceBlock) -> None:
        """Render what the events of a transaction have in common."""
        self._before = f',"source":{source.head}'
        self._between = f"{source.middle}{self.table.source}{source.transaction_id}"
        self._rest = f'{source.end},"transaction":null{self._op}'
        self._commit_lsn = source.commit_lsn
        self._source = source

    def after_rows(
        self, source: SourceBlock, lsn: int, block: TransactionBlock | None, now: int
    ) -> str:
        """Return the JSON of an event from the end of its row, or rows, on.

        Args:
            source: that of the change.
            lsn: start of the change's message in the WAL.
            block: its ``transaction``, if that is asked for.
            now: nanoseconds since 1970-01-01 UTC.
        """
        if source is not self._source:
            self._render(source)
        place = "null" if block is None else block.json().decode()
        at = _digits(lsn)
        return (
            f'{self._before}{at}{self._between}{at}{source.end},"transaction":{place}'
            f'{self._op}{now // 1_000_000},"ts_us":{now // 1000},"ts_ns":{now}}}'
        )
