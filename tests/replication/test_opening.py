"""Tests of `pglogical_cdc.replication.opening`: what a server must have, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from attrs import evolve

from pglogical_cdc.errors import (
    ConfigurationError,
    ConnectionLostError,
    OffsetStoreError,
    PublicationNotFoundError,
    SlotGapError,
    SlotNotFoundError,
    SystemMismatchError,
    TimelineDivergedError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import Offset
from pglogical_cdc.postgres import Blocking, parameters, run
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.opening import Opened, Walsender, open_connection
from pglogical_cdc.replication.reader import ReplicationReader
from pglogical_cdc.replication.stored import StoredPosition
from tests.reading import active_pid, confirmed, keys, make_slot, reader, wait_until
from tests.replication.arguments import checked
from tests.replication.stores import AsyncMemoryOffsets, MemoryOffsets

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


class Opener:
    """Opens connections of a slot, and closes them."""

    def __init__(self, database: Database, slot: str) -> None:
        self.given = parameters(database.dsn)
        self.slot = slot
        self.flavour = Blocking()
        self.beside = Beside(self.given, slot, self.flavour)
        self.opened: list[Opened] = []

    def open(
        self, known: Offset | None = None, previous: Walsender | None = None, **options: Any
    ) -> Opened:
        settings = checked(**{"slot": self.slot, "publications": "pub", **options})
        coroutine = open_connection(
            self.given,
            settings,
            self.flavour,
            self.beside,
            known,
            StoredPosition(settings, self.flavour),
            previous=previous,
            patience=60,
        )
        self.opened.append(run(coroutine))
        return self.opened[-1]

    def close(self) -> None:
        self.beside.close()
        for opened in self.opened:
            opened.connection.pgconn.finish()
        self.flavour.close()


@pytest.fixture
def opener(database: Database, slot_name: str) -> Iterator[Opener]:
    made = Opener(database, slot_name)
    yield made
    made.close()


def _sessions(database: Database) -> int:
    ((count,),) = database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'pglogical_cdc'"
    )
    return int(count)


def test_what_is_opened(database: Database, slot_name: str, opener: Opener) -> None:
    make_slot(database, slot_name)
    opened = opener.open()
    assert opened.slot is not None
    assert (opened.server.database, opened.slot.name) == (database.name, slot_name)
    assert opened.known is None
    walsender = opened.walsender
    assert walsender.pid == opened.connection.info.backend_pid
    assert opened.is_where(evolve(walsender, pid=1))
    for other in ({"port": 1}, {"host": "elsewhere"}, {"system_identifier": "1"}):
        assert not opened.is_where(evolve(walsender, **other))


def test_every_policy_at_every_mismatch(database: Database, slot_name: str, opener: Opener) -> None:
    make_slot(database, slot_name)
    first = opener.open()
    assert first.slot is not None
    server, slot = first.server, first.slot.confirmed_flush_lsn
    here = Offset(server.system_identifier, server.timeline, slot_name, slot, slot)
    beyond = LSN(server.position + 0x10000000)
    foreign = evolve(here, system_identifier="1")
    newer = evolve(here, timeline=server.timeline + 1)
    ahead = evolve(here, position=beyond, transaction_end=beyond)
    keepalive = evolve(here, position=beyond)
    behind = evolve(here, position=LSN(1), transaction_end=LSN(1))
    taken = "trust_slot", "trust_offset"

    for policy in ("raise", *taken):
        assert opener.open(here, on_offset_mismatch=policy).known == here
        held = opener.open(keepalive, on_offset_mismatch=policy).known
        assert held is not None
        # The server has lost WAL, and may have written other in its place: only the slot knows.
        assert held == here
    for known, error in (
        (foreign, SystemMismatchError),
        (newer, TimelineDivergedError),
        (ahead, TimelineDivergedError),
    ):
        with pytest.raises(error):
            opener.open(known)
        assert opener.open(known, on_offset_mismatch="trust_slot").known is None
        trusted = opener.open(known, on_offset_mismatch="trust_offset").known
        assert trusted == evolve(
            known, system_identifier=server.system_identifier, timeline=server.timeline
        )
    # What the slot does not have any more, no policy brings back.
    for known in (behind, evolve(behind, timeline=newer.timeline)):
        with pytest.raises(SlotGapError if known is behind else TimelineDivergedError):
            opener.open(known)
        assert opener.open(known, on_offset_mismatch="trust_slot").known is None
        with pytest.raises(SlotGapError):
            opener.open(known, on_offset_mismatch="trust_offset")
    for opened in opener.opened:
        opened.connection.pgconn.finish()
    opener.beside.close()
    wait_until(lambda: _sessions(database) == 0)  # of those that failed, too


def test_readers_follow_their_policies(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    database.execute("INSERT INTO t VALUES (2)")
    store = MemoryOffsets()
    with reader(database, slot_name, offsets=store, ack="manual") as made:
        first = made.poll(10)
        assert first is not None
        assert made.poll(10) is None  # its commit
        made.ack(first)
    assert first.transaction is not None
    assert first.transaction.end_lsn == store.last.transaction_end <= store.last.position
    good = store.last

    def keys_with(offset: Offset, policy: str) -> list[object]:
        store = MemoryOffsets(offset)
        options = {"offsets": store, "on_offset_mismatch": policy, "ack": "manual"}
        with reader(database, slot_name, until="now", **options) as made:
            got = keys(list(made))
        assert store.last.system_identifier == good.system_identifier
        assert store.last.timeline == good.timeline
        assert store.last.position >= confirmed(database, slot_name)
        return got

    foreign = evolve(good, system_identifier="1")
    for policy in ("trust_slot", "trust_offset"):
        caplog.clear()
        assert keys_with(foreign, policy) == [2]
        assert policy in caplog.text
    caplog.clear()
    assert keys_with(good, "raise") == [2]
    assert caplog.text == ""
    with pytest.raises(SystemMismatchError):
        keys_with(foreign, "raise")
    gap = evolve(good, position=LSN(1), transaction_end=LSN(1))
    for policy in ("raise", "trust_offset"):
        with pytest.raises(SlotGapError, match="trust_slot"):
            keys_with(gap, policy)
    assert keys_with(gap, "trust_slot") == [2]
    # A slot behind the store is healthy: what was stored is not delivered again.
    further = make_further(database, slot_name)
    assert keys_with(further, "raise") == [3]


def make_further(database: Database, slot: str) -> Offset:
    """Read up to a third row, and store that without telling the server."""
    database.execute("INSERT INTO t VALUES (3)")
    store = MemoryOffsets()
    with reader(database, slot, offsets=store, ack="manual") as made:
        change = made.poll(10)
        assert change is not None
        assert keys([change]) == [2]
        assert made.poll(10) is None
        transaction = change.transaction
        assert transaction is not None
        assert transaction.end_lsn is not None
        return evolve(store.last, position=transaction.end_lsn, transaction_end=transaction.end_lsn)


def test_other_cluster_without_the_slot_is_another_cluster(
    database: Database, slot_name: str, opener: Opener
) -> None:
    """Nobody is told to create there what is missing."""
    database.execute("CREATE TABLE t (id int)")
    foreign = Offset("1", 1, slot_name, LSN(1))
    with pytest.raises(SystemMismatchError):
        opener.open(foreign)
    database.execute("CREATE PUBLICATION pub FOR ALL TABLES")
    with pytest.raises(SystemMismatchError):
        opener.open(foreign, create=True)
    server = opener.open(create=True).server
    newer = Offset(server.system_identifier, server.timeline + 1, slot_name + "x", LSN(1))
    with pytest.raises(TimelineDivergedError):
        opener.open(newer, slot=slot_name + "x")


def test_nothing_is_created_where_something_was_read(
    database: Database, slot_name: str, opener: Opener
) -> None:
    database.execute("CREATE TABLE t (id int)")
    server = opener.open(create=True).server
    known = Offset(server.system_identifier, server.timeline, slot_name, LSN(1))
    database.execute("DROP PUBLICATION pub")
    with pytest.raises(PublicationNotFoundError):
        opener.open(known, create=True)
    database.execute("CREATE PUBLICATION pub FOR ALL TABLES")
    database.execute("SELECT pg_drop_replication_slot(%s)", [slot_name])
    with pytest.raises(SlotNotFoundError):
        opener.open(known, create=True)
    with pytest.raises(SlotNotFoundError):
        reader(database, slot_name, create=True, offsets=MemoryOffsets(known)).open()
    assert database.execute(
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", [slot_name]
    ) == [(0,)]


def test_own_walsender_that_has_not_noticed_is_ended(
    database: Database, slot_name: str, opener: Opener
) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as left_behind:
        source = left_behind._source
        process = active_pid(database, slot_name)
        assert source.link.walsender is not None
        assert source.link.walsender.pid == process
        strangers = (
            evolve(source.link.walsender, pid=1),
            evolve(source.link.walsender, system_identifier="1"),
        )
        for stranger in strangers:
            opener.open(previous=stranger)
        assert active_pid(database, slot_name) == process
        opener.open(previous=source.link.walsender)
        wait_until(lambda: active_pid(database, slot_name) is None)


def test_wrong_stores(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    wrong: Any = "0/1"
    stores = (MemoryOffsets(wrong), MemoryOffsets(Offset("1", 1, "other", LSN(1))))
    for store in stores:
        with pytest.raises(OffsetStoreError, match=r"expected an Offset|offset of slot 'other'"):
            reader(database, slot_name, offsets=store).open()
    with pytest.raises(ConfigurationError, match="AsyncReplicationReader"):
        reader(database, slot_name, offsets=AsyncMemoryOffsets()).open()
    failing = MemoryOffsets()
    failing.failure = lambda: OffsetStoreError("cannot be read")
    with pytest.raises(OffsetStoreError, match="cannot be read"):
        reader(database, slot_name, offsets=failing).open()


def test_first_connection_is_tried_once(database: Database, slot_name: str) -> None:
    dsn = psycopg.conninfo.make_conninfo(database.dsn, port=1)
    made = ReplicationReader(dsn, slot=slot_name, publications="pub")
    with pytest.raises(ConnectionLostError), made:
        pass
