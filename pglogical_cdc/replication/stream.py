"""Stream: the blocking I/O of a reader, from connecting to the last status update.

All waiting of the synchronous reader is in this file. What the bytes mean is the session's
business, what is acknowledged is the progress's.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import psycopg

from pglogical_cdc.errors import CdcError, ConnectionLostError, PublicationNotFoundError
from pglogical_cdc.events import Change
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    CopyBoth,
    CopyBothEnded,
    PsycopgLoaders,
    Server,
    connect,
    converse,
    diagnose,
    flush_wal,
    identify,
    parameters,
    publication_warning,
    reselected,
    set_client_encoding,
    start_replication,
    unsent_values,
    usable_publications,
    usable_slot,
)
from pglogical_cdc.protocol import PrimaryKeepalive, parse_walsender_message
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.feedback import Feedback
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings
from pglogical_cdc.replication.wakeup import Wakeup

__all__ = ("Stream",)

_log = logging.getLogger(__name__)

_LONGEST_WAIT: Final = 1.0
"""Seconds; how late a wake-up that was lost would be noticed."""

_FIRST_QUESTION: Final = 0.02
"""Seconds of quiet after which the server is asked where it stands, if somebody wants to know."""

_FLUSH_AFTER: Final = 1.0
"""Seconds of quiet after which somebody who waits for a position has the server flush its WAL."""

_NEWS_INTERVAL: Final = 0.1
"""Seconds; while it is quiet here and others write, every keepalive brings a new position."""

_LAST_WORDS: Final = 0.25
"""Seconds that the goodbye may take in each of its two steps."""


class Stream:
    """One run of one slot, read by one thread.

    Args:
        conninfo: where to connect.
        settings: the reader's arguments.

    Raises:
        CdcError: connecting, a check, or START_REPLICATION failed.
    """

    def __init__(self, conninfo: str, settings: Settings) -> None:
        self._settings = settings
        self._messages: deque[memoryview] = deque()
        self._changes: deque[Change] = deque()
        self._warning: CdcError | None = None
        self._error: CdcError | None = None
        self._interrupted = False
        self._ending = False
        given = parameters(conninfo)
        self._connection = connect(given)
        self._beside = Beside(given, self._connection, settings.slot)
        try:
            self._start()
        except BaseException:
            self._disconnect()
            raise

    # -- starting

    def _start(self) -> None:
        settings = self._settings
        try:
            self.server: Server = converse(self._connection, identify())
            settings.check_server(self.server)
            self._beside.ask(
                lambda: usable_publications(
                    settings.publications,
                    self.server,
                    create=settings.create,
                    tables=settings.tables,
                )
            )
            slot = converse(
                self._connection,
                usable_slot(
                    settings.slot,
                    self.server,
                    create=settings.create,
                    temporary=settings.temporary,
                    failover=settings.failover,
                ),
            )
            self._beside.read_catalog(settings.publications)
            self.session = Session(
                database=self.server.database,
                loaders=PsycopgLoaders(settings.adapters),
                confirmed_flush=slot.confirmed_flush_lsn,
                max_message_bytes=settings.max_message_bytes,
            )
            if self.server.client_encoding != "UTF8":  # which the session has anyway
                converse(self._connection, set_client_encoding(self.server.client_encoding))
            # 0/0: the server goes on from the slot's confirmed_flush_lsn.
            self._copy = CopyBoth(
                self._connection,
                start_replication(
                    settings.slot,
                    settings.publications,
                    start=LSN(0),
                    binary=settings.binary,
                    messages=settings.messages,
                    origin=settings.origin,
                ),
                self._notice,
            )
        except psycopg.Error as error:
            raise diagnose(error, slot=settings.slot) from error
        self._wakeup = Wakeup(self._copy.socket)
        self._feedback = Feedback(self._copy, self.session, settings.status_seconds(self.server))
        self._feedback.start()
        self._begun = False
        self._quiet_since = time.monotonic()
        self._last_change = time.monotonic()
        self._asked_at = 0.0
        self._flushed_at = 0.0
        self._stalled_lsn: LSN | None = None
        self._stalled_since = 0.0
        self._idle_target: LSN | None = None

    def _begin(self) -> None:
        """Fix the end, at the first change asked for, so that ``now`` is that moment."""
        self._begun = True
        until = self._settings.until
        if until == "now":
            until = self._beside.current_lsn()
        if until is not None:
            self.session.until = until
            self.session.ended = self.session.progress.flushed >= until
        self._last_change = time.monotonic()

    def _notice(self, diag: psycopg.errors.Diagnostic) -> None:
        if publication_warning(diag):
            self._warning = PublicationNotFoundError(
                f"{diag.message_primary}: the publication was dropped, or did not exist yet where "
                f"slot {self._settings.slot!r} reads; what it published is missing from the stream "
                "since then. Nothing further was acknowledged",
                sqlstate=diag.sqlstate,
                slot=self._settings.slot,
            )
        else:
            _log.info("notice of the server: %s", diag.message_primary)

    # -- reading

    @property
    def error(self) -> CdcError | None:
        """What broke the stream, if anything did."""
        return self._error

    @property
    def ended(self) -> bool:
        """Whether the stream has come to the end that was asked for."""
        return self._ending

    def stop(self) -> None:
        """End the stream before the next change. Safe in a signal handler or another thread."""
        self._ending = True
        self._wakeup.wake()

    def next_change(
        self,
        timeout: float | None = None,
        *,
        at_commit: bool = False,
        give: Callable[[Change], None] | None = None,
    ) -> Change | None:
        """Return the next change; None at the end, see `ended`.

        Args:
            timeout: seconds to wait; None returned then too. 0 takes only what is here already.
            at_commit: return None also when a transaction that had changes has ended.
            give: called with the change while a signal that raises still breaks the stream.

        Raises:
            CdcError: the stream broke. It stays broken: every further call raises the same.
        """
        if self._error is not None:
            raise self._error
        if self._interrupted:
            # A signal came while a message was being taken: some of it may be lost.
            self._error = ConnectionLostError(
                "reading was interrupted in the middle of a message; open a new reader, which "
                "goes on after the last acknowledged transaction",
                slot=self._settings.slot,
            )
            raise self._error
        self._interrupted = True
        try:
            change = self._next_change(timeout, at_commit)
        except CdcError as error:
            self._error = error
            raise
        if change is not None and give is not None:
            give(change)
        self._interrupted = False
        return change

    def _next_change(self, timeout: float | None, at_commit: bool) -> Change | None:
        if not self._begun:
            self._begin()
        session, changes, messages = self.session, self._changes, self._messages
        has_read = False
        deadline = None if timeout is None else time.monotonic() + timeout
        delivered = session.delivered_transactions
        while not self._ending:
            if changes:
                change = changes.popleft()
                session.deliver(change)
                return change
            if session.ended:
                self._ending = True
            elif at_commit and session.delivered_transactions != delivered:
                return None
            elif messages:
                changes.extend(self._take(messages.popleft()))
            elif has_read and deadline is not None and time.monotonic() >= deadline:
                return None  # much may come without a change in it
            elif self._receive(deadline):
                has_read = True
            else:
                return None
        return None

    def _take(self, data: memoryview) -> Sequence[Change]:
        session = self.session
        taken = session.take(data)
        if session.undescribed is not None:
            taken = session.describe(
                self._beside.describe(session.undescribed.relation_id, session.commit_lsn)
            )
        if taken:
            if self._settings.reselect:
                taken = [self._reselected(change) for change in taken]
            self._last_change = time.monotonic()
            self._idle_target = None
        return taken

    def _reselected(self, change: Change) -> Change:
        unsent = unsent_values(change)
        if unsent is None:
            return change
        return self._beside.ask(lambda: reselected(unsent, self.server.client_encoding))

    def _receive(self, deadline: float | None) -> bool:
        """Read what is here, or wait for it; False when the deadline has passed."""
        try:
            messages = self._copy.read()
            if self._warning is not None:
                raise self._warning
            if messages:
                self._messages.extend(messages)
                self._quiet_since = time.monotonic()
                return True
            self._report()
        except CopyBothEnded:
            raise ConnectionLostError(
                "the server ended the stream, as it does when it shuts down",
                slot=self._settings.slot,
            ) from None
        except psycopg.Error as error:
            raise self._broken(error) from None
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            return False
        seconds = self._seconds_to_wait(now)
        if self._ending:
            return True
        if deadline is not None:
            seconds = min(seconds, deadline - now)
        # Between two messages nothing is half done: a signal may come here without harm.
        self._interrupted = False
        self._wakeup.wait(seconds)
        self._interrupted = True
        return True

    def _report(self) -> None:
        """Before waiting, tell the server what it wants to know, and now and then what is new."""
        session, feedback = self.session, self._feedback
        if session.reply_requested or (feedback.has_news and feedback.age >= _NEWS_INTERVAL):
            session.reply_requested = False
            feedback.send()

    def _seconds_to_wait(self, now: float) -> float:
        """Look whether the end is near; return how long the socket may be left alone."""
        seconds = _NEWS_INTERVAL if self._feedback.has_news else _LONGEST_WAIT
        wanted = self.session.until
        idle = self._settings.idle_timeout
        if idle is not None and not self._changes:
            rest = self._last_change + idle - now
            if rest > 0:
                seconds = min(seconds, rest)
            elif self._idle_target is None:
                # Quiet is not idle: the server may be reading through much that is not for us.
                # It is idle when it has got to where its WAL ends now.
                wanted = self._idle_target = self._beside.current_lsn()
            elif self.session.keepalive_lsn >= self._idle_target:
                self._ending = self.session.commit_lsn is None
            else:
                wanted = self._idle_target
        if wanted is None or self._ending:
            return seconds
        # Ask sooner at first, then less and less often.
        if self.session.keepalive_lsn != self._stalled_lsn:
            self._stalled_lsn, self._stalled_since = self.session.keepalive_lsn, now
        stalled = now - self._stalled_since
        patience = max(_FIRST_QUESTION, min(stalled / 2, _LONGEST_WAIT))
        since = now - max(self._asked_at, self._quiet_since)
        if since >= patience:
            if stalled >= _FLUSH_AFTER:
                self._flush_wal(now)
            self._feedback_question()
            self._asked_at = now
            return min(seconds, patience)
        return min(seconds, patience - since)

    def _flush_wal(self, now: float) -> None:
        """Have the record finished in which the position that is waited for may lie.

        A flush position can be inside a record, when an open transaction has filled a page, and
        the walsender does not get past it before something else is flushed: on a quiet server the
        background writer's next record, 15 seconds later.
        """
        if now - self._flushed_at >= _FLUSH_AFTER:
            self._flushed_at = now
            self._beside.ask(flush_wal)

    def _feedback_question(self) -> None:
        try:
            self._feedback.send(reply_requested=True)
        except psycopg.Error as error:
            raise self._broken(error) from None

    def _broken(self, error: psycopg.Error) -> CdcError:
        # Without the server's own error behind it: its DETAIL may quote a row.
        return diagnose(error, slot=self._settings.slot, streaming=True)

    # -- ending

    def close(self) -> None:
        """Send the last acknowledged position, end the stream, free the slot, disconnect.

        The position arrives when the stream is idle or caught up; behind a backlog it may not, at
        the cost of repeats only.
        """
        self._feedback.stop()
        try:
            with contextlib.suppress(psycopg.Error, CopyBothEnded, CdcError):
                self._take_commit()
                self._feedback.send(reply_requested=True)
                self._drain(until_keepalive=True)
                self._copy.finish_sending()
                self._drain(until_keepalive=False)
        finally:
            self._disconnect()
            self._wakeup.close()

    def _disconnect(self) -> None:
        self._connection.close()
        self._beside.close()

    def _take_commit(self) -> None:
        """Read the Commit message behind the last change, if that change is acknowledged.

        Without it the whole transaction would come again. Nothing is taken beyond that: what is
        not delivered must not be passed.
        """
        session = self.session
        if self._error is not None or self._interrupted or self._changes:
            return
        deadline = time.monotonic() + _LAST_WORDS
        while session.commit_lsn is not None and session.progress.is_acknowledged:
            while not self._messages:
                self._messages.extend(self._copy.read())
                if self._warning is not None or time.monotonic() > deadline:
                    return
                if not self._messages:
                    self._wakeup.wait(deadline - time.monotonic())
            if not session.is_commit_or_keepalive(self._messages[0]):
                return
            session.take(self._messages.popleft())

    def _drain(self, *, until_keepalive: bool) -> None:
        """Read and drop, for a moment, until the server has answered."""
        deadline = time.monotonic() + _LAST_WORDS
        while (left := deadline - time.monotonic()) > 0:
            for data in self._copy.read():
                if until_keepalive and isinstance(parse_walsender_message(data), PrimaryKeepalive):
                    return
            self._wakeup.wait(left)
