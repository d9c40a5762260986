"""ReplicationReader: what an application iterates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Literal

from psycopg.adapt import AdaptersMap
from typing_extensions import Self

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import CdcError, ConfigurationError
from pglogical_cdc.events import Change, Position, SchemaChange
from pglogical_cdc.lsn import LSN
from pglogical_cdc.replication.hand import Hand
from pglogical_cdc.replication.iteration import Batches, Changes, Transactions
from pglogical_cdc.replication.settings import (
    DEFAULT_MAX_MESSAGE_BYTES,
    DEFAULT_MEMORY_LIMIT,
    AckMode,
    OffsetMismatchPolicy,
    Origin,
    ReaderEvent,
    ReaderState,
    check_settings,
)
from pglogical_cdc.replication.stream import Stream

__all__ = ("ReaderStats", "ReplicationReader")


@record
class ReaderStats:
    """Where a reader stands. Positions are LSNs, their differences bytes of WAL."""

    changes: int
    """Changes delivered."""
    transactions: int
    """Transactions read to their end."""
    received_lsn: LSN
    """How far the stream has been read."""
    acknowledged_lsn: LSN
    """What the slot is, or soon will be, confirmed to."""
    server_lsn: LSN
    """The furthest position that the server has named."""
    lag_seconds: float | None
    """From the commit to the server's sending it, of the last change; None before the first."""

    @property
    def lag_bytes(self) -> int:
        """WAL between what is acknowledged and what the server has named."""
        return max(0, self.server_lsn - self.acknowledged_lsn)


_POLL: Final = "poll"
"""Stands for the application's own loop around `ReplicationReader.poll`."""


