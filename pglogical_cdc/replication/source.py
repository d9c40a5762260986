"""Source: a slot as one source of changes, over any number of connections.

The core of both readers. It is written as coroutines over a `Flavour`: the blocking reader runs
them, the asynchronous one awaits them.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import psycopg

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
    OffsetStoreError,
)
from pglogical_cdc.events import Change, SnapshotRun
from pglogical_cdc.postgres import Flavour, Stopped, reselected, unsent_values
from pglogical_cdc.replication.ending import Ending
from pglogical_cdc.replication.hand import Hand
from pglogical_cdc.replication.handoff import Handoff
from pglogical_cdc.replication.link import Link
from pglogical_cdc.replication.ownership import Ownership
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings
from pglogical_cdc.replication.stream import Stream

if TYPE_CHECKING:
    from pglogical_cdc.replication.incremental import Incremental
    from pglogical_cdc.snapshot import (
        IncrementalSnapshot,
        RemainingTable,
        SelectedTable,
        SnapshotStats,
    )

__all__ = ("Source",)

_log = logging.getLogger(__name__)

_LONGEST_WAIT: Final = 1.0
"""Seconds."""

_LAST_MOMENT: Final = 0.5
"""Seconds for somebody who reads to notice that the reader is being closed."""

_NEWS_INTERVAL: Final = 0.1
"""Seconds; while it is quiet here and others write, every keepalive brings a new position."""

_TURN: Final = 0.01
"""Seconds after which the other tasks of an event loop have their turn."""

_TURN_CHANGES: Final = 64
"""Changes that are read ahead, and between two looks at the clock for that."""


class Source:
    """Delivers the changes of a slot, each once, whatever happens to the connection.

    Args:
        conninfo: where to connect.
        settings: the reader's arguments.
        flavour: how to wait.
    """

    def __init__(self, conninfo: str, settings: Settings, flavour: Flavour) -> None:
        self.settings = settings
        self.owner = Ownership()
        acknowledge = self.acknowledge if settings.ack == "auto" else None
        self.hand = Hand(acknowledge, self._deliver, self.owner)
        self.link = Link(conninfo, settings, flavour)
        self.closed = False
        self.ended = False
        """Whether the end that was asked for has come: `until`, `idle_timeout` or `stop`."""
        self.delivered: Counter[str] = Counter()
        """Changes delivered, by operation."""
        self.lag: int | None = None
        """Microseconds from the last change's commit to the server's sending it."""
        self.latency: int | None = None
        """Microseconds from the last change's commit to its arrival here."""
        self._received_at = 0
        self._heard = False
        """Whether something was received since the last look at what depends on that."""
        self._flavour = flavour
        self._error: CdcError | None = None
        self._failure: CdcError | None = None
        """What `buffered` met, for `next_change` to deal with."""
        self._changes: deque[Change] = deque()
        self._incremental: Incremental | None = None
        self._interrupted = False
        """Whether a signal or a cancellation may have come while something was half done."""
        self._committed = False
        """Whether `buffered` has stopped at the end of a transaction."""
        self._reading = False
        self._ending: Ending | None = None
        self._reported_at = 0.0
        self._turn_ends = 0.0

    # -- life

    @property
    def session(self) -> Session | None:
        """What is known of the stream; None before it has begun."""
        return self.link.session

    @property
    def reconnects(self) -> int:
        """How often a lost connection was made anew."""
        return max(0, self.link.connects - 1)

    def snapshot(self, table: str, *, where: str | None, chunk_rows: int) -> IncrementalSnapshot:
        """Have the rows of a table come with the stream; see `ReplicationReader.snapshot_table`."""
        # Most readers do without, and need less memory.
        from pglogical_cdc.replication.incremental import Incremental

        if self.closed:
            raise ConfigurationError("the reader is closed; make a new one")
        if self._incremental is None:
            self._incremental = Incremental(self.settings, self._flavour)
        return self._incremental.begin(table, where=where, chunk_rows=chunk_rows)

    @property
    def snapshot_stats(self) -> SnapshotStats | None:
        """How far a snapshot has got; None if there was none."""
        if self.link.taken is not None:
            return self.link.taken.stats
        return None if self._incremental is None else self._incremental.stats

    def _load(self, remaining: Sequence[tuple[RemainingTable, SelectedTable]]) -> None:
        """Have the rows of a resumable snapshot come with the stream."""
        from pglogical_cdc.replication.incremental import Incremental

        if self._incremental is None:
            self._incremental = Incremental(self.settings, self._flavour)
        self._incremental.load(remaining)
        self.link.position.remaining = self._incremental.remaining_at

    @property
    def is_open(self) -> bool:
        """Whether it has been opened, and not closed."""
        return self.session is not None and not self.closed

    async def open(self) -> None:
        """Connect, check, create what is missing, start streaming.

        Raises:
            CdcError: see `ReplicationReader.open`.
        """
        if self.closed:
            raise ConfigurationError("the reader is closed; make a new one")
        if self.session is not None or self._flavour.stopped:
            return
        try:
            await self.link.open()
            if self.link.remaining is not None:
                self._load(self.link.remaining)
        except Stopped:
            self.ended = True
        except CdcError as error:
            self.link.tell("stopped", error)
            raise

    async def close(self) -> None:
        """Send the last acknowledged position and disconnect; the change in hand is not."""
        if self.closed:
            return
        self.closed = True
        await self._end_reading()
        if self.owner.is_mine:
            self.hand.settle()
        self.hand.limit = 0
        if self._incremental is not None:
            self._incremental.cancel()
        stream, self.link.stream = self.link.stream, None
        try:
            if self.session is not None and not self.owner.is_inherited:
                try:
                    await self._end_snapshot(self.session)
                    await self._say_goodbye(stream)
                finally:
                    if stream is not None:
                        stream.drop()
                    self.link.beside.close()
        finally:
            self._flavour.close()
            self.link.tell("stopped", self._error)

    async def _end_reading(self) -> None:
        """Another task or thread may be reading: let it come to its end."""
        deadline = time.monotonic() + _LAST_MOMENT
        if self._reading:
            self.stop()
        while self._reading and time.monotonic() < deadline:
            await self._flavour.give_way(0.01)

    async def _end_snapshot(self, session: Session) -> None:
        """If there is a snapshot, have the slot made if it is due, and let go of the rest."""
        handoff = self.link.handoff
        if handoff is None:
            return
        try:
            if (
                handoff.is_read
                and not (self._error or self._interrupted)
                and not (self.hand.step < len(self.hand.run) and self.link.connects == 0)
                and session.is_snapshot_acknowledged
                and not self.settings.temporary
                and self.settings.snapshot != "initial_only"
            ):
                await self.link.make_permanent()
        except (CdcError, Stopped) as error:
            _log.warning(
                "slot %r could not be made, so its snapshot comes again: %s",
                self.settings.slot,
                error if isinstance(error, CdcError) else "the reader was stopped",
            )
        finally:
            self.link.drop_snapshot(handoff)

    async def _say_goodbye(self, stream: Stream | None) -> None:
        failed: OffsetStoreError | None = None
        if stream is not None and not (
            self._error or self._interrupted or stream.is_half_read or self._has_changes
        ):
            await stream.take_commit()
        if not isinstance(self._error, OffsetStoreError):
            try:
                await self.link.store()
            except OffsetStoreError as error:
                failed = error
        if stream is not None:
            await stream.say_goodbye()
        if failed is not None:
            raise failed

    def stop(self) -> None:
        """End before the next change. Safe in a signal handler or another thread."""
        self.ended = True
        self.hand.limit = 0
        self._flavour.stop()

    # -- reading

    async def take(self, timeout: float | None = None, *, at_commit: bool = False) -> Change | None:
        """Return the next change, which is in hand then; None at the end, see `ended`.

        Args:
            timeout: seconds to wait; None returned then too. 0 takes only what is here already.
            at_commit: return None also when a transaction that had changes has ended.

        Raises:
            CdcError: reading cannot go on. It stays so: every further call raises the same.
            ConfigurationError: the reader is closed, or in use by another thread or task.
        """
        change = self.buffered(at_commit=at_commit)
        if change is not None:
            return change
        return await self.next_change(timeout, at_commit=at_commit)

    def buffered(self, *, at_commit: bool = False) -> Change | None:
        """Return the next change if it is here and nothing has to be asked or awaited for it."""
        stream, session = self.link.stream, self.link.session
        self._committed = False
        if (
            stream is None
            or session is None
            or self._reading
            or self._interrupted
            or stream.is_half_read
            or self.ended
            or self._error is not None
            or self.settings.reselect
            or time.monotonic() >= self._turn_ends
        ):
            return None
        incremental = self._incremental
        messages = stream.messages
        transactions = session.delivered_transactions
        change = None
        self._interrupted = True
        try:
            for _ in range(_TURN_CHANGES):
                if (
                    self._has_changes
                    or not messages
                    or session.ended
                    or session.undescribed is not None
                    or session.watermark is not None
                    or (incremental is not None and incremental.is_due(session))
                ):
                    break
                if at_commit and session.delivered_transactions != transactions:
                    break
                self._read(session, messages)
            if self._has_changes:
                change = self._give()
            elif at_commit:
                self._committed = session.delivered_transactions != transactions
        except CdcError as error:
            self._failure = error
        self._interrupted = False
        return change

    @property
    def _has_changes(self) -> bool:
        """Whether changes were read that are not in hand."""
        return bool(self._changes) or self.hand.step < len(self.hand.run)

    def _read(self, session: Session, messages: deque[bytes]) -> None:
        """Make changes of the messages that come next."""
        rows: Sequence[Change] = session.take_rows(messages, _TURN_CHANGES)
        if rows:
            self.hand.offer(rows)
        elif messages:
            rows = session.take(messages.popleft())
            self._changes.extend(rows)
        if self._incremental is not None:
            self._incremental.see(rows)

    def _give(self) -> Change:
        # In hand before anything else: whatever is raised in between, a signal's exception too, it
        # is given, and given once.
        hand, changes = self.hand, self._changes
        if changes:
            change = changes[0]
            hand.keep(change)
            changes.popleft()
            return change
        change = hand.run[hand.step]
        hand.limit = 0
        hand.take(1)
        if hand.step < len(hand.run) and len(hand) == 1:
            self.open_run()
        return change

    def open_run(self) -> None:
        """Let a loop go on by itself with what was read ahead; nothing else may be waiting."""
        self.hand.limit = len(self.hand.run)
        # A stop that comes after this look closes it itself.
        if self.ended:
            self.hand.limit = 0

    def take_run(self, count: int) -> int:
        """Take up to so many of the changes that were read ahead into the hand; return how many."""
        return 0 if self.ended else self.hand.take(count)

    def _deliver(self, changes: Sequence[Change]) -> None:
        """Note that changes were taken into the hand."""
        session, last = self.link.session, changes[-1]
        assert session is not None
        session.deliver(last)
        if len(changes) == 1:
            self.delivered[last.op] += 1  # Counter.update costs as much as all the rest of it
        else:
            self.delivered.update([change.op for change in changes])
        if last.transaction is not None:
            committed_at = last.transaction.commit_timestamp
            self.lag = session.server_time - committed_at
            self.latency = self._received_at - committed_at
            return
        if self._incremental is not None:
            self._incremental.delivered(last)
        if self.link.handoff is not None:
            runs = [change for change in changes if isinstance(change, SnapshotRun)]
            self.delivered["read"] += sum(run.rows - 1 for run in runs)

    def end_records(self) -> None:
        """Give no `SnapshotRun` any more."""
        handoff = self.link.handoff
        if handoff is None or not handoff.snapshot.makes_records or self.link.stream is not None:
            return
        if self.ended or self._error is not None or (handoff.is_read and not self._has_changes):
            return
        self.hand.withdraw()
        self._error = handoff.left()

    async def next_change(
        self, timeout: float | None = None, *, at_commit: bool = False
    ) -> Change | None:
        """Return the next change, be it here or not; see `take`."""
        self.owner.check()
        if self._reading:
            raise ConfigurationError("the reader is in use by another task: one reads at a time")
        if self._error is not None:
            raise self._error
        self._reading = True
        try:
            await self.open()
            if self._committed:
                self._committed = False
                if at_commit:
                    return None
            stream = self.link.stream
            if self._is_half_done(stream):
                self._go_on_after_interrupt()
            await self._give_way()
            self._interrupted = True
            change = await self._next_change(timeout, at_commit)
        except CdcError as error:
            if self.session is not None:
                self._error = error
            self._interrupted = False
            raise
        except Stopped:
            return None
        finally:
            self._reading = False
        self._interrupted = False
        return change

    def _is_half_done(self, stream: Stream | None) -> bool:
        """Tell whether a signal or a cancellation may have come in the middle of something."""
        handoff = self.link.handoff
        return (
            self._interrupted
            or (stream is not None and stream.is_half_read)
            or (handoff is not None and handoff.snapshot.is_half_read)
        )

    def _go_on_after_interrupt(self) -> None:
        """A signal came while something was half done: have it all come again."""
        if self.link.handoff is not None:
            raise self.link.handoff.interrupted()
        if self.link.stream is None:
            return
        what = "reading was interrupted in the middle of a message"
        if self.settings.reconnect is None:
            raise ConnectionLostError(
                f"{what}; open a new reader, which goes on after the last acknowledged transaction",
                slot=self.settings.slot,
            )
        self.link.drop(ConnectionLostError(what, slot=self.settings.slot))

    async def _give_way(self) -> None:
        now = time.monotonic()
        if now >= self._turn_ends:
            await self._flavour.give_way()
            self._turn_ends = now + _TURN

    async def _next_change(self, timeout: float | None, at_commit: bool) -> Change | None:
        session = self.session
        if session is None:
            return None  # stopped while it was being opened
        deadline = None if timeout is None else time.monotonic() + timeout
        ending = self._ending = self._ending or Ending(self.settings, session)
        transactions = session.delivered_transactions
        has_read = False
        taken = 0
        while not self.ended:
            try:
                failure, self._failure = self._failure, None
                if failure is not None:
                    raise failure
                stream, handoff = self.link.stream, self.link.handoff
                if handoff is not None and (stream is None or session.is_snapshot_acknowledged):
                    is_begun = ending.begun or self._puts_off_the_end
                    if stream is None and is_begun and self._has_changes:
                        return self._give()
                    if not await self._hand_off(session, handoff, ending, deadline):
                        return None
                elif stream is None:
                    if not await self._reconnect(session, deadline):
                        return None
                    ending.reconnected()
                elif not ending.begun and not self._puts_off_the_end:
                    await ending.begin(self.link.beside)
                elif self._has_changes:
                    return self._give()
                elif session.undescribed is not None:
                    await self._describe(session)
                elif session.watermark is not None:
                    await self._take_chunk(session)
                elif session.ended:
                    self.ended = True
                elif at_commit and session.delivered_transactions != transactions:
                    return None
                elif self._incremental is not None and self._incremental.is_due(session):
                    await self._read_chunk(session, stream, self._incremental)
                elif stream.messages:
                    if self.settings.reselect:
                        await self._add(session.take(stream.messages.popleft()))
                    else:
                        self._read(session, stream.messages)
                    taken += 1
                    if taken % _TURN_CHANGES == 0:
                        self._interrupted = False
                        await self._give_way()
                        self._interrupted = True
                elif has_read and deadline is not None and time.monotonic() >= deadline:
                    return None  # much may come without a change in it
                elif await self._receive(session, stream, ending, deadline):
                    has_read = True
                else:
                    return None
            except CdcError as error:
                self.link.plan(error)
        return None

    async def _reconnect(self, session: Session, deadline: float | None) -> bool:
        """Wait for the time of the next attempt, and make it; False when the deadline has passed.

        Raises:
            CdcError: the attempt failed.
            Stopped: the flavour was stopped.
        """
        if not await self._rest(deadline):
            return False
        self._withdraw(session)
        progress = session.progress
        await self.link.connect()
        if self._incremental is not None and session.progress is not progress:
            self._incremental.withdraw(anew=True)
        return True

    async def _rest(self, deadline: float | None) -> bool:
        """Wait for the time of the next attempt; False if the deadline or `stop` comes first."""
        while (rest := self.link.retry_at - time.monotonic()) > 0:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                rest = min(rest, left)
            self._interrupted = False
            await self._flavour.rest(rest)
            self._interrupted = True
            if self.ended:
                return False
        return True

    def _withdraw(self, session: Session) -> None:
        """Forget what was read and is not in hand: it comes again over the next connection."""
        self.hand.withdraw()
        session.deliver_again(self.hand.first(len(self.hand)))
        self._changes.clear()
        if self._incremental is not None:
            self._incremental.withdraw()

    async def _hand_off(
        self, session: Session, handoff: Handoff, ending: Ending, deadline: float | None
    ) -> bool:
        """Go on from the snapshot to the stream; False when the deadline has passed, or at the end.

        Raises:
            CdcError: the snapshot cannot be read, or the stream not be started.
            Stopped: the flavour was stopped.
        """
        if not ending.begun and not self._puts_off_the_end:
            await ending.begin(self.link.beside)
        elif not handoff.is_read:
            # As in `_receive`; what it may lose, it says itself.
            self._interrupted = False
            rows = await handoff.read(deadline)
            self._interrupted = True
            if rows is None:
                return False
            if rows:
                self.hand.offer(rows)
        elif self.settings.snapshot == "initial_only":
            self.ended = True
        elif not session.is_snapshot_acknowledged and _has_passed(deadline):
            return False  # it may be acknowledged now
        elif not await self._rest(deadline):
            return False
        else:
            self._withdraw(session)
            await self.link.end_snapshot()
            ending.reconnected()
        return True

    @property
    def _puts_off_the_end(self) -> bool:
        """Whether the moment that ``until="now"`` means is still to come."""
        incremental = self._incremental
        return self.settings.until == "now" and incremental is not None and incremental.is_busy

    async def _read_chunk(self, session: Session, stream: Stream, incremental: Incremental) -> None:
        if not stream.has_messages:
            self.link.ask_for_messages()
            return
        # What may be lost of it is read again.
        self._interrupted = False
        await incremental.read(session, self.link.server, self.link.beside)
        self._interrupted = True

    async def _take_chunk(self, session: Session) -> None:
        rows = None if self._incremental is None else await self._incremental.rows(session)
        if rows:
            self.hand.offer(rows)
        else:
            session.watermark = None

    async def _describe(self, session: Session) -> None:
        assert session.undescribed is not None
        oid = session.undescribed.relation_id
        catalog = await self.link.beside.describe(oid, session.commit_lsn)
        await self._add(session.describe(catalog))
        self.link.forget_evicted(session)

    async def _add(self, changes: Sequence[Change]) -> None:
        if self._incremental is not None:
            self._incremental.see(changes)
        if self.settings.reselect:
            changes = [await self._reselected(change) for change in changes]
        self._changes.extend(changes)

    async def _reselected(self, change: Change) -> Change:
        unsent = unsent_values(change)
        if unsent is None:
            return change
        encoding = self.link.server.client_encoding
        return await self.link.beside.ask(lambda: reselected(unsent, encoding))

    async def _receive(
        self, session: Session, stream: Stream, ending: Ending, deadline: float | None
    ) -> bool:
        """Read what is here, or wait for it; False when the deadline has passed."""
        feedback = stream.feedback
        await self.link.look_for_promotion(session)
        try:
            if self._take_in(stream):
                if session.stored is not None and feedback.has_news and feedback.is_due:
                    await self.link.store()
                return True
            now = time.monotonic()
            if self._heard:
                self._heard = False
                ending.quiet(now)
                self.link.heard(session)
            if session.reply_requested or (
                feedback.has_news and now - self._reported_at >= _NEWS_INTERVAL
            ):
                self._reported_at = now
                await self.link.store()
                session.reply_requested = False
                feedback.send()
            if deadline is not None and now >= deadline:
                return False
            seconds = await ending.seconds(now, self.link.beside, feedback)
            if ending.has_come:
                self.ended = True
            if self.ended:
                return True
            seconds = min(seconds, self.link.watch(stream, now))
            if self._incremental is not None:
                seconds = min(seconds, self._incremental.seconds())
                if self._incremental.is_busy:
                    ending.busy(now)
        except psycopg.Error as error:
            raise stream.broken(error) from None
        if feedback.has_news:
            seconds = min(seconds, _NEWS_INTERVAL)
        if deadline is not None:
            seconds = min(seconds, deadline - now)
        # Between two messages nothing is half done: a signal may come here without harm.
        self._interrupted = False
        await stream.wait(seconds)
        self._interrupted = True
        self._turn_ends = time.monotonic() + _TURN
        # A change may be waited for: whatever else there is to do comes after it.
        self._take_in(stream)
        return True

    def _take_in(self, stream: Stream) -> bool:
        if not stream.receive():
            return False
        self._received_at = time.time_ns() // 1000
        self._heard = True
        return True

    # -- acknowledging

    def acknowledge(self, change: Change) -> None:
        """Note that a change, and everything before it, is dealt with."""
        assert self.session is not None
        self.session.acknowledge(change)


def _has_passed(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
