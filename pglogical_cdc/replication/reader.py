"""ReplicationReader: what an application iterates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from psycopg.adapt import AdaptersMap
from typing_extensions import Self

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change, Position, SchemaChange, SnapshotRead
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import AsyncOffsetStore, OffsetStore
from pglogical_cdc.postgres import Asynchronous, Blocking, Flavour, run
from pglogical_cdc.replication.backoff import Backoff
from pglogical_cdc.replication.iteration import (
    AsyncBatches,
    AsyncChanges,
    AsyncTransactions,
    Batches,
    Changes,
    Transactions,
)
from pglogical_cdc.replication.settings import (
    CHUNK_ROWS,
    DEFAULT_MAX_MESSAGE_BYTES,
    DEFAULT_MEMORY_LIMIT,
    AckMode,
    OffsetMismatchPolicy,
    Origin,
    ReaderEvent,
    SnapshotMode,
    check_settings,
)
from pglogical_cdc.replication.source import Source
from pglogical_cdc.replication.stats import ReaderStats

if TYPE_CHECKING:
    from pglogical_cdc.snapshot import IncrementalSnapshot, RecordMaking

__all__ = ("AsyncReplicationReader", "ReplicationReader")

_POLL: Final = "poll"
"""Stands for the application's own loop around `ReplicationReader.poll`."""

_RECONNECT: Final = Backoff()


