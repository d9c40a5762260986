"""Iterators: what a reader's ``for`` loops run over, and when they acknowledge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change, Position, Transaction
from pglogical_cdc.replication.hand import Hand

__all__ = ("Batches", "Changes", "Take", "TransactionChanges", "Transactions")


class Take(Protocol):
    """Gives the next change of the stream; None at its end, at the timeout, or at a commit.

    The change goes to `give` before anything else can happen, so that a signal that raises cannot
    come between the stream and the hand.
    """

    def __call__(
        self,
        timeout: float | None = None,
        *,
        at_commit: bool = False,
        give: Callable[[Change], None] | None = None,
    ) -> Change | None: ...


class Changes(Iterator[Change]):
    """One change after the other; asking for the next acknowledges the one before."""

    def __init__(self, hand: Hand, take: Take) -> None:
        self._hand = hand
        self._take = take
        hand.pass_to(self)

    def __next__(self) -> Change:
        hand = self._hand
        hand.release(self)
        change = hand.waiting
        if change is None:
            change = self._take(give=hand.keep)
            if change is None:
                raise StopIteration
        hand.given = 1
        return change


class Batches(Iterator[list[Change]]):
    """Lists of changes; asking for the next acknowledges the one before.

    Args:
        hand: what is in hand.
        take: gives the changes.
        max_rows: so many changes at most.
        max_seconds: so long after the first change of a batch at most.
    """

    def __init__(self, hand: Hand, take: Take, max_rows: int, max_seconds: float) -> None:
        if max_rows < 1 or max_seconds < 0:
            raise ConfigurationError("max_rows must be at least 1, max_seconds at least 0")
        self._hand = hand
        self._take = take
        hand.pass_to(self)
        self._max_rows = max_rows
        self._max_seconds = max_seconds

    def __next__(self) -> list[Change]:
        hand = self._hand
        hand.release(self)
        size = 0
        deadline: float | None = None
        while size < self._max_rows:
            if deadline is not None and self._max_seconds and time.monotonic() >= deadline:
                break
            if size == len(hand):
                left = None if deadline is None else max(0, deadline - time.monotonic())
                if self._take(left, give=hand.keep) is None:
                    break
            size += 1
            if deadline is None:
                deadline = time.monotonic() + self._max_seconds
        if not size:
            raise StopIteration
        batch = hand.first(size)
        hand.given = size
        return batch


class TransactionChanges(Iterator[Change]):
    """The changes of one transaction, streamed as they come.

    A non-transactional message makes one of these by itself, with ``transaction`` None.
    """

    def __init__(self, hand: Hand, take: Take, first: Change) -> None:
        self._hand = hand
        self._take = take
        self._last = first
        self.transaction: Transaction | None = first.transaction
        """The transaction; its ``end_lsn`` is known after the last change."""
        self.is_exhausted = False
        """Whether the last change has been taken; False after a ``stop`` in the middle."""

    @property
    def position(self) -> Position:
        """Position of the change taken last; after the end it stands for the whole."""
        return self._last.position

    def __next__(self) -> Change:
        hand = self._hand
        change = hand.waiting
        if change is None and not self.is_exhausted and self.transaction is not None:
            change = self._take(at_commit=True, give=hand.keep)
        if change is None or self.is_exhausted or change.transaction is not self.transaction:
            # Without its end the transaction was cut short by stop().
            self.is_exhausted = self.transaction is None or self.transaction.end_lsn is not None
            raise StopIteration
        hand.supersede()
        self._last = change
        hand.given = 1
        return change


class Transactions(Iterator[TransactionChanges]):
    """One transaction after the other; asking for the next acknowledges the one before."""

    def __init__(self, hand: Hand, take: Take, ended: Callable[[], bool]) -> None:
        self._hand = hand
        self._take = take
        self._ended = ended
        hand.pass_to(self)
        waiting = hand.waiting
        if waiting is not None and (len(hand) > 1 or waiting.ordinal > 1):
            raise ConfigurationError(
                "changes of an earlier loop are still in hand: acknowledge them with ack(), or let "
                "that loop go on"
            )
        self._current: TransactionChanges | None = None

    def __next__(self) -> TransactionChanges:
        current = self._current
        if current is not None and not current.is_exhausted:
            if self._ended():
                raise StopIteration
            raise ConfigurationError(
                f"the transaction at {current.position} was left before its last change: take all "
                "of its changes before asking for the next transaction"
            )
        hand = self._hand
        hand.release(self)
        while (first := hand.waiting) is None:
            if self._take(at_commit=True, give=hand.keep) is None and self._ended():
                raise StopIteration
        self._current = TransactionChanges(hand, self._take, first)
        return self._current
