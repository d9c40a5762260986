"""Source: a slot as one source of changes, over any number of connections.

The core of both readers. It is written as coroutines over a `Flavour`: the blocking reader runs
them, the asynchronous one awaits them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import psycopg

from pglogical_cdc.errors import CdcError, ConfigurationError
from pglogical_cdc.events import Change
from pglogical_cdc.postgres import Flavour, Stopped
from pglogical_cdc.replication.delivered import Delivered
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

__all__ = ("Source",)

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
        self.link = Link(conninfo, settings, flavour)
        self.snapshots = self.link.snapshots
        self.delivered = Delivered(self.link)
        self.hand = Hand(acknowledge, self.delivered.note, self.owner)
        self.closed = False
        self.ended = False
        """Whether the end that was asked for has come: `until`, `idle_timeout` or `stop`."""
        self._heard = False
        """Whether something was received since the last look at what depends on that."""
        self._flavour = flavour
        self._error: CdcError | None = None
        self._failure: CdcError | None = None
        """What `buffered` met, for `next_change` to deal with."""
        self._changes: deque[Change] = deque()
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
        if self.snapshots.incremental is not None:
            self.snapshots.incremental.cancel()
        try:
            if self.owner.is_inherited:
                self.link.stream = None  # it is the other process that goes on with it
            elif self.session is not None:
                await self.link.close(
                    self._error, is_half_done=self._interrupted, has_changes=self._has_changes
                )
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
        link = self.link
        stream, session = link.stream, link.session
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
        incremental = self.snapshots.incremental
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
                self._read(session, messages, incremental)
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

    def _read(
        self, session: Session, messages: deque[bytes], incremental: Incremental | None
    ) -> None:
        """Make changes of the messages that come next."""
        rows: Sequence[Change] = session.take_rows(messages, _TURN_CHANGES)
        if rows:
            self.hand.offer(rows)
        elif messages:
            rows = session.take(messages.popleft())
            self._changes.extend(rows)
        if incremental is not None:
            incremental.see(rows)

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

    def end_records(self) -> None:
        """Give no `SnapshotRun` any more."""
        handoff = self.snapshots.handoff
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
            if self._interrupted or self.link.is_half_read:
                self.link.interrupted()
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

    async def _give_way(self) -> None:
        now = time.monotonic()
        if now >= self._turn_ends:
            await self._flavour.give_way()
            self._turn_ends = now + _TURN

    async def _next_change(self, timeout: float | None, at_commit: bool) -> Change | None:
        session = self.session
        if session is None:
            return None  # stopped while it was being opened
        snapshots = self.snapshots
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
                stream, handoff = self.link.stream, snapshots.handoff
                incremental = snapshots.incremental
                is_begun = ending.begun or snapshots.puts_off_the_end
                if handoff is not None and (stream is None or session.is_snapshot_acknowledged):
                    if not is_begun:
                        await ending.begin(self.link.beside)
                    elif stream is None and self._has_changes:
                        return self._give()
                    elif not await self._hand_off(session, handoff, ending, deadline):
                        return None
                elif stream is None:
                    if not await self._reconnect(session, deadline):
                        return None
                    ending.reconnected()
                elif not is_begun:
                    await ending.begin(self.link.beside)
                elif self._has_changes:
                    return self._give()
                elif session.undescribed is not None:
                    await self._describe(session)
                elif session.watermark is not None:
                    await self._take_chunk(session, incremental)
                elif session.ended:
                    self.ended = True
                elif at_commit and session.delivered_transactions != transactions:
                    return None
                elif incremental is not None and incremental.is_due(session):
                    await self._read_chunk(session, stream, incremental)
                elif stream.messages:
                    if self.settings.reselect:
                        await self._add(session.take(stream.messages.popleft()))
                    else:
                        self._read(session, stream.messages, incremental)
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
        incremental = self.snapshots.incremental
        if incremental is not None and session.progress is not progress:
            incremental.withdraw(anew=True)
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
        if self.snapshots.incremental is not None:
            self.snapshots.incremental.withdraw()

    async def _hand_off(
        self, session: Session, handoff: Handoff, ending: Ending, deadline: float | None
    ) -> bool:
        """Go on from the snapshot to the stream; False when the deadline has passed, or at the end.

        Raises:
            CdcError: the snapshot cannot be read, or the stream not be started.
            Stopped: the flavour was stopped.
        """
        if not handoff.is_read:
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

    async def _read_chunk(self, session: Session, stream: Stream, incremental: Incremental) -> None:
        if not stream.has_messages:
            self.link.ask_for_messages()
            return
        # What may be lost of it is read again.
        self._interrupted = False
        await incremental.read(session, self.link.server, self.link.beside)
        self._interrupted = True

    async def _take_chunk(self, session: Session, incremental: Incremental | None) -> None:
        rows = None if incremental is None else await incremental.rows(session)
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
        if self.snapshots.incremental is not None:
            self.snapshots.incremental.see(changes)
        if self.settings.reselect:
            encoding = self.link.server.client_encoding
            changes = [await self.link.beside.reselect(change, encoding) for change in changes]
        self._changes.extend(changes)

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
            incremental = self.snapshots.incremental
            if incremental is not None:
                seconds = min(seconds, incremental.seconds())
                if incremental.is_busy:
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
        self.delivered.received_at = time.time_ns() // 1000
        self._heard = True
        return True

    # -- acknowledging

    def acknowledge(self, change: Change) -> None:
        """Note that a change, and everything before it, is dealt with."""
        assert self.session is not None
        self.session.acknowledge(change)


def _has_passed(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
