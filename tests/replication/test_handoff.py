"""Tests of `pglogical_cdc.replication.handoff`: from a snapshot to the stream."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc import ConnectionLostError, SnapshotRead
from pglogical_cdc.postgres import Blocking, run
from pglogical_cdc.replication.link import Link
from tests.replication.arguments import checked

if TYPE_CHECKING:
    from pglogical_cdc.replication.handoff import Handoff
    from tests.servers import Database

pytestmark = pytest.mark.pg


def _begun(database: Database, slot: str) -> tuple[Link, Handoff]:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    database.execute("CREATE PUBLICATION pub FOR TABLE t")
    database.execute("INSERT INTO t SELECT generate_series(1, 100)")
    settings = checked(slot=slot, publications="pub", create=True, snapshot="initial")
    link = Link(database.dsn, settings, Blocking())
    run(link.open())
    assert link.snapshots.handoff is not None
    return link, link.snapshots.handoff


def _rows(handoff: Handoff) -> list[SnapshotRead]:
    rows: list[SnapshotRead] = []
    while not handoff.is_read:
        found = run(handoff.read(None))
        assert found is not None
        rows += found
    return rows


def _slots(database: Database) -> list[tuple[str, bool]]:
    return [
        (str(name), bool(temporary))
        for name, temporary in database.execute(
            "SELECT slot_name, temporary FROM pg_replication_slots WHERE database = %s",
            [database.name],
        )
    ]


def test_slot_is_made_when_all_rows_are_acknowledged(database: Database, slot_name: str) -> None:
    link, handoff = _begun(database, slot_name)
    with closing(handoff), closing(link.beside):
        rows = _rows(handoff)
        assert [row.after["id"] for row in rows] == list(range(1, 101))
        for row in rows:
            handoff.session.deliver(row)
        handoff.session.acknowledge(rows[-1])
        run(link.end_snapshot())
        assert link.snapshots.handoff is None
        assert link.stream is not None
        link.stream.drop()
        assert _slots(database) == [(slot_name, False)]


def test_stream_comes_from_the_temporary_slot_until_then(
    database: Database, slot_name: str
) -> None:
    link, handoff = _begun(database, slot_name)
    with closing(link.beside):
        rows = _rows(handoff)
        handoff.session.deliver(rows[-1])
        run(link.end_snapshot())
        assert link.snapshots.handoff is handoff
        ((name, temporary),) = _slots(database)
        assert name.startswith(slot_name)
        assert temporary
        with pytest.raises(ConnectionLostError, match="open a new reader"):
            handoff.end(ConnectionLostError("gone", slot=slot_name), link.stream)
        run(link.close(None, is_half_done=False, has_changes=False))
        assert link.stream is None
    deadline = time.monotonic() + 10
    while _slots(database):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_reading_ends_at_the_deadline(database: Database, slot_name: str) -> None:
    link, handoff = _begun(database, slot_name)
    with closing(handoff), closing(link.beside), database.connect() as other, other.transaction():
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert run(handoff.read(time.monotonic() - 1)) is None
        assert not handoff.is_read
