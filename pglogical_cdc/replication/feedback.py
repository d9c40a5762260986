"""Feedback: the status updates that keep the connection alive and move the slot.

The walsender drops a client from which it has heard nothing for ``wal_sender_timeout``, also one
that is reading but slower than the backlog: its request for a reply then waits behind that
backlog. So updates go out on a timer, which does not depend on the loop body.
"""

from __future__ import annotations

import logging
import time

import psycopg

from pglogical_cdc.postgres import CopyBoth, Flavour, Ticker
from pglogical_cdc.replication.session import Session

__all__ = ("Feedback",)

_log = logging.getLogger(__name__)


class Feedback:
    """Sends the status of one stream, when asked and on a timer.

    The timer decides nothing: it sends what the session says.

    Args:
        stream: where to send.
        session: what to send.
        interval: seconds between updates at most.
    """

    def __init__(self, stream: CopyBoth, session: Session, interval: float) -> None:
        self._stream = stream
        self._session = session
        self._interval = interval
        self._sent_at = time.monotonic()
        self._sent = 0
        self._ticker: Ticker | None = None

    def start(self, flavour: Flavour) -> None:
        """Start the timer."""
        self._ticker = flavour.every(self._tick, self._interval)

    def stop(self) -> None:
        """Stop the timer; `send` still works."""
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None

    @property
    def has_news(self) -> bool:
        """Whether the flush position is further than the server has been told."""
        return self._session.progress.flushed > self._sent

    @property
    def age(self) -> float:
        """Seconds since the last update."""
        return time.monotonic() - self._sent_at

    @property
    def is_due(self) -> bool:
        """Whether the timer is about to send."""
        return self.age >= self._interval / 2

    def send(self, *, reply_requested: bool = False) -> None:
        """Send a status update now.

        Raises:
            psycopg.Error: the connection broke.
        """
        confirmed = self._session.confirmed
        now = time.time_ns() // 1000
        self._stream.send(self._session.status_update(now, reply_requested=reply_requested))
        self._sent_at = time.monotonic()
        self._sent = confirmed

    def _tick(self) -> float | None:
        overdue = self.age - self._interval
        if overdue < 0:
            return -overdue
        if overdue > self._interval:
            _log.warning(
                "no status update could be sent for %.1f s: something keeps the GIL, or the event "
                "loop; beyond wal_sender_timeout the server drops the connection",
                overdue + self._interval,
            )
        try:
            self.send()
        except psycopg.Error:
            return None  # the reading side meets the same error and reports it
        return self._interval
