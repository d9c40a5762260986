"""Tests of `pglogical_cdc.replication.stream`: waiting, ending and breaking, on a real server."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pglogical_cdc.errors import ConnectionLostError
from pglogical_cdc.lsn import LSN
from tests.reading import active_pid, confirmed, keys, make_slot, read, reader, wait_until

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg()


def test_timeout_and_commit_give_none(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        stream = made._stream
        assert stream is not None
        began = time.monotonic()
        assert stream.next_change(0.1) is None
        assert 0.1 <= time.monotonic() - began < 5
        database.execute("INSERT INTO t VALUES (1)")
        assert stream.next_change(10) is not None
        assert stream.next_change(10, at_commit=True) is None
        assert not stream.ended
        assert stream.error is None


def test_stop_from_a_thread_ends_the_wait(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        timer = threading.Timer(0.2, made.stop)
        timer.start()
        began = time.monotonic()
        assert list(made) == []
        assert time.monotonic() - began < 1.5
        timer.join()


def test_stop_from_a_signal_handler_ends_the_wait(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        before = signal.signal(signal.SIGALRM, lambda number, frame: made.stop())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            began = time.monotonic()
            assert list(made) == []
            assert time.monotonic() - began < 1.5
        finally:
            signal.signal(signal.SIGALRM, before)


def test_idle_tables_beside_busy_ones_move_the_slot(database: Database, slot_name: str) -> None:
    database.execute("CREATE TABLE quiet (id int); CREATE TABLE busy (id int)")
    database.execute("CREATE PUBLICATION quiet_pub FOR TABLE quiet")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    start = confirmed(database, slot_name)
    with reader(database, slot_name, publications="quiet_pub") as made:
        for number in range(50):
            database.execute("INSERT INTO busy VALUES (%s)", [number])
        ((text,),) = database.execute("SELECT pg_current_wal_flush_lsn()::text")
        assert made.poll(0.5) is None
        deadline = time.monotonic() + 15
        while made.stats.acknowledged_lsn < LSN.parse(text):
            assert time.monotonic() < deadline
            assert made.poll(0.2) is None
        assert made.stats.changes == 0
        assert made.poll(0.1) is None  # before it waits it tells the server
        wait_until(lambda: confirmed(database, slot_name) >= LSN.parse(text))
    assert confirmed(database, slot_name) > start


def test_idle_database_beside_a_busy_one_moves_its_slot(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    start = confirmed(database, slot_name)
    with reader(database, slot_name) as made:
        with psycopg.connect(database.server.dsn(), autocommit=True) as other:
            other.execute("CREATE TABLE IF NOT EXISTS busy (id int)")
            other.execute("INSERT INTO busy SELECT generate_series(1, 1000)")
            other.execute("DROP TABLE busy")
        assert made.poll(1) is None
    assert confirmed(database, slot_name) - start > 50_000


def test_idle_reader_still_waits_for_what_is_in_hand(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    with reader(database, slot_name, ack="manual") as made:
        change = made.poll(10)
        assert change is not None
        database.execute("SELECT pg_switch_wal()")
        made.poll(0.3)
        made.poll(0.3)
        assert made.stats.acknowledged_lsn < change.position.commit_lsn
        made.ack(change)
        assert made.stats.acknowledged_lsn > change.position.commit_lsn
        made.poll(0.1)
        wait_until(lambda: confirmed(database, slot_name) > change.position.commit_lsn)


def test_terminated_walsender_is_a_lost_connection_for_good(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        database.execute("SELECT pg_terminate_backend(%s)", [active_pid(database, slot_name)])
        with pytest.raises(ConnectionLostError) as first:
            list(made)
        for again in (made.__iter__, made.batches, made.transactions):
            with pytest.raises(ConnectionLostError) as second:
                next(again())
            assert second.value is first.value
        assert not made.ended
        assert first.value.slot == slot_name
    assert read(database, slot_name) == []


def test_cancelled_walsender_is_a_lost_connection(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        database.execute("SELECT pg_cancel_backend(%s)", [active_pid(database, slot_name)])
        with pytest.raises(ConnectionLostError):
            list(made)


def test_backlog_does_not_hold_up_the_goodbye(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 100000) g")
    with reader(database, slot_name) as made:
        assert keys([next(iter(made))]) == [1]
        began = time.monotonic()
    assert time.monotonic() - began < 1.5


@pytest.mark.pg(17)
def test_transaction_timeout_does_not_cut_off_a_slow_reader(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute(f"ALTER DATABASE {database.name} SET transaction_timeout = '300ms'")
    database.execute("INSERT INTO t SELECT g, repeat('x', 3000) FROM generate_series(1, 5000) g")
    with reader(database, slot_name, until="now") as made:
        for count, _ in enumerate(made):
            if count == 10:
                time.sleep(1)
        assert made.stats.changes == 5000


def test_old_changes_have_the_shape_that_their_table_had(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1, 'a')")
    database.execute("ALTER TABLE t DROP v")
    database.execute("ALTER TABLE t ADD w int")
    database.execute("INSERT INTO t VALUES (2, 7)")
    options: dict[str, Any] = {"create": True, "ack": "manual"}
    first, changed, second = read(database, slot_name, **options)
    assert first.after is not None
    assert second.after is not None
    assert dict(first.after) == {"id": 1, "v": "a"}
    assert changed.op == "schema"
    assert dict(second.after) == {"id": 2, "w": 7}


def test_session_is_named_for_the_people_who_look(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name):
        ((name,),) = database.execute(
            "SELECT application_name FROM pg_stat_replication WHERE pid = %s",
            [active_pid(database, slot_name)],
        )
        assert name == "pglogical_cdc"
