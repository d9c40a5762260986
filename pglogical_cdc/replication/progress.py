"""Progress: which position may be acknowledged to the server. Pure.

The server never sends again what lies before the flush position, so that position is the end of
the last transaction all of whose changes the application has acknowledged: never inside a
transaction, never past something that is still in hand. While nothing is in hand, the positions of
keepalives move it too, so that a quiet slot holds back no WAL.
"""

from __future__ import annotations

from collections import deque

__all__ = ("Progress",)


class Progress:
    """Follows one stream: what was delivered, what was acknowledged, what may be flushed.

    A position is a pair (commit LSN, ordinal), as in `Position`. Calls come in the order of the
    stream.

    Args:
        flushed: the slot's confirmed flush position at the start.
    """

    def __init__(self, flushed: int = 0) -> None:
        self.flushed = flushed
        """Flush position to report. Read by other threads; only ever grows."""
        self.received = flushed
        """How far the stream has been read."""
        self._acknowledged = (0, 0)
        self._delivered = (0, 0)
        self._open = False
        self._pending: deque[tuple[tuple[int, int], int]] = deque()
        """Last position and end LSN of each unit that is read to its end, not yet acknowledged."""
        self._keepalive = 0

    @property
    def is_acknowledged(self) -> bool:
        """Whether everything delivered is acknowledged, be its transaction complete or not."""
        return self._acknowledged >= self._delivered

    def begin(self) -> None:
        """A transaction starts."""
        self._open = True

    def deliver(self, commit_lsn: int, ordinal: int) -> None:
        """A change of the open transaction was handed out."""
        self._delivered = (commit_lsn, ordinal)

    def deliver_message(self, lsn: int) -> None:
        """A non-transactional message was handed out: it stands for itself.

        The LSN that the server gives a message is the end of its record, where the next record
        begins; one byte more, and a message right behind this one would be taken for done.
        """
        self._delivered = (lsn, 0)
        self._finish((lsn, 0), lsn)

    def commit(self, commit_lsn: int, ordinal: int, end_lsn: int) -> None:
        """The open transaction ends, with so many changes in it."""
        self._open = False
        self.received = max(self.received, end_lsn)
        if ordinal:
            self._finish((commit_lsn, ordinal), end_lsn)
        elif self._pending:
            # Nothing of it was delivered: it is as good as acknowledged with what is before it.
            last, _ = self._pending[-1]
            self._pending[-1] = (last, end_lsn)
        else:
            self.flushed = max(self.flushed, end_lsn)

    def keepalive(self, lsn: int) -> None:
        """The server says that it has sent everything before `lsn`."""
        self.received = max(self.received, lsn)
        self._keepalive = max(self._keepalive, lsn)
        self._settle()

    def acknowledge(self, commit_lsn: int, ordinal: int) -> None:
        """Everything up to and including this position is dealt with.

        A position beyond what was delivered acknowledges what was delivered.
        """
        position = min((commit_lsn, ordinal), self._delivered)
        if position > self._acknowledged:
            self._acknowledged = position
            self._settle()

    def _finish(self, last: tuple[int, int], end_lsn: int) -> None:
        self._pending.append((last, end_lsn))
        self._settle()

    def _settle(self) -> None:
        pending = self._pending
        while pending and pending[0][0] <= self._acknowledged:
            _, end_lsn = pending.popleft()
            self.flushed = max(self.flushed, end_lsn)
        if not pending and not self._open:
            self.flushed = max(self.flushed, self._keepalive)
