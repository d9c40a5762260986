"""Link: the connection to a slot, which is lost and made again."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import psycopg
from attrs import evolve

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
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
from pglogical_cdc.replication.handoff import Handoff
from pglogical_cdc.replication.opening import Opened, Walsender, open_connection
from pglogical_cdc.replication.retries import Retries
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import ReaderEvent, ReaderState, Settings
from pglogical_cdc.replication.silence import Silence
from pglogical_cdc.replication.stored import BEGUN, StoredPosition
from pglogical_cdc.replication.stream import Stream

if TYPE_CHECKING:
    from pglogical_cdc.snapshot import InitialSnapshot, RecordMaking, RemainingTable, SelectedTable

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
        self.handoff: Handoff | None = None
        """From the snapshot before the stream; None once the slot is there for good."""
        self.taken: InitialSnapshot | None = None
        """The snapshot, which stays for its figures."""
        self.retry_at = 0.0
        """When the next attempt is due, by the monotonic clock."""
        self.connects = 0
        """How many streams there were, but for those that were ended on purpose."""
        self.remaining: list[tuple[RemainingTable, SelectedTable]] | None = None
        """The tables of a resumable snapshot that are to be read; None if there is none."""
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
        self._records: tuple[RecordMaking, int] | None = None
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

    # -- the snapshot with it

    async def _find_remaining(self, opened: Opened, known: Offset | None) -> None:
        """Find out which tables of a resumable snapshot are to be read."""
        settings = self._settings
        text = BEGUN if opened.loads else "" if known is None else known.snapshot
        if not text:
            return
        from pglogical_cdc.snapshot import (
            RemainingTable,
            choose_tables,
            parse_remaining,
            select_tables,
        )

        known_tables = parse_remaining(text, binary=settings.binary)
        version = opened.server.version
        published = await self.beside.ask(lambda: select_tables(settings.publications, version))
        if known_tables is None:
            published = await self.beside.ask(
                lambda: choose_tables(
                    published, settings.snapshot_include, settings.snapshot_exclude
                )
            )
            self.remaining = [
                (RemainingTable((table.schema, table.name), None, None, (), 0), table)
                for table in published
            ]
            return
        selected = {(table.schema, table.name): table for table in published}
        self.remaining = []
        for table in known_tables:
            if table.name in selected:
                self.remaining.append((table, selected[table.name]))
            else:
                _log.warning(
                    "table %s is not published any more, and left out of the rest of the snapshot",
                    ".".join(table.name),
                )

    # -- the snapshot before it

    async def _take_snapshot(self, opened: Opened) -> None:
        handoff = await Handoff.begin(
            opened,
            given=self._given,
            settings=self._settings,
            flavour=self._flavour,
            beside=self.beside,
        )
        if self._records is not None:
            handoff.snapshot.make_records(*self._records)
        self.session, self._opened = handoff.session, opened
        self.handoff, self.taken = handoff, handoff.snapshot
        self.tell("snapshot")

    def make_records(self, maker: RecordMaking, run: int) -> None:
        """Have records be made where rows are read; see `InitialSnapshot.make_records`."""
        self._records = maker, run
        if self.handoff is not None:
            self.handoff.snapshot.make_records(maker, run)

    async def end_snapshot(self) -> None:
        """Go on from the snapshot, all rows of which were handed out, to the stream.

        Only when the last of them is acknowledged the slot gets its permanent name. Until then the
        stream comes from the temporary slot, because who acknowledges may wait for more.

        Raises:
            CdcError: the slot cannot be made, or the stream not be started.
        """
        handoff = self.handoff
        assert handoff is not None
        session = handoff.session
        if session.is_snapshot_acknowledged and not self._settings.temporary:
            await self.make_permanent()
            await self.connect()
            return
        stream = await handoff.stream(self._patience)
        if self._settings.temporary:
            self._hand_off(session)
        self._streaming(session, stream, handoff.opened)

    async def make_permanent(self) -> None:
        """Give the slot of the snapshot its name, and let go of the temporary one.

        Raises:
            CdcError: it cannot be made.
        """
        handoff = self.handoff
        assert handoff is not None
        await handoff.make_permanent(self._given, self.beside, self._patience)
        self._hand_off(handoff.session)
        self.drop_snapshot(handoff)

    def _hand_off(self, session: Session) -> None:
        self.handoff = None
        session.stored = None if self._settings.offsets is None else LSN(0)

    def drop_snapshot(self, handoff: Handoff) -> None:
        """Disconnect from a snapshot and its slot, which is gone then."""
        if self.stream is not None:
            self.stream.drop()
            self.stream = None
        handoff.close()

    # -- the next ones

    def plan(self, error: CdcError) -> None:
        """Let go of the stream, and plan the next attempt.

        Raises:
            CdcError: the error, if another attempt cannot help. The stream is still there then.
        """
        session = self.session
        assert session is not None
        if self.handoff is not None:
            pause = None
            if self.handoff.snapshot.is_complete and self.stream is None and error.retryable:
                # The slot is still there, on a connection of its own.
                pause = self._retries.delay(error)
            if pause is None:
                if isinstance(error, ConnectionLostError) and self.stream is not None:
                    raise self.handoff.lost(error) from None
                raise error
            self.retry_at = time.monotonic() + pause
            self.tell("retrying", error, attempt=self._retries.failures, delay=pause)
            return
        self.note_progress(session)
        self._silences += isinstance(error, SilentServerError)
        delay: float | None
        if isinstance(error, UnknownRelationError) and self._evicted:
            # It was given up too early, and a new stream describes it anew.
            session.relation_limit *= 2
            delay = 0.0
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

    def drop(self, error: CdcError, *, attempt: int = 0, delay: float = 0.0) -> None:
        """Let go of the stream; the next one is due after `delay` seconds."""
        if self.stream is not None:
            self.stream.drop()
            self.stream = None
        self.retry_at = time.monotonic() + delay
        self.tell("retrying", error, attempt=attempt, delay=delay)

    def ask_for_messages(self) -> None:
        """Let go of the stream, so that the next one brings messages as well."""
        self._watermarks = True
        if self.stream is not None:
            self.stream.drop()
            self.stream = None
            self.connects -= 1
        self.retry_at = 0.0

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
        # Of a snapshot that had begun, and no more than that, there is no position.
        loads = begins and known is not None and known.snapshot == BEGUN
        opened = await open_connection(
            self._given,
            settings,
            self._flavour,
            self.beside,
            None if loads else known,
            self.position,
            previous=self.walsender,
            patience=self._patience,
            begins=begins,
            loads=loads,
        )
        if opened.loads:
            known = None
            self.tell("snapshot")
        try:
            if opened.exported is not None:
                await self._take_snapshot(opened)
                return
            assert opened.slot is not None
            if begins:
                await self._find_remaining(opened, known)
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
        if self.session is not None and self._opened is not None and self.handoff is None:
            await self.position.save(self.session, self._opened.server)

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
