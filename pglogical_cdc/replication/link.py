"""Link: the connection to a slot, which is lost and made again."""

from __future__ import annotations

import logging
import time
from typing import Final

import psycopg
from attrs import evolve

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
    DecodingFailedError,
    OffsetStoreError,
    SilentServerError,
    SlotInUseError,
    TableAlteredError,
    UnknownRelationError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import Offset
from pglogical_cdc.postgres import (
    Conninfo,
    Flavour,
    PsycopgLoaders,
    Server,
    Slot,
    Stopped,
    diagnose,
    written_timeline,
)
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.opening import Opened, Walsender, open_connection
from pglogical_cdc.replication.retries import Retries
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import ReaderEvent, ReaderState, Settings
from pglogical_cdc.replication.silence import Silence
from pglogical_cdc.replication.snapshots import Snapshots
from pglogical_cdc.replication.stored import BEGUN, StoredPosition
from pglogical_cdc.replication.stream import Stream

__all__ = ("Link",)

_log = logging.getLogger(__name__)

_SLOT_PATIENCE: Final = 5.0
"""Seconds that the first start waits for a slot that somebody holds: as long as a server may need
to notice that the process which read before is gone."""

_LONGEST_PATIENCE: Final = 60.0
"""Seconds, also for a server without a ``wal_sender_timeout`` of its own."""

_SNAPSHOT_TRIES: Final = 5
"""Snapshots that are begun in a row, because tables are altered while they are being taken."""

_PROMOTION_INTERVAL: Final = 0.5
"""Seconds between two questions to a standby whether it has taken over."""


