"""Tests of `pglogical_cdc.replication.feedback`."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterator
from typing import cast

import psycopg
import pytest

from pglogical_cdc.events import PlainLoaders
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import Asynchronous, Blocking, CopyBoth
from pglogical_cdc.replication.feedback import Feedback
from pglogical_cdc.replication.session import Session
from tests import wire


class Wire:
    """Keeps what is sent, and breaks when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self.is_broken = False

    def send(self, data: bytes) -> None:
        if self.is_broken:
            raise psycopg.OperationalError("gone")
        self.sent.append((time.monotonic(), data))

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while len(self.sent) < count:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def flavour() -> Iterator[Blocking]:
    made = Blocking()
    yield made
    made.close()


def _session() -> Session:
    return Session(
        database="", loaders=PlainLoaders(), confirmed_flush=LSN(0x100), max_message_bytes=1000
    )


def _feedback(to: Wire, session: Session, interval: float) -> Feedback:
    return Feedback(cast("CopyBoth", to), session, interval)


def _has_news(feedback: Feedback) -> bool:
    return feedback.has_news


def test_sends_what_the_session_says() -> None:
    to, session = Wire(), _session()
    feedback = _feedback(to, session, 60)
    assert _has_news(feedback)  # nobody knows what the server has heard over another connection
    session.take(wire.primary_keepalive(0x200))
    assert _has_news(feedback)
    feedback.send(reply_requested=True)
    ((_, data),) = to.sent
    assert data[:25] == wire.standby_status_update(0x200, 0x200, 0x200, 0)[:25]
    assert data[-1] == 1
    assert not _has_news(feedback)
    assert feedback.age < 20
    now = int.from_bytes(data[25:33], "big", signed=True) / 1e6 + 946_684_800
    assert abs(now - time.time()) < 60


def test_timer_sends_by_itself_and_stops(flavour: Blocking) -> None:
    to = Wire()
    feedback = _feedback(to, _session(), 0.02)
    feedback.start(flavour)
    to.wait_for(3)
    feedback.stop()
    count = len(to.sent)
    times = [when for when, _ in to.sent]
    assert all(later - earlier >= 0.015 for earlier, later in itertools.pairwise(times))
    time.sleep(0.1)
    assert len(to.sent) == count
    feedback.send()
    assert len(to.sent) == count + 1


def test_timer_waits_after_an_update_that_was_sent_anyway(flavour: Blocking) -> None:
    to = Wire()
    feedback = _feedback(to, _session(), 0.5)
    feedback.start(flavour)
    time.sleep(0.3)
    feedback.send()
    count = len(to.sent)  # not one, if the sleep took so long that the timer has sent
    to.wait_for(count + 1)
    feedback.stop()
    assert to.sent[count][0] - to.sent[count - 1][0] >= 0.45


def test_broken_connection_ends_the_timer_without_noise(flavour: Blocking) -> None:
    to = Wire()
    to.is_broken = True
    feedback = _feedback(to, _session(), 0.01)
    feedback.start(flavour)
    time.sleep(0.1)
    feedback.stop()
    assert to.sent == []
    with pytest.raises(psycopg.OperationalError):
        feedback.send()


def test_long_silence_is_logged_with_its_length(
    caplog: pytest.LogCaptureFixture, flavour: Blocking
) -> None:
    to = Wire()
    feedback = _feedback(to, _session(), 0.05)
    feedback._sent_at -= 7.0  # as if the process had been held up
    with caplog.at_level(logging.WARNING):
        feedback.start(flavour)
        to.wait_for(1)
        feedback.stop()
    # More of them where the machine holds it up, too.
    assert "no status update could be sent for 7." in caplog.records[0].getMessage()


def test_timer_that_is_on_time_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    to = Wire()
    feedback = _feedback(to, _session(), 60)
    with caplog.at_level(logging.WARNING):
        feedback._sent_at -= 20
        assert 0 < cast("float", feedback._tick()) <= 40
        assert to.sent == []
        for late in (0, 30):
            feedback._sent_at -= 60 + late
            assert feedback._tick() == 60
    assert len(to.sent) == 2
    assert caplog.records == []


def test_with_a_store_only_what_is_stored_is_sent() -> None:
    to, session = Wire(), _session()
    session.stored = LSN(0x100)
    feedback = _feedback(to, session, 60)
    session.take(wire.primary_keepalive(0x200))
    assert _has_news(feedback)
    feedback.send()
    ((_, data),) = to.sent
    assert data[:25] == wire.standby_status_update(0x200, 0x100, 0x100, 0)[:25]
    assert _has_news(feedback)
    session.stored = LSN(0x200)
    feedback.send()
    assert to.sent[1][1][:25] == wire.standby_status_update(0x200, 0x200, 0x200, 0)[:25]
    assert not _has_news(feedback)


def test_due_from_half_of_the_interval_on() -> None:
    feedback = _feedback(Wire(), _session(), 60)
    assert not feedback.is_due
    feedback._sent_at -= 31
    due: bool = feedback.is_due
    assert due
    feedback.send()
    assert not feedback.is_due


def test_timer_of_an_event_loop(caplog: pytest.LogCaptureFixture) -> None:
    to = Wire()

    async def main() -> None:
        feedback = _feedback(to, _session(), 0.02)
        feedback.start(Asynchronous())
        deadline = time.monotonic() + 20
        while len(to.sent) < 3:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        caplog.clear()  # a busy machine may have been late already
        time.sleep(0.1)  # noqa: ASYNC251  somebody blocks the loop
        await asyncio.sleep(0.03)
        assert "keeps the GIL, or the event loop" in caplog.text
        feedback.stop()
        feedback.stop()
        count = len(to.sent)
        await asyncio.sleep(0.05)
        assert len(to.sent) == count
        to.is_broken = True
        feedback.start(Asynchronous())
        await asyncio.sleep(0.05)
        feedback.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