class _Reader:
    """What both readers share: everything that does not wait."""

    _flavour: ClassVar[type[Flavour]]

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
        snapshot: SnapshotMode = "never",
        snapshot_resumable: bool = False,
        snapshot_chunk_rows: int = CHUNK_ROWS,
        snapshot_include: str | Sequence[str] | None = None,
        snapshot_exclude: str | Sequence[str] = (),
        snapshot_executor: Executor | None = None,
        snapshot_workers: int = 4,
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
        reconnect: Backoff | None = _RECONNECT,
        offsets: OffsetStore | AsyncOffsetStore | None = None,
        on_offset_mismatch: OffsetMismatchPolicy = "raise",
        adapters: AdaptersMap | None = None,
        on_event: Callable[[ReaderEvent], None] | None = None,
    ) -> None:
        settings = check_settings(
            slot=slot,
            publications=publications,
            create=create,
            tables=tables,
            temporary=temporary,
            failover=failover,
            two_phase=two_phase,
            snapshot=snapshot,
            snapshot_resumable=snapshot_resumable,
            snapshot_chunk_rows=snapshot_chunk_rows,
            snapshot_include=snapshot_include,
            snapshot_exclude=snapshot_exclude,
            snapshot_executor=snapshot_executor,
            snapshot_workers=snapshot_workers,
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
        self._source = Source(conninfo, settings, self._flavour())
        self._hand = self._source.hand

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of slot {self._source.settings.slot!r}>"

    def stop(self) -> None:
        """End the iteration before the next change, within a second.

        From any thread or signal handler. The loop ends as at the end of the stream: the change
        before counts as acknowledged when the loop asks for the next.
        """
        self._source.stop()

    @property
    def is_open(self) -> bool:
        """Whether the reader has been opened, and not closed."""
        return self._source.is_open

    @property
    def ended(self) -> bool:
        """Whether the end that was asked for has come: `until`, `idle_timeout` or `stop`."""
        return self._source.ended

    @property
    def has_unacknowledged(self) -> bool:
        """Whether changes were read that are not acknowledged, nor in hand to be given again.

        They come again in the next run only, so whatever acknowledges more than what it was given
        itself must not go on with this reader.
        """
        source = self._source
        if source.session is None or source.hand.repeats:
            return False
        if source.owner.is_mine:
            source.hand.settle()
        return not source.session.is_acknowledged

    @property
    def stats(self) -> ReaderStats:
        """Where the reader stands now."""
        return ReaderStats.of(self._source)

    def ack(self, up_to: Change | Position) -> None:
        """Acknowledge everything up to and including a change or position.

        The slot moves to the end of the last transaction that is acknowledged as a whole.

        Raises:
            ConfigurationError: it is neither, the reader is not open, or another thread reads it.
        """
        source = self._source
        session = source.session
        if session is None or source.closed:
            raise ConfigurationError("the reader is not open: there is nobody to acknowledge to")
        if not isinstance(up_to, (Change, Position)):
            raise ConfigurationError(
                f"ack takes a change or a Position, not {type(up_to).__name__}; a stored text is "
                "read with Position.parse"
            )
        source.owner.check()
        source.hand.settle()
        if isinstance(up_to, Change):
            session.acknowledge(up_to)
            position = up_to.position
            if isinstance(up_to, SchemaChange):
                return  # its position is that of the change after it, which may be in hand
        else:
            session.acknowledge_position(*up_to)
            position = up_to
        number = None
        if isinstance(up_to, SnapshotRead) and up_to.snapshot != "incremental":
            number = up_to.number
        source.hand.acknowledged(position, number)

    def snapshot_table(
        self, table: str, *, where: str | None = None, chunk_rows: int = CHUNK_ROWS
    ) -> IncrementalSnapshot:
        """Have the rows of a published table come again, or for the first time, with the stream.

        They come as `SnapshotRead` with the marker ``"incremental"`` between the changes of the
        stream, a chunk at a time, from whoever reads the reader. A row that is changed while it is
        being read is left to the stream: a consumer that keeps the last it was given of each key
        has in the end what the server has. Of a table without a key all rows come in one piece,
        and the stream waits for them.

        From any thread, at any time. Nothing is written but messages in the WAL
        (``pg_logical_emit_message``), so that it needs a server that is no standby.

        Args:
            table: ``"schema.table"``.
            where: an SQL condition that the rows fulfil, as it would stand behind WHERE. It is
                executed as it is: never let a stranger write it.
            chunk_rows: rows that are read at once, and are in memory then.

        Returns:
            What tells how far it has got, and pauses or cancels it. It is not kept over a restart.

        Raises:
            ConfigurationError: an argument is wrong, or the reader is closed. That the table cannot
                be read turns out later, see `IncrementalSnapshot.error`.
        """
        source = self._source
        if source.closed:
            raise ConfigurationError("the reader is closed; make a new one")
        return source.snapshots.begin(table, where=where, chunk_rows=chunk_rows)

    def make_records(self, maker: RecordMaking, run: int) -> None:
        """Have records be made of the rows of a snapshot where they are read; for a `Pipeline`.

        Args:
            maker: makes them.
            run: of so many rows at once, at most. A `SnapshotRun` brings them.
        """
        self._source.snapshots.make_records(maker, run)

    def end_records(self) -> None:
        """Give no rows without values any more, as `make_records` has asked for."""
        self._source.end_records()

    def _refuse_gap(self) -> None:
        if self._source.settings.ack == "auto" and self.has_unacknowledged:
            raise ConfigurationError(
                "changes were read before this loop and not acknowledged, and the loop would "
                "acknowledge them with its own: call ack() if they are dealt with, or open a new "
                "reader to get them again"
            )

    def _poll_buffered(self) -> Change | None:
        """Return the change that `poll` gives if it is here; it is not given yet."""
        source = self._source
        hand = source.hand
        source.owner.check()
        hand.pass_to(_POLL, acknowledges=False)
        hand.release(_POLL)
        change = hand.waiting
        return source.buffered(at_commit=True) if change is None else change


class ReplicationReader(_Reader):
    """Reads the changes of a PostgreSQL database from a logical replication slot.

    ::

        with ReplicationReader(dsn, slot="shop_cdc", publications=["shop_pub"]) as reader:
            for change in reader:
                ...

    A change is acknowledged when the same iterator is asked for the next one; a ``break`` or an
    exception leaves the change in hand unacknowledged, and ``iter(reader)`` gives it again first.
    What was not acknowledged comes again in the next run, in whole transactions.

    A lost connection is made anew, as `reconnect` says, and reading goes on after the last change
    that was delivered: within one process nothing comes twice. What cannot be gone on with is
    raised: see `pglogical_cdc.errors`.

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
        create: create what is missing, first the publications, then the slot. Never on a
            reconnect, and never when `offsets` knows the slot.
        tables: ``"schema.table"`` names for a publication that has to be created; None is for all
            tables. A publication that exists is never altered.
        temporary: the slot is dropped when the reader disconnects.
        failover: the slot is synchronised to standbys (PostgreSQL 17 and later).
        two_phase: only False in this version.
        snapshot: whether the rows that are there come first, as `SnapshotRead`: ``"never"``;
            ``"initial"``, if there is no slot yet (with `create`); ``"initial_only"``, and the
            iteration ends with the last of them, without a slot; ``"when_needed"``, also if the
            slot is missing, was invalidated, or cannot go on where `offsets` says; ``"always"``.
        snapshot_resumable: the rows come with the stream, piece by piece, each under a snapshot of
            its own, as those of `snapshot_table`; `offsets` keeps which of them are dealt with, so
            that after a crash the rest of them follows.
        snapshot_chunk_rows: rows of such a piece, which are in memory at once.
        snapshot_include: the published tables that snapshots read, as regular expressions one of
            which has to match the whole of ``schema.table``, in either case of letters; None for
            all. A string has commas between them, as Debezium's
            ``snapshot.include.collection.list``. What is not read is streamed all the same.
        snapshot_exclude: those of them that they do not read, in the same way.
        snapshot_executor: reads the tables of a snapshot in chunks: threads, processes, or those of
            other machines. It is not shut down. Its workers get `conninfo`, password included, and
            connect themselves.
        snapshot_workers: so many chunks are with the executor at once, or read and waiting in
            memory.
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
        reconnect: pauses and number of attempts when the connection is lost, once streaming has
            begun; None to raise at once.
        offsets: where the position is stored, before it is confirmed to the server.
        on_offset_mismatch: what to do when the server does not go on where reading has got to:
            ``"raise"``; ``"trust_slot"``, go on from the slot's position, whatever was read;
            ``"trust_offset"``, go on from the position that was read to, although the server's
            history is another one (where the slot is further than that, it is raised as well);
            ``"resnapshot"``, when the reader is opened, take a new snapshot.
        adapters: psycopg's adapters map that makes Python values; by default the global one.
        on_event: called with a `ReaderEvent` at each change of state, in the reading thread.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    _flavour = Blocking

    # -- life

    def open(self) -> None:
        """Connect, check, create what is missing, start streaming. Entering ``with`` does it.

        Raises:
            ConfigurationError: the server's settings, the role's privileges or the slot's
                properties do not allow it.
            SourceError: the slot or a publication is missing or unusable, or in use; or reading
                cannot go on there where `offsets` says.
            ConnectionLostError: the server cannot be reached.
            OffsetStoreError: the stored position cannot be read.
        """
        run(self._source.open())

    def close(self) -> None:
        """Send the last acknowledged position and disconnect. Leaving ``with`` does it.

        The change in hand is not acknowledged.

        Raises:
            OffsetStoreError: the last acknowledged position cannot be stored.
        """
        run(self._source.close())

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

    # -- reading

    def __iter__(self) -> Changes:
        self._refuse_gap()
        return Changes(self._source)

    def transactions(self) -> Transactions:
        """Iterate over transactions, each an iterator over its changes as they come.

        Asking for the next acknowledges the one before. A transaction has to be taken to its end.
        """
        self._refuse_gap()
        return Transactions(self._source)

    def batches(self, max_rows: int = 1000, max_seconds: float = 1.0) -> Batches:
        """Iterate over lists of changes, none empty; asking for the next acknowledges the last.

        Args:
            max_rows: so many changes at most.
            max_seconds: so many seconds after its first change at most.
        """
        self._refuse_gap()
        return Batches(self._source, max_rows, max_seconds)

    def poll(self, timeout: float | None = 0.0) -> Change | None:
        """Return the next change without acknowledging anything, for loops of your own.

        Args:
            timeout: seconds to wait; 0 takes only what is here already, None waits for ever. An
                attempt to reconnect may take longer.

        Returns:
            The change, or None: when nothing came in time, when a transaction has ended, or when
            the stream has (`ended`).

        Raises:
            CdcError: reading cannot go on.
        """
        hand = self._hand
        step = hand.step
        if (
            step < hand.limit
            and hand.given
            and hand.holder is _POLL
            and get_ident() == hand.owner.thread
        ):
            hand.step = step + 1
            return hand.run[step]
        change = self._poll_buffered()
        if change is None:
            change = run(self._source.next_change(timeout, at_commit=True))
            if change is None:
                return None
        hand.given = 1
        return change


class AsyncReplicationReader(_Reader):
    """`ReplicationReader` for asyncio: the same arguments, and the same members to await.

    ::

        async with AsyncReplicationReader(dsn, slot="shop", publications="shop") as reader:
            async for change in reader:
                ...

    It reads in the event loop, without threads; only a blocking store of `offsets` is called in
    one. A loop body that awaits nothing still lets other tasks have their turn, every hundredth of
    a second. One that blocks the event loop for longer than the server's ``wal_sender_timeout``
    loses the connection, as status updates need the loop.

    Cancelling the task that reads ends it at once, and nothing is lost: reading may go on
    afterwards. One task reads and acknowledges.
    """

    _flavour = Asynchronous

    # -- life

    async def open(self) -> None:
        """Connect, check, create what is missing, start streaming. Entering ``async with`` does it.

        Raises:
            ConfigurationError: the server's settings, the role's privileges or the slot's
                properties do not allow it.
            SourceError: the slot or a publication is missing or unusable, or in use; or reading
                cannot go on there where `offsets` says.
            ConnectionLostError: the server cannot be reached.
            OffsetStoreError: the stored position cannot be read.
        """
        await self._source.open()

    async def close(self) -> None:
        """Send the last acknowledged position and disconnect. Leaving ``async with`` does it.

        The change in hand is not acknowledged.

        Raises:
            OffsetStoreError: the last acknowledged position cannot be stored.
        """
        await self._source.close()

    async def aclose(self) -> None:
        """The same as `close`, for `contextlib.aclosing`."""
        await self.close()

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # -- reading

    def __aiter__(self) -> AsyncChanges:
        self._refuse_gap()
        return AsyncChanges(self._source)

    def transactions(self) -> AsyncTransactions:
        """Iterate over transactions, each an iterator over its changes as they come.

        Asking for the next acknowledges the one before. A transaction has to be taken to its end.
        """
        self._refuse_gap()
        return AsyncTransactions(self._source)

    def batches(self, max_rows: int = 1000, max_seconds: float = 1.0) -> AsyncBatches:
        """Iterate over lists of changes, none empty; asking for the next acknowledges the last.

        Args:
            max_rows: so many changes at most.
            max_seconds: so many seconds after its first change at most.
        """
        self._refuse_gap()
        return AsyncBatches(self._source, max_rows, max_seconds)

    async def poll(self, timeout: float | None = 0.0) -> Change | None:
        """Return the next change without acknowledging anything, for loops of your own.

        Args:
            timeout: seconds to wait; 0 takes only what is here already, None waits for ever. An
                attempt to reconnect may take longer.

        Returns:
            The change, or None: when nothing came in time, when a transaction has ended, or when
            the stream has (`ended`).

        Raises:
            CdcError: reading cannot go on.
        """
        hand = self._hand
        step = hand.step
        if (
            step < hand.limit
            and hand.given
            and hand.holder is _POLL
            and get_ident() == hand.owner.thread
        ):
            hand.step = step + 1
            return hand.run[step]
        change = self._poll_buffered()
        if change is None:
            change = await self._source.next_change(timeout, at_commit=True)
            if change is None:
                return None
        hand.given = 1
        return change
