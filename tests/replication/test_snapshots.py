"""Tests of `pglogical_cdc.replication.snapshots`: before the stream of a reader and with it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc.errors import ConfigurationError, OffsetStoreError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import Blocking, run
from pglogical_cdc.replication.link import Link
from pglogical_cdc.replication.snapshots import Snapshots
from pglogical_cdc.replication.stored import BEGUN
from pglogical_cdc.snapshot import RemainingTable, remaining_text
from tests.reading import make_slot, reader, wait_until
from tests.replication.arguments import checked
from tests.replication.stores import MemoryOffsets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pglogical_cdc import ReplicationReader
    from tests.servers import Database

_RESUMABLE: dict[str, Any] = {"create": True, "snapshot": "initial", "snapshot_resumable": True}


def _tables(database: Database) -> None:
    database.execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);"
        "CREATE PUBLICATION pub FOR ALL TABLES;"
        "INSERT INTO a SELECT generate_series(1, 35); INSERT INTO b SELECT generate_series(1, 25)"
    )


def _slots(database: Database, slot: str) -> int:
    ((count,),) = database.execute(
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", [slot]
    )
    return int(count)


# -- with the stream


def test_there_is_none_before_the_first_begins() -> None:
    snapshots = Snapshots(checked(until="now"), Blocking())
    assert (snapshots.handoff, snapshots.incremental, snapshots.stats) == (None, None, None)
    assert snapshots.load() is None
    assert not snapshots.puts_off_the_end
    with pytest.raises(ConfigurationError, match=r"schema\.table"):
        snapshots.begin("t", where=None, chunk_rows=10)
    snapshot = snapshots.begin("public.t", where=None, chunk_rows=10)
    incremental = snapshots.incremental
    assert incremental is not None
    assert snapshots.begin("public.u", where=None, chunk_rows=10) is not snapshot
    assert snapshots.incremental is incremental
    assert snapshots.stats is None  # no table is known yet


def test_rows_that_are_to_come_put_off_the_moment_of_now() -> None:
    for until, expected in (("now", True), (None, False)):
        snapshots = Snapshots(checked(until=until), Blocking())
        snapshot = snapshots.begin("public.t", where=None, chunk_rows=10)
        assert snapshots.puts_off_the_end is expected
        snapshot.pause()
        assert not snapshots.puts_off_the_end
        snapshot.resume()
        snapshot.cancel()
        assert not snapshots.puts_off_the_end


@pytest.fixture
def link(database: Database, slot_name: str) -> Iterator[Link]:
    """A link to a slot, and a publication of two tables; without a snapshot."""
    make_slot(database, slot_name, "DROP TABLE t")
    database.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    settings = checked(slot=slot_name, publications="pub", snapshot_exclude="public.b")
    made = Link(database.dsn, settings, Blocking())
    run(made.open())
    with closing(made.beside):
        yield made
        assert made.stream is not None
        made.stream.drop()


@pytest.mark.pg
def test_what_remains_of_a_resumable_one(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    a = RemainingTable(("public", "a"), None, None, (), 5)
    b = RemainingTable(("public", "b"), None, None, (), 0)
    gone = RemainingTable(("public", "gone"), None, None, (), 0)
    for text, expected in (
        # Which tables there are is chosen when it begins, and not again.
        (BEGUN, [RemainingTable(("public", "a"), None, None, (), 0)]),
        (remaining_text([a, b], binary=False), [a, b]),
        (remaining_text([gone, a], binary=False), [a]),
    ):
        snapshots = Snapshots(checked(publications="pub", snapshot_exclude="public.b"), Blocking())
        run(snapshots.find_remaining(text, link.server.version, link.beside))
        # It is found anew with every attempt to open.
        run(snapshots.find_remaining(text, link.server.version, link.beside))
        remaining_at = snapshots.load()
        assert remaining_at is not None
        assert remaining_at(LSN(1)) == remaining_text(expected, binary=False)
        assert snapshots.stats is not None
        assert snapshots.stats.tables == len(expected)
    assert "public.gone is not published any more" in caplog.text
    with pytest.raises(OffsetStoreError, match="cannot be read"):
        run(snapshots.find_remaining("?", link.server.version, link.beside))


@pytest.mark.pg
@pytest.mark.slow
def test_table_that_is_gone_when_it_is_resumed(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    _tables(database)
    offsets = MemoryOffsets()
    options = {**_RESUMABLE, "snapshot_chunk_rows": 10, "offsets": offsets, "until": "now"}
    with reader(database, slot_name, **options) as made:
        for count, _ in enumerate(made, 1):
            if count == 15:
                break
    database.execute("DROP TABLE b")
    with reader(database, slot_name, **options) as made:
        assert {change.table for change in made} == {"a"}
    assert offsets.last.snapshot == ""
    assert "public.b is not published any more" in caplog.text


# -- before the stream


def _begun(database: Database, slot: str, **options: Any) -> ReplicationReader:
    _tables(database)
    made = reader(database, slot, **{"create": True, "snapshot": "initial", **options})
    made.open()
    return made


@pytest.mark.pg
def test_figures_stay_when_the_slot_is_there_for_good(database: Database, slot_name: str) -> None:
    offsets = MemoryOffsets()
    with _begun(database, slot_name, until="now", offsets=offsets) as made:
        snapshots = made._source.snapshots
        handoff = snapshots.handoff
        assert handoff is not None
        loop = iter(made)
        for _ in range(60):
            next(loop)
        assert snapshots.handoff is handoff
        assert offsets.saved == []  # before there is a slot to go on with
        assert list(loop) == []
        stats = snapshots.stats
        assert stats is not None
        assert (stats.tables_read, stats.rows) == (2, 60)
        made.snapshot_table("public.a")
        assert snapshots.stats == stats
        assert made._source.link.snapshots.handoff is None
    assert _slots(database, slot_name) == 1
    assert offsets.saved


@pytest.mark.pg
@pytest.mark.parametrize(
    ("taken", "acknowledged", "options", "slots"),
    [
        (60, True, {}, 1),
        (60, False, {}, 0),
        (59, True, {}, 0),
        (60, True, {"snapshot": "initial_only"}, 0),
        (60, True, {"temporary": True}, 0),
    ],
)
def test_closing_makes_the_slot_only_when_all_rows_are_dealt_with(
    database: Database,
    slot_name: str,
    taken: int,
    *,
    acknowledged: bool,
    options: dict[str, Any],
    slots: int,
) -> None:
    with _begun(database, slot_name, ack="manual", **options) as made:
        loop = iter(made)
        rows = [next(loop) for _ in range(taken)]
        assert _slots(database, slot_name) == ("temporary" in options)
        if acknowledged:
            made.ack(rows[-1])
    # A temporary one goes when the server has noticed.
    wait_until(lambda: _slots(database, slot_name) == slots)


@pytest.mark.pg
def test_slot_that_cannot_be_made_at_the_end_is_told(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with _begun(database, slot_name, ack="manual") as made:
        loop = iter(made)
        rows = [next(loop) for _ in range(60)]
        made.ack(rows[-1])
        database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    assert f"slot '{slot_name}' could not be made, so its snapshot comes again" in caplog.text
