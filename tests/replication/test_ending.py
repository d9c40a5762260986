"""Tests of `pglogical_cdc.replication.ending`; on a real server see `test_reader`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from pglogical_cdc.events import PlainLoaders
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import run
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.ending import Ending
from pglogical_cdc.replication.feedback import Feedback
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings
from tests import wire
from tests.replication.arguments import checked


class Driver:
    """An `Ending`, with a server and a stream that note what they are asked."""

    def __init__(self, **options: Any) -> None:
        self.settings: Settings = checked(**options)
        self.session = Session(
            database="", loaders=PlainLoaders(), confirmed_flush=LSN(0x100), max_message_bytes=1000
        )
        self.ending = Ending(self.settings, self.session)
        self.lsn = LSN(0x300)
        self.asked: list[str] = []
        self.began = time.monotonic()

    def begin(self) -> None:
        run(self.ending.begin(cast("Beside", self)))

    def after(self, seconds: float) -> float:
        """Look so long after the beginning; return how long it may wait."""
        return run(
            self.ending.seconds(self.began + seconds, cast("Beside", self), cast("Feedback", self))
        )

    def keepalive(self, lsn: int) -> None:
        self.session.take(wire.primary_keepalive(lsn))

    # What it has of a Beside and a Feedback:

    async def current_lsn(self) -> LSN:
        self.asked.append("where")
        return self.lsn

    async def ask(self, conversation: Callable[[], object]) -> None:
        self.asked.append(getattr(conversation, "__name__", ""))

    def send(self, *, reply_requested: bool = False) -> None:
        assert reply_requested
        self.asked.append("reply")


def _begun(driver: Driver) -> bool:
    return driver.ending.begun


def test_now_is_where_the_server_is_at_the_beginning() -> None:
    driver = Driver(until="now")
    assert not _begun(driver)
    driver.begin()
    assert _begun(driver)
    assert (driver.session.until, driver.session.ended) == (0x300, False)
    assert driver.asked == ["where"]


@pytest.mark.parametrize(("until", "ended"), [(0x101, False), (0x100, True), (0x50, True)])
def test_end_that_lies_behind(until: int, ended: bool) -> None:
    driver = Driver(until=until)
    driver.begin()
    assert (driver.session.until, driver.session.ended) == (until, ended)
    assert driver.asked == []


def test_without_an_end_nothing_is_asked() -> None:
    driver = Driver()
    driver.begin()
    assert [driver.after(seconds) for seconds in (0, 1, 100)] == [1, 1, 1]
    assert driver.asked == []
    assert not driver.ending.has_come


def test_server_is_asked_soon_and_then_less_and_less_often() -> None:
    driver = Driver(until=0x300)
    driver.begin()
    now, asked = 0.1, []
    while now < 20:
        before = len(driver.asked)
        seconds = driver.after(now)
        assert 0 < seconds <= 1
        if "reply" in driver.asked[before:]:
            asked.append(now)
        now += seconds
    assert asked[0] == 0.1
    gaps = [round(later - earlier, 6) for earlier, later in itertools.pairwise(asked)]
    assert gaps[0] < 0.1
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(1)
    # From a second of stalling on, its WAL is flushed as well, once a second at most.
    assert driver.asked.count("flush_wal") >= 15
    assert driver.asked.count("flush_wal") <= driver.asked.count("reply")


def test_stream_that_moves_is_not_stalled() -> None:
    driver = Driver(until=0x300)
    driver.begin()
    for step in range(1, 100):
        driver.keepalive(0x100 + step)
        driver.after(step / 2)
    assert "flush_wal" not in driver.asked


def test_idle_means_caught_up() -> None:
    driver = Driver(idle_timeout=5)
    driver.begin()
    assert driver.after(0) == 1
    assert 0 < driver.after(4.5) <= 0.5 + 0.1
    assert driver.asked == []
    driver.keepalive(0x200)
    assert driver.after(6) > 0
    assert driver.asked[:1] == ["where"]
    assert not driver.ending.has_come
    driver.after(7)
    assert "reply" in driver.asked
    driver.keepalive(0x300)
    driver.after(8)
    came: bool = driver.ending.has_come
    assert came


def test_idle_never_ends_inside_a_transaction() -> None:
    driver = Driver(idle_timeout=1)
    driver.begin()
    driver.session.take(wire.xlog_data(wire.begin(0x400), 0x100, 0x100))
    driver.keepalive(0x300)
    for seconds in (2, 3, 4):
        driver.after(seconds)
    assert not driver.ending.has_come


def test_change_begins_the_idle_time_anew() -> None:
    driver = Driver(idle_timeout=5)
    driver.begin()
    driver.after(6)
    driver.session.progress.deliver(0x280, 1)
    driver.keepalive(0x300)
    driver.after(6.5)
    driver.after(11)
    assert not driver.ending.has_come
    driver.after(12)
    driver.after(12.1)
    came: bool = driver.ending.has_come
    assert came


def test_outage_is_no_idleness() -> None:
    driver = Driver(idle_timeout=5)
    driver.begin()
    driver.after(6)
    driver.keepalive(0x300)
    driver.ending.reconnected()  # at a time of 0 here
    driver.session.resume()
    driver.after(4.5)
    assert not driver.ending.has_come
    assert driver.asked.count("where") == 1
    driver.after(5.5)
    assert driver.asked.count("where") == 2
    driver.after(5.6)
    assert not driver.ending.has_come  # the new stream has not said yet where it is
    driver.keepalive(0x300)
    driver.after(5.7)
    came: bool = driver.ending.has_come
    assert came
