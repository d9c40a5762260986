"""EventFrame: all of an event but its rows, rendered once for each operation of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pglogical_cdc.events import Delete, Insert, Relation, RowChange, Update
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.debezium.source import SourceBlock
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock

__all__ = ("EventFrame",)

_KINDS: Final[dict[str, type[RowChange]]] = {"c": Insert, "u": Update, "d": Delete}

_digits: Final = int.__repr__
"""An `LSN` writes itself otherwise."""


class EventFrame:
    """What the events of one operation on one table have around their rows, in one transaction.

    Args:
        source: their ``source``.
        table: version of the table.
        op: the operation's letter.
    """

    __slots__ = (
        "_after_lsn",
        "_before_lsn",
        "_between_lsn",
        "_commit_lsn",
        "_end",
        "_headers",
        "_op",
        "_tombstone",
        "_topic",
        "_write",
        "kind",
        "op",
        "relation",
        "source",
        "table",
        "transaction",
    )

    def __init__(self, source: SourceBlock, table: TableFormat, op: str) -> None:
        self.source = source
        self.transaction = source.transaction
        self.table = table
        self._topic = table.topic
        self.op = op
        first, second, third = source.around_lsn(table.source)
        self._before_lsn = f',"source":{first}'
        self._between_lsn = second
        self._after_lsn = f'{third},"transaction":'
        self._op = f',"op":"{op}","ts_ms":'
        self.relation: Relation = table.relation
        self.kind: type[RowChange] | None = None
        """The class of the changes that `records` takes, once `open` has been called."""

    def open(self, headers: Sequence[tuple[str, bytes]], *, tombstone: bool) -> None:
        """Have `records` make the records of the changes that come.

        Args:
            headers: of each record.
            tombstone: whether a delete is followed by a record without value.
        """
        write, transaction = self.table.write_event, self.transaction
        if write is not None and transaction is not None:
            self.kind = _KINDS.get(self.op)
            self._write, self._commit_lsn = write, transaction.commit_lsn
            self._headers, self._tombstone = headers, tombstone
            self._end = f"{self._after_lsn}null{self._op}"

    def records(self, change: Any, now: int) -> Sequence[Record] | None:
        """Return the records of a change, without schemas.

        Args:
            change: of the class `kind`, and of the table and transaction of this frame.
            now: nanoseconds since 1970-01-01 UTC.

        Returns:
            None if it is one whose key may have changed, or that is older than a millisecond.
        """
        kind = self.kind
        if now < 1_000_000 or (kind is Update and change.before is not None):
            return None
        at, ns, between, end = _digits(change.wal_start), f"{now}", self._between_lsn, self._end
        place = (self._commit_lsn, change.ordinal)
        topic, headers = self._topic, self._headers
        if kind is Delete:
            source = f',"after":null{self._before_lsn}'
            raw = change.before.raw
            value, key = self._write(raw, '{"before":', source, at, between, end, ns)
            record = Record(topic, key, value, headers, place)
            if self._tombstone:
                return record, Record(topic, key, None, headers, place)
            return (record,)
        raw, source = change.after.raw, self._before_lsn
        value, key = self._write(raw, '{"before":null,"after":', source, at, between, end, ns)
        return (Record(topic, key, value, headers, place),)

    def after_rows(self, lsn: int, block: TransactionBlock | None, now: int) -> str:
        """Return the JSON of an event from the end of its row, or rows, on.

        Args:
            lsn: start of the change's message in the WAL.
            block: its ``transaction``, if that is asked for.
            now: nanoseconds since 1970-01-01 UTC.
        """
        at, ns = _digits(lsn), f"{now}"
        place = "null" if block is None else block.json().decode()
        # Cutting digits off is what the division does, if there are more of them.
        ms, us = (ns[:-6], ns[:-3]) if now >= 1_000_000 else (now // 1_000_000, now // 1000)
        return (
            f"{self._before_lsn}{at}{self._between_lsn}{at}{self._after_lsn}{place}"
            f'{self._op}{ms},"ts_us":{us},"ts_ns":{ns}}}'
        )
