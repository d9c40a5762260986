"""Tests of `pglogical_cdc.replication.retries`."""

from __future__ import annotations

import pytest

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
    DecodingFailedError,
    MessageTooLargeError,
    OffsetStoreError,
    PublicationNotFoundError,
    SlotGapError,
    SlotInUseError,
    SlotInvalidatedError,
    SlotNotFoundError,
    SystemMismatchError,
    TimelineDivergedError,
)
from pglogical_cdc.replication.backoff import Backoff
from pglogical_cdc.replication.retries import Retries

LOST = ConnectionLostError("gone")
IN_USE = SlotInUseError("somebody")
UNDECODED = DecodingFailedError("cannot")


class Clock:
    """Says the time that it was set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _retries(clock: Clock, **backoff: float | None) -> Retries:
    given = {"initial": 1.0, "maximum": 8.0, "factor": 2.0, "jitter": 0.0, **backoff}
    return Retries(Backoff(**given), clock)  # type: ignore[arg-type]


def _delays(retries: Retries, error: CdcError, count: int) -> list[float | None]:
    return [retries.delay(error) for _ in range(count)]


def test_pauses_grow_for_ever() -> None:
    retries = _retries(Clock())
    assert _delays(retries, LOST, 6) == [1, 2, 4, 8, 8, 8]
    assert retries.failures == 6


@pytest.mark.parametrize(("tries", "expected"), [(0, [None]), (2, [1, 2, None, None])])
def test_so_many_tries_in_a_row(tries: int, expected: list[float | None]) -> None:
    assert _delays(_retries(Clock(), tries=tries), LOST, len(expected)) == expected


def test_no_backoff_is_no_attempt() -> None:
    retries = Retries(None, Clock())
    retries.slot_patience = 100
    for error in (LOST, IN_USE, UNDECODED):
        assert retries.delay(error) is None


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("wrong"),
        SlotNotFoundError("no"),
        SlotInvalidatedError("no"),
        SlotGapError("no"),
        TimelineDivergedError("no"),
        SystemMismatchError("no"),
        PublicationNotFoundError("no"),
        OffsetStoreError("full"),
        MessageTooLargeError("XLogData", 0, "1", "2"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_another_attempt_cannot_help_is_none(error: CdcError) -> None:
    assert _retries(Clock()).delay(error) is None


def test_progress_begins_anew() -> None:
    clock = Clock()
    retries = _retries(clock, tries=2)
    assert _delays(retries, LOST, 2) == [1, 2]
    retries.progressed()
    assert _delays(retries, LOST, 3) == [1, 2, None]


def test_stream_that_breaks_at_once_is_no_success() -> None:
    clock = Clock()
    retries = _retries(clock, tries=3)
    delays = []
    for _ in range(4):
        retries.streaming()
        clock.now += 4.9
        delays.append(retries.delay(LOST))
    assert delays == [1, 2, 4, None]


def test_steady_stream_begins_anew_though_nothing_came() -> None:
    clock = Clock()
    retries = _retries(clock, tries=3)
    assert _delays(retries, LOST, 3) == [1, 2, 4]
    retries.streaming()
    clock.now += 5
    assert _delays(retries, LOST, 4) == [1, 2, 4, None]
    # Time without a stream is no steadiness.
    clock.now += 1000
    assert retries.delay(LOST) is None


def test_undecodable_transaction_is_tried_three_times() -> None:
    clock = Clock()
    retries = _retries(clock)
    assert _delays(retries, UNDECODED, 3) == [1, 2, None]
    # However long each of them took: it is the same transaction.
    retries = _retries(clock)
    delays = []
    for _ in range(3):
        retries.streaming()
        clock.now += 60
        delays.append(retries.delay(UNDECODED))
    assert delays == [1, 1, None]
    retries.progressed()
    assert retries.delay(UNDECODED) == 1


def test_lost_connections_between_do_not_make_a_transaction_decodable() -> None:
    retries = _retries(Clock())
    errors = (UNDECODED, LOST, UNDECODED, LOST, UNDECODED)
    assert [retries.delay(error) for error in errors] == [1, 2, 4, 8, None]


def test_slot_in_use_is_waited_for_with_patience_and_often() -> None:
    clock = Clock()
    retries = _retries(clock, initial=0.25, tries=1)
    retries.slot_patience = 10
    delays = []
    while (delay := retries.delay(IN_USE)) is not None:
        delays.append(delay)
        clock.now += delay
    assert delays[:4] == [0.25, 0.5, 1, 1]
    assert max(delays) == 1
    assert 10 <= clock.now - 1000 < 11
    assert retries.delay(IN_USE) is None
    # A stream has had it in between: somebody else has it now.
    retries.streaming()
    assert retries.delay(IN_USE) is not None


def test_no_patience_with_a_slot_in_use() -> None:
    assert _retries(Clock()).delay(IN_USE) is None
