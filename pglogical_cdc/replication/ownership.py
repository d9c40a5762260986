"""Ownership: a reader belongs to the thread that reads it, and not to a forked process."""

from __future__ import annotations

import os
import threading
import weakref

from pglogical_cdc.errors import ConfigurationError

__all__ = ("Ownership",)


class Ownership:
    """Who may read. What two did at once would be acknowledged by one and lost by the other."""

    def __init__(self) -> None:
        self.is_inherited = False
        """Whether this is a forked process: the connection is its parent's."""
        self.thread: int | None = None
        """The thread that may; None before the first has asked."""
        _all.add(self)

    @property
    def is_mine(self) -> bool:
        """Whether this is the thread that may."""
        return threading.get_ident() == self.thread

    def check(self) -> None:
        """Check that this thread may go on; the first that asks is the one.

        Raises:
            ConfigurationError: it may not.
        """
        thread = threading.get_ident()
        if thread == self.thread:
            return
        if self.is_inherited:
            raise ConfigurationError(
                "the reader was opened in another process, whose connection it uses: make a reader "
                "after the fork"
            )
        if self.thread is not None:
            raise ConfigurationError(
                "the reader is in use by another thread: one thread reads and acknowledges; only "
                "stop() is for others"
            )
        self.thread = thread


_all: weakref.WeakSet[Ownership] = weakref.WeakSet()


def _after_fork() -> None:
    for ownership in _all:
        ownership.is_inherited = True
        ownership.thread = -1  # in the child it would be the same as in the parent


os.register_at_fork(after_in_child=_after_fork)