class ReplicationReader:
    """Reads the changes of a PostgreSQL database from a logical replication slot.

    ::

        with ReplicationReader(dsn, slot="shop_cdc", publications=["shop_pub"]) as reader:
            for change in reader:
                ...

    A change is acknowledged when the same iterator is asked for the next one; a ``break`` or an
    exception leaves the change in hand unacknowledged, and ``iter(reader)`` gives it again first.
    What was not acknowledged comes again in the next run, in whole transactions.

    One thread reads and acknowledges; `stop` may be called from any.

    With `reselect` no value is `UNCHANGED` that can still be had. Each change that lacks one costs
    a round trip on the connection beside the stream, whose role needs SELECT on the table. The
    value is that of the moment of reading: it may be newer than its change, and after a key was
    used again it is that of another row. It stays `UNCHANGED`, and never becomes NULL, where
    nothing identifies the row, or the row, table or column is gone or has another type, is hidden
    by row-level security, locked for more than half a second, takes more than 30 seconds to read,
    or the change is not visible half a second after it came, because its commit waits for a
    synchronous standby.

    Args:
        conninfo: libpq connection string or URI. With several hosts and no
            ``target_session_attrs``, ``read-write`` is added.
        slot: name of the slot: 1 to 63 of ``a-z 0-9 _``, not beginning with ``pg_``.
        publications: name of a publication, or several.
        create: create what is missing, first the publications, then the slot.
        tables: ``"schema.table"`` names for a publication that has to be created; None is for all
            tables. A publication that exists is never altered.
        temporary: the slot is dropped when the reader disconnects.
        failover: the slot is synchronised to standbys (PostgreSQL 17 and later).
        two_phase: only False in this version.
        snapshot: only ``"never"`` in this version.
        ack: ``"auto"``, or ``"manual"``: only `ack` counts.
        until: deliver the transactions that commit before this LSN, whole, then end. ``"now"`` is
            the server's flush position (on a standby its replay position) when the first change
            is asked for.
        idle_timeout: end after so many seconds without a change, once the server has read its WAL
            to the end.
        protocol: ``"auto"`` or 1 in this version.
        streaming: only ``"off"`` in this version.
        binary: values in binary where the server has a binary form for the type.
        messages: also deliver what ``pg_logical_emit_message`` writes.
        reselect: read the values that an update did not touch and the server did not send from
            their table, by key, as they are by then; see above. Not with `binary`.
        origin: ``"any"``, or ``"none"``: only changes that were not replicated themselves
            (PostgreSQL 16 and later).
        memory_limit: only the default in this version.
        max_message_bytes: a bigger message raises `MessageTooLargeError`.
        status_interval: seconds between status updates at most; by default a third of
            ``wal_sender_timeout``, at most 10.
        reconnect: only None in this version: a lost connection is raised at once.
        offsets: only None in this version.
        on_offset_mismatch: what to do when the slot and `offsets` disagree.
        adapters: psycopg's adapters map that makes Python values; by default the global one.
        on_event: called with a `ReaderEvent` at each change of state, in the reading thread.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        slot: str,
        publications: str | Sequence[str],
        create: bool = False,
        tables: Sequence[str] | None = None,
        temporary: bool = False,
        failover: bool = False,
        two_phase: bool = False,
        snapshot: Literal["never"] = "never",
        ack: AckMode = "auto",
        until: LSN | int | str | None = None,
        idle_timeout: float | None = None,
        protocol: Literal["auto", 1] = "auto",
        streaming: Literal["off"] = "off",
        binary: bool = False,
        messages: bool = False,
        reselect: bool = False,
        origin: Origin = "any",
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        status_interval: float | None = None,
        reconnect: None = None,
        offsets: None = None,
        on_offset_mismatch: OffsetMismatchPolicy = "raise",
        adapters: AdaptersMap | None = None,
        on_event: Callable[[ReaderEvent], None] | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._settings = check_settings(
            slot=slot,
            publications=publications,
            create=create,
            tables=tables,
            temporary=temporary,
            failover=failover,
            two_phase=two_phase,
            snapshot=snapshot,
            ack=ack,
            until=until,
            idle_timeout=idle_timeout,
            protocol=protocol,
            streaming=streaming,
            binary=binary,
            messages=messages,
            reselect=reselect,
            origin=origin,
            memory_limit=memory_limit,
            max_message_bytes=max_message_bytes,
            status_interval=status_interval,
            reconnect=reconnect,
            offsets=offsets,
            on_offset_mismatch=on_offset_mismatch,
            adapters=adapters,
            on_event=on_event,
        )
        self._stream: Stream | None = None
        self._stopped = False
        self._closed = False
        self._hand = Hand(self._acknowledge if self._settings.ack == "auto" else None)
        self._lag: int | None = None
        self._delivered = 0
        self._state: ReaderState | None = None

    def __repr__(self) -> str:
        return f"<ReplicationReader of slot {self._settings.slot!r}>"

    # -- life

    def open(self) -> None:
        """Connect, check, create what is missing, start streaming. Entering ``with`` does it.

        Raises:
            ConfigurationError: the server's settings, the role's privileges or the slot's
                properties do not allow it.
            SourceError: the slot or a publication is missing or unusable, or in use.
            ConnectionLostError: the server cannot be reached.
        """
        if self._closed:
            raise ConfigurationError("the reader is closed; make a new one")
        if self._stream is None:
            self._tell("connecting")
            try:
                self._stream = Stream(self._conninfo, self._settings)
            except CdcError as error:
                self._tell("stopped", error)
                raise
            if self._stopped:
                self._stream.stop()
            self._tell("streaming")

    def close(self) -> None:
        """Send the last acknowledged position and disconnect. Leaving ``with`` does it.

        The change in hand is not acknowledged.
        """
        if self._closed:
            return
        self._closed = True
        error = None
        try:
            if self._stream is not None:
                error = self._stream.error
                self._stream.close()
        finally:
            self._tell("stopped", error)

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def stop(self) -> None:
        """End the iteration before the next change, within a second.

        From any thread or signal handler. The loop ends as at the end of the stream: the change
        before counts as acknowledged when the loop asks for the next.
        """
        self._stopped = True
        if self._stream is not None:
            self._stream.stop()

    @property
    def is_open(self) -> bool:
        """Whether the reader has been opened, and not closed."""
        return self._stream is not None and not self._closed

    # -- reading

    def __iter__(self) -> Changes:
        self._refuse_gap()
        return Changes(self._hand, self._take)

    def transactions(self) -> Transactions:
        """Iterate over transactions, each an iterator over its changes as they come.

        Asking for the next acknowledges the one before. A transaction has to be taken to its end.
        """
        self._refuse_gap()
        return Transactions(self._hand, self._take, lambda: self.ended)

    def batches(self, max_rows: int = 1000, max_seconds: float = 1.0) -> Batches:
        """Iterate over lists of changes, none empty; asking for the next acknowledges the last.

        Args:
            max_rows: so many changes at most.
            max_seconds: so many seconds after its first change at most.
        """
        self._refuse_gap()
        return Batches(self._hand, self._take, max_rows, max_seconds)

    def poll(self, timeout: float | None = 0.0) -> Change | None:
        """Return the next change without acknowledging anything, for loops of your own.

        Args:
            timeout: seconds to wait; 0 takes only what is here already, None waits for ever.

        Returns:
            The change, or None: when nothing came in time, when a transaction has ended, or when
            the stream has (`ended`).

        Raises:
            CdcError: the stream broke.
        """
        hand = self._hand
        hand.pass_to(_POLL, acknowledges=False)
        hand.release(_POLL)
        change = hand.waiting
        if change is None:
            change = self._take(timeout, at_commit=True, give=hand.keep)
            if change is None:
                return None
        hand.given = 1
        return change

    @property
    def has_unacknowledged(self) -> bool:
        """Whether changes were read that are not acknowledged, nor in hand to be given again.

        They come again in the next run only, so whatever acknowledges more than what it was given
        itself must not go on with this reader.
        """
        if self._stream is None or self._hand.repeats:
            return False
        return not self._stream.session.progress.is_acknowledged

    def _refuse_gap(self) -> None:
        if self._settings.ack == "auto" and self.has_unacknowledged:
            raise ConfigurationError(
                "changes were read before this loop and not acknowledged, and the loop would "
                "acknowledge them with its own: call ack() if they are dealt with, or open a new "
                "reader to get them again"
            )

    @property
    def ended(self) -> bool:
        """Whether the end that was asked for has come: `until`, `idle_timeout` or `stop`."""
        return self._stopped if self._stream is None else self._stream.ended

    @property
    def stats(self) -> ReaderStats:
        """Where the reader stands now."""
        stream = self._stream
        if stream is None:
            return ReaderStats(0, 0, LSN(0), LSN(0), LSN(0), None)
        session = stream.session
        progress = session.progress
        return ReaderStats(
            changes=self._delivered,
            transactions=session.transactions,
            received_lsn=LSN(progress.received),
            acknowledged_lsn=LSN(progress.flushed),
            server_lsn=max(session.server_lsn, LSN(progress.received)),
            lag_seconds=None if self._lag is None else self._lag / 1e6,
        )

    # -- acknowledging

    def ack(self, up_to: Change | Position) -> None:
        """Acknowledge everything up to and including a change or position.

        The slot moves to the end of the last transaction that is acknowledged as a whole.

        Raises:
            ConfigurationError: it is neither, or the reader is not open.
        """
        if self._stream is None or self._closed:
            raise ConfigurationError("the reader is not open: there is nobody to acknowledge to")
        if not isinstance(up_to, (Change, Position)):
            raise ConfigurationError(
                f"ack takes a change or a Position, not {type(up_to).__name__}; a stored text is "
                "read with Position.parse"
            )
        session = self._stream.session
        if isinstance(up_to, Change):
            session.acknowledge(up_to)
            position = up_to.position
            if isinstance(up_to, SchemaChange):
                return  # its position is that of the change after it, which may be in hand
        else:
            session.progress.acknowledge(*up_to)
            position = up_to
        self._hand.acknowledged(position)

    def _take(
        self,
        timeout: float | None = None,
        *,
        at_commit: bool = False,
        give: Callable[[Change], None] | None = None,
    ) -> Change | None:
        if self._closed:
            raise ConfigurationError("the reader is closed; make a new one")
        self.open()
        assert self._stream is not None
        change = self._stream.next_change(timeout, at_commit=at_commit, give=give)
        if change is not None:
            self._delivered += 1
            if change.transaction is not None:
                sent_at = self._stream.session.server_time
                self._lag = sent_at - change.transaction.commit_timestamp
        return change

    def _acknowledge(self, change: Change) -> None:
        assert self._stream is not None
        self._stream.session.acknowledge(change)

    def _tell(self, state: ReaderState, error: CdcError | None = None) -> None:
        if state == self._state:
            return
        self._state = state
        if self._settings.on_event is not None:
            self._settings.on_event(ReaderEvent(state, self._settings.slot, error))
