"""Debezium's ``source``: where a change comes from.

It is rendered once for each transaction as far as it can be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pglogical_cdc.events import LogicalMessage, Relation, RowChange, SnapshotRead, Transaction
from pglogical_cdc.formatters.debezium.envelope import SOURCE_SCHEMA
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = ("SOURCE_FIELDS", "SourceBlock", "Sources")

_VERSION: Final = b"3.6.3.Final"

SOURCE_FIELDS: Final = tuple(name for name, _ in SOURCE_SCHEMA.fields)
"""The fields of ``source``, in their order."""


class SourceBlock:
    """``source`` of the changes of one transaction.

    Args:
        name: the topic prefix.
        database: name of the database.
        timestamp: commit time in microseconds since 1970-01-01 UTC.
        transaction: None for a message outside transactions.
        previous_end_lsn: first element of ``sequence``; None before the first commit.
        snapshot: ``source.snapshot``; ``false`` in the stream.
        marks_stream: whether ``false`` is written. Debezium has none there, but its schema has it
            for the default.
    """

    __slots__ = (
        "_after_lsn",
        "_before_lsn",
        "_end",
        "_fields",
        "_transaction_id",
        "database",
        "snapshot",
        "transaction",
    )

    def __init__(
        self,
        *,
        name: str,
        database: str,
        timestamp: int,
        transaction: Transaction | None,
        previous_end_lsn: int | None,
        snapshot: str = "false",
        marks_stream: bool = True,
    ) -> None:
        self.transaction = transaction
        self.database = database
        self.snapshot = snapshot
        previous = b"null" if previous_end_lsn is None else b'\\"%d\\"' % previous_end_lsn
        xid = b"null" if transaction is None else b"%d" % transaction.xid
        origin = origin_lsn = b"null"
        if transaction is not None:
            if transaction.origin is not None:
                origin = json_text(transaction.origin)
            if transaction.origin_lsn is not None:
                origin_lsn = b"%d" % transaction.origin_lsn
        self._fields = {
            "version": b'"%b"' % _VERSION,
            "connector": b'"postgresql"',
            "name": json_text(name),
            "ts_ms": b"%d" % (timestamp // 1000),
            "snapshot": json_text(snapshot) if snapshot != "false" else b"null",
            "db": json_text(database),
            "sequence": b'"[%b,\\"' % previous,
            "ts_us": b"%d" % timestamp,
            "ts_ns": b"%d" % (timestamp * 1000),
            "txId": xid,
            "xmin": b"null",
            "origin": origin,
            "origin_lsn": origin_lsn,
        }
        fields = self._fields
        shown = (
            {**fields, "snapshot": b'"false"'} if marks_stream and snapshot == "false" else fields
        )
        self._before_lsn = b"{%b" % b",".join(
            [b'"%b":%b' % (key.encode(), shown[key]) for key in SOURCE_FIELDS[:7]]
        )
        self._after_lsn = b'\\"]","ts_us":%b,"ts_ns":%b' % (fields["ts_us"], fields["ts_ns"])
        self._transaction_id = b',"txId":%b,"lsn":' % xid
        self._end = b',"xmin":null,"origin":%b,"origin_lsn":%b}' % (origin, origin_lsn)

    def parts(self, table: bytes, lsn: int) -> tuple[bytes, ...]:
        """Return the JSON object in pieces.

        Args:
            table: ``,"schema":"...","table":"..."``.
            lsn: start of the change's message in the WAL.
        """
        text = b"%d" % lsn
        return (
            self._before_lsn,
            text,
            self._after_lsn,
            table,
            self._transaction_id,
            text,
            self._end,
        )

    def field(self, name: str, schema: str, table: str, lsn: int) -> bytes:
        """Return the JSON of one of `SOURCE_FIELDS`, without its default."""
        if name == "lsn":
            return b"%d" % lsn
        if name == "sequence":
            return b'%b%d\\"]"' % (self._fields[name], lsn)
        if name == "schema":
            return json_text(schema)
        return json_text(table) if name == "table" else self._fields[name]


class Sources:
    """Gives the ``source`` of the changes of one stream, in their order.

    Args:
        name: the topic prefix.
        database: name of the database; None for that of each change.
        clock: gives the nanoseconds since 1970-01-01 UTC.
        marks_stream: see `SourceBlock`.
    """

    def __init__(
        self, name: str, database: str | None, clock: Callable[[], int], *, marks_stream: bool
    ) -> None:
        self._name = name
        self._database = database
        self._clock = clock
        self._marks_stream = marks_stream
        self._block: SourceBlock | None = None
        self.dated: Transaction | None = None
        """The last transaction that began, whether anything of it was written or not."""
        self._message_lsn: int | None = None

    def of(self, change: RowChange) -> SourceBlock:
        """Return the block of a change of a table."""
        block = self._block
        snapshot = change.snapshot if isinstance(change, SnapshotRead) else "false"
        if (
            block is None
            or block.transaction is not change.transaction
            or block.snapshot != snapshot
            or (block.transaction is None and block.database != self._named(change.relation))
        ):
            previous = None
            if snapshot == "false" and change.transaction is not None:
                previous = self._previous(change.transaction)
            block = self._block = self._made(
                change.transaction, self._named(change.relation), previous, snapshot
            )
        return block

    def of_message(self, change: LogicalMessage) -> SourceBlock:
        """Return the block of a logical decoding message."""
        transaction = change.transaction
        if transaction is None:
            # Until the next commit Debezium takes the message for the last one.
            self._message_lsn = change.wal_start
            return self._made(None, self._named(change), change.wal_start)
        block = self._block
        if block is None or block.transaction is not transaction or block.snapshot != "false":
            previous = self._previous(transaction)
            block = self._block = self._made(transaction, self._named(change), previous)
        return block

    def _named(self, owner: Relation | LogicalMessage) -> str:
        return owner.database if self._database is None else self._database

    def _previous(self, transaction: Transaction) -> int | None:
        """Return what Debezium takes for the last commit: the first element of ``sequence``."""
        previous = transaction.previous_end_lsn
        message = self._message_lsn
        # The message came after that commit, and before this one.
        if message is not None and (previous or 0) < message <= transaction.commit_lsn:
            return message
        return previous

    def _made(
        self,
        transaction: Transaction | None,
        database: str,
        previous: int | None,
        snapshot: str = "false",
    ) -> SourceBlock:
        # A message outside transactions has no time of its own: Debezium gives it that of the
        # last transaction; before the first one the clock is all there is.
        dated = self.dated if transaction is None else transaction
        return SourceBlock(
            name=self._name,
            database=database,
            timestamp=self._clock() // 1000 if dated is None else dated.commit_timestamp,
            transaction=transaction,
            previous_end_lsn=previous,
            snapshot=snapshot,
            marks_stream=self._marks_stream,
        )
