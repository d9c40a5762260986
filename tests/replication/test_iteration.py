"""Tests of `pglogical_cdc.replication.iteration`: each for both kinds of iterators."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from types import FrameType
from typing import Any, Generic, TypeVar, cast

import pytest

from pglogical_cdc.errors import ConfigurationError, ConnectionLostError
from pglogical_cdc.events import Change
from pglogical_cdc.replication.iteration import (
    AsyncBatches,
    AsyncChanges,
    AsyncTransactionChanges,
    AsyncTransactions,
    Batches,
    Changes,
    TransactionChanges,
    Transactions,
)
from tests.replication.changes import Feed, insert, message, transaction
from tests.replication.frames import is_ours

T = TypeVar("T")


class Kind:
    """Makes blocking iterators; and the same of asynchronous ones, each step in an event loop."""

    suspends = False

    def changes(self, feed: Feed) -> Iterator[Change]:
        return Changes(feed.source)

    def batches(self, feed: Feed, rows: int, seconds: float) -> Iterator[list[Change]]:
        return Batches(feed.source, rows, seconds)

    def transactions(self, feed: Feed) -> Iterator[Any]:
        return Transactions(feed.source)


class Flat(Iterator[list[Change]]):
    """The changes of transactions, one by one; goes on after an exception."""

    def __init__(self, transactions: Iterator[Iterator[Change]]) -> None:
        self._transactions = transactions
        self._current: Iterator[Change] | None = None

    def __next__(self) -> list[Change]:
        while True:
            if self._current is None:
                self._current = next(self._transactions)
            for change in self._current:
                return [change]
            self._current = None


class Asynchronous(Kind):
    suspends = True

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def changes(self, feed: Feed) -> Iterator[Change]:
        return Driven(self.loop, AsyncChanges(feed.source))

    def batches(self, feed: Feed, rows: int, seconds: float) -> Iterator[list[Change]]:
        return Driven(self.loop, AsyncBatches(feed.source, rows, seconds))

    def transactions(self, feed: Feed) -> Iterator[Any]:
        return Driven(self.loop, AsyncTransactions(feed.source))


class Driven(Iterator[T], Generic[T]):
    """Takes each step of an asynchronous iterator, and has its attributes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, iterator: AsyncIterator[T]) -> None:
        assert iterator.__aiter__() is iterator
        self._loop = loop
        self._iterator = iterator

    def __next__(self) -> T:
        async def step() -> T:
            return await self._iterator.__anext__()

        try:
            given = self._loop.run_until_complete(step())
        except StopAsyncIteration:
            raise StopIteration from None
        if isinstance(given, AsyncTransactionChanges):
            return cast("T", Driven(self._loop, given))
        return given

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)