class Link:
    """Makes streams of one slot, one after the other, that go on where reading has got to.

    Args:
        conninfo: where to connect.
        settings: the reader's arguments.
        flavour: how to wait.
    """

    def __init__(self, conninfo: str, settings: Settings, flavour: Flavour) -> None:
        self.session: Session | None = None
        """What is known of the slot's stream; None before the first has started."""
        self.stream: Stream | None = None
        """The stream of now; None while there is none."""
        self.beside: Beside
        """Asks the server of the stream; not before `open`."""
        self.walsender: Walsender | None = None
        """The process at the other end of the last stream."""
        self.snapshots = Snapshots(settings, flavour)
        self.retry_at = 0.0
        """When the next attempt is due, by the monotonic clock."""
        self.connects = 0
        """How many streams there were, but for those that were ended on purpose."""
        self._watermarks = False
        """Whether streams have to bring messages, for incremental snapshots."""
        self._conninfo = Conninfo(conninfo)
        self._settings = settings
        self._flavour = flavour
        self.position = StoredPosition(settings, flavour)
        self._opened: Opened | None = None
        self._retries = Retries(settings.reconnect)
        self._silence = Silence(_LONGEST_PATIENCE)
        self._silences = 0
        """How often in a row the server gave no sign of life."""
        self._mark: tuple[object, ...] = ()
        self._altered = 0
        """How often a table was altered while a snapshot was being taken."""
        self._evicted = False
        self._promotion_at = 0.0
        self._state: ReaderState | None = None

    # -- the first stream

    async def open(self) -> None:
        """Connect, check, create what is missing, start streaming.

        Raises:
            CdcError: see `ReplicationReader.open`.
            Stopped: the flavour was stopped.
        """
        self.tell("connecting")
        self._given = self._conninfo.read()
        self.beside = Beside(self._given, self._settings.slot, self._flavour)
        self._retries.slot_patience = _SLOT_PATIENCE
        try:
            known = await self.position.load()
            if known is not None and known.snapshot and not self._settings.snapshot_resumable:
                raise ConfigurationError(
                    f"offsets has a snapshot of slot {known.slot!r} that was not read to its end: "
                    "go on with snapshot_resumable=True, or delete what is stored and drop the slot"
                )
            while not await self._try_to_open(known):
                pass
        except BaseException:
            self.beside.close()
            raise
        self._retries.progressed()
        self.position.remaining = self.snapshots.load()

    async def _try_to_open(self, known: Offset | None) -> bool:
        try:
            await self._connect(known, begins=True)
        except TableAlteredError as error:
            self._altered += 1
            if self._altered >= _SNAPSHOT_TRIES:
                raise
            _log.info("%s: taking the snapshot anew", error)
            return False
        except SlotInUseError as error:
            delay = self._retries.delay(error)
            if delay is None:
                raise
            await self._flavour.rest(delay)
            if self._flavour.stopped:
                raise Stopped from None
            return False
        return True

    # -- the snapshot before it

    async def end_snapshot(self) -> None:
        """Go on from the snapshot, all rows of which were handed out, to the stream.

        Only when the last of them is acknowledged the slot gets its permanent name. Until then the
        stream comes from the temporary slot, because who acknowledges may wait for more.

        Raises:
            CdcError: the slot cannot be made, or the stream not be started.
        """
        handoff = self.snapshots.handoff
        assert handoff is not None
        session = handoff.session
        if session.is_snapshot_acknowledged and not self._settings.temporary:
            await self.snapshots.make_permanent(self._patience)
            self._disconnect()
            handoff.close()
            await self.connect()
            return
        stream = await handoff.stream(self._patience)
        if self._settings.temporary:
            self.snapshots.hand_off()
        self._streaming(session, stream, handoff.opened)

    # -- the next ones

    def plan(self, error: CdcError) -> None:
        """Let go of the stream, and plan the next attempt.

        Raises:
            CdcError: the error, if another attempt cannot help. The stream is still there then.
        """
        session = self.session
        assert session is not None
        handoff = self.snapshots.handoff
        if handoff is not None:
            pause = None
            if handoff.snapshot.is_complete and self.stream is None and error.retryable:
                # The slot is still there, on a connection of its own.
                pause = self._retries.delay(error)
            if pause is None:
                handoff.end(error, self.stream)
            self.drop(error, attempt=self._retries.failures, delay=pause)
            return
        self.note_progress(session)
        self._silences += isinstance(error, SilentServerError)
        delay: float | None
        if isinstance(error, UnknownRelationError) and self._evicted:
            # It was given up too early, and a new stream describes it anew.
            session.relation_limit *= 2
            delay = 0.0
        elif isinstance(error, DecodingFailedError) and self._settings.temporary:
            delay = None  # the slot is gone
        else:
            delay = self._retries.delay(error)
        if delay is None:
            raise error
        attempt = self._retries.failures
        _log.warning(
            "slot %r: %s; attempt %d to go on follows in %.1f s",
            self._settings.slot,
            error,
            attempt,
            delay,
        )
        self.drop(error, attempt=attempt, delay=delay)

    @property
    def is_half_read(self) -> bool:
        """Whether a signal came while something was read, which may be lost."""
        stream, handoff = self.stream, self.snapshots.handoff
        return (stream is not None and stream.is_half_read) or (
            handoff is not None and handoff.snapshot.is_half_read
        )

    def interrupted(self) -> None:
        """A signal came while something was half done: have it all come again.

        Raises:
            CdcError: it cannot come again to this reader.
        """
        if self.snapshots.handoff is not None:
            raise self.snapshots.handoff.interrupted()
        if self.stream is None:
            return
        what = "reading was interrupted in the middle of a message"
        if self._settings.reconnect is None:
            raise ConnectionLostError(
                f"{what}; open a new reader, which goes on after the last acknowledged transaction",
                slot=self._settings.slot,
            )
        self.drop(ConnectionLostError(what, slot=self._settings.slot))

    def drop(self, error: CdcError, *, attempt: int = 0, delay: float = 0.0) -> None:
        """Let go of the stream; the next one is due after `delay` seconds."""
        self._disconnect()
        self.retry_at = time.monotonic() + delay
        self.tell("retrying", error, attempt=attempt, delay=delay)

    def ask_for_messages(self) -> None:
        """Let go of the stream, so that the next one brings messages as well."""
        self._watermarks = True
        if self.stream is not None:
            self._disconnect()
            self.connects -= 1
        self.retry_at = 0.0

    def _disconnect(self) -> None:
        if self.stream is not None:
            self.stream.drop()
            self.stream = None

    async def connect(self) -> None:
        """Make the next stream, which goes on after what was delivered.

        Raises:
            CdcError: the attempt failed.
            Stopped: the flavour was stopped.
        """
        session, opened = self.session, self._opened
        assert session is not None
        assert opened is not None
        self.tell("connecting")
        await self._connect(
            Offset(
                system_identifier=opened.server.system_identifier,
                timeline=opened.server.timeline,
                slot=self._settings.slot,
                position=LSN(session.progress.flushed),
                transaction_end=session.read_end,
            )
        )

    # -- the last one

    async def close(self, error: CdcError | None, *, is_half_done: bool, has_changes: bool) -> None:
        """Store and send the last acknowledged position, and disconnect.

        Args:
            error: what reading has ended with; None if it could go on.
            is_half_done: whether a signal or a cancellation may have come in the middle of
                something.
            has_changes: whether changes were read that are not in hand.

        Raises:
            OffsetStoreError: the position cannot be stored.
        """
        stream, self.stream = self.stream, None
        is_whole = error is None and not is_half_done
        try:
            # Once there was a stream, what is not in hand has come with that.
            is_given = is_whole and (self.connects > 0 or not has_changes)
            await self.snapshots.close(self._patience, is_given=is_given)
            if stream is not None and is_whole and not (stream.is_half_read or has_changes):
                await stream.take_commit()
            failed: OffsetStoreError | None = None
            if not isinstance(error, OffsetStoreError):
                try:
                    await self.store()
                except OffsetStoreError as store_error:
                    failed = store_error
            if stream is not None:
                await stream.say_goodbye()
            if failed is not None:
                raise failed
        finally:
            if stream is not None:
                stream.drop()
            self.beside.close()

    # -- any of them

    @property
    def server(self) -> Server:
        """The server of the stream."""
        assert self._opened is not None
        return self._opened.server

    @property
    def _patience(self) -> float:
        """Seconds for a sign of life: as long as the server waits for one of ours.

        More if it has given none before: it may be busy, and would be as busy the next time.
        """
        theirs = 0.0 if self._opened is None else self._opened.server.wal_sender_timeout
        patience: float = min(theirs or _LONGEST_PATIENCE, _LONGEST_PATIENCE)
        return patience * (1 << min(self._silences, 3))

    async def _connect(self, known: Offset | None, *, begins: bool = False) -> None:
        settings = self._settings
        opened = await open_connection(
            self._given,
            settings,
            self._flavour,
            self.beside,
            known,
            self.position,
            previous=self.walsender,
            patience=self._patience,
            begins=begins,
        )
        if opened.remaining == BEGUN:
            self.tell("snapshot")
        try:
            if opened.exported is not None:
                handoff = await self.snapshots.take(opened, self._given, self.beside)
                self.session, self._opened = handoff.session, opened
                self.tell("snapshot")
                return
            assert opened.slot is not None
            if opened.remaining:
                version = opened.server.version
                await self.snapshots.find_remaining(opened.remaining, version, self.beside)
            session = self._resume(opened, opened.slot, known)
            self._opened = opened
            await self.position.save(session, opened.server)
            stream = Stream(
                opened.connection,
                opened.server,
                session,
                settings,
                self._flavour,
                watermarks=self._watermarks or settings.snapshot_resumable,
            )
            await stream.start(LSN(session.progress.delivered_end), self._patience)
        except psycopg.Error as error:
            opened.connection.pgconn.finish()
            raise diagnose(error, slot=settings.slot) from error
        except BaseException:
            opened.connection.pgconn.finish()
            raise
        self._streaming(session, stream, opened)

    def _streaming(self, session: Session, stream: Stream, opened: Opened) -> None:
        self.session, self.stream, self.walsender = session, stream, opened.walsender
        self.connects += 1
        self._silence = Silence(self._patience)
        self._retries.slot_patience = self._patience + 2 * _SLOT_PATIENCE
        self._retries.streaming()
        self._evicted = False
        self.tell("streaming")

    def _resume(self, opened: Opened, slot: Slot, known: Offset | None) -> Session:
        """Return the session, ready to go on after what holds of what was known."""
        held = opened.known
        session = self.session
        if session is None:
            session = Session(
                database=opened.server.database,
                loaders=PsycopgLoaders(self._settings.adapters),
                confirmed_flush=slot.confirmed_flush_lsn if held is None else held.position,
                max_message_bytes=self._settings.max_message_bytes,
                messages=self._settings.messages,
            )
            if held is not None:
                session.progress.begin_after(held.transaction_end)
            if self._settings.offsets is not None:
                session.stored = held.position if held is not None and held == known else LSN(0)
            return session
        session.resume()
        if held is None:
            session.start_over(slot.confirmed_flush_lsn)
        else:
            session.progress.take_back(held.position)
        if session.stored is not None and held != known:
            # What is stored is of a history that is not the server's, and may lie beyond its end.
            session.stored = LSN(0)
        return session

    async def store(self) -> None:
        """Store the position that is to be confirmed.

        Raises:
            OffsetStoreError: it cannot be stored.
        """
        session, opened = self.session, self._opened
        if session is not None and opened is not None and self.snapshots.handoff is None:
            await self.position.save(session, opened.server)

    def note_progress(self, session: Session) -> None:
        """Something was received or lost: see whether anything was delivered before that."""
        mark = session.progress.delivered, session.progress.delivered_end
        if mark != self._mark:
            self._mark = mark
            self._retries.progressed()
            self._silences = 0
            self._silence.patience = self._patience

    def heard(self, session: Session) -> None:
        """Something was received since the last `watch`."""
        self._silence.heard()
        self.note_progress(session)

    def forget_evicted(self, session: Session) -> None:
        """Forget the tables that the session has given up."""
        if evicted := session.evicted():
            self._evicted = True
            self.beside.forget(evicted)

    def watch(self, stream: Stream, now: float) -> float:
        """Ask a server that says nothing; return how long it may go on so."""
        silence = self._silence
        rest = silence.seconds(now)
        if rest == 0:
            stream.feedback.send(reply_requested=True)
            silence.ask(now)
            rest = silence.seconds(now)
        if rest < 0:
            raise SilentServerError(
                f"the server has been silent for {silence.patience:g} s, and did not answer when "
                "it was asked for a reply",
                slot=self._settings.slot,
            )
        return rest

    async def look_for_promotion(self, session: Session) -> None:
        """Learn the timeline of a standby that has taken over.

        The stream goes on then without a word of it. Without the timeline, all that is read from
        there on would be taken for something of the old one, and for lost.
        """
        opened = self._opened
        now = time.monotonic()
        if opened is None or not opened.server.in_recovery or now < self._promotion_at:
            return
        self._promotion_at = now + _PROMOTION_INTERVAL
        timeline = await self.beside.ask(written_timeline)
        if timeline is None:
            return
        server = evolve(opened.server, timeline=timeline, in_recovery=False)
        self._opened = evolve(opened, server=server)
        if session.stored is not None:
            session.stored = LSN(0)
            await self.store()

    def tell(
        self,
        state: ReaderState,
        error: CdcError | None = None,
        *,
        attempt: int = 0,
        delay: float | None = None,
    ) -> None:
        """Tell the state to whom it may concern, if it is another one."""
        if state == self._state:
            return
        self._state = state
        if self._settings.on_event is not None:
            self._settings.on_event(ReaderEvent(state, self._settings.slot, error, attempt, delay))
