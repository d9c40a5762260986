"""Session: the stream without its I/O.

CopyData in, changes out, with all that has to be remembered between the two: parser, assembler,
progress, the end that was asked for. Blocking and asynchronous readers drive the same session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from pglogical_cdc.errors import MessageTooLargeError
from pglogical_cdc.events import (
    Change,
    ChangeAssembler,
    LogicalMessage,
    Relation,
    SchemaChange,
    SnapshotRead,
    TableCatalog,
    ValueLoaders,
)
from pglogical_cdc.events.transaction import POSTGRES_EPOCH_US
from pglogical_cdc.lsn import LSN, wire_lsn
from pglogical_cdc.postgres import WATERMARK_PREFIX
from pglogical_cdc.protocol import (
    LogicalDecodingMessage,
    PgoutputParser,
    PrimaryKeepalive,
    RelationMessage,
    StandbyStatusUpdate,
    XLogData,
    parse_walsender_message,
    xlog_data_header,
)
from pglogical_cdc.protocol.fixed_size import (
    BEGIN,
    BEGIN_SIZE,
    COMMIT,
    COMMIT_SIZE,
    KEEPALIVE,
    KEEPALIVE_SIZE,
    PAYLOAD,
    XLOG_DATA,
    begin_fields,
    commit_fields,
    keepalive_fields,
)
from pglogical_cdc.replication.progress import Progress

__all__ = ("Session",)

_ROWS: Final = frozenset(b"IUD")
"""The messages of rows."""

_ROWS_BYTES: Final = 1 << 20
"""Bytes of messages that are read ahead: of each there is a copy, its values."""


class Session:
    """What is known of a slot's stream, from the first START_REPLICATION on.

    A connection that is lost does not end it: the next one goes on after `resume`.

    Args:
        database: name of the database.
        loaders: makes Python values.
        confirmed_flush: the slot's position at the start.
        max_message_bytes: bigger messages are an error.
        messages: whether messages of ``pg_logical_emit_message`` are changes.
    """

    def __init__(
        self,
        *,
        database: str,
        loaders: ValueLoaders,
        confirmed_flush: LSN,
        max_message_bytes: int,
        messages: bool = True,
    ) -> None:
        self.progress = Progress(confirmed_flush)
        self._snapshot_lsn = confirmed_flush
        self.until: LSN | None = None
        """Deliver the transactions that commit before this position, then end."""
        self.ended = False
        """Whether `until` has been reached."""
        self.reply_requested = False
        """Whether the server waits for a status update; the driver sends it and resets this."""
        self.keepalive_lsn = LSN(confirmed_flush)
        """Position of the last keepalive: everything before it has been sent."""
        self.stored: LSN | None = None
        """The position that is in the store; None where there is no store."""
        self.undescribed: RelationMessage | None = None
        """A Relation message that waits for `describe`; nothing may be taken before that."""
        self.watermark: str | None = None
        """A watermark of ours that has come, until somebody has dealt with it."""
        self.committed = 0
        """Where the last transaction commits that was read to its end."""
        self.transactions = 0
        """Transactions read to their end."""
        self.delivered_transactions = 0
        """Those of them that had changes; PostgreSQL 14 sends empty ones too."""
        self.server_lsn = LSN(confirmed_flush)
        """The furthest position that the server has named."""
        self.server_time = 0
        """The server's clock at its last message, microseconds since 1970-01-01 UTC."""
        self.snapshot_delivered = 0
        """Rows of the snapshot before the stream that were handed out."""
        self.snapshot_acknowledged = 0
        """Those of them that are dealt with."""
        self._undescribed_at = 0
        self._replaying = False
        """Whether changes come again that were delivered before."""
        self._told: dict[int, Relation] = {}
        """Schema changes that were delivered since the last row change."""
        self._parser = PgoutputParser(protocol_version=1)
        self._assembler = ChangeAssembler(database=database, loaders=loaders)
        self._max_message_bytes = max_message_bytes
        self._messages = messages

    def resume(self) -> None:
        """Go on with a new connection: the transaction that was cut off comes again."""
        self.progress.resume()
        self._assembler.rewind()
        self._parser = PgoutputParser(protocol_version=1)
        self.keepalive_lsn = LSN(0)
        self.reply_requested = False
        self.undescribed = None
        self.watermark = None
        self._replaying = True

    def start_over(self, confirmed_flush: LSN) -> None:
        """Go on with what the slot has, after `resume`, whatever was delivered before."""
        self.progress = Progress(confirmed_flush)
        self._told.clear()

    def deliver_again(self, changes: Sequence[Change]) -> None:
        """Note those of some changes that were handed out and, for an interrupt, not noted."""
        for change in changes:
            if isinstance(change, SchemaChange) or _place(change) > self.progress.delivered:
                self.deliver(change)

    def describe_table(self, message: RelationMessage, catalog: TableCatalog | None) -> Relation:
        """Return a table's version, before the stream: the stream goes on with it.

        Args:
            message: what the stream would say of the table.
            catalog: what the catalog says of it.
        """
        self._assembler.assemble(message, 0, catalog)
        relation = self._assembler.relation(message.relation_id)
        assert relation is not None
        return relation

    def relation(self, oid: int) -> Relation | None:
        """Return what the stream has described a table as last."""
        return self._assembler.relation(oid)

    def describe_rows(
        self, message: RelationMessage, catalog: TableCatalog | None, known: Relation | None
    ) -> tuple[Relation | None, Sequence[Change]]:
        """Return the version of a table that rows beside the stream are of.

        Args:
            message: what the stream would have said of it when they were read.
            catalog: what the catalog said of it then.
            known: what the stream had described it as then.

        Returns:
            The version, and the `SchemaChange` that leads to it if there is one; None if the stream
            has described the table otherwise since then.
        """
        changes: Sequence[Change] = ()
        if not self._assembler.is_described_as(message):
            if self.relation(message.relation_id) is not known:
                return None, ()
            changes = self._assembler.assemble(message, 0, catalog)
        return self.relation(message.relation_id), changes

    def count(self, ordinal: int) -> None:
        """Note that the open transaction has had so many changes."""
        self._assembler.ordinal = max(self._assembler.ordinal, ordinal)

    @property
    def is_snapshot_acknowledged(self) -> bool:
        """Whether all rows of the snapshot that were handed out are dealt with."""
        return self.snapshot_acknowledged >= self.snapshot_delivered

    @property
    def is_acknowledged(self) -> bool:
        """Whether everything that was handed out is dealt with."""
        return self.is_snapshot_acknowledged and self.progress.is_acknowledged

    @property
    def confirmed(self) -> int:
        """The position to confirm to the server: with a store, what that has."""
        flushed = self.progress.flushed
        return flushed if self.stored is None else min(flushed, self.stored)

    @property
    def relation_limit(self) -> int:
        """How many relations are remembered; see `ChangeAssembler`."""
        return self._assembler.relation_limit

    @relation_limit.setter
    def relation_limit(self, limit: int) -> None:
        self._assembler.relation_limit = limit

    def evicted(self) -> Sequence[int]:
        """Return the OIDs of the relations that were given up since the last call."""
        given_up, self._assembler.evicted = self._assembler.evicted, []
        return given_up

    @property
    def read_end(self) -> LSN:
        """What a server must have in its history: all that was delivered of it."""
        commit_lsn, ordinal = self.progress.delivered
        # A transaction that was cut off has delivered changes, too, and its commit lies there.
        return LSN(max(self.progress.delivered_end, commit_lsn + 1 if ordinal else 0))

    @property
    def commit_lsn(self) -> LSN | None:
        """Commit LSN of the open transaction."""
        transaction = self._assembler.transaction
        return None if transaction is None else transaction.commit_lsn

    @property
    def oldest_unacknowledged(self) -> int | None:
        """Time of the commit of the oldest transaction that has changes which are delivered and not
        acknowledged, microseconds since 1970-01-01 UTC; None if there is none."""
        oldest = self.progress.oldest_commit
        transaction = self._assembler.transaction
        if oldest is None and transaction is not None and not self.progress.is_acknowledged:
            return transaction.commit_timestamp
        return oldest

    def take_rows(self, messages: deque[bytes], limit: int) -> list[Change]:
        """Take the messages of rows that are first in a queue; return the changes in them.

        Args:
            messages: CopyData messages, which are taken from the left.
            limit: take so many at most.
        """
        changes: list[Change] = []
        if self._replaying or not messages:
            return changes
        first = messages[0]
        if len(first) > PAYLOAD and first[PAYLOAD] in _ROWS:
            room = min(self._max_message_bytes, _ROWS_BYTES)
            last = self._assembler.take_rows(messages, changes, limit, room)
            if last is not None:
                self._note(*xlog_data_header(last)[1:])
        return changes

    def take(self, data: bytes) -> Sequence[Change]:
        """Take one CopyData message and return the changes in it.

        Raises:
            ProtocolError: it breaks the protocol, or is too big.
        """
        size = len(data)
        if size > self._max_message_bytes:
            raise MessageTooLargeError(
                "XLogData",
                0,
                expected=f"at most {self._max_message_bytes} bytes (max_message_bytes)",
                found=f"{size} bytes",
            )
        if size == KEEPALIVE_SIZE and data[0] == KEEPALIVE:
            self._keepalive(*keepalive_fields(data))
        elif size == BEGIN_SIZE and data[PAYLOAD] == BEGIN and data[0] == XLOG_DATA:
            self._begin(*begin_fields(data))
        elif size == COMMIT_SIZE and data[PAYLOAD] == COMMIT and data[0] == XLOG_DATA:
            self._commit(*commit_fields(data))
        else:
            # A keepalive, Begin or Commit of another size is refused there.
            envelope = parse_walsender_message(data)
            assert isinstance(envelope, XLogData)
            return self._data(envelope)
        return ()

    @staticmethod
    def is_commit_or_keepalive(data: bytes) -> bool:
        """Tell whether a CopyData message delivers nothing and describes nothing."""
        envelope = parse_walsender_message(data)
        return isinstance(envelope, PrimaryKeepalive) or envelope.payload[:1] == b"C"

    def _keepalive(self, end_lsn: int, send_time: int, reply_requested: int) -> None:
        self.server_time = send_time + POSTGRES_EPOCH_US
        self.keepalive_lsn = lsn = wire_lsn(end_lsn)
        if lsn > self.server_lsn:
            self.server_lsn = lsn
        if reply_requested:
            self.reply_requested = True
        self.progress.keepalive(end_lsn)
        if self.until is not None and self.commit_lsn is None:
            self.ended |= end_lsn >= self.until

    def _note(self, end_lsn: int, send_time: int) -> None:
        self.server_time = send_time + POSTGRES_EPOCH_US
        if end_lsn > self.server_lsn:
            self.server_lsn = wire_lsn(end_lsn)

    def _begin(
        self, start_lsn: int, end_lsn: int, send_time: int, final_lsn: int, time: int, xid: int
    ) -> None:
        self._note(end_lsn, send_time)
        if self.until is not None and final_lsn >= self.until:
            self.ended = True
            return
        self._assembler.begin(final_lsn, time, xid, start_lsn)
        self.progress.begin()

    def _commit(
        self, start_lsn: int, wal_end: int, send_time: int, commit_lsn: int, end_lsn: int, time: int
    ) -> None:
        self._note(wal_end, send_time)
        ordinal = self._assembler.ordinal
        self._assembler.commit(commit_lsn, end_lsn)
        self.progress.commit(commit_lsn, ordinal, end_lsn, time + POSTGRES_EPOCH_US)
        self.committed = commit_lsn
        self.transactions += 1
        self.delivered_transactions += ordinal > 0
        # Whatever comes next commits at or after this end.
        self.ended |= self.until is not None and end_lsn >= self.until

    def _data(self, data: XLogData) -> Sequence[Change]:
        self._note(data.end_lsn, data.send_time)
        message = self._parser.parse(data.payload)
        if isinstance(message, LogicalDecodingMessage) and self._is_hidden(message):
            return ()
        if isinstance(message, RelationMessage):
            self.undescribed = message
            self._undescribed_at = data.start_lsn
            return ()
        changes = self._assembler.assemble(message, data.start_lsn)
        if (
            self.until is not None
            and changes
            and changes[0].transaction is None
            and changes[0].wal_start > self.until  # the end of its record
        ):
            self.ended = True
            return ()
        return self.unseen(changes) if self._replaying else changes

    def _is_hidden(self, message: LogicalDecodingMessage) -> bool:
        """Tell whether a message is none for the application; note it if it is a watermark."""
        if message.prefix != WATERMARK_PREFIX:
            return not self._messages
        if message.transactional:
            self.watermark = message.content.decode("utf-8", "replace")
        return True

    def unseen(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Leave out what was delivered over an earlier connection."""
        unseen: list[Change] = []
        for change in changes:
            position = _place(change)
            if position <= self.progress.delivered:
                continue
            if isinstance(change, SchemaChange):
                told = self._told.get(change.relation.oid)
                if told is not None and told.has_shape_of(change.relation):
                    continue
            else:
                self._replaying = False
            unseen.append(change)
        return unseen

    def describe(self, catalog: TableCatalog | None) -> Sequence[Change]:
        """Finish the Relation message in `undescribed` with what the catalog says of the table.

        Args:
            catalog: None if the table is gone: the last that was known of it holds on.
        """
        message, self.undescribed = self.undescribed, None
        assert message is not None
        changes = self._assembler.assemble(message, self._undescribed_at, catalog)
        return self.unseen(changes) if self._replaying else changes

    def deliver(self, change: Change) -> None:
        """Note that a change was handed out."""
        if isinstance(change, SchemaChange):
            self._told[change.relation.oid] = change.relation
            return
        if self._told:
            self._told.clear()
        if change.transaction is not None:
            self.progress.deliver(change.transaction.commit_lsn, change.ordinal)
        elif isinstance(change, LogicalMessage):
            self.progress.deliver_message(change.wal_start)
        elif isinstance(change, SnapshotRead):
            if change.snapshot == "incremental":
                self.progress.deliver(change.wal_start, change.ordinal)
            else:
                self.snapshot_delivered = change.number

    def acknowledge(self, change: Change) -> None:
        """Note that a change, and everything before it, is dealt with."""
        if isinstance(change, SnapshotRead) and change.snapshot != "incremental":
            number = min(change.number, self.snapshot_delivered)
            self.snapshot_acknowledged = max(self.snapshot_acknowledged, number)
            return
        self.snapshot_acknowledged = self.snapshot_delivered
        transaction = change.transaction
        if transaction is None:
            if not isinstance(change, SchemaChange):
                self.progress.acknowledge(change.wal_start, change.ordinal)
        elif isinstance(change, SchemaChange):
            # It borrows the position of the change that follows, and must not take that along.
            self.progress.acknowledge(transaction.commit_lsn, change.ordinal - 1)
        else:
            self.progress.acknowledge(transaction.commit_lsn, change.ordinal)

    def acknowledge_position(self, commit_lsn: int, ordinal: int) -> None:
        """Note that everything up to and including a position is dealt with.

        All rows of a snapshot have one position, so it is all of them that were handed out.
        """
        if commit_lsn >= self._snapshot_lsn:
            self.snapshot_acknowledged = self.snapshot_delivered
        self.progress.acknowledge(commit_lsn, ordinal)

    def status_update(self, now: int, *, reply_requested: bool = False) -> bytes:
        """Return the status update to send.

        Args:
            now: the client's clock, microseconds since 1970-01-01 UTC.
            reply_requested: ask for a keepalive at once.
        """
        flushed = self.confirmed
        return StandbyStatusUpdate(
            write_lsn=max(self.progress.received, flushed),
            flush_lsn=flushed,
            apply_lsn=flushed,
            client_time=now - POSTGRES_EPOCH_US,
            reply_requested=reply_requested,
        ).encode()


def _place(change: Change) -> tuple[int, int]:
    """Return the position of a change as `Progress` counts it."""
    if change.transaction is None:
        return change.wal_start, change.ordinal
    return change.transaction.commit_lsn, change.ordinal