@pytest.fixture(params=["blocking", "asynchronous"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    if request.param == "blocking":
        yield Kind()
    else:
        made = Asynchronous()
        yield made
        made.loop.close()


def _changes() -> list[Change]:
    """Of three transactions and a message."""
    one, two, three = transaction(0x10), transaction(0x20), transaction(0x40)
    return [
        insert(one, 1),
        insert(two, 1),
        insert(two, 2),
        message(0x30),
        insert(three, 1),
    ]


def _feed(changes: list[Change], **options: bool) -> Feed:
    first, second, third, fourth, fifth = changes
    return Feed([first, None, second, third, None, fourth, fifth, None], **options)


@pytest.mark.parametrize("buffers", [False, True])
def test_changes_acknowledge_one_behind(kind: Kind, buffers: bool) -> None:
    changes = _changes()
    feed = _feed(changes, buffers=buffers, suspends=kind.suspends)
    for count, change in enumerate(kind.changes(feed)):
        assert change is changes[count]
        assert feed.acknowledged == changes[:count]
    assert feed.acknowledged == changes


@pytest.mark.parametrize("buffers", [False, True])
def test_batches_keep_their_size_and_acknowledge_whole(kind: Kind, buffers: bool) -> None:
    changes = _changes()
    feed = _feed(changes, buffers=buffers, suspends=kind.suspends)
    sizes: list[int] = []
    for batch in kind.batches(feed, 2, 10):
        assert [change.position for change in feed.acknowledged] == [
            changes[i].position for i in range(1, 2 * len(sizes), 2)
        ]
        sizes.append(len(batch))
    assert sizes == [2, 2, 1]
    assert feed.acknowledged[-1] is changes[-1]


def test_batch_waits_for_its_first_change_only_without_limit(kind: Kind) -> None:
    feed = _feed(_changes(), buffers=False, suspends=kind.suspends)
    assert len(next(kind.batches(feed, 3, 0))) == 3
    assert feed.timeouts == [None, 0, 0]


def test_batch_ends_with_its_time(kind: Kind) -> None:
    changes = _changes()
    feed = Feed([*changes[:2], None, changes[2]], buffers=False, suspends=kind.suspends)
    loop = kind.batches(feed, 3, 5)
    assert next(loop) == changes[:3]
    assert feed.timeouts[0] is None
    assert all(0 < timeout <= 5 for timeout in feed.timeouts[1:] if timeout is not None)
    assert len(feed.timeouts) == 3


def test_batch_that_failed_comes_again(kind: Kind) -> None:
    changes = _changes()
    feed = _feed(changes, suspends=kind.suspends)
    assert next(kind.batches(feed, 3, 10)) == changes[:3]
    assert feed.acknowledged == []
    again = kind.batches(feed, 2, 10)
    assert [next(again), next(again)] == [changes[:2], changes[2:4]]
    assert feed.acknowledged == [changes[1]]


@pytest.mark.parametrize(("rows", "seconds"), [(0, 1.0), (1, -1.0)])
def test_batches_check_their_limits(kind: Kind, rows: int, seconds: float) -> None:
    with pytest.raises(ConfigurationError):
        kind.batches(_feed(_changes()), rows, seconds)


@pytest.mark.parametrize("buffers", [False, True])
def test_transactions_give_each_change_of_each(kind: Kind, buffers: bool) -> None:
    changes = _changes()
    feed = _feed(changes, buffers=buffers, suspends=kind.suspends)
    got = []
    for found in kind.transactions(feed):
        got.append([change.position for change in found])
        assert found.is_exhausted
        assert list(found) == []
        assert found.position == got[-1][-1]
        assert (found.transaction is None) == (found.position.ordinal == 0)
    p = [change.position for change in changes]
    assert got == [p[:1], p[1:3], p[3:4], p[4:]]
    assert [change.position for change in feed.acknowledged] == [p[0], p[2], p[3], p[4]]


def test_transactions_are_iterators_of_iterators() -> None:
    blocking = Transactions(_feed(_changes()).source)
    assert iter(blocking) is blocking
    assert isinstance(next(blocking), TransactionChanges)
    asynchronous = AsyncTransactions(_feed(_changes()).source)
    assert aiter(asynchronous) is asynchronous

    async def first() -> AsyncTransactionChanges:
        return await anext(asynchronous)

    assert isinstance(asyncio.run(first()), AsyncTransactionChanges)


@pytest.mark.parametrize("buffers", [False, True])
def test_transaction_left_early_is_an_error(kind: Kind, buffers: bool) -> None:
    changes = _changes()
    feed = _feed(changes, buffers=buffers, suspends=kind.suspends)
    loop = kind.transactions(feed)
    list(next(loop))
    second = next(loop)
    assert next(second) is changes[1]
    with pytest.raises(ConfigurationError, match="left before its last change"):
        next(loop)
    assert feed.acknowledged == [changes[0]]


def test_transaction_nobody_looked_into_is_not_lost(kind: Kind) -> None:
    changes = _changes()
    feed = _feed(changes, suspends=kind.suspends)
    next(kind.transactions(feed))
    assert next(kind.changes(feed)) is changes[0]
    assert feed.acknowledged == []


@pytest.mark.parametrize("buffers", [False, True])
def test_transaction_cut_short_is_not_acknowledged_and_not_whole(kind: Kind, buffers: bool) -> None:
    # It ends after the change, and then there is a stop.
    feed = Feed([insert(transaction(0x10), 1)], buffers=buffers, suspends=kind.suspends)
    loop = kind.transactions(feed)
    cut = next(loop)
    assert len(list(cut)) == 1
    assert not cut.is_exhausted
    assert list(loop) == []
    assert feed.acknowledged == []


def test_transactions_refuse_to_begin_in_the_middle(kind: Kind) -> None:
    changes = _changes()
    feed = _feed(changes, suspends=kind.suspends)
    loop = kind.changes(feed)
    assert [next(loop), next(loop), next(loop)] == changes[:3]
    with pytest.raises(ConfigurationError, match="earlier loop are still in hand"):
        kind.transactions(feed)


def test_transactions_give_a_first_change_again(kind: Kind) -> None:
    changes = _changes()
    feed = _feed(changes, suspends=kind.suspends)
    loop = kind.changes(feed)
    assert [next(loop), next(loop)] == changes[:2]
    assert list(next(kind.transactions(feed))) == changes[1:3]


def test_older_loop_is_refused(kind: Kind) -> None:
    feed = _feed(_changes(), suspends=kind.suspends)
    old: list[Iterator[Any]] = [kind.changes(feed), kind.batches(feed, 1, 1)]
    next(kind.changes(feed))
    for loop in old:
        with pytest.raises(ConfigurationError, match="replaced by a newer one"):
            next(loop)
    assert feed.acknowledged == []


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), ConnectionLostError("gone"), asyncio.CancelledError()]
)
def test_batch_that_was_not_given_is_not_acknowledged(kind: Kind, error: BaseException) -> None:
    changes = _changes()
    items: list[Change | BaseException | None] = [*changes[:2], error, *changes[2:]]
    feed = Feed(items, suspends=kind.suspends)
    loop = kind.batches(feed, 3, 10)
    with pytest.raises(type(error)):
        next(loop)
    assert next(loop) == changes[:3]
    assert feed.acknowledged == []
    next(loop)
    assert feed.acknowledged == [changes[2]]


