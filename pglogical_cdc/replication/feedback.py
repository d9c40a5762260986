"""Feedback: the status updates that keep the connection alive and move the slot.

The walsender drops a client from which it has heard nothing for ``wal_sender_timeout``, also one
that is reading but slower than the backlog: its request for a reply then waits behind that
backlog. So updates go out on a timer, from a thread that does not depend on the loop body.
"""

from __future__ import annotations

import logging
import threading
import time

import psycopg

from pglogical_cdc.postgres import CopyBoth
from pglogical_cdc.replication.session import Session

__all__ = ("Feedback",)

_log = logging.getLogger(__name__)


class Feedback:
    """Sends the status of one stream, when asked and on a timer.

    The thread decides nothing: it sends what the session's progress says.

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
        self._sent_flushed = session.progress.flushed
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="pglogical_cdc status updates", daemon=True
        )

    def start(self) -> None:
        """Start the timer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the timer; `send` still works."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def has_news(self) -> bool:
        """Whether the flush position is further than the server has been told."""
        return self._session.progress.flushed > self._sent_flushed

    @property
    def age(self) -> float:
        """Seconds since the last update."""
        return time.monotonic() - self._sent_at

    def send(self, *, reply_requested: bool = False) -> None:
        """Send a status update now.

        Raises:
            psycopg.Error: the connection broke.
        """
        flushed = self._session.progress.flushed
        now = time.time_ns() // 1000
        self._stream.send(self._session.status_update(now, reply_requested=reply_requested))
        self._sent_at = time.monotonic()
        self._sent_flushed = flushed

    def _run(self) -> None:
        delay = self._interval
        while not self._stopping.wait(delay):
            overdue = self.age - self._interval
            if overdue < 0:
                delay = -overdue
                continue
            if overdue > self._interval:
                _log.warning(
                    "no status update could be sent for %.1f s: something keeps the GIL; beyond "
                    "wal_sender_timeout the server drops the connection",
                    overdue + self._interval,
                )
            try:
                self.send()
            except psycopg.Error:
                return  # the reading side meets the same error and reports it
            delay = self._interval
