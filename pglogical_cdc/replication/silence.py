"""Silence: the watch for a server that says nothing any more. Pure.

A connection that a firewall has dropped looks like a quiet one. So a server that has been quiet for
a while is asked for a reply, and one that gives none is gone. Only while somebody waits for it:
what a slow loop body does not read is no silence of the server's.
"""

from __future__ import annotations

__all__ = ("Silence",)


class Silence:
    """Watches one stream; times are seconds of a monotonic clock.

    Args:
        patience: seconds without a byte, half of them since the question, after which the
            connection counts as lost.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._since: float | None = None
        self._asked = False

    def heard(self) -> None:
        """Something came."""
        self._since = None

    def seconds(self, now: float) -> float:
        """Somebody is about to wait: return how long it may be until the next look.

        0 means that the server has to be asked now, see `ask`; less than 0 that it is gone.
        """
        if self._since is None:
            self._since, self._asked = now, False
        silent = now - self._since
        if not self._asked:
            return max(0.0, self.patience / 2 - silent)
        rest = self.patience - silent
        return rest if rest > 0 else -1.0

    def ask(self, now: float) -> None:
        """The server has been asked for a reply; it has the second half of the patience for it."""
        self._asked = True
        self._since = now - self.patience / 2
