"""Tests of `pglogical_cdc.replication.hand`."""

from __future__ import annotations

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change
from pglogical_cdc.replication.hand import Hand
from tests.replication.changes import insert, transaction

_T = transaction(0x1000)
_CHANGES = [insert(_T, ordinal) for ordinal in range(1, 5)]


def _hand(*kept: Change) -> tuple[Hand, list[Change], object]:
    acknowledged: list[Change] = []
    hand, loop = Hand(acknowledged.append), object()
    hand.pass_to(loop)
    for change in kept:
        hand.keep(change)
    return hand, acknowledged, loop


def test_asking_for_more_acknowledges_what_was_given() -> None:
    hand, acknowledged, loop = _hand(*_CHANGES[:3])
    hand.release(loop)
    assert acknowledged == []
    assert hand.first(2) == _CHANGES[:2]
    hand.given = 2
    assert hand.waiting is _CHANGES[2]
    hand.release(loop)
    assert acknowledged == [_CHANGES[1]]
    assert (len(hand), hand.given, hand.waiting) == (1, 0, _CHANGES[2])


def test_what_was_kept_and_not_given_is_not_acknowledged() -> None:
    hand, acknowledged, loop = _hand(_CHANGES[0])
    hand.release(loop)
    hand.release(loop)
    assert acknowledged == []
    assert hand.waiting is _CHANGES[0]


def test_next_loop_gets_again_what_the_one_before_left() -> None:
    hand, acknowledged, first = _hand(*_CHANGES[:2])
    hand.given = 2
    second = object()
    assert hand.repeats
    hand.pass_to(second)
    assert acknowledged == []
    assert hand.waiting is _CHANGES[0]
    hand.given = 1
    hand.release(second)
    assert acknowledged == [_CHANGES[0]]
    assert hand.waiting is _CHANGES[1]
    with pytest.raises(ConfigurationError, match="replaced by a newer one"):
        hand.release(first)


def test_signal_while_acknowledging_loses_nothing() -> None:
    def interrupted(change: Change) -> None:
        raise KeyboardInterrupt

    hand, loop = Hand(interrupted), object()
    hand.pass_to(loop)
    hand.keep(_CHANGES[0])
    hand.given = 1
    with pytest.raises(KeyboardInterrupt):
        hand.release(loop)
    hand.pass_to(object())
    assert hand.waiting is _CHANGES[0]


def test_change_that_stands_for_others_cannot_be_given_again() -> None:
    hand, acknowledged, loop = _hand(*_CHANGES[:2])
    for _ in range(2):
        hand.supersede()
        hand.given = 1
    assert hand.first(9) == [_CHANGES[1]]
    assert not hand.repeats
    with pytest.raises(ConfigurationError, match="still in hand"):
        hand.pass_to(object())
    hand.acknowledged(_CHANGES[1].position)
    hand.pass_to(object())
    assert acknowledged == []
    hand.pass_to(loop)
    hand.keep(_CHANGES[2])
    hand.given = 1
    assert hand.repeats


def test_acknowledging_by_position_forgets_what_it_covers() -> None:
    hand, _, _ = _hand(*_CHANGES)
    hand.given = 3
    hand.acknowledged(_CHANGES[1].position)
    assert (hand.first(9), hand.given) == (_CHANGES[2:], 1)
    # What was not given yet cannot be acknowledged.
    hand.acknowledged(_CHANGES[3].position)
    assert (hand.first(9), hand.given) == (_CHANGES[3:], 0)


@pytest.mark.parametrize("acknowledges", [False, True])
def test_loop_that_does_not_acknowledge(acknowledges: bool) -> None:
    acknowledged: list[Change] = []
    hand, loop = Hand(acknowledged.append if acknowledges else None), object()
    hand.pass_to(loop, acknowledges=False)
    hand.keep(_CHANGES[0])
    hand.keep(_CHANGES[1])
    hand.given = 1
    assert not hand.repeats
    hand.release(loop)
    assert hand.waiting is _CHANGES[1]
    hand.given = 1
    hand.pass_to(object())
    assert (acknowledged, len(hand)) == ([], 0)


def test_loop_that_does_not_acknowledge_gets_what_another_left() -> None:
    hand, acknowledged, _ = _hand(*_CHANGES[:2])
    hand.given = 2
    poll = object()
    for change in _CHANGES[:2]:
        hand.pass_to(poll, acknowledges=False)
        hand.release(poll)
        assert hand.waiting is change
        hand.given = 1
    hand.release(poll)
    assert (acknowledged, len(hand)) == ([], 0)
