"""Tests of `pglogical_cdc.cli.signals`."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.cli.signals import stopped_by_signals, terminated_as_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_calls_stop_and_the_block_ends_by_itself(number: signal.Signals) -> None:
    stopped: list[bool] = []
    before = [signal.getsignal(each) for each in _SIGNALS]
    ended = False
    with stopped_by_signals(lambda: stopped.append(True)):
        os.kill(os.getpid(), number)
        while not stopped:
            time.sleep(0.001)
        ended = True
    assert ended
    assert stopped == [True]
    assert [signal.getsignal(each) for each in _SIGNALS] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_block_that_hangs_is_left_within_a_second() -> None:
    started = time.monotonic()
    with stopped_by_signals(lambda: None):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    assert 0.5 < time.monotonic() - started < 1.5


def test_a_second_signal_leaves_at_once() -> None:
    started = time.monotonic()
    with stopped_by_signals(lambda: os.kill(os.getpid(), signal.SIGINT)):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
    assert time.monotonic() - started < 0.5


def test_no_exception_handler_of_the_block_takes_the_end_for_its_own() -> None:
    taken = False
    with stopped_by_signals(lambda: os.kill(os.getpid(), signal.SIGINT)):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
        except Exception:
            taken = True
    assert not taken


def test_errors_of_the_block_pass_and_the_handlers_come_back() -> None:
    before = [signal.getsignal(each) for each in _SIGNALS]
    with pytest.raises(ValueError, match="of the block"), stopped_by_signals(lambda: None):
        raise ValueError("of the block")
    assert [signal.getsignal(each) for each in _SIGNALS] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_interrupt_also_where_they_were_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    terminated_as_interrupted()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
