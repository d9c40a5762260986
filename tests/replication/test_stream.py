"""Tests of `pglogical_cdc.replication.stream`: waiting, ending and breaking, on a real server."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pglogical_cdc.errors import ConnectionLostError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import run
from pglogical_cdc.replication.backoff import Backoff
from pglogical_cdc.replication.reader import ReplicationReader
from tests.faults.proxy import Proxy
from tests.reading import active_pid, confirmed, keys, make_slot, read, reader, wait_until

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg()


def _port(database: Database) -> int:
    return int(conninfo_to_dict(database.dsn)["port"] or 0)


def test_timeout_and_commit_give_none(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        source = made._source
        began = time.monotonic()
        assert run(source.take(0.1)) is None
        assert 0.1 <= time.monotonic() - began < 5
        database.execute("INSERT INTO t VALUES (1)")
        assert run(source.take(10)) is not None
        assert run(source.take(10, at_commit=True)) is None
        assert not source.ended


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


@pytest.mark.usefixtures("patient_goodbye")
def test_idle_database_beside_a_busy_one_moves_its_slot(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    start = confirmed(database, slot_name)
    with reader(database, slot_name) as made:
        with psycopg.connect(database.server.dsn(), autocommit=True) as other:
            other.execute("CREATE TABLE IF NOT EXISTS busy (id int)")
            other.execute("INSERT INTO busy SELECT generate_series(1, 1000)")
            other.execute("DROP TABLE busy")
        wait_until(lambda: made.poll(0.2) is None and made.stats.acknowledged_lsn - start > 50_000)
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
    with reader(database, slot_name, reconnect=None) as made:
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
    with reader(database, slot_name, reconnect=None) as made:
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


_UNTOUCHED = """
    ALTER TABLE t ADD body text;
    ALTER TABLE t ALTER body SET STORAGE EXTERNAL;
    INSERT INTO t VALUES (1, 'a', repeat('x', 5000));
    UPDATE t SET v = 'b';
"""


def _beside(database: Database, slot: str) -> list[int]:
    """The processes of the connections beside the streams."""
    rows = database.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'pglogical_cdc' AND pid <> %s",
        [active_pid(database, slot)],
    )
    return [int(pid) for (pid,) in rows]


def test_value_is_reselected_once_and_over_a_new_connection_if_need_be(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute(_UNTOUCHED)
    with reader(database, slot_name, reselect=True) as made:
        loop = iter(made)
        next(loop)
        (pid,) = _beside(database, slot_name)
        database.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        change = next(loop)
        assert _beside(database, slot_name) != [pid]
        assert change.after is not None
        assert change.after["body"] == "x" * 5000
        # What is in hand is given again as it is, by whatever loop.
        database.execute("DROP TABLE t")
        assert next(iter(made)) is change
        assert next(made.batches(max_rows=1)) == [change]


def test_nothing_is_asked_for_what_the_server_has_sent(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("ALTER TABLE t REPLICA IDENTITY FULL")
    database.execute(_UNTOUCHED)
    database.execute("UPDATE t SET v = NULL; DELETE FROM t; TRUNCATE t")
    with reader(database, slot_name, until="now", reselect=True) as made:
        loop = iter(made)
        changes = [next(loop)]
        (pid,) = _beside(database, slot_name)
        database.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        changes += loop
        assert [change.op for change in changes] == [
            "insert",
            "update",
            "update",
            "delete",
            "truncate",
        ]
        assert _beside(database, slot_name) == []


def test_poll_gives_whole_rows_too(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(_UNTOUCHED)
    for options, complete in (({}, False), ({"reselect": True}, True)):
        with reader(database, slot_name, **options) as made:
            while (change := made.poll(5)) is None or change.op != "update":
                pass
            assert change.after is not None
            assert change.after.is_complete is complete


def test_session_is_named_for_the_people_who_look(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name):
        ((name,),) = database.execute(
            "SELECT application_name FROM pg_stat_replication WHERE pid = %s",
            [active_pid(database, slot_name)],
        )
        assert name == "pglogical_cdc"


def _kill(database: Database, slot: str) -> None:
    database.execute("SELECT pg_terminate_backend(%s, 5000)", [active_pid(database, slot)])


@pytest.mark.parametrize("reconnect", [None, Backoff()])
def test_goodbye_over_a_broken_connection_is_silent(
    database: Database, slot_name: str, reconnect: Backoff | None
) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    made = reader(database, slot_name, ack="manual", reconnect=reconnect)
    with made:
        change = made.poll(10)
        assert change is not None
        # Acknowledged, and its Commit message, which the goodbye looks for, never comes.
        assert made._source.link.stream is not None
        made._source.link.stream.messages.clear()
        made.ack(change)
        _kill(database, slot_name)
    assert keys(read(database, slot_name)) == [1]


def test_goodbye_takes_the_commit_behind_the_last_change_along(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    for number in range(3):
        database.execute("INSERT INTO t VALUES (%s)", [number])
    with reader(database, slot_name, ack="manual") as made:
        change = made.poll(10)
        assert change is not None
        made.ack(change)
    assert keys(read(database, slot_name)) == [1, 2]


def test_goodbye_to_a_server_that_does_not_answer_takes_a_moment(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    with Proxy(_port(database)) as proxy:
        made = ReplicationReader(proxy.dsn(database.dsn), slot=slot_name, publications="pub")
        with made:
            database.execute("INSERT INTO t VALUES (1)")
            assert keys([next(iter(made))]) == [1]
            proxy.black_hole()
            began = time.monotonic()
        assert time.monotonic() - began < 5
