"""Session: the stream without its I/O.

CopyData in, changes out, with all that has to be remembered between the two: parser, assembler,
progress, the end that was asked for. Blocking and asynchronous readers drive the same session.
"""

from __future__ import annotations

from collections.abc import Sequence

from pglogical_cdc.errors import MessageTooLargeError
from pglogical_cdc.events import (
    Change,
    ChangeAssembler,
    LogicalMessage,
    SchemaChange,
    TableCatalog,
    ValueLoaders,
)
from pglogical_cdc.events.transaction import POSTGRES_EPOCH_US
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import (
    BeginMessage,
    CommitMessage,
    PgoutputParser,
    PrimaryKeepalive,
    RelationMessage,
    StandbyStatusUpdate,
    XLogData,
    parse_walsender_message,
)
from pglogical_cdc.replication.progress import Progress

__all__ = ("Session",)


class Session:
    """One run of a stream, from START_REPLICATION to its end.

    Args:
        database: name of the database.
        loaders: makes Python values.
        confirmed_flush: the slot's position at the start.
        max_message_bytes: bigger messages are an error.
    """

    def __init__(
        self,
        *,
        database: str,
        loaders: ValueLoaders,
        confirmed_flush: LSN,
        max_message_bytes: int,
    ) -> None:
        self.progress = Progress(confirmed_flush)
        self.until: LSN | None = None
        """Deliver the transactions that commit before this position, then end."""
        self.ended = False
        """Whether `until` has been reached."""
        self.reply_requested = False
        """Whether the server waits for a status update; the driver sends it and resets this."""
        self.keepalive_lsn = LSN(confirmed_flush)
        """Position of the last keepalive: everything before it has been sent."""
        self.undescribed: RelationMessage | None = None
        """A Relation message that waits for `describe`; nothing may be taken before that."""
        self.transactions = 0
        """Transactions read to their end."""
        self.delivered_transactions = 0
        """Those of them that had changes; PostgreSQL 14 sends empty ones too."""
        self.server_lsn = LSN(confirmed_flush)
        """The furthest position that the server has named."""
        self.server_time = 0
        """The server's clock at its last message, microseconds since 1970-01-01 UTC."""
        self._undescribed_at = 0
        self._parser = PgoutputParser(protocol_version=1)
        self._assembler = ChangeAssembler(database=database, loaders=loaders)
        self._max_message_bytes = max_message_bytes

    @property
    def commit_lsn(self) -> LSN | None:
        """Commit LSN of the open transaction."""
        transaction = self._assembler.transaction
        return None if transaction is None else transaction.commit_lsn

    def take(self, data: memoryview) -> Sequence[Change]:
        """Take one CopyData message and return the changes in it.

        Raises:
            ProtocolError: it breaks the protocol, or is too big.
        """
        if len(data) > self._max_message_bytes:
            raise MessageTooLargeError(
                "XLogData",
                0,
                expected=f"at most {self._max_message_bytes} bytes (max_message_bytes)",
                found=f"{len(data)} bytes",
            )
        envelope = parse_walsender_message(data)
        if isinstance(envelope, PrimaryKeepalive):
            self._keepalive(envelope)
            return ()
        return self._data(envelope)

    @staticmethod
    def is_commit_or_keepalive(data: memoryview) -> bool:
        """Tell whether a CopyData message delivers nothing and describes nothing."""
        envelope = parse_walsender_message(data)
        return isinstance(envelope, PrimaryKeepalive) or envelope.payload[:1] == b"C"

    def _keepalive(self, keepalive: PrimaryKeepalive) -> None:
        self.server_time = keepalive.send_time + POSTGRES_EPOCH_US
        self.keepalive_lsn = LSN(keepalive.end_lsn)
        self.server_lsn = max(self.server_lsn, self.keepalive_lsn)
        self.reply_requested |= keepalive.reply_requested
        self.progress.keepalive(keepalive.end_lsn)
        if self.until is not None and self.commit_lsn is None:
            self.ended |= keepalive.end_lsn >= self.until

    def _data(self, data: XLogData) -> Sequence[Change]:
        self.server_time = data.send_time + POSTGRES_EPOCH_US
        if data.end_lsn > self.server_lsn:
            self.server_lsn = LSN(data.end_lsn)
        message = self._parser.parse(data.payload)
        if isinstance(message, RelationMessage):
            self.undescribed = message
            self._undescribed_at = data.start_lsn
            return ()
        if isinstance(message, BeginMessage):
            if self.until is not None and message.final_lsn >= self.until:
                self.ended = True
                return ()
            self._assembler.assemble(message, data.start_lsn)
            self.progress.begin()
            return ()
        if isinstance(message, CommitMessage):
            ordinal = self._assembler.ordinal
            self._assembler.assemble(message, data.start_lsn)
            self.progress.commit(message.commit_lsn, ordinal, message.end_lsn)
            self.transactions += 1
            self.delivered_transactions += ordinal > 0
            # Whatever comes next commits at or after this end.
            self.ended |= self.until is not None and message.end_lsn >= self.until
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
        return changes

    def describe(self, catalog: TableCatalog | None) -> Sequence[Change]:
        """Finish the Relation message in `undescribed` with what the catalog says of the table.

        Args:
            catalog: None if the table is gone: the last that was known of it holds on.
        """
        message, self.undescribed = self.undescribed, None
        assert message is not None
        return self._assembler.assemble(message, self._undescribed_at, catalog)

    def deliver(self, change: Change) -> None:
        """Note that a change was handed out."""
        if isinstance(change, SchemaChange):
            return
        if change.transaction is not None:
            self.progress.deliver(change.transaction.commit_lsn, change.ordinal)
        elif isinstance(change, LogicalMessage):
            self.progress.deliver_message(change.wal_start)

    def acknowledge(self, change: Change) -> None:
        """Note that a change, and everything before it, is dealt with."""
        transaction = change.transaction
        if transaction is None:
            self.progress.acknowledge(change.wal_start, 0)
        elif isinstance(change, SchemaChange):
            # It borrows the position of the change that follows, and must not take that along.
            self.progress.acknowledge(transaction.commit_lsn, change.ordinal - 1)
        else:
            self.progress.acknowledge(transaction.commit_lsn, change.ordinal)

    def status_update(self, now: int, *, reply_requested: bool = False) -> bytes:
        """Return the status update to send.

        Args:
            now: the client's clock, microseconds since 1970-01-01 UTC.
            reply_requested: ask for a keepalive at once.
        """
        flushed = self.progress.flushed
        return StandbyStatusUpdate(
            write_lsn=max(self.progress.received, flushed),
            flush_lsn=flushed,
            apply_lsn=flushed,
            client_time=now - POSTGRES_EPOCH_US,
            reply_requested=reply_requested,
        ).encode()
