"""Tests of `pglogical_cdc.replication.link`: streams of one slot, one after the other."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc import (
    Backoff,
    ConnectionLostError,
    ProtocolError,
    ReaderEvent,
    SlotInUseError,
    SlotNotFoundError,
    UnknownRelationError,
)
from pglogical_cdc.postgres import Blocking, Stopped, run
from pglogical_cdc.replication.link import Link
from tests.reading import active_pid, make_slot, reader, wait_until
from tests.replication.arguments import checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Database

pytestmark = pytest.mark.pg


class _Links:
    """Makes links, and drops their connections at the end."""

    def __init__(self, database: Database, slot: str) -> None:
        self.told: list[ReaderEvent] = []
        self._database = database
        self._slot = slot
        self._made: list[Link] = []

    def link(self, flavour: Blocking | None = None, **given: Any) -> Link:
        settings = checked(
            **{"slot": self._slot, "publications": "pub", "on_event": self.told.append, **given}
        )
        made = Link(self._database.dsn, settings, flavour or Blocking())
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            if made.stream is not None:
                made.stream.drop()
            if made.session is not None:
                made.beside.close()


@pytest.fixture
def links(database: Database, slot_name: str) -> Iterator[_Links]:
    with closing(_Links(database, slot_name)) as made:
        yield made


def test_next_stream_goes_on_with_the_same_session(
    database: Database, slot_name: str, links: _Links
) -> None:
    make_slot(database, slot_name)
    link = links.link()
    run(link.open())
    first, session, walsender = link.stream, link.session, link.walsender
    assert session is not None
    assert walsender is not None
    assert walsender.pid == active_pid(database, slot_name)
    session.progress.keepalive(session.progress.flushed + 8)
    link.plan(ConnectionLostError("gone"))
    assert link.stream is None
    # The server notices later that the connection is closed, and refuses the next until then.
    wait_until(lambda: active_pid(database, slot_name) is None)
    run(link.connect())
    assert link.stream is not first
    assert (link.session, link.connects) == (session, 2)
    assert [event.state for event in links.told] == [
        "connecting",
        "streaming",
        "retrying",
        "connecting",
        "streaming",
    ]


def test_errors_that_no_attempt_can_help_leave_the_stream(
    database: Database, slot_name: str, links: _Links
) -> None:
    make_slot(database, slot_name)
    link = links.link(reconnect=Backoff(tries=1, initial=0.001))
    run(link.open())
    with pytest.raises(ProtocolError):
        link.plan(ProtocolError("Begin", 0, "this", "that"))
    with pytest.raises(UnknownRelationError):
        link.plan(UnknownRelationError("Insert", 0, "this", "that"))
    assert link.stream is not None
    link.plan(ConnectionLostError("once"))
    with pytest.raises(ConnectionLostError, match="twice"):
        link.plan(ConnectionLostError("twice"))


def test_slot_that_is_gone_or_taken(database: Database, slot_name: str, links: _Links) -> None:
    make_slot(database, slot_name)
    link = links.link(reconnect=None)
    with reader(database, slot_name), pytest.raises(SlotInUseError):
        run(link.open())
    assert link.session is None
    flavour = Blocking()
    flavour.stop()
    with pytest.raises(Stopped):
        run(links.link(flavour).open())
    slot = slot_name + "x"
    temporary = links.link(slot=slot, create=True, temporary=True)
    run(temporary.open())
    temporary.plan(ConnectionLostError("gone"))
    # The server notices later that the connection is closed; until then the slot is in use.
    one = "SELECT FROM pg_replication_slots WHERE slot_name = %s"
    wait_until(lambda: not database.execute(one, [slot]))
    with pytest.raises(SlotNotFoundError, match="has ended with its connection"):
        run(temporary.connect())
