"""Tests of `pglogical_cdc.replication.hand`."""

from __future__ import annotations

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change
from pglogical_cdc.replication.hand import Hand
from tests.replication.changes import insert, transaction

_T = transaction(0x1000)
_CHANGES = [insert(_T, ordinal) for ordinal in range(1, 5)]


def test_asking_for_more_acknowledges_what_was_given() -> None:
    acknowledged: list[Change] = []
    hand, loop = Hand(acknowledged.append), object()
    hand.pass_to(loop)
    hand.release(loop)
    assert acknowledged == []
    hand.give(_CHANGES[0])
    hand.give(_CHANGES[1])
    assert hand.holds
    hand.release(loop)
    assert acknowledged == [_CHANGES[1]]
    assert not hand.holds


def test_next_loop_gets_again_what_the_one_before_left() -> None:
    acknowledged: list[Change] = []
    hand, first, second = Hand(acknowledged.append), object(), object()
    hand.pass_to(first)
    hand.give(_CHANGES[0])
    hand.give(_CHANGES[1])
    hand.pass_to(second)
    assert acknowledged == []
    hand.release(second)
    assert hand.again() is _CHANGES[0]
    hand.release(second)
    assert acknowledged == [_CHANGES[0]]
    assert hand.again() is _CHANGES[1]
    assert hand.again() is None
    with pytest.raises(ConfigurationError, match="replaced by a newer one"):
        hand.release(first)


def test_signal_while_acknowledging_loses_nothing() -> None:
    def interrupted(change: Change) -> None:
        raise KeyboardInterrupt

    hand, loop = Hand(interrupted), object()
    hand.pass_to(loop)
    hand.give(_CHANGES[0])
    with pytest.raises(KeyboardInterrupt):
        hand.release(loop)
    hand.pass_to(object())
    assert hand.again() is _CHANGES[0]


def test_change_that_stands_for_others_cannot_be_given_again() -> None:
    acknowledged: list[Change] = []
    hand, loop = Hand(acknowledged.append), object()
    hand.pass_to(loop)
    hand.give_once(_CHANGES[0])
    hand.give_once(_CHANGES[1])
    with pytest.raises(ConfigurationError, match="still in hand"):
        hand.pass_to(object())
    hand.acknowledged(_CHANGES[1].position)
    hand.pass_to(object())
    assert acknowledged == []


def test_acknowledging_by_position_forgets_what_it_covers() -> None:
    hand = Hand(lambda change: None)
    hand.pass_to(object())
    for change in _CHANGES:
        hand.give(change)
    hand.acknowledged(_CHANGES[1].position)
    hand.pass_to(object())
    assert [hand.again(), hand.again(), hand.again()] == [_CHANGES[2], _CHANGES[3], None]


def test_take_back_gives_the_first_and_forgets_it() -> None:
    hand = Hand(lambda change: None)
    hand.pass_to(object())
    hand.give(_CHANGES[0])
    hand.give(_CHANGES[1])
    assert [hand.take_back(), hand.take_back(), hand.take_back()] == [*_CHANGES[:2], None]


def test_holds_nothing_where_iterating_does_not_acknowledge() -> None:
    hand, loop = Hand(None), object()
    hand.pass_to(loop)
    hand.give(_CHANGES[0])
    hand.give_once(_CHANGES[1])
    assert not hand.holds
    hand.release(loop)
    hand.pass_to(object())
    assert hand.again() is None
