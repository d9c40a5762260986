"""Tests of `pglogical_cdc.postgres.flavour`: what both flavours promise."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from pglogical_cdc.postgres.flavour import Flavour, Stopped
from tests.postgres.sessions import FLAVOURS, drive, silent_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.parametrize("kind", FLAVOURS)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def _took(waiting: Flavour, descriptor: int | None, seconds: float) -> float:
    """Wait for a socket, or rest if there is none; return how long it took."""
    began = time.monotonic()
    if descriptor is None:
        await waiting.rest(seconds)
    else:
        await waiting.wait(descriptor, seconds)
    return time.monotonic() - began


def test_waiting_takes_its_time(
    kind: type[Flavour], pair: tuple[socket.socket, socket.socket]
) -> None:
    called: list[int] = []

    async def use(flavour: Flavour) -> None:
        for descriptor in (pair[0].fileno(), None):
            assert await _took(flavour, descriptor, 0.05) >= 0.049
            assert await _took(flavour, descriptor, 0) < 1
            assert await _took(flavour, descriptor, -1) < 1
        await flavour.wait(pair[0].fileno(), 0.01, lambda: called.append(1))
        await flavour.give_way()

    drive(kind, use)
    assert called == []


def test_what_can_be_read_ends_the_wait_and_is_told(
    kind: type[Flavour], pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    read: list[bytes] = []

    async def use(flavour: Flavour) -> None:
        theirs.send(b"x")
        assert await _took(flavour, ours.fileno(), 0.9) < 0.8
        await flavour.wait(ours.fileno(), 20, lambda: read.append(ours.recv(9)))
        assert read == [b"x"]
        assert await _took(flavour, ours.fileno(), 0.05) >= 0.049
        # Another socket than before, and one that its peer has closed.
        theirs.send(b"x")
        assert await _took(flavour, theirs.fileno(), 0.05) >= 0.049
        theirs.close()
        ours.recv(9)
        await flavour.wait(ours.fileno(), 20, lambda: read.append(ours.recv(9)))
        assert read == [b"x", b""]

    drive(kind, use)


@pytest.mark.parametrize("resting", [False, True])
def test_wake_up_before_the_wait_counts_once(
    kind: type[Flavour], resting: bool, pair: tuple[socket.socket, socket.socket]
) -> None:
    async def use(flavour: Flavour) -> None:
        descriptor = None if resting else pair[0].fileno()
        for _ in range(2):  # the first time nobody has waited yet
            for _ in range(3):
                flavour.wake()
            assert await _took(flavour, descriptor, 0.9) < 0.8
            assert await _took(flavour, descriptor, 0.05) >= 0.049
        assert not flavour.stopped

    drive(kind, use)


@pytest.mark.parametrize("resting", [False, True])
def test_another_thread_ends_the_wait(
    kind: type[Flavour], resting: bool, pair: tuple[socket.socket, socket.socket]
) -> None:
    called: list[int] = []

    async def use(flavour: Flavour) -> None:
        descriptor = None if resting else pair[0].fileno()
        timer = threading.Timer(0.1, flavour.wake)
        timer.start()
        began = time.monotonic()
        if descriptor is None:
            await flavour.rest(0.9)
        else:
            await flavour.wait(descriptor, 0.9, lambda: called.append(1))
        assert time.monotonic() - began < 0.8
        timer.join()

    drive(kind, use)
    assert called == []


def test_signal_handler_ends_the_wait(
    kind: type[Flavour], pair: tuple[socket.socket, socket.socket]
) -> None:
    async def use(flavour: Flavour) -> None:
        signal.signal(signal.SIGALRM, lambda number, frame: flavour.stop())
        for descriptor in (pair[0].fileno(), None):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            assert await _took(flavour, descriptor, 0.9) < 0.8
            assert flavour.stopped

    before = signal.getsignal(signal.SIGALRM)
    try:
        drive(kind, use)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_stop_before_anything_else_is_not_forgotten(kind: type[Flavour]) -> None:
    flavour = kind()
    flavour.stop()
    assert flavour.stopped

    async def use(other: Flavour) -> None:
        assert await _took(flavour, None, 0.9) < 0.8
        with silent_server() as (_, given), pytest.raises(Stopped):
            await flavour.connect(given)

    drive(kind, use)
    flavour.close()


def test_after_close_nothing_is_written_to_whoever_has_the_descriptor_now(
    kind: type[Flavour],
) -> None:
    async def use(flavour: Flavour) -> Flavour:
        await flavour.rest(0)
        return flavour

    flavour = drive(kind, use)  # which closes it
    flavour.close()
    read_end, write_end = os.pipe()
    try:
        os.set_blocking(read_end, False)
        flavour.wake()
        flavour.stop()
        with pytest.raises(BlockingIOError):
            os.read(read_end, 1)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_connecting_to_a_silent_server_ends_with_stop(kind: type[Flavour]) -> None:
    async def use(flavour: Flavour) -> float:
        timer = threading.Timer(0.1, flavour.stop)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            await flavour.connect({**given, "connect_timeout": 60})
        took = time.monotonic() - began
        timer.join()
        return took

    with silent_server() as (_, given):
        assert drive(kind, use) < 0.8


def test_connecting_to_nobody_fails(kind: type[Flavour]) -> None:
    async def use(flavour: Flavour) -> None:
        with pytest.raises(psycopg.OperationalError):
            await flavour.connect({"host": "127.0.0.1", "port": 1, "user": "u"})
        with pytest.raises(psycopg.Error):
            await flavour.connect({"host": "127.0.0.1", "connect_timeout": "soon"})
        assert await _took(flavour, None, 0.05) < 1  # may have been woken

    drive(kind, use)


@pytest.mark.parametrize("kills", [False, True])
def test_something_is_done_on_a_timer(kind: type[Flavour], kills: bool) -> None:
    moments: list[float] = []

    def action() -> float | None:
        moments.append(time.monotonic())
        return None if kills and len(moments) == 3 else 0.02

    async def use(flavour: Flavour) -> None:
        began = time.monotonic()
        ticker = flavour.every(action, 0.05)
        while len(moments) < 3:
            await flavour.rest(0.02)
        assert moments[0] - began >= 0.049
        assert all(later - sooner >= 0.019 for sooner, later in itertools.pairwise(moments))
        if kills:
            await flavour.rest(0.05)
            assert len(moments) == 3
        ticker.stop()
        count = len(moments)
        await flavour.rest(0.05)
        assert len(moments) == count
        ticker.stop()

    drive(kind, use)


def test_calls_return_and_raise(kind: type[Flavour]) -> None:
    def divide(dividend: int, divisor: int) -> int:
        return dividend // divisor

    async def use(flavour: Flavour) -> None:
        assert await flavour.call(divide, 7, 2) == 3
        with pytest.raises(ZeroDivisionError):
            await flavour.call(divide, 7, 0)

    drive(kind, use)


def test_a_new_one_holds_nothing(kind: type[Flavour]) -> None:
    gc.collect()  # what earlier tests have left would be closed between the counts
    before = os.listdir("/proc/self/fd")
    made = [kind() for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) == len(before)

    async def use(_: Flavour) -> None:
        for flavour in made:
            await flavour.rest(0)

    drive(kind, use)
    for flavour in made:
        flavour.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)
