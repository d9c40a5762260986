"""Ending: whether the end that was asked for has come, and what has to be asked to know it."""

from __future__ import annotations

import time
from typing import Final

from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import flush_wal
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.feedback import Feedback
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings

__all__ = ("Ending",)

_LONGEST_WAIT: Final = 1.0
"""Seconds between two looks at most."""

_FIRST_QUESTION: Final = 0.02
"""Seconds of quiet after which the server is asked where it stands, if somebody wants to know."""

_FLUSH_AFTER: Final = 1.0
"""Seconds of quiet after which somebody who waits for a position has the server flush its WAL."""


class Ending:
    """Looks for the end of a stream: `until` and `idle_timeout`, kept over reconnects.

    Args:
        settings: the reader's arguments.
        session: the stream.
    """

    def __init__(self, settings: Settings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self.begun = False
        """Whether the end is fixed."""
        self.has_come = False
        """Whether it has come."""
        self._delivered = session.progress.delivered
        self._idle_target: LSN | None = None
        self.reconnected()

    async def begin(self, beside: Beside) -> None:
        """Fix the end, at the first change asked for, so that ``now`` is that moment."""
        until = self._settings.until
        if until == "now":
            until = await beside.current_lsn()
        if until is not None:
            self._session.until = until
            self._session.ended = self._session.progress.flushed >= until
        self.begun = True
        self._last_change = time.monotonic()

    def reconnected(self) -> None:
        """An outage is no idleness, and what was asked before it is not answered any more."""
        now = time.monotonic()
        self._last_change = self._quiet_since = now
        self._idle_target = None
        self._asked_at = self._flushed_at = 0.0
        self._stalled_lsn: LSN | None = None
        self._stalled_since = now

    def busy(self, now: float) -> None:
        """Something is still to come, though the server may have nothing to say."""
        self._last_change, self._idle_target = now, None

    def quiet(self, now: float) -> None:
        """All that came has been read."""
        self._quiet_since = now

    async def seconds(self, now: float, beside: Beside, feedback: Feedback) -> float:
        """Look whether the end is near; return how long the socket may be left alone.

        Raises:
            CdcError: the server cannot be asked.
            psycopg.Error: the stream broke.
        """
        session = self._session
        if session.progress.delivered != self._delivered:
            self._delivered = session.progress.delivered
            self._last_change, self._idle_target = now, None
        seconds = _LONGEST_WAIT
        wanted = session.until
        idle = self._settings.idle_timeout
        if idle is not None:
            rest = self._last_change + idle - now
            if rest > 0:
                seconds = min(seconds, rest)
            elif self._idle_target is None:
                # Quiet is not idle: the server may be reading through much that is not for us.
                # It is idle when it has got to where its WAL ends now.
                wanted = self._idle_target = await beside.current_lsn()
            elif session.keepalive_lsn >= self._idle_target:
                self.has_come = session.commit_lsn is None
            else:
                wanted = self._idle_target
        if wanted is None or self.has_come:
            return seconds
        # Ask sooner at first, then less and less often.
        if session.keepalive_lsn != self._stalled_lsn:
            self._stalled_lsn, self._stalled_since = session.keepalive_lsn, now
        stalled = now - self._stalled_since
        patience = max(_FIRST_QUESTION, min(stalled / 2, _LONGEST_WAIT))
        since = now - max(self._asked_at, self._quiet_since)
        if since >= patience:
            if stalled >= _FLUSH_AFTER:
                await self._flush_wal(now, beside)
            feedback.send(reply_requested=True)
            self._asked_at = now
            return min(seconds, patience)
        return min(seconds, patience - since)

    async def _flush_wal(self, now: float, beside: Beside) -> None:
        """Have the record finished in which the position that is waited for may lie.

        A flush position can be inside a record, when an open transaction has filled a page, and
        the walsender does not get past it before something else is flushed: on a quiet server the
        background writer's next record, 15 seconds later.
        """
        if now - self._flushed_at >= _FLUSH_AFTER:
            self._flushed_at = now
            await beside.ask(flush_wal)
