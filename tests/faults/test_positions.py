"""Positions, acknowledgements and the slot, over repeats, reconnects and idle times."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import psycopg
import pytest

from pglogical_cdc import Change, Position, ReplicationReader
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.load import Ledger, Load, create_tables
from tests.faults.proxy import Proxy
from tests.reading import confirmed, keys, make_slot, read, reader, wait_until

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg

Tally = Callable[..., None]


@pytest.mark.fault(27, 28)
def test_position_is_the_identity_of_a_change(database: Database, slot_name: str) -> None:
    """Rows of one COPY share their LSN, and transactions lie in the WAL among each other."""
    make_slot(database, slot_name)
    one, two = database.connect(), database.connect()
    one.execute("BEGIN; INSERT INTO t VALUES (1)")
    two.execute("BEGIN; INSERT INTO t VALUES (2)")
    one.execute("INSERT INTO t VALUES (3)")
    two.execute("INSERT INTO t VALUES (4); COMMIT")
    for numbers, size in ((range(10, 20), 1), (range(20, 40), 500_000)):
        # The second is more than the sockets on the way can hold.
        with one.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            for number in numbers:
                copy.write_row((number, "x" * size))
    one.execute("COMMIT")
    two.execute("INSERT INTO t VALUES (5)")  # its record is the first behind that commit

    def look(changes: list[Change]) -> list[tuple[object, Position]]:
        return [(key, change.position) for key, change in zip(keys(changes), changes, strict=True)]

    with Proxy(database.server.embedded.port) as proxy:
        with reader(database, slot_name, until="now", ack="manual") as made:
            first = list(made)
        got = look(first)
        assert [key for key, _ in got] == [2, 4, 1, 3, *range(10, 40), 5]
        positions = [position for _, position in got]
        assert positions == sorted(set(positions))
        assert len({change.lsn for change in first[4:14]}) == 1
        # In the next process all of it comes again, and over a reconnect nothing of it does.
        dsn = proxy.dsn(database.dsn)
        again: list[Change] = []
        with ReplicationReader(
            dsn, slot=slot_name, publications="pub", until="now", ack="manual"
        ) as made:
            for number, change in enumerate(made):
                again.append(change)
                if number in (0, 1, 3, 10, 22):
                    proxy.cut()
            assert made.stats.reconnects >= 1
        assert look(again) == got


@pytest.mark.fault(29)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_idle_table_beside_a_busy_database_holds_no_wal(
    database: Database, slot_name: str, flavour: Flavour
) -> None:
    make_slot(database, slot_name)
    start = confirmed(database, slot_name)
    with Consumer(flavour, database.dsn, slot_name, Ledger()) as consumer:
        with psycopg.connect(database.server.dsn(), autocommit=True) as other:
            other.execute("CREATE TABLE IF NOT EXISTS busy (id int)")
            other.execute("INSERT INTO busy SELECT generate_series(1, 1000)")
            other.execute("DROP TABLE busy")
        wait_until(lambda: confirmed(database, slot_name) - start > 50_000)
        assert consumer.reader.stats.changes == 0
        assert consumer.reader.stats.lag_bytes < 50_000


@pytest.mark.fault(30)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_slot_never_moves_back_and_never_past_what_is_not_acknowledged(
    database: Database, slot_name: str, flavour: Flavour, tally: Tally
) -> None:
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    ledger = Ledger()
    seen = [confirmed(database, slot_name)]
    with (
        Proxy(database.server.embedded.port) as proxy,
        Load(database.dsn, rate=300) as load,
        Consumer(flavour, proxy.dsn(database.dsn), slot_name, ledger) as consumer,
    ):
        for number in range(100):
            load.wait_for(1)
            seen.append(confirmed(database, slot_name))
            if number % 20 == 10:
                proxy.cut()
            # What it will say next is the most that the slot may have heard.
            assert seen[-1] <= consumer.reader.stats.acknowledged_lsn
        consumer.finish(load.stop())
        tally("slot watched over cuts", 5, ledger.verdict(load.expected()))
    assert seen == sorted(seen)
    assert confirmed(database, slot_name) >= seen[-1]


@pytest.mark.fault(30)
def test_change_whose_body_failed_comes_again(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for number in range(5):
        database.execute("INSERT INTO t VALUES (%s)", [number])

    def consume() -> None:
        with reader(database, slot_name) as made:
            for change in made:
                if change.key == {"id": 3}:
                    raise RuntimeError("the body fails")

    with pytest.raises(RuntimeError, match="the body"):
        consume()
    assert keys(read(database, slot_name)) == [3, 4]
