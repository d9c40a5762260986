"""Tests of `pglogical_cdc.replication.reader` on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

import pytest
from psycopg.conninfo import conninfo_to_dict

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    MessageTooLargeError,
    PublicationNotFoundError,
    SlotInUseError,
    SlotNotFoundError,
)
from pglogical_cdc.events import Insert, LogicalMessage, Position, SchemaChange
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import Offset
from pglogical_cdc.replication.backoff import Backoff
from pglogical_cdc.replication.reader import AsyncReplicationReader, ReplicationReader
from pglogical_cdc.replication.settings import ReaderEvent
from tests.faults.proxy import Proxy
from tests.reading import (
    active_pid,
    confirmed,
    delivered_transactions,
    keys,
    make_slot,
    read,
    reader,
    wait_until,
)
from tests.replication.stores import AsyncMemoryOffsets, MemoryOffsets
from tests.replication.test_source import frozen

if TYPE_CHECKING:
    from pglogical_cdc.events import Change
    from tests.servers import Database, Server

pytestmark = pytest.mark.pg()

WORKLOAD = (
    "INSERT INTO t SELECT g, 'a' FROM generate_series(1, 3) g",
    "INSERT INTO t VALUES (4, 'b')",
    "UPDATE t SET v = 'c' WHERE id <= 2",
    "DELETE FROM t WHERE id = 3",
    "INSERT INTO t SELECT g, 'd' FROM generate_series(5, 6) g",
)


def _identity(change: Change) -> tuple[str, str, object]:
    return change.op, str(change.position), keys([change])[0]


# -- creating


def test_create_makes_the_publication_then_the_slot(database: Database, slot_name: str) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)")
    options: dict[str, Any] = {"create": True, "tables": ["public.t"]}
    with reader(database, slot_name, **options):
        pass
    assert database.execute("SELECT tablename FROM pg_publication_tables") == [("t",)]
    # Were the publication younger than the slot, reading would fail.
    database.execute("INSERT INTO t VALUES (1); INSERT INTO other VALUES (1)")
    assert keys(read(database, slot_name, **options)) == [1]


def test_create_without_tables_publishes_all(database: Database, slot_name: str) -> None:
    with reader(database, slot_name, create=True):
        pass
    assert database.execute("SELECT puballtables FROM pg_publication") == [(True,)]


def test_nothing_is_created_unless_asked_for(database: Database, slot_name: str) -> None:
    with pytest.raises(PublicationNotFoundError, match="'pub' does not exist"):
        reader(database, slot_name).open()
    database.execute("CREATE PUBLICATION pub FOR ALL TABLES")
    with pytest.raises(SlotNotFoundError, match=slot_name):
        reader(database, slot_name).open()
    assert database.execute("SELECT count(*) FROM pg_publication") == [(1,)]


def test_publication_of_other_tables_is_not_altered(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE PUBLICATION pub FOR TABLE a"
    )
    with pytest.raises(ConfigurationError) as caught:
        reader(database, slot_name, create=True, tables=["public.b"]).open()
    assert "does not publish public.b" in str(caught.value)
    assert "also publishes public.a" in str(caught.value)
    assert database.execute("SELECT tablename FROM pg_publication_tables") == [("a",)]
    assert database.execute(
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", [slot_name]
    ) == [(0,)]


def test_temporary_slot_is_gone_with_its_reader(database: Database, slot_name: str) -> None:
    count = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s"
    with reader(database, slot_name, create=True, temporary=True):
        assert database.execute(count, [slot_name]) == [(1,)]
    # The server drops it when it has noticed that the connection is closed.
    wait_until(lambda: database.execute(count, [slot_name]) == [(0,)])


# -- acknowledging


def test_auto_acknowledges_one_behind(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for statement in WORKLOAD:
        database.execute(statement)
    with reader(database, slot_name, until="now") as made:
        before = made.stats.acknowledged_lsn
        for change in made:
            assert change.transaction is not None
            assert made.stats.acknowledged_lsn <= change.transaction.commit_lsn
            assert made.stats.acknowledged_lsn >= before
            before = made.stats.acknowledged_lsn
        assert made.stats.acknowledged_lsn > before
        assert made.stats.changes == 9
        assert delivered_transactions(made) == 5
    assert read(database, slot_name) == []


def test_manual_acknowledges_only_what_it_is_told(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for statement in WORKLOAD:
        database.execute(statement)
    everything = list(map(_identity, read(database, slot_name, ack="manual")))
    assert len(everything) == 9
    with reader(database, slot_name, ack="manual", until="now") as made:
        changes = list(made)
        made.ack(changes[4].position)  # the second of three in its transaction
    again = list(map(_identity, read(database, slot_name, ack="manual")))
    assert again == everything[4:]
    with reader(database, slot_name, ack="manual", until="now") as made:
        made.ack(list(made)[-1])
    assert read(database, slot_name) == []


def test_break_and_exception_leave_the_change_in_hand(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    with reader(database, slot_name, until="now") as made:
        seen = []
        for change in made:
            seen.append(change)
            if len(seen) == 2:
                break
        for change in made:
            assert change is seen[1]
            for same in made:
                assert same is change
                break
            break
        rest = list(made)
        assert rest[0] is seen[1]
        assert keys(rest) == [2, 3]


@pytest.mark.parametrize("ack", ["auto", "manual"])
def test_restart_after_any_number_of_changes(database: Database, slot_name: str, ack: str) -> None:
    make_slot(database, slot_name)
    for statement in WORKLOAD:
        database.execute(statement)
    everything = read(database, slot_name, ack="manual")
    expected = list(map(_identity, everything))
    done = 0
    for count in range(len(everything) + 1):
        with reader(database, slot_name, ack=ack, until="now") as made:
            got = []
            for change in made:
                got.append(_identity(change))
                acknowledged = len(expected) - len(expected[done:]) + len(got) - (ack == "auto")
                if acknowledged >= count:
                    if ack == "manual":
                        made.ack(change)
                    break
            assert got == expected[done : done + len(got)]
        # What is behind is whole transactions, and nothing unacknowledged is among them.
        limit = count if ack == "auto" else max(count, done + 1)
        whole = [
            i + 1
            for i, change in enumerate(everything)
            if i + 1 == len(everything)
            or everything[i + 1].position.commit_lsn != change.position.commit_lsn
        ]
        done = max([done, *(end for end in whole if end <= limit)])
        left = list(map(_identity, read(database, slot_name, ack="manual")))
        assert left == expected[done:], (count, done)
        if done == len(expected):
            break
    assert done > 0


def test_stop_acknowledges_what_the_loop_asked_past(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for statement in WORKLOAD[:2]:
        database.execute(statement)
    with reader(database, slot_name) as made:
        for change in made:
            if keys([change]) == [3]:
                made.stop()
    assert keys(read(database, slot_name)) == [4]


def test_change_of_an_unfinished_transaction_is_not_passed_at_the_end(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    with reader(database, slot_name, ack="manual") as made:
        for change in made:
            made.ack(change)
            if keys([change]) == [2]:
                break
    assert keys(read(database, slot_name)) == [1, 2, 3]


@pytest.mark.usefixtures("patient_goodbye")
def test_slot_is_free_and_confirmed_right_after_close(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    with reader(database, slot_name, until="now") as made:
        changes = list(made)
        assert active_pid(database, slot_name) is not None
    assert active_pid(database, slot_name) is None
    assert changes[0].transaction is not None
    assert changes[0].transaction.end_lsn is not None
    assert confirmed(database, slot_name) >= changes[0].transaction.end_lsn


def test_schema_change_takes_nothing_along(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    database.execute("ALTER TABLE t ADD w int; INSERT INTO t VALUES (2)")
    with reader(database, slot_name, until="now") as made:
        (batch,) = made.batches()
        assert [change.op for change in batch] == ["insert", "schema", "insert"]
    database.execute("INSERT INTO t VALUES (3); ALTER TABLE t ADD x int; INSERT INTO t VALUES (4)")
    with reader(database, slot_name, until="now") as made:
        batch = next(made.batches())
        made.ack(next(change for change in batch if isinstance(change, SchemaChange)))
        assert keys([change for change in made if isinstance(change, Insert)])[-1] == 4
    assert read(database, slot_name) == []


# -- transactions and batches


def test_transactions_are_whole(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for statement in WORKLOAD:
        database.execute(statement)
    with reader(database, slot_name, until="now") as made:
        sizes = []
        for transaction in made.transactions():
            changes = list(transaction)
            assert {change.transaction for change in changes} == {transaction.transaction}
            assert transaction.position == changes[-1].position
            assert transaction.transaction is not None
            assert transaction.transaction.end_lsn is not None
            assert made.stats.acknowledged_lsn <= transaction.position.commit_lsn
            sizes.append(len(changes))
        assert sizes == [3, 1, 2, 1, 2]
    assert read(database, slot_name) == []


def test_transaction_left_early_is_not_acknowledged(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    database.execute(WORKLOAD[1])
    with reader(database, slot_name, until="now") as made:
        loop = made.transactions()
        next(next(loop))
        with pytest.raises(ConfigurationError, match="left before its last change"):
            next(loop)
    assert keys(read(database, slot_name)) == [1, 2, 3, 4]


def test_stop_in_a_transaction_does_not_make_it_look_whole(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    with reader(database, slot_name) as made:
        seen = []
        for transaction in made.transactions():
            for change in transaction:
                seen.append(change)
                made.stop()
            assert not transaction.is_exhausted
    assert keys(seen) == [1]
    assert keys(read(database, slot_name)) == [1, 2, 3]


def test_batches_acknowledge_whole_batches(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for statement in WORKLOAD:
        database.execute(statement)
    with reader(database, slot_name, until="now") as made:
        assert [len(batch) for batch in made.batches(max_rows=4)] == [4, 4, 1]
    assert read(database, slot_name) == []


def test_batch_ends_with_its_time(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    with reader(database, slot_name) as made:
        began = time.monotonic()
        assert len(next(made.batches(1000, 0.2))) == 3
        assert 0.1 < time.monotonic() - began < 5


# -- positions


def test_positions_are_the_same_on_every_replay(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, "CREATE TABLE u (id int)")
    with database.connect().cursor().copy("COPY t (id, v) FROM STDIN") as copy:
        for number in range(20):
            copy.write_row((number, "x"))
    database.execute("BEGIN; INSERT INTO u VALUES (1); TRUNCATE t, u; COMMIT")
    first = read(database, slot_name, ack="manual")
    copied = first[:20]
    assert len({change.lsn for change in copied}) == 1
    assert [change.position.ordinal for change in copied] == list(range(1, 21))
    assert len({change.position for change in first}) == len(first)
    assert [change.op for change in first[20:]] == ["insert", "truncate", "truncate"]
    assert [change.position for change in first] == sorted(change.position for change in first)
    for _ in range(2):
        again = read(database, slot_name, ack="manual")
        assert [(c.op, c.table, c.position) for c in again] == [
            (c.op, c.table, c.position) for c in first
        ]
    assert all(Position.parse(str(change.position)) == change.position for change in first)


# -- the end


def test_until_delivers_exactly_the_commits_before_it(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for statement in WORKLOAD:
        database.execute(statement)
    everything = read(database, slot_name, ack="manual")
    commits = sorted({change.position.commit_lsn for change in everything})
    for until in [end for lsn in commits for end in (lsn, LSN(lsn + 1), str(lsn), int(lsn))]:
        limit = LSN.parse(until) if isinstance(until, str) else until
        with reader(database, slot_name, ack="manual", until=until) as made:
            got = [change.position for change in made]
            assert made.ended
        assert got == [c.position for c in everything if c.position.commit_lsn < limit]


def test_until_behind_the_slot_ends_at_once(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    read(database, slot_name)
    database.execute(WORKLOAD[1])
    with reader(database, slot_name, until=confirmed(database, slot_name)) as made:
        assert list(made) == []
    assert keys(read(database, slot_name)) == [4]


def test_now_is_not_held_up_by_an_open_transaction(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (-1)")
    writer = database.connect()
    with writer.transaction(force_rollback=True):
        # Fills pages, so that the flush position comes to lie inside a record.
        writer.execute("INSERT INTO t SELECT g, repeat('x', 3000) FROM generate_series(1, 900) g")
        time.sleep(0.5)
        began = time.monotonic()
        assert keys(read(database, slot_name)) == [-1]
        assert time.monotonic() - began < 8


def test_now_is_not_held_up_by_a_lock(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, "CREATE TABLE d (id int PRIMARY KEY, n int DEFAULT 7)")
    database.execute("INSERT INTO d VALUES (1)")
    writer = database.connect()
    with writer.transaction():
        writer.execute("LOCK TABLE d, t IN ACCESS EXCLUSIVE MODE")
        (change,) = read(database, slot_name)
    assert change.key == {"id": 1}


def test_idle_timeout_ends_when_nothing_comes(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    with reader(database, slot_name, idle_timeout=0.3) as made:
        began = time.monotonic()
        assert len(list(made)) == 3
        assert 0.3 <= time.monotonic() - began < 10
        assert made.ended
    assert read(database, slot_name) == []


def test_change_in_time_starts_the_idle_time_again(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    writer = database.connect()

    def write() -> None:
        # All of them take longer than the idle time, none of them nearly as long.
        for number in range(11):
            time.sleep(0.15)
            writer.execute("INSERT INTO t VALUES (%s)", [number])

    thread = threading.Thread(target=write)
    with reader(database, slot_name, idle_timeout=1.5) as made:
        thread.start()
        assert keys(list(made)) == list(range(11))
    thread.join()


# -- what is refused


def test_slot_in_use_names_the_process(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name):
        with pytest.raises(SlotInUseError) as caught:
            reader(database, slot_name).open()
        assert str(active_pid(database, slot_name)) in str(caught.value)
    assert caught.value.retryable
    assert caught.value.slot == slot_name
    assert caught.value.sqlstate == "55006"


def test_message_over_the_limit_is_not_acknowledged(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1, 'small')")
    database.execute("INSERT INTO t VALUES (2, repeat('x', 5000))")
    with reader(database, slot_name, max_message_bytes=4000) as made:
        seen: list[Change] = []
        with pytest.raises(MessageTooLargeError):
            seen.extend(made)
        with pytest.raises(MessageTooLargeError):
            next(iter(made))
    assert keys(read(database, slot_name)) == [2]


def test_closed_reader_is_closed(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        pass
    made.close()
    made.stop()
    for use in (made.open, made.poll, lambda: next(iter(made))):
        with pytest.raises(ConfigurationError, match="closed"):
            use()


def test_ack_needs_an_open_reader_and_a_position(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    made = reader(database, slot_name)
    with pytest.raises(ConfigurationError, match="not open"):
        made.ack(Position(LSN(1), 1))
    wrong: Any = "0/1:1"
    with made, pytest.raises(ConfigurationError, match="not str"):
        made.ack(wrong)
    with pytest.raises(ConfigurationError, match="not open"):
        made.ack(Position(LSN(1), 1))


# -- around it


def test_iterating_opens(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[1])
    made = reader(database, slot_name, until="now")
    try:
        assert keys(list(made)) == [4]
    finally:
        made.close()


def test_stop_before_the_first_change(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[0])
    made = reader(database, slot_name)
    made.stop()
    assert made.ended
    with made:
        assert list(made) == []
    assert len(read(database, slot_name)) == 3


def test_events_tell_the_states(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    events: list[ReaderEvent] = []
    with reader(database, slot_name, on_event=events.append):
        pass
    assert [event.state for event in events] == ["connecting", "streaming", "stopped"]
    assert {(event.slot, event.error) for event in events} == {(slot_name, None)}
    events.clear()
    with pytest.raises(CdcError), reader(database, slot_name + "x", on_event=events.append):
        pass
    assert [event.state for event in events] == ["connecting", "stopped"]
    assert isinstance(events[-1].error, SlotNotFoundError)


def test_stats_say_where_it_stands(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    made = reader(database, slot_name, ack="manual", until="now")
    assert made.stats.lag_seconds is None
    assert made.stats.changes == made.stats.lag_bytes == 0
    with made:
        database.execute(WORKLOAD[0])
        last = list(made)[-1]
        stats = made.stats
        assert (stats.changes, delivered_transactions(made)) == (3, 1)
        assert stats.acknowledged_lsn < last.position.commit_lsn < stats.received_lsn
        assert stats.lag_bytes == stats.server_lsn - stats.acknowledged_lsn > 0
        assert stats.lag_seconds is not None
        assert 0 <= stats.lag_seconds < 60
        made.ack(last)
        assert made.stats.lag_bytes < stats.lag_bytes


def test_lag_does_not_grow_while_nothing_happens(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        database.execute(WORKLOAD[1])
        assert made.poll(10) is not None
        before = made.stats.lag_seconds
        time.sleep(0.5)
        database.execute("SELECT pg_switch_wal()")  # a keepalive follows
        assert made.poll(0.5) is None
        assert made.stats.lag_seconds == before


def test_poll_takes_what_is_there_and_acknowledges_nothing(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute(WORKLOAD[1])
    with reader(database, slot_name, until="now") as made:
        change = made.poll(10)
        assert change is not None
        assert made.poll(10) is None  # the commit
        assert made.stats.acknowledged_lsn < change.position.commit_lsn
        made.ack(change)
        assert made.stats.acknowledged_lsn > change.position.commit_lsn


def test_binary_gives_the_same_values(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, "CREATE TABLE b (id int PRIMARY KEY, n numeric, at timestamptz)")
    database.execute("INSERT INTO b VALUES (1, 1.50, '2024-02-29 12:00+00')")
    (text,) = read(database, slot_name, ack="manual")
    (binary,) = read(database, slot_name, binary=True)
    assert text.after is not None
    assert binary.after is not None
    assert dict(text.after) == dict(binary.after)
    assert text.after.raw != binary.after.raw


def test_messages_come_when_asked_for(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(
        "BEGIN; INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(true, 'in', 'a');"
        "SELECT pg_logical_emit_message(false, 'out', 'b'); COMMIT"
    )
    assert keys(read(database, slot_name, ack="manual")) == [1]
    outside, row, inside = read(database, slot_name, ack="manual", messages=True)
    assert isinstance(outside, LogicalMessage)
    assert isinstance(inside, LogicalMessage)
    assert (outside.prefix, outside.content, outside.transaction) == ("out", b"b", None)
    assert outside.position == (outside.lsn, 0)
    assert (inside.prefix, inside.content, inside.transactional) == ("in", b"a", True)
    assert (row.position.ordinal, inside.position.ordinal) == (1, 2)
    assert len(read(database, slot_name, messages=True)) == 3
    assert read(database, slot_name, messages=True) == []


def test_message_alone_is_redelivered_until_it_is_acknowledged(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute("SELECT pg_logical_emit_message(false, 'p', 'a')")
    database.execute("SELECT pg_logical_emit_message(false, 'p', 'b')")
    with reader(database, slot_name, messages=True, ack="manual") as made:
        for change in made:
            made.ack(change)
            break
    database.execute("INSERT INTO t VALUES (1)")  # flushes the WAL up to here
    second, _ = read(database, slot_name, messages=True)
    assert isinstance(second, LogicalMessage)
    assert second.content == b"b"


@pytest.mark.pg(16)
def test_origin_none_leaves_out_what_came_from_elsewhere(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute("SELECT pg_replication_origin_create(%s)", [slot_name])
    try:
        database.execute("SELECT pg_replication_origin_session_setup(%s)", [slot_name])
        database.execute("INSERT INTO t VALUES (1)")
        database.execute("SELECT pg_replication_origin_session_reset()")
        database.execute("INSERT INTO t VALUES (2)")
        assert keys(read(database, slot_name, origin="none", ack="manual")) == [2]
        first, second = read(database, slot_name)
        assert first.transaction is not None
        assert second.transaction is not None
        assert (first.transaction.origin, second.transaction.origin) == (slot_name, None)
    finally:
        database.execute("SELECT pg_replication_origin_drop(%s)", [slot_name])


def test_options_need_their_version(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for option, minimum in (({"origin": "none"}, 16), ({"failover": True}, 17)):
        if database.server.version < minimum:
            with pytest.raises(ConfigurationError, match=f"PostgreSQL {minimum}"):
                reader(database, slot_name, **option).open()


@pytest.mark.pg(17)
def test_failover_slot(database: Database, slot_name: str) -> None:
    with reader(database, slot_name, create=True, failover=True):
        pass
    assert database.execute(
        "SELECT failover FROM pg_replication_slots WHERE slot_name = %s", [slot_name]
    ) == [(True,)]


def test_repr_names_the_slot_and_no_secret(database: Database, slot_name: str) -> None:
    made = ReplicationReader(
        database.server.dsn(database.name, password="canary"), slot=slot_name, publications="p"
    )
    assert slot_name in repr(made)
    assert "canary" not in repr(made)


# -- both readers


_READERS: Final = (ReplicationReader, AsyncReplicationReader)


def _members(reader: type) -> set[str]:
    return {name for name in dir(reader) if not name.startswith("_")}


def _parameters(reader: type, name: str) -> list[tuple[str, object, object, str]]:
    """Name, kind, default and annotation of the parameters; without what differs on purpose."""
    return [
        (each.name, each.kind, each.default, str(each.annotation))
        for each in inspect.signature(getattr(reader, name)).parameters.values()
    ]


def test_both_readers_have_the_same_members(server: Server) -> None:
    blocking, asynchronous = _READERS
    assert _members(asynchronous) - _members(blocking) == {"aclose"}
    assert _members(blocking) - _members(asynchronous) == set()
    for name in ["__init__", *sorted(_members(blocking))]:
        one, other = getattr(blocking, name), getattr(asynchronous, name)
        if isinstance(one, property):
            assert isinstance(other, property)
            assert one.fget.__annotations__ == other.fget.__annotations__
            continue
        assert _parameters(blocking, name) == _parameters(asynchronous, name), name
        assert not inspect.iscoroutinefunction(one)
        waits = name in ("open", "close", "poll")
        assert inspect.iscoroutinefunction(other) is waits
        returns = [inspect.signature(each).return_annotation for each in (one, other)]
        assert returns[0] == returns[1].removeprefix("Async")
        if name == "__init__":
            continue
        assert one.__doc__ is not None
        assert one.__doc__.splitlines()[-3:] == other.__doc__.splitlines()[-3:]
    for dunder in ("__enter__", "__exit__", "__iter__"):
        assert hasattr(blocking, dunder)
        assert not hasattr(asynchronous, dunder)
        assert hasattr(asynchronous, dunder.replace("__", "__a", 1))
        assert not hasattr(blocking, dunder.replace("__", "__a", 1))


def areader(database: Database, slot: str, **options: Any) -> AsyncReplicationReader:
    return AsyncReplicationReader(database.dsn, slot=slot, **{"publications": "pub", **options})


@pytest.mark.usefixtures("patient_goodbye")
def test_asynchronous_reading(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    for statement in WORKLOAD:
        database.execute(statement)
    expected = list(map(_identity, read(database, slot_name, ack="manual")))
    store = AsyncMemoryOffsets()

    async def main() -> None:
        async with areader(database, slot_name, ack="manual", until="now") as made:
            assert [_identity(change) async for change in made] == expected
            assert made.ended
            assert slot_name in repr(made)
        async with areader(database, slot_name, ack="manual", until="now") as made:
            sizes = []
            async for transaction in made.transactions():
                changes = [change async for change in transaction]
                assert transaction.is_exhausted
                assert {change.transaction for change in changes} == {transaction.transaction}
                sizes.append(len(changes))
            assert sizes == [3, 1, 2, 1, 2]
        async with contextlib.aclosing(areader(database, slot_name, ack="manual")) as made:
            assert [len(batch) for batch in [await anext(made.batches(4))]] == [4]
            opened: bool = made.is_open
            assert opened
        assert not made.is_open
        async with areader(database, slot_name, ack="manual") as made:
            got: list[tuple[str, str, object]] = []
            while len(got) < len(expected):
                change = await made.poll(10)
                if change is not None:
                    got.append(_identity(change))
            assert got == expected
            assert await made.poll(0.1) is None
            began = time.monotonic()
            assert await made.poll(0.2) is None
            assert 0.2 <= time.monotonic() - began < 1
        # A break leaves the change in hand; the next loop gives it again.
        async with areader(database, slot_name, offsets=store, until="now") as made:
            async for change in made:
                if keys([change]) == [4]:
                    break
            async for again in made:
                assert again is change
                break
            assert store.saved[-1].transaction_end == 0
            rest = [_identity(change) async for change in made]
            assert rest == expected[3:]
        assert store.saved[-1].position == confirmed(database, slot_name)
        assert made.stats.changes == len(expected)
        with pytest.raises(ConfigurationError, match="closed"):
            await made.poll()

    asyncio.run(main())
    assert read(database, slot_name) == []


class Turns:
    """A task that wants a turn all the time, and notes how long it has to wait for one.

    Measured is what the thread did meanwhile, not for how long a busy machine held it up.
    """

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Turns:
        self._task = asyncio.create_task(self._run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _run(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - last)
            self.count += 1
            last = now


def test_backlog_lets_other_tasks_have_their_turn(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 40000) g")

    async def main() -> None:
        async with areader(database, slot_name, ack="manual") as made:
            loop = aiter(made)
            await anext(loop)
            async with Turns() as turns:
                count = 1
                async for _ in loop:
                    count += 1
                    if count == 39000:
                        break
            assert turns.count > 5  # one or two, if it did not give way
            assert turns.longest < 0.1
            # The same where the backlog was delivered before, and gives nothing.
            made._source._interrupted = True
            assert made._source.link.stream is not None
            made._source.link.stream.messages.clear()
            assert await made.poll(0) is None
            time.sleep(0.5)  # noqa: ASYNC251  so that much of it is here at once
            async with Turns() as turns:
                while (change := await made.poll(10)) is None:
                    pass
            assert change.position.ordinal == 39001
            assert made.stats.reconnects == 1
            assert turns.count > 5  # one or two, if it did not give way
            assert turns.longest < 0.06
        async with areader(database, slot_name, until="now") as made, Turns() as turns:
            assert sum([len(batch) async for batch in made.batches()]) == 40000
        assert turns.longest < 0.2

    asyncio.run(main())


async def _cancelled(coroutine: Awaitable[object], after: float = 0.3) -> None:
    """Run it as a task, cancel that, and see it end at once."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(after)
    assert not task.done()
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 0.9


