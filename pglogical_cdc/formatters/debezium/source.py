"""Debezium's ``source``: where a change comes from.

It is rendered once for each transaction as far as it can be.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from pglogical_cdc.events import (
    LogicalMessage,
    Relation,
    RowChange,
    SnapshotPoint,
    SnapshotRead,
    Transaction,
)
from pglogical_cdc.formatters.debezium.envelope import SOURCE_SCHEMA
from pglogical_cdc.formatters.wire.json_text import json_text
from pglogical_cdc.lsn import LSN

__all__ = ("SOURCE_FIELDS", "SourceBlock", "Sources")

_VERSION: Final = '"3.6.3.Final"'

_NOWHERE: Final = LSN(0)

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
        taken: when the snapshot was taken.
        lsn: where.
    """

    __slots__ = (
        "_fields",
        "commit_lsn",
        "database",
        "end",
        "head",
        "middle",
        "snapshot",
        "taken",
        "transaction",
        "transaction_id",
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
        taken: SnapshotPoint | None = None,
        lsn: LSN = _NOWHERE,
    ) -> None:
        self.transaction = transaction
        self.taken = taken
        self.commit_lsn = lsn if transaction is None else transaction.commit_lsn
        self.database = database
        self.snapshot = snapshot
        xid = origin = origin_lsn = "null"
        if taken is not None and snapshot != "incremental":
            xid = f"{taken.xid}"
        if transaction is not None:
            xid = f"{transaction.xid}"
            if transaction.origin is not None:
                origin = _quoted(transaction.origin)
            if transaction.origin_lsn is not None:
                origin_lsn = f"{transaction.origin_lsn:d}"
        fields = self._fields = {
            "version": _VERSION,
            "connector": '"postgresql"',
            "name": _quoted(name),
            "ts_ms": f"{timestamp // 1000}",
            "snapshot": _quoted(snapshot) if snapshot != "false" else "null",
            "db": _quoted(database),
            "sequence": '"[null,\\"'
            if previous_end_lsn is None
            else f'"[\\"{previous_end_lsn:d}\\",\\"',
            "ts_us": f"{timestamp}",
            "ts_ns": f"{timestamp * 1000}",
            "txId": xid,
            "xmin": "null",
            "origin": origin,
            "origin_lsn": origin_lsn,
        }
        shown = '"false"' if marks_stream and snapshot == "false" else fields["snapshot"]
        self.head = (
            f'{{"version":{_VERSION},"connector":"postgresql","name":{fields["name"]},'
            f'"ts_ms":{fields["ts_ms"]},"snapshot":{shown},"db":{fields["db"]},'
            f'"sequence":{fields["sequence"]}'
        )
        self.middle = f'\\"]","ts_us":{timestamp},"ts_ns":{fields["ts_ns"]}'
        self.transaction_id = f',"txId":{xid},"lsn":'
        self.end = f',"xmin":null,"origin":{origin},"origin_lsn":{origin_lsn}}}'

    def json(self, table: str, lsn: int) -> str:
        """Return the JSON object.

        Args:
            table: ``,"schema":"...","table":"..."``.
            lsn: start of the change's message in the WAL.
        """
        return f"{self.head}{lsn:d}{self.middle}{table}{self.transaction_id}{lsn:d}{self.end}"

    def field(self, name: str, schema: str, table: str, lsn: int) -> bytes:
        """Return the JSON of one of `SOURCE_FIELDS`, without its default."""
        if name == "lsn":
            return b"%d" % lsn
        if name == "sequence":
            return b'%b%d\\"]"' % (self._fields[name].encode(), lsn)
        if name == "schema":
            return json_text(schema)
        return json_text(table) if name == "table" else self._fields[name].encode()


@functools.lru_cache(maxsize=64)
def _quoted(text: str) -> str:
    return json_text(text).decode()


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
        self.stream_block: SourceBlock | None = None
        """The block of the last change, if that was of a transaction of the stream."""
        self._message_lsn: int | None = None

    def of(self, change: RowChange) -> SourceBlock:
        """Return the block of a change of a table."""
        block = self._block
        snapshot, taken = "false", None
        if isinstance(change, SnapshotRead):
            snapshot, taken = change.snapshot, change.taken
        if (
            block is None
            or block.transaction is not change.transaction
            or block.snapshot != snapshot
            or block.taken is not taken
            or (block.transaction is None and block.database != self._named(change.relation))
        ):
            previous = None
            if snapshot == "false" and change.transaction is not None:
                previous = self._previous(change.transaction)
            block = self._block = self._made(
                change.transaction,
                self._named(change.relation),
                previous,
                snapshot,
                taken,
                _NOWHERE if taken is None else change.lsn,
            )
            in_stream = snapshot == "false" and change.transaction is not None
            self.stream_block = block if in_stream else None
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
            self.stream_block = block
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
        taken: SnapshotPoint | None = None,
        lsn: LSN = _NOWHERE,
    ) -> SourceBlock:
        # A message outside transactions has no time of its own: Debezium gives it that of the
        # last transaction; before the first one the clock is all there is.
        dated = self.dated if transaction is None else transaction
        if taken is not None:
            timestamp = taken.timestamp
        else:
            timestamp = self._clock() // 1000 if dated is None else dated.commit_timestamp
        return SourceBlock(
            name=self._name,
            database=database,
            timestamp=timestamp,
            transaction=transaction,
            previous_end_lsn=previous,
            snapshot=snapshot,
            marks_stream=self._marks_stream,
            taken=taken,
            lsn=lsn,
        )
