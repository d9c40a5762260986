"""Tests of `pglogical_cdc.replication.wakeup`."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.replication.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def wakeup(pair: tuple[socket.socket, socket.socket]) -> Iterator[Wakeup]:
    made = Wakeup(pair[0].fileno())
    yield made
    made.close()


def test_waits_its_time(wakeup: Wakeup) -> None:
    began = time.monotonic()
    assert not wakeup.wait(0.05)
    assert time.monotonic() - began >= 0.05
    assert not wakeup.wait(-1)


def test_tells_that_the_socket_is_readable(
    wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]
) -> None:
    pair[1].send(b"x")
    assert wakeup.wait(10)


def test_wake_before_the_wait_counts_once(wakeup: Wakeup) -> None:
    for _ in range(3):
        wakeup.wake()
    began = time.monotonic()
    assert not wakeup.wait(10)
    assert time.monotonic() - began < 5
    assert not wakeup.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_another_thread_ends_the_wait(wakeup: Wakeup) -> None:
    began = time.monotonic()
    timer = threading.Timer(0.1, wakeup.wake)
    timer.start()
    wakeup.wait(20)
    timer.join()
    assert time.monotonic() - began < 10


def test_signal_handler_ends_the_wait(wakeup: Wakeup) -> None:
    before = signal.signal(signal.SIGALRM, lambda number, frame: wakeup.wake())
    try:
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        wakeup.wait(20)
        assert time.monotonic() - began < 10
    finally:
        signal.signal(signal.SIGALRM, before)


def test_full_pipe_is_enough(wakeup: Wakeup) -> None:
    for _ in range(100_000):
        wakeup.wake()
    assert not wakeup.wait(10)


def test_after_close_nothing_is_written_to_whoever_has_the_descriptor_now(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wakeup = Wakeup(pair[0].fileno())
    wakeup.close()
    wakeup.close()
    read_end, write_end = os.pipe()
    try:
        os.set_blocking(read_end, False)
        wakeup.wake()
        with pytest.raises(BlockingIOError):
            os.read(read_end, 1)
    finally:
        os.close(read_end)
        os.close(write_end)