@pytest.mark.parametrize("error", [ConnectionLostError("gone"), asyncio.CancelledError()])
@pytest.mark.parametrize("buffers", [False, True])
def test_reading_goes_on_after_an_error(kind: Kind, error: BaseException, buffers: bool) -> None:
    changes = _changes()
    one, two, three = changes[:3]
    items: list[Change | BaseException | None] = [error, one, error, None, error, two]
    items += [error, three, error, None]
    feed = Feed(items, buffers=buffers, suspends=kind.suspends)
    loop = kind.changes(feed)
    got, errors = _all(loop, type(error))
    assert (got, errors) == ([one, two, three], 5)
    feed = Feed(items, buffers=buffers, suspends=kind.suspends)
    found, errors = _all(kind.transactions(feed), type(error), nested=True)
    assert (found, errors) == ([one, two, three], 5)


def _all(
    loop: Iterator[Any], error: type[BaseException], *, nested: bool = False
) -> tuple[list[Change], int]:
    """Take everything, over errors; and of each what it gives, if there is something in it."""
    got: list[Change] = []
    errors = 0
    while True:
        try:
            each = next(loop)
        except StopIteration:
            return got, errors
        except error:
            errors += 1
            continue
        if not nested:
            got.append(each)
            continue
        changes, more = _all(each, error)
        got += changes
        errors += more


@pytest.mark.parametrize("goes_on", ["the same loop", "a new loop"])
@pytest.mark.parametrize("kind_of_loop", ["changes", "batches", "transactions"])
@pytest.mark.parametrize("buffers", [False, True])
def test_exception_at_any_call_neither_loses_nor_acknowledges(
    kind: Kind, kind_of_loop: str, goes_on: str, buffers: bool
) -> None:
    """Raise at the n-th return of a function of the package, as a signal handler could."""
    interrupted = 0
    for number in range(200):
        changes = _changes()
        feed = _feed(changes, buffers=buffers)
        got: list[Change] = []

        def begin(feed: Feed = feed) -> Iterator[Iterable[Change]]:
            if kind_of_loop == "changes":
                return zip(kind.changes(feed), strict=True)
            if kind_of_loop == "batches":
                return kind.batches(feed, 2, 10)
            return Flat(kind.transactions(feed))

        left = number

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal left
            # Not of __next__ itself: no signal is handled between its last step and what the
            # caller does next. And not of what the feed calls: an LSN is made.
            code = frame.f_code
            if (
                event == "return"
                and is_ours(code)
                and code.co_name not in ("__next__", "__anext__", "__new__")
            ):
                left -= 1
                if left < 0:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        loop = begin()
        sys.settrace(trace)
        try:
            for given in loop:
                got += given
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            sys.settrace(None)
        assert [change for change in feed.acknowledged if change not in got] == []
        if kind_of_loop == "transactions" and goes_on == "a new loop":
            continue  # the one that was cut off cannot go on
        for given in loop if goes_on == "the same loop" else begin():
            got += [change for change in given if change not in got]
        assert got == changes, number
        if left >= 0:
            break
    assert interrupted > 5


def test_transaction_that_was_read_to_its_end_gives_nothing_of_the_next(kind: Kind) -> None:
    changes = _changes()
    feed = Feed([*changes[:1], None, *changes[1:3], None], suspends=kind.suspends)
    loop = kind.transactions(feed)
    first = next(loop)
    assert list(first) == changes[:1]
    second = next(loop)
    # As if the next one had been read ahead.
    assert next(second) is changes[1]
    feed.hand.offer([insert(transaction(0x99), 1)])
    feed.hand.limit = 1
    assert list(first) == []
