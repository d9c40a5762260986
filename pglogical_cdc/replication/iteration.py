"""Iterators: what the loops over a reader run over, and when they acknowledge.

Each is written once; the blocking and the asynchronous form differ in the last method only. It sets
`Hand.given` as its very last step, see there.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from threading import get_ident

from typing_extensions import Self

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change, Position, Transaction
from pglogical_cdc.postgres import run
from pglogical_cdc.replication.source import Source

__all__ = (
    "AsyncBatches",
    "AsyncChanges",
    "AsyncTransactionChanges",
    "AsyncTransactions",
    "Batches",
    "Changes",
    "TransactionChanges",
    "Transactions",
)


class Changes(Iterator[Change]):
    """One change after the other; asking for the next acknowledges the one before."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hand = source.hand
        self._owner = source.hand.owner
        self._hand.pass_to(self, singly=True)

    def __next__(self) -> Change:
        hand = self._hand
        step = hand.step
        if (
            step < hand.limit
            and hand.given
            and hand.holder is self
            and get_ident() == self._owner.thread
        ):
            hand.step = step + 1
            return hand.run[step]
        hand.release(self)
        change = hand.waiting
        if change is None:
            change = self._source.buffered()
            if change is None:
                change = run(self._source.next_change())
                if change is None:
                    raise StopIteration
        hand.given = 1
        return change


