"""Much at once: flat memory, commit order, and every row once."""

from __future__ import annotations

import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.events import Delete, Insert, Update
from tests.reading import make_slot, reader

if TYPE_CHECKING:
    from tests.servers import Database

_ROWS = 200_000


@pytest.mark.pg(18)
def test_big_transaction_keeps_memory_flat(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(f"INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, {_ROWS}) g")
    with reader(database, slot_name, until="now") as made:
        count = 0
        for change in made:
            count += 1
            assert change.position.ordinal == count
            if count == 1000:
                tracemalloc.start()
            elif count == 20_000:
                break
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20_000_000
        assert count - 1 + len([None for _ in made]) == _ROWS  # the last comes again
        assert made.stats.transactions == 1


@pytest.mark.pg
@pytest.mark.newest
def test_three_writers_and_one_reader_agree(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    stop = threading.Event()

    def write(writer: int) -> None:
        connection = database.connect()
        number = 0
        while not stop.is_set() and number < 400:
            base = writer * 1_000_000 + number * 3
            with connection.transaction(force_rollback=number % 7 == 6):
                connection.execute(
                    "INSERT INTO t SELECT g, 'new' FROM generate_series(%s::int, %s::int) g",
                    [base, base + 2],
                )
                connection.execute("UPDATE t SET v = v || id WHERE id = %s", [base + 1])
                connection.execute("DELETE FROM t WHERE id = %s", [base])
            number += 1

    writers = [threading.Thread(target=write, args=[writer]) for writer in (1, 2, 3)]

    def say_the_end() -> None:
        for writer in writers:
            writer.join()
        database.connect().execute("INSERT INTO t VALUES (0, 'end')")

    threads = [*writers, threading.Thread(target=say_the_end)]
    table: dict[object, object] = {}
    positions = []
    with reader(database, slot_name) as made:
        for thread in threads:
            thread.start()
        try:
            for change in made:
                positions.append(change.position)
                match change:
                    case Insert(after=row) | Update(after=row):
                        table[row["id"]] = row["v"]
                    case Delete(before=row):
                        del table[row["id"]]
                if 0 in table:
                    break
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert table == dict(database.execute("SELECT id, v FROM t"))
    assert len(table) > 1000
    assert positions == sorted(set(positions))


@pytest.mark.pg(18)
def test_batch_is_not_longer_than_its_seconds(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(f"INSERT INTO t SELECT g, 'x' FROM generate_series(1, {_ROWS}) g")
    with reader(database, slot_name) as made:
        batch = next(made.batches(max_rows=10 * _ROWS, max_seconds=0.01))
        assert 0 < len(batch) < _ROWS


@pytest.mark.pg
def test_poll_returns_in_time_while_nothing_for_us_streams_by(
    database: Database, slot_name: str
) -> None:
    # PostgreSQL 14 sends Begin and Commit of transactions that are not for us.
    database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)")
    database.execute("CREATE PUBLICATION pub FOR TABLE t")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    database.execute(
        "DO $$ BEGIN FOR i IN 1..30000 LOOP INSERT INTO other VALUES (i); COMMIT; END LOOP; END $$"
    )
    database.execute("INSERT INTO t VALUES (1)")
    with reader(database, slot_name) as made:
        polls = 0
        while (change := made.poll(0.01)) is None:
            polls += 1
        assert change.key == {"id": 1}
        # From 15 on nothing streams by, and the change may be there at once.
        assert polls > 1 or database.server.version >= 15
