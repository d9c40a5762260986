"""Tests of `pglogical_cdc.replication.iteration`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

import pytest

from pglogical_cdc.errors import ConfigurationError, ConnectionLostError
from pglogical_cdc.events import Change
from pglogical_cdc.replication.hand import Hand
from pglogical_cdc.replication.iteration import Batches, Changes, Transactions
from tests.replication.changes import Feed, insert, message, transaction


class Reader:
    """A hand, what it acknowledged, and a feed of three transactions and a message."""

    def __init__(self) -> None:
        self.acknowledged: list[Change] = []
        self.hand = Hand(self.acknowledged.append)
        one, two, three = transaction(0x10), transaction(0x20), transaction(0x40)
        self.changes: list[Change] = [
            insert(one, 1),
            insert(two, 1),
            insert(two, 2),
            message(0x30),
            insert(three, 1),
        ]
        first, second, third, fourth, fifth = self.changes
        self.feed = Feed([first, None, second, third, None, fourth, fifth, None])

    def transactions(self) -> Transactions:
        return Transactions(self.hand, self.feed, lambda: self.feed.ended)


def test_changes_acknowledge_one_behind() -> None:
    reader = Reader()
    for count, change in enumerate(Changes(reader.hand, reader.feed)):
        assert change is reader.changes[count]
        assert reader.acknowledged == reader.changes[:count]
    assert reader.acknowledged == reader.changes


def test_batches_keep_their_size_and_acknowledge_whole() -> None:
    reader = Reader()
    sizes: list[int] = []
    for batch in Batches(reader.hand, reader.feed, 2, 10):
        assert [change.position for change in reader.acknowledged] == [
            reader.changes[i].position for i in range(1, 2 * len(sizes), 2)
        ]
        sizes.append(len(batch))
    assert sizes == [2, 2, 1]
    assert reader.acknowledged[-1] is reader.changes[-1]


def test_batch_waits_for_its_first_change_only_without_limit() -> None:
    reader = Reader()
    next(Batches(reader.hand, reader.feed, 3, 0))
    assert reader.feed.timeouts == [None, 0, 0]


def test_batch_that_failed_comes_again() -> None:
    reader = Reader()
    assert next(Batches(reader.hand, reader.feed, 3, 10)) == reader.changes[:3]
    assert reader.acknowledged == []
    again = Batches(reader.hand, reader.feed, 2, 10)
    assert [next(again), next(again)] == [reader.changes[:2], reader.changes[2:4]]
    assert reader.acknowledged == [reader.changes[1]]


@pytest.mark.parametrize(("rows", "seconds"), [(0, 1.0), (1, -1.0)])
def test_batches_check_their_limits(rows: int, seconds: float) -> None:
    reader = Reader()
    with pytest.raises(ConfigurationError):
        Batches(reader.hand, reader.feed, rows, seconds)


def test_transactions_give_each_change_of_each() -> None:
    reader = Reader()
    got = []
    for found in reader.transactions():
        got.append([change.position for change in found])
        assert found.is_exhausted
        assert found.position == got[-1][-1]
        assert (found.transaction is None) == (found.position.ordinal == 0)
    p = [change.position for change in reader.changes]
    assert got == [p[:1], p[1:3], p[3:4], p[4:]]
    assert [change.position for change in reader.acknowledged] == [p[0], p[2], p[3], p[4]]


def test_transaction_left_early_is_an_error() -> None:
    reader = Reader()
    loop = reader.transactions()
    list(next(loop))
    second = next(loop)
    assert next(second) is reader.changes[1]
    with pytest.raises(ConfigurationError, match="left before its last change"):
        next(loop)
    assert reader.acknowledged == [reader.changes[0]]


def test_transaction_nobody_looked_into_is_not_lost() -> None:
    reader = Reader()
    next(reader.transactions())
    assert next(Changes(reader.hand, reader.feed)) is reader.changes[0]
    assert reader.acknowledged == []


def test_transaction_cut_short_is_not_acknowledged_and_not_whole() -> None:
    acknowledged: list[Change] = []
    of = transaction(0x10)
    feed = Feed([insert(of, 1)])  # and then a stop
    loop = Transactions(Hand(acknowledged.append), feed, lambda: feed.ended)
    cut = next(loop)
    assert len(list(cut)) == 1
    assert not cut.is_exhausted
    assert list(loop) == []
    assert acknowledged == []


def test_transactions_refuse_to_begin_in_the_middle() -> None:
    reader = Reader()
    loop = Changes(reader.hand, reader.feed)
    assert [next(loop), next(loop), next(loop)] == reader.changes[:3]
    with pytest.raises(ConfigurationError, match="earlier loop are still in hand"):
        reader.transactions()


def test_transactions_give_a_first_change_again() -> None:
    reader = Reader()
    loop = Changes(reader.hand, reader.feed)
    assert [next(loop), next(loop)] == reader.changes[:2]
    assert list(next(reader.transactions())) == reader.changes[1:3]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionLostError("gone")])
def test_batch_that_was_not_given_is_not_acknowledged(error: BaseException) -> None:
    reader = Reader()
    taken = 0

    def take(
        timeout: float | None = None,
        *,
        at_commit: bool = False,
        give: Callable[[Change], None] | None = None,
    ) -> Change | None:
        nonlocal taken
        taken += 1
        if taken == 3:
            raise error
        return reader.feed(timeout, at_commit=at_commit, give=give)

    loop = Batches(reader.hand, take, 3, 10)
    with pytest.raises(type(error) if isinstance(error, Exception) else KeyboardInterrupt):
        next(loop)
    assert next(loop) == reader.changes[:3]
    assert reader.acknowledged == []
    next(loop)
    assert reader.acknowledged == [reader.changes[2]]


@pytest.mark.parametrize("kind", ["changes", "batches", "transactions"])
def test_exception_at_any_call_neither_loses_nor_acknowledges(kind: str) -> None:
    """Raise at the n-th return of a function of the package, as a signal handler could."""
    interrupted = 0
    for number in range(200):
        reader = Reader()
        got: list[Change] = []

        def loop(reader: Reader = reader) -> Iterator[Iterable[Change]]:
            if kind == "changes":
                return zip(Changes(reader.hand, reader.feed), strict=True)
            if kind == "batches":
                return Batches(reader.hand, reader.feed, 2, 10)
            return map(list, reader.transactions())

        left = number

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal left
            # Not of __next__ itself: no signal is handled between its last step and what the
            # caller does next.
            code = frame.f_code
            if (
                event == "return"
                and "pglogical_cdc" in code.co_filename
                and code.co_name != "__next__"
            ):
                left -= 1
                if left < 0:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            for given in loop():
                got += given
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            sys.settrace(None)
        assert [change for change in reader.acknowledged if change not in got] == []
        if kind == "transactions":
            continue  # the one that was cut off cannot go on
        for given in loop():
            got += [change for change in given if change not in got]
        assert got == reader.changes
        if left >= 0:
            break
    assert interrupted > 5
