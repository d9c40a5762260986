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
    """Follows a slot: what was delivered, what was acknowledged, what may be flushed.

    A position is a pair (commit LSN, ordinal), as in `Position`. Calls come in the order of the
    stream; it goes on over reconnects, after `resume`.

    Args:
        flushed: the slot's confirmed flush position at the start.
    """

    def __init__(self, flushed: int = 0) -> None:
        self.flushed = flushed
        """Flush position to report. Read by other threads; only ever grows."""
        self.received = flushed
        """How far the stream has been read."""
        self.delivered = (0, 0)
        """Position of the last change that was handed out."""
        self.delivered_end = 0
        """End of the last transaction that was handed out to its last change."""
        self.acknowledged_end = 0
        """The same of the last one that was acknowledged."""
        self._acknowledged = (0, 0)
        self._open = False
        self._pending: deque[tuple[tuple[int, int], int, int, int | None]] = deque()
        """Of each unit that is read to its end and not yet acknowledged: last position, its end,
        the end of what came after it without a change in it, and the time of its commit."""
        self._keepalive = 0

    def resume(self) -> None:
        """The stream begins anew, after `delivered_end`."""
        self._open = False
        self._keepalive = 0

    def begin_after(self, transaction_end: int) -> None:
        """Another process has dealt with all transactions up to here."""
        self.delivered_end = self.acknowledged_end = transaction_end

    def take_back(self, position: int) -> None:
        """Positions of keepalives count up to here only: there is another history beyond it."""
        self.flushed = max(min(self.flushed, position), self.acknowledged_end)
        self.received = max(min(self.received, position), self.delivered_end)

    @property
    def is_acknowledged(self) -> bool:
        """Whether everything delivered is acknowledged, be its transaction complete or not."""
        return self._acknowledged >= self.delivered

    def begin(self) -> None:
        """A transaction starts."""
        self._open = True

    def deliver(self, commit_lsn: int, ordinal: int) -> None:
        """A change of the open transaction was handed out."""
        self.delivered = (commit_lsn, ordinal)

    def deliver_message(self, lsn: int) -> None:
        """A non-transactional message was handed out: it stands for itself.

        The LSN that the server gives a message is the end of its record, where the next record
        begins; one byte more, and a message right behind this one would be taken for done.
        """
        self.delivered = (lsn, 0)
        self.delivered_end = max(self.delivered_end, lsn)
        self._finish((lsn, 0), lsn)

    @property
    def oldest_commit(self) -> int | None:
        """Time of the first commit that is read to its end and not acknowledged, if it has one."""
        return self._pending[0][3] if self._pending else None

    def commit(self, commit_lsn: int, ordinal: int, end_lsn: int, time: int | None = None) -> None:
        """The open transaction ends, with so many changes in it."""
        self._open = False
        self.received = max(self.received, end_lsn)
        if ordinal:
            self.delivered_end = max(self.delivered_end, end_lsn)
            self._finish((commit_lsn, ordinal), end_lsn, time)
        elif self._pending:
            # Nothing of it was delivered: it is as good as acknowledged with what is before it.
            last, end, _, since = self._pending[-1]
            self._pending[-1] = (last, end, end_lsn, since)
        else:
            self.flushed = max(self.flushed, end_lsn)

    def keepalive(self, lsn: int) -> None:
        """The server says that it has sent everything before `lsn`."""
        if lsn > self.received:
            self.received = lsn
        if lsn > self._keepalive:
            self._keepalive = lsn
        self._settle()

    def acknowledge(self, commit_lsn: int, ordinal: int) -> None:
        """Everything up to and including this position is dealt with.

        A position beyond what was delivered acknowledges what was delivered.
        """
        position = min((commit_lsn, ordinal), self.delivered)
        if position > self._acknowledged:
            self._acknowledged = position
            self._settle()

    def _finish(self, last: tuple[int, int], end_lsn: int, time: int | None = None) -> None:
        self._pending.append((last, end_lsn, end_lsn, time))
        self._settle()

    def _settle(self) -> None:
        pending = self._pending
        while pending and pending[0][0] <= self._acknowledged:
            _, end, further, _ = pending.popleft()
            self.acknowledged_end = max(self.acknowledged_end, end)
            self.flushed = max(self.flushed, further)
        if not pending and not self._open:
            self.flushed = max(self.flushed, self._keepalive)
