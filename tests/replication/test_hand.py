"""Tests of `pglogical_cdc.replication.hand`."""

from __future__ import annotations

from collections.abc import Sequence

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


# -- a run of changes that were read ahead

_RUN = [insert(_T, ordinal) for ordinal in range(2, 7)]


def _running(
    *, acknowledges: bool = True, singly: bool = True
) -> tuple[Hand, list[Change], list[Change], object]:
    """A hand whose loop has given one change, with a run ahead that is open."""
    acknowledged: list[Change] = []
    delivered: list[Change] = []
    hand, loop = Hand(acknowledged.append, delivered.extend), object()
    hand.pass_to(loop, acknowledges=acknowledges, singly=singly)
    hand.keep(_CHANGES[0])
    delivered.clear()
    hand.given = 1
    hand.offer(_RUN)
    hand.limit = len(_RUN)
    return hand, acknowledged, delivered, loop


def test_settling_notes_what_a_loop_has_given_by_itself() -> None:
    hand, acknowledged, delivered, loop = _running()
    hand.settle()
    assert (acknowledged, delivered) == ([], [])
    hand.step = 1
    hand.settle()
    assert (acknowledged, delivered) == (_CHANGES[:1], _RUN[:1])
    hand.step = 4
    hand.settle()
    hand.settle()
    assert (acknowledged, delivered) == ([_CHANGES[0], _RUN[2]], _RUN[:4])
    assert (hand.first(9), hand.given, hand.waiting) == ([_RUN[3]], 1, None)
    assert hand.repeats
    hand.release(loop)
    assert acknowledged[2:] == [_RUN[3]]
    assert len(hand) == 0


def test_next_loop_gets_again_the_last_of_a_run_and_nothing_goes_on_by_itself() -> None:
    hand, acknowledged, _, loop = _running()
    hand.step = 3
    second = object()
    hand.pass_to(second, singly=True)
    assert (acknowledged, hand.waiting, hand.limit) == ([_RUN[1]], _RUN[2], 0)
    with pytest.raises(ConfigurationError, match="replaced by a newer one"):
        hand.release(loop)
    # What was not given stays in the run.
    assert (hand.step, list(hand.run[hand.step :])) == (3, _RUN[3:])


def test_what_is_taken_of_a_run_is_in_hand_and_delivered() -> None:
    hand, acknowledged, delivered, loop = _running()
    hand.release(loop)
    assert hand.take(2) == 2
    assert (delivered, hand.first(9), hand.waiting) == (_RUN[:2], _RUN[:2], _RUN[0])
    assert hand.take(9) == 3
    assert hand.take(9) == 0
    hand.settle()
    assert (acknowledged, delivered, hand.first(9)) == (_CHANGES[:1], _RUN, _RUN)


def test_signal_while_taking_leaves_it_in_hand_and_has_it_noted_later() -> None:
    hand, _, delivered, loop = _running()
    hand.release(loop)
    deliver, signals = hand._deliver, [KeyboardInterrupt()]

    def interrupted(changes: Sequence[Change]) -> None:
        if signals:
            raise signals.pop()
        deliver(changes)

    hand._deliver = interrupted
    with pytest.raises(KeyboardInterrupt):
        hand.take(2)
    assert (hand.first(9), delivered) == (_RUN[:2], [])
    hand.given = 2
    hand.release(loop)
    assert (len(hand), delivered) == (0, _RUN[:2])


def test_last_of_a_run_stands_for_those_before_it() -> None:
    hand, acknowledged, delivered, loop = _running(singly=False)
    hand.step = 3
    hand.settle()
    assert (acknowledged, delivered, hand.first(9)) == ([], _RUN[:3], [_RUN[2]])
    assert not hand.repeats
    with pytest.raises(ConfigurationError, match="still in hand"):
        hand.pass_to(object())
    hand.release(loop)
    assert acknowledged == [_RUN[2]]


def test_run_of_a_loop_that_does_not_acknowledge() -> None:
    hand, acknowledged, delivered, loop = _running(acknowledges=False)
    hand.step = 3
    hand.release(loop)
    assert (acknowledged, delivered, len(hand)) == ([], _RUN[:3], 0)


def test_acknowledging_by_position_in_the_middle_of_a_run() -> None:
    hand, _, delivered, _ = _running(acknowledges=False)
    hand.step = 3
    hand.acknowledged(_RUN[2].position)
    assert (delivered, len(hand), hand.given) == (_RUN[:3], 0, 0)
    assert hand.step == 3


def test_what_is_withdrawn_is_forgotten_and_what_was_given_is_not() -> None:
    hand, _, delivered, _ = _running()
    hand.step = 2
    hand.withdraw()
    assert (delivered, hand.first(9), list(hand.run)) == (_RUN[:2], [_RUN[1]], [])
    assert (hand.step, hand.limit) == (0, 0)


def test_signal_while_settling_has_it_done_again() -> None:
    hand, acknowledged, _, loop = _running()
    signals = [KeyboardInterrupt()]

    def interrupted(change: Change) -> None:
        if signals:
            raise signals.pop()
        acknowledged.append(change)

    hand._acknowledge = interrupted
    hand.step = 2
    with pytest.raises(KeyboardInterrupt):
        hand.release(loop)
    hand.pass_to(object())
    assert (acknowledged, hand.waiting) == ([_RUN[0]], _RUN[1])