async def _closed(made: AsyncReplicationReader) -> None:
    began = time.monotonic()
    await made.aclose()
    assert time.monotonic() - began < 1


def test_cancelled_and_stopped_in_every_state(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    port = int(conninfo_to_dict(database.dsn)["port"] or 0)
    with Proxy(port) as proxy:
        dsn = proxy.dsn(database.dsn)

        def through(seconds: float = 0.01) -> AsyncReplicationReader:
            backoff = Backoff(initial=seconds, maximum=seconds)
            return AsyncReplicationReader(
                dsn, slot=slot_name, publications="pub", reconnect=backoff
            )

        async def stopped(made: AsyncReplicationReader) -> None:
            asyncio.get_running_loop().call_later(0.3, made.stop)
            began = time.monotonic()
            assert [change async for change in made] == []
            assert time.monotonic() - began < 1.3
            await _closed(made)

        async def opening() -> None:
            proxy.black_hole()
            made = through()
            await _cancelled(made.open())
            await _cancelled(anext(aiter(made)))
            assert not made.is_open
            await stopped(made)
            proxy.restore()

        async def waiting() -> None:
            made = through()
            loop = aiter(made)
            await _cancelled(anext(loop))
            database.execute("INSERT INTO t VALUES (1)")
            assert keys([await anext(loop)]) == [1]
            await _cancelled(anext(loop))
            await _cancelled(made.poll(20))
            assert made.stats.reconnects == 0
            database.execute("INSERT INTO t VALUES (2)")
            loop = aiter(made)
            assert keys([await anext(loop)]) == [2]
            await _closed(made)

        async def in_the_pause() -> None:
            made = through(30)
            loop = aiter(made)
            assert keys([await anext(loop)]) == [2]
            proxy.refuse()
            proxy.cut()
            await _cancelled(anext(loop))
            await _cancelled(anext(loop))
            await stopped(made)
            proxy.accept()

        async def connecting_again() -> None:
            while True:
                made = through()
                await made.open()
                loop = aiter(made)
                proxy.cut()
                proxy.black_hole()
                waiting = asyncio.ensure_future(anext(loop))
                # A change that has come before the cut may be given until the cut is noticed.
                while made._source.link.stream is not None and not waiting.done():
                    assert not made.ended
                    await asyncio.sleep(0.01)
                if not waiting.done():
                    break
                proxy.restore()
                await made.close()
            await _cancelled(waiting)
            proxy.restore()
            assert keys([await anext(loop)]) == [2]
            assert made.stats.reconnects == 1
            await _closed(made)

        async def in_a_catalog_query() -> None:
            made = through()
            await made.open()
            database.execute("ALTER TABLE t ADD w int; INSERT INTO t VALUES (3)")
            loop = aiter(made)
            assert keys([await anext(loop)]) == [2]
            with frozen(database, slot_name):
                await _cancelled(anext(loop))
            got = [await anext(loop), await anext(loop)]
            assert [change.op for change in got] == ["schema", "insert"]
            assert keys(got[1:]) == [3]
            with frozen(database, slot_name):
                await _closed(made)

        for state in (opening, waiting, in_the_pause, connecting_again, in_a_catalog_query):
            asyncio.run(state())
    assert keys(read(database, slot_name)) == [3]


def test_cancelled_again_and_again_nothing_is_lost(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT generate_series(1, 3000)")
    for number in range(3001, 3021):
        database.execute("INSERT INTO t VALUES (%s)", [number])

    async def main(way: str) -> None:
        got: list[object] = []
        cancelled = 0
        async with areader(
            database, slot_name, ack="manual", offsets=SlowOffsets(), reconnect=Backoff(0)
        ) as made:
            changes = aiter(made)
            batches = made.batches(100, 0.05) if way == "batches" else None

            async def take() -> None:
                while True:
                    if way == "poll":
                        change = await made.poll(5)
                        got.extend(keys([] if change is None else [change]))
                    elif batches is not None:
                        got.extend(keys(await anext(batches)))
                    else:
                        got.extend(keys([await anext(changes)]))
                    if way == "changes" and len(got) % 5 == 0:
                        made.ack(Position(LSN(1 << 60), 1))

            while len(got) < 3020:
                task = asyncio.create_task(take())
                await asyncio.sleep(0.003 * (cancelled % 7) if cancelled < 40 else 0.5)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                cancelled += 1
                assert cancelled < 100
        assert got == list(range(1, 3021))

    for way in ("poll", "batches", "changes"):
        asyncio.run(main(way))


class SlowOffsets(MemoryOffsets):
    """Takes its time, a shorter one each time, and wants to be asked in order."""

    def save(self, key: str, offset: Offset) -> None:
        time.sleep(0.1 if len(self.saved) % 2 else 0.01)
        assert not self.saved or self.saved[-1].position <= offset.position
        super().save(key, offset)


def test_cancelled_save_is_not_overtaken_by_the_next(database: Database, slot_name: str) -> None:
    """A thread that stores cannot be cancelled: what comes after it has to come after it."""
    make_slot(database, slot_name)
    store = MemoryOffsets()
    slow = threading.Event()
    save = store.save

    def save_slowly(key: str, offset: Offset) -> None:
        if slow.is_set():
            slow.clear()
            time.sleep(0.6)
        save(key, offset)

    store.save = save_slowly  # type: ignore[method-assign]

    async def main() -> None:
        async with areader(database, slot_name, offsets=store, ack="manual") as made:
            for number in range(2):
                if number == 0:
                    slow.set()
                database.execute("INSERT INTO t VALUES (%s)", [number])
                while (change := await made.poll(10)) is None:
                    pass
                made.ack(change)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(_forever(made), 0.4)

    async def _forever(made: AsyncReplicationReader) -> None:
        while True:
            await made.poll(1)

    asyncio.run(main())
    time.sleep(0.7)
    positions = [offset.position for offset in store.saved]
    assert positions == sorted(positions)
    assert confirmed(database, slot_name) <= store.last.position


def test_two_tasks_cannot_read_at_once(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)

    async def main() -> None:
        async with areader(database, slot_name) as made:
            loop = aiter(made)
            first = asyncio.ensure_future(anext(loop))
            await asyncio.sleep(0.1)
            for _ in range(2):
                with pytest.raises(ConfigurationError, match="another task"):
                    await anext(loop)
            assert not first.done()
            database.execute("INSERT INTO t VALUES (1)")
            assert keys([await first]) == [1]  # the one that was first goes on, undisturbed
        # With a backlog, too, from which changes could be taken without waiting.
        database.execute("INSERT INTO t SELECT generate_series(2, 4000)")
        async with areader(database, slot_name) as made:
            loop = aiter(made)
            await anext(loop)

            async def use_it() -> tuple[list[object], bool]:
                got: list[object] = []
                try:
                    for _ in range(1500):
                        got += keys([await anext(loop)])
                        time.sleep(0.001)  # noqa: ASYNC251  so that it has to give way
                except ConfigurationError:
                    return got, True
                return got, False

            (one, _), (other, refused) = await asyncio.gather(use_it(), use_it())
            assert refused
            assert other == []
            assert one == list(range(2, 1502))

    asyncio.run(main())


def test_closing_while_another_task_reads(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)

    async def main() -> None:
        made = areader(database, slot_name)
        await made.open()

        async def consume() -> None:
            async for _ in made:
                pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(0.2)
        with contextlib.suppress(ConfigurationError):  # which it may be as well
            await _closed(made)
            done, _ = await asyncio.wait([task], timeout=2)
            assert done
        task.cancel()
        await asyncio.wait([task])
        await made.aclose()
        assert made._source.link.stream is None

    asyncio.run(main())
    wait_until(lambda: active_pid(database, slot_name) is None)


def test_status_goes_out_while_a_task_does_something_else(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '2s'")

    async def main() -> None:
        async with areader(database, slot_name, reconnect=None) as made:
            loop = aiter(made)
            database.execute("INSERT INTO t VALUES (1)")
            assert keys([await anext(loop)]) == [1]
            await asyncio.sleep(4.5)
            database.execute("INSERT INTO t VALUES (2)")
            assert keys([await anext(loop)]) == [2]

    asyncio.run(main())