class AsyncChanges(AsyncIterator[Change]):
    """`Changes` for ``async for``."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hand = source.hand
        self._owner = source.hand.owner
        self._hand.pass_to(self, singly=True)

    async def __anext__(self) -> Change:
        hand = self._hand
        step = hand.step
        if (
            step < hand.limit
            and hand.given
            and hand.holder is self
            and get_ident() == self._owner.thread
        ):
            hand.step = step + 1
            return hand.run[step]
        hand.release(self)
        change = hand.waiting
        if change is None:
            change = self._source.buffered()
            if change is None:
                change = await self._source.next_change()
                if change is None:
                    raise StopAsyncIteration
        hand.given = 1
        return change


class _Batches:
    def __init__(self, source: Source, max_rows: int, max_seconds: float) -> None:
        if max_rows < 1 or max_seconds < 0:
            raise ConfigurationError("max_rows must be at least 1, max_seconds at least 0")
        self._source = source
        self._hand = source.hand
        self._hand.pass_to(self)
        self._max_rows = max_rows
        self._max_seconds = max_seconds

    async def _next(self) -> list[Change]:
        """Return the next batch, empty at the end; it is not given yet."""
        hand = self._hand
        hand.release(self)
        size = 0
        deadline: float | None = None
        while size < self._max_rows:
            if deadline is not None and self._max_seconds and time.monotonic() >= deadline:
                break
            if size == len(hand):
                left = None if deadline is None else max(0, deadline - time.monotonic())
                taken = self._source.take_run(self._max_rows - size)
                if not taken and await self._source.take(left) is None:
                    break
            size = min(len(hand), self._max_rows)
            if deadline is None:
                deadline = time.monotonic() + self._max_seconds
        return hand.first(size)


class Batches(_Batches, Iterator[list[Change]]):
    """Lists of changes; asking for the next acknowledges the one before.

    Args:
        source: gives the changes.
        max_rows: so many changes at most.
        max_seconds: so long after the first change of a batch at most.
    """

    def __next__(self) -> list[Change]:
        batch = run(self._next())
        if not batch:
            raise StopIteration
        self._hand.given = len(batch)
        return batch


class AsyncBatches(_Batches, AsyncIterator[list[Change]]):
    """`Batches` for ``async for``."""

    async def __anext__(self) -> list[Change]:
        batch = await self._next()
        if not batch:
            raise StopAsyncIteration
        self._hand.given = len(batch)
        return batch


class _TransactionChanges:
    def __init__(self, source: Source, first: Change, holder: object) -> None:
        self._source = source
        self._hand = source.hand
        self._owner = source.hand.owner
        self._holder = holder
        self._last = first
        self.transaction: Transaction | None = first.transaction
        """The transaction; its ``end_lsn`` is known after the last change."""
        self.is_exhausted = False
        """Whether the last change has been taken; False after a ``stop`` in the middle."""

    @property
    def position(self) -> Position:
        """Position of the change taken last; after the end it stands for the whole."""
        return self._last.position

    async def _next(self) -> Change | None:
        """Return the next change, None at the end; it is not given yet."""
        hand = self._hand
        hand.owner.check()
        hand.settle()
        change = hand.waiting
        if change is None and not self.is_exhausted and self.transaction is not None:
            change = await self._source.take(at_commit=True)
        if change is None or self.is_exhausted or change.transaction is not self.transaction:
            # Without its end the transaction was cut short by stop().
            self.is_exhausted = self.transaction is None or self.transaction.end_lsn is not None
            if self.is_exhausted:
                self._holder = self  # which holds nothing: no run is its own any more
            return None
        hand.supersede()
        self._source.open_run()
        self._last = change
        return change


class TransactionChanges(_TransactionChanges, Iterator[Change]):
    """The changes of one transaction, streamed as they come.

    A non-transactional message makes one of these by itself, with ``transaction`` None.
    """

    def __next__(self) -> Change:
        hand = self._hand
        step = hand.step
        if (
            step < hand.limit
            and hand.given
            and hand.holder is self._holder
            and get_ident() == self._owner.thread
        ):
            self._last = hand.run[step]
            hand.step = step + 1
            return self._last
        change = run(self._next())
        if change is None:
            raise StopIteration
        hand.given = 1
        return change


class AsyncTransactionChanges(_TransactionChanges, AsyncIterator[Change]):
    """`TransactionChanges` for ``async for``."""

    async def __anext__(self) -> Change:
        hand = self._hand
        step = hand.step
        if (
            step < hand.limit
            and hand.given
            and hand.holder is self._holder
            and get_ident() == self._owner.thread
        ):
            self._last = hand.run[step]
            hand.step = step + 1
            return self._last
        change = await self._next()
        if change is None:
            raise StopAsyncIteration
        hand.given = 1
        return change


class _Transactions:
    def __init__(self, source: Source) -> None:
        self._source = source
        hand = source.hand
        hand.pass_to(self)
        waiting = hand.waiting
        if waiting is not None and (
            len(hand) > 1 or (waiting.transaction is not None and waiting.ordinal > 1)
        ):
            raise ConfigurationError(
                "changes of an earlier loop are still in hand: acknowledge them with ack(), or let "
                "that loop go on"
            )
        self._current: _TransactionChanges | None = None

    async def _first(self) -> Change | None:
        """Return the first change of the next transaction; None at the end."""
        current, source = self._current, self._source
        if current is not None and not current.is_exhausted:
            if source.ended:
                return None
            raise ConfigurationError(
                f"the transaction at {current.position} was left before its last change: take all "
                "of its changes before asking for the next transaction"
            )
        hand = source.hand
        hand.release(self)
        while (first := hand.waiting) is None:
            if await source.take(at_commit=True) is None and source.ended:
                return None
        return first


class Transactions(_Transactions, Iterator[TransactionChanges]):
    """One transaction after the other; asking for the next acknowledges the one before."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> TransactionChanges:
        first = run(self._first())
        if first is None:
            raise StopIteration
        self._current = current = TransactionChanges(self._source, first, self)
        return current


class AsyncTransactions(_Transactions, AsyncIterator[AsyncTransactionChanges]):
    """`Transactions` for ``async for``."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AsyncTransactionChanges:
        first = await self._first()
        if first is None:
            raise StopAsyncIteration
        self._current = current = AsyncTransactionChanges(self._source, first, self)
        return current
