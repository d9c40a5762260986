"""Tests of `pglogical_cdc.replication.source` on a real server: going on, whatever happens."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from pglogical_cdc.errors import (
    ConfigurationError,
    ConnectionLostError,
    MessageTooLargeError,
    OffsetStoreError,
    SlotGapError,
    SlotInUseError,
    SlotNotFoundError,
)
from pglogical_cdc.events import Change, SchemaChange
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import run
from pglogical_cdc.protocol import PrimaryKeepalive, parse_walsender_message
from pglogical_cdc.replication.backoff import Backoff
from pglogical_cdc.replication.reader import ReplicationReader
from pglogical_cdc.replication.settings import ReaderEvent
from tests import wire
from tests.faults.load import Ledger, Load, create_tables
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
from tests.replication.frames import is_ours
from tests.replication.stores import MemoryOffsets

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg

AT_ONCE = Backoff(initial=0, maximum=0.05)


def kill(database: Database, slot: str) -> None:
    """End the walsender."""
    database.execute("SELECT pg_terminate_backend(%s, 5000)", [active_pid(database, slot)])


@contextlib.contextmanager
def proxied(database: Database, slot: str, **options: Any) -> Iterator[tuple[Any, Proxy]]:
    """A reader through a proxy."""
    with Proxy(int(conninfo_to_dict(database.dsn)["port"] or 0)) as proxy:
        given = {"publications": "pub", **options}
        made = ReplicationReader(proxy.dsn(database.dsn), slot=slot, **given)
        try:
            yield made, proxy
        finally:
            made.close()


# -- going on


def test_connection_lost_between_transactions(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    got: list[Change] = []
    events: list[ReaderEvent] = []
    with reader(database, slot_name, reconnect=AT_ONCE, on_event=events.append) as made:
        loop = iter(made)
        for number in range(7):
            if number % 2:
                database.execute("INSERT INTO t VALUES (%s)", [number])
                kill(database, slot_name)
            else:
                kill(database, slot_name)
                database.execute("INSERT INTO t VALUES (%s)", [number])
            got.append(next(loop))
            assert made.stats.acknowledged_lsn <= got[-1].position.commit_lsn
        assert keys(got) == list(range(7))
        assert [change.position.ordinal for change in got] == [1] * 7
        assert got == sorted(got, key=lambda change: change.position)
        assert made.stats.reconnects >= 3
    assert keys(read(database, slot_name)) == [6]
    states = [event.state for event in events]
    assert states[:2] == ["connecting", "streaming"]
    assert states[2:-1] == ["retrying", "connecting", "streaming"] * ((len(states) - 3) // 3)
    assert states[-1] == "stopped"
    retrying = [event for event in events if event.state == "retrying"]
    assert {type(event.error) for event in retrying} == {ConnectionLostError}
    assert {event.attempt for event in retrying} == {1}  # each time it had got on


def test_connection_lost_in_the_middle_of_a_big_transaction(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g")
    database.execute("INSERT INTO t VALUES (20001)")
    with proxied(database, slot_name, reconnect=AT_ONCE, until="now") as (made, proxy):
        got: list[Change] = []
        for change in made:
            got.append(change)
            if len(got) in (1, 2, 5000, 15000, 19999):
                proxy.cut(rst=len(got) % 2 == 0)
        assert keys(got) == list(range(1, 20002))
        assert [c.position.ordinal for c in got] == [*range(1, 20001), 1]
        assert len({id(change.transaction) for change in got}) == 2
        transaction = got[0].transaction
        assert transaction is not None
        assert transaction.end_lsn is not None
        assert made.stats.changes == 20001
        assert delivered_transactions(made) == 2
        assert made.stats.reconnects >= 3
    # What was behind the last cut may have been here already, with nobody left to confirm it to.
    everything = list(range(1, 20002))
    assert keys(read(database, slot_name)) in (everything, [20001], [])


def test_cut_at_every_so_many_bytes_nothing_is_lost_or_repeated(
    database: Database, slot_name: str
) -> None:
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    ledger = Ledger()
    with (
        proxied(database, slot_name, reconnect=AT_ONCE) as (made, proxy),
        Load(database.dsn, seed=5, rate=100) as load,
    ):
        made.open()
        proxy.cut_after(3000)
        end = time.monotonic() + 3
        last: int | None = None
        cuts = 0
        for change in made:
            ledger.apply(change)
            if proxy.cuts > cuts and cuts < 30:
                cuts = proxy.cuts
                proxy.cut_after(9000 + 777 * cuts, rst=cuts % 2 == 0)
            if last is None and time.monotonic() > end:
                last = load.stop()
            if last is not None and ledger.saw(last):
                break
        verdict = ledger.verdict(load.expected())
        assert verdict.is_clean, verdict.details
        assert verdict.events > 100
        assert made.stats.reconnects >= 3


def test_schema_change_comes_once(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name, reconnect=AT_ONCE) as made:
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1)")
        got = [next(loop)]
        kill(database, slot_name)
        # During the outage, with the connection lost when the schema change is in hand.
        database.execute(
            "ALTER TABLE t ADD w int; INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)"
        )
        got.append(next(loop))
        assert isinstance(got[-1], SchemaChange)
        made._source._interrupted = True
        got += [next(loop), next(loop)]
        # Between transactions, when the last one has altered the table.
        assert run(made._source.take(0.3, at_commit=True)) is None
        kill(database, slot_name)
        database.execute("INSERT INTO t VALUES (4)")
        got.append(next(loop))
        assert [change.op for change in got] == ["insert", "schema", *["insert"] * 3]
        assert keys(got[2:]) == [2, 3, 4]
        kill(database, slot_name)
        database.execute("ALTER TABLE t DROP w; INSERT INTO t VALUES (5)")
        assert [next(loop).op, next(loop).op] == ["schema", "insert"]


def test_truncate_of_several_tables_is_cut_off_in_the_middle(
    database: Database, slot_name: str
) -> None:
    ddl = "".join(f"CREATE TABLE t{number} (id int PRIMARY KEY);" for number in range(5))
    make_slot(database, slot_name, ddl)
    database.execute("TRUNCATE t0, t1, t2, t3, t4")
    database.execute("INSERT INTO t VALUES (1)")
    with reader(database, slot_name, reconnect=AT_ONCE) as made:
        got: list[Change] = []
        for change in made:
            got.append(change)
            made._source._interrupted = True  # as by a signal at a bad moment
            if change.op == "insert":
                break
        assert [change.table for change in got] == ["t0", "t1", "t2", "t3", "t4", "t"]
        assert [change.position.ordinal for change in got] == [1, 2, 3, 4, 5, 1]
        assert made.stats.reconnects == 5


@pytest.mark.parametrize("after", [1, 500, 999, 1000])
def test_loop_over_transactions_goes_on(database: Database, slot_name: str, after: int) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    database.execute("INSERT INTO t SELECT generate_series(1001, 1003)")
    with reader(database, slot_name, until="now", reconnect=AT_ONCE) as made:
        sizes, count = [], 0
        for transaction in made.transactions():
            first = count
            for change in transaction:
                count += 1
                assert keys([change]) == [count]
                assert change.transaction is transaction.transaction
                if count == after:
                    made._source._interrupted = True
            assert transaction.is_exhausted
            assert transaction.transaction is not None
            assert transaction.transaction.end_lsn is not None
            assert transaction.position.ordinal == count - first
            sizes.append(count - first)
        assert sizes == [1000, 3]
        assert made.stats.reconnects == 1
    assert read(database, slot_name) == []


def test_loop_over_batches_goes_on(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    with reader(database, slot_name, until="now", reconnect=AT_ONCE) as made:
        got: list[object] = []
        for batch in made.batches(max_rows=70):
            got += keys(batch)
            if len(got) % 3 == 0:
                made._source._interrupted = True
        assert got == list(range(1, 1001))
        assert made.stats.reconnects >= 4
    assert read(database, slot_name) == []


@pytest.mark.parametrize("way", ["loop", "batches", "poll", "transactions"])
def test_interrupted_by_signals_in_the_middle_and_going_on(
    database: Database, slot_name: str, way: str
) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT generate_series(1, 6000)")
    database.execute("INSERT INTO t SELECT generate_series(6001, 8000)")
    got: list[Change] = []
    interrupts, rows = 0, 8000
    armed, done = threading.Event(), threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        # Not in our own code: there it could come between the step of the loop and our note of it.
        if frame is not None and is_ours(frame.f_code) and armed.is_set():
            armed.clear()
            raise KeyboardInterrupt

    def shoot() -> None:
        delay = 0.0
        while not done.is_set():
            delay = (delay + 0.00037) % 0.01
            armed.wait(1)
            time.sleep(delay)
            while armed.is_set():
                os.kill(os.getpid(), signal.SIGUSR1)
                time.sleep(0.0001)

    before = signal.signal(signal.SIGUSR1, interrupt)
    shooter = threading.Thread(target=shoot)
    shooter.start()
    try:
        with reader(database, slot_name, reconnect=AT_ONCE, idle_timeout=3) as made:
            loop = _loop(made, way)
            while (len(got) < rows or interrupts < 5) and not made.ended:
                if len(got) == rows:
                    # On a busy machine the other thread has had its turn too seldom.
                    insert = "INSERT INTO t SELECT generate_series(%s::int, %s)"
                    database.execute(insert, [rows + 1, rows + 1000])
                    rows += 1000
                try:
                    if interrupts < 50:
                        armed.set()
                    while len(got) < rows and not made.ended:
                        got += next(loop, [])
                except KeyboardInterrupt:
                    interrupts += 1
            armed.clear()
    finally:
        armed.clear()
        done.set()
        shooter.join()
        signal.signal(signal.SIGUSR1, before)
    assert interrupts >= 5
    assert keys(got) == list(range(1, rows + 1))


_PLACES = (
    *("release", "settle", "_settle_owed", "take", "take_run", "keep", "offer", "supersede"),
    *("_drop_given", "open_run", "_give", "_deliver", "deliver", "acknowledge", "_read"),
    *("take_rows", "receive", "read", "fill", "buffered", "next_change", "_receive", "waiting"),
    *("_take_in", "_begin", "begin", "_commit", "commit"),
)


@pytest.mark.parametrize("way", ["loop", "batches", "poll", "transactions"])
def test_interrupted_at_the_entry_of_each_function_and_going_on(
    database: Database, slot_name: str, way: str
) -> None:
    make_slot(database, slot_name)
    for first in range(1, 12_000, 400):
        rows = f"generate_series({first}, {first + 399})"
        database.execute(f"INSERT INTO t SELECT n FROM {rows} n")
    got: list[Change] = []
    interrupted: set[str] = set()
    place, count = "", 0

    def interrupt(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        code = frame.f_code
        if event == "call" and code.co_name == place and is_ours(code):
            count -= 1
            if count == 0:
                interrupted.add(place)
                raise KeyboardInterrupt

    with reader(database, slot_name, reconnect=AT_ONCE, idle_timeout=3) as made:
        loop = _loop(made, way)
        for turn, name in [(turn, name) for turn in (1, 2, 3) for name in _PLACES]:
            place, count = name, turn
            for _ in range(70):
                if len(got) >= 11_000 or count <= 0:
                    break
                try:
                    sys.settrace(interrupt)
                    given = next(loop, [])
                except KeyboardInterrupt:
                    continue
                finally:
                    sys.settrace(None)
                got += given
        while len(got) < 12_000 and not made.ended:
            got += next(loop, [])
    assert len(interrupted) > len(_PLACES) / 2
    assert keys(got) == list(range(1, 12_001))


def _loop(made: ReplicationReader, way: str) -> Iterator[list[Change]]:
    if way == "loop":
        return _Steps(iter(made).__next__)
    if way == "batches":
        return _Steps(made.batches(max_rows=50).__next__)
    if way == "poll":
        return _Steps(lambda: made.poll(10))
    transactions = made.transactions()
    current: list[Any] = []

    def step() -> object:
        while True:
            if not current:
                current.append(next(transactions))
            for change in current[0]:
                return change
            current.clear()

    return _Steps(step)


class _Steps(Iterator[list[Change]]):
    def __init__(self, step: Callable[[], object]) -> None:
        self._step = step

    def __next__(self) -> list[Change]:
        given: Any = self._step()
        if given is None:
            return []
        return given if isinstance(given, list) else [given]


def test_message_over_the_limit_is_no_reason_to_reconnect(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1, 'small'), (2, repeat('x', 5000))")
    events: list[ReaderEvent] = []
    options: dict[str, Any] = {"max_message_bytes": 4000, "on_event": events.append}
    with reader(database, slot_name, **options) as made:
        loop = iter(made)
        assert keys([next(loop)]) == [1]
        for _ in range(2):
            with pytest.raises(MessageTooLargeError, match="at most 4000 bytes"):
                next(loop)
        assert made.stats.reconnects == 0
    assert [event.state for event in events] == ["connecting", "streaming", "stopped"]
    assert isinstance(events[-1].error, MessageTooLargeError)
    assert keys(read(database, slot_name)) == [1, 2]


@pytest.mark.parametrize("reconnect", [None, AT_ONCE])
def test_more_tables_than_the_limit_of_relations(
    database: Database, slot_name: str, reconnect: Backoff | None
) -> None:
    tables = range(12)
    ddl = "".join(f"CREATE TABLE t{number} (id int PRIMARY KEY);" for number in tables)
    make_slot(database, slot_name, ddl)
    for number in (*tables, *reversed(tables), *tables):
        database.execute(f"INSERT INTO t{number} SELECT coalesce(max(id), 0) + 1 FROM t{number}")
    database.execute(f"TRUNCATE {', '.join(f't{number}' for number in tables)}")
    with reader(database, slot_name, until="now", reconnect=reconnect) as made:
        assert made._source.session is not None
        made._source.session.relation_limit = 3
        got = list(made)
        expected = [f"t{number}" for number in (*tables, *reversed(tables), *tables)]
        assert [change.table for change in got[:36]] == expected
        assert keys(got[:36]) == [1] * 12 + [2] * 12 + [3] * 12
        assert [change.op for change in got[36:]] == ["truncate"] * 12
        assert made._source.session.relation_limit in (12, 24)
        assert 1 <= made.stats.reconnects <= 3
        assert all(change.relation.catalog is not None for change in got[:36])  # type: ignore[attr-defined]
    assert read(database, slot_name) == []


# -- an outage


def test_polling_during_an_outage_returns_soon(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    events: list[ReaderEvent] = []
    options: dict[str, Any] = {
        "reconnect": Backoff(initial=3, jitter=0),
        "on_event": events.append,
    }
    with proxied(database, slot_name, **options) as (made, proxy):
        made.open()
        proxy.refuse()
        proxy.cut()
        database.execute("INSERT INTO t VALUES (1)")
        wait_until(lambda: made.poll(0) is None and events[-1].state == "retrying")
        began = time.monotonic()
        for _ in range(20):
            assert made.poll(0) is None
        assert made.poll(0.1) is None
        assert 0.05 < time.monotonic() - began < 2
        made._source.link.retry_at = 0.0  # as if the pause were over
        assert made.poll(0) is None  # an attempt, which fails
        assert [e.attempt for e in events if e.state == "retrying"] == [1, 2]
        assert events[-1].delay == 6.0
        assert not made.ended
        proxy.accept()
        made._source.link.retry_at = 0.0
        change = made.poll(20)
        assert change is not None
        assert keys([change]) == [1]


def test_tries_in_a_row_and_then_the_error(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_slot(database, slot_name)
    options = {"reconnect": Backoff(initial=0.01, maximum=0.01, tries=3)}
    with proxied(database, slot_name, **options) as (made, proxy):
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1)")
        next(loop)
        proxy.refuse()
        proxy.cut()
        with caplog.at_level(logging.WARNING), pytest.raises(ConnectionLostError) as first:
            next(loop)
        assert [f"attempt {n} to go on" in caplog.text for n in (1, 2, 3, 4)] == [
            True,
            True,
            True,
            False,
        ]
        with pytest.raises(ConnectionLostError) as second:
            next(loop)
        assert second.value is first.value
    assert keys(read(database, slot_name)) == [1]


def test_silent_server_is_given_up(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '1s'")
    with proxied(database, slot_name, reconnect=AT_ONCE) as (made, proxy):
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1)")
        assert keys([next(loop)]) == [1]
        proxy.black_hole()
        timer = threading.Timer(1.5, proxy.restore)
        timer.start()
        database.execute("INSERT INTO t VALUES (2)")
        began = time.monotonic()
        assert keys([next(loop)]) == [2]
        assert 0.9 < time.monotonic() - began < 15
        timer.join()


def test_quiet_server_that_answers_is_not_given_up(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '2s'")
    with reader(database, slot_name) as made:
        assert made.poll(3.5) is None
        assert made.stats.reconnects == 0


def test_temporary_slot_is_gone_with_the_connection(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name + "_")
    with reader(database, slot_name, create=True, temporary=True, reconnect=AT_ONCE) as made:
        kill(database, slot_name)
        with pytest.raises(SlotNotFoundError):
            made.poll(20)


def test_slot_that_somebody_holds_is_waited_for(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    first = reader(database, slot_name, reconnect=None)
    first.open()
    timer = threading.Timer(0.5, first.close)
    timer.start()
    with reader(database, slot_name) as made:
        assert keys([next(iter(made))]) == [1]
    timer.join()
    with reader(database, slot_name):
        began = time.monotonic()
        with pytest.raises(SlotInUseError):
            reader(database, slot_name, reconnect=None).open()
        assert time.monotonic() - began < 2


# -- the store


@pytest.mark.usefixtures("patient_goodbye")
def test_nothing_is_confirmed_before_it_is_stored(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    store = MemoryOffsets(seconds=0.01)
    done = threading.Event()
    wrong: list[tuple[LSN, LSN]] = []
    watched: set[LSN] = set()
    eyes = database.connect()

    def watch() -> None:
        while not done.is_set():
            ((text,),) = eyes.execute(
                "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s",
                [slot_name],
            )
            lsn, stored = LSN.parse(text), store.last.position
            watched.add(lsn)
            if lsn > stored:
                wrong.append((lsn, stored))

    options: dict[str, Any] = {"offsets": store, "status_interval": 0.2, "reconnect": AT_ONCE}
    with reader(database, slot_name, **options) as made:
        assert store.last.position == confirmed(database, slot_name)
        assert store.last.transaction_end == 0
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for number in range(60):
                database.execute("INSERT INTO t VALUES (%s)", [number])
                change = made.poll(10)
                while change is None:
                    change = made.poll(10)
                made.ack(change)
                if number % 20 == 10:
                    kill(database, slot_name)
                if number % 5 == 4:
                    database.execute("SELECT pg_switch_wal()")
                    for _ in range(3):
                        assert made.poll(0.1) is None
        finally:
            done.set()
            watcher.join()
    assert wrong == []
    assert len(watched) > 5
    positions = [offset.position for offset in store.saved]
    assert positions == sorted(set(positions))
    assert {(offset.slot, offset.timeline) for offset in store.saved} == {(slot_name, 1)}
    assert all(offset.transaction_end <= offset.position for offset in store.saved)
    assert change is not None
    assert change.transaction is not None
    assert store.last.transaction_end == change.transaction.end_lsn
    assert confirmed(database, slot_name) == store.last.position
    with reader(database, slot_name, offsets=store, until="now") as made:
        assert list(made) == []


@pytest.mark.usefixtures("patient_goodbye")
def test_store_that_fails_confirms_nothing(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    store = MemoryOffsets()
    options: dict[str, Any] = {"offsets": store, "status_interval": 0.2, "idle_timeout": 10}
    with reader(database, slot_name, **options) as made:
        loop = iter(made)
        assert keys([next(loop)]) == [1]
        store.failure = lambda: OffsetStoreError("the disk is full")
        database.execute("INSERT INTO t VALUES (2)")
        with pytest.raises(OffsetStoreError, match="the disk is full") as first:
            list(loop)
        with pytest.raises(OffsetStoreError) as second:
            made.poll(0)
        assert second.value is first.value
        time.sleep(0.5)  # some status updates
        # Not where it was before: a status from then may have its turn only now.
        assert confirmed(database, slot_name) <= store.last.position
    assert confirmed(database, slot_name) <= store.last.position
    assert made.stats.reconnects == 0
    store.failure = None
    with reader(database, slot_name, offsets=store, until="now") as made:
        assert keys(list(made)) == [1, 2]
    # In the goodbye it is raised, too.
    database.execute("INSERT INTO t VALUES (3)")
    made = reader(database, slot_name, offsets=store, ack="manual")
    made.open()
    change = made.poll(10)
    assert change is not None
    made.ack(change)
    store.failure = lambda: OffsetStoreError("the disk is full")
    with pytest.raises(OffsetStoreError, match="the disk is full"):
        made.close()
    assert active_pid(database, slot_name) is None
    assert confirmed(database, slot_name) <= store.last.position


def test_short_status_interval_does_not_starve_the_store(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    store = MemoryOffsets()
    options: dict[str, Any] = {"offsets": store, "status_interval": 0.03, "ack": "manual"}
    with reader(database, slot_name, **options) as made:
        database.execute("INSERT INTO t VALUES (1)")
        change = made.poll(10)
        assert change is not None
        made.ack(change)
        assert made.poll(1) is None  # its commit
        assert made.poll(1) is None
        assert store.last.position > change.position.commit_lsn


def test_store_in_another_persons_words(database: Database, slot_name: str) -> None:
    """What a store raises comes out, and reading may go on when it works again."""
    make_slot(database, slot_name)
    store = MemoryOffsets()
    with reader(database, slot_name, offsets=store, reconnect=AT_ONCE) as made:
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1)")
        assert keys([next(loop)]) == [1]
        store.failure = lambda: OSError("no space")
        with pytest.raises(OSError, match="no space"):
            next(loop)
        assert confirmed(database, slot_name) <= store.last.position
        store.failure = None
        database.execute("INSERT INTO t VALUES (2)")
        assert keys([next(loop)]) == [2]


def test_position_that_was_taken_back_is_stored_anew(database: Database, slot_name: str) -> None:
    """A keepalive of a server that had more than the one that took over."""
    make_slot(database, slot_name)
    store = MemoryOffsets()
    with reader(database, slot_name, offsets=store, ack="manual", reconnect=AT_ONCE) as made:
        session = made._source.session
        assert session is not None
        far = LSN(session.server_lsn + 0x10000000)
        session.take(wire.primary_keepalive(far))
        run(made._source.link.store())
        assert store.last.position == far
        session.progress._keepalive = 0
        made._source._interrupted = True  # before the server hears of it
        assert made.poll(0) is None
        assert made.stats.reconnects == 1
        assert confirmed(database, slot_name) <= store.last.position < far
        for number in range(3):
            database.execute("INSERT INTO t VALUES (%s)", [number])
            while (change := made.poll(10)) is None:
                pass
            made.ack(change)
            assert made.poll(0.2) is None
            assert made.poll(0.2) is None
            transaction = change.transaction
            assert transaction is not None
            assert transaction.end_lsn is not None
            wait_until(lambda: confirmed(database, slot_name) >= change.position.commit_lsn)
            assert store.last.transaction_end == transaction.end_lsn
            assert confirmed(database, slot_name) <= store.last.position < far
    with reader(database, slot_name, offsets=store, until="now") as made:
        assert list(made) == []


def test_slot_that_is_moved_while_we_are_away(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    for policy in ("raise", "trust_slot"):
        options = {"reconnect": Backoff(initial=0.5, jitter=0), "on_offset_mismatch": policy}
        with proxied(database, slot_name, **options) as (made, proxy):
            loop = iter(made)
            database.execute("INSERT INTO t VALUES (2)")
            next(loop)
            proxy.cut(rst=True)
            database.execute("DELETE FROM t; INSERT INTO t VALUES (3)")
            wait_until(lambda: active_pid(database, slot_name) is None)
            database.execute(
                "SELECT pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())", [slot_name]
            )
            database.execute("INSERT INTO t VALUES (4)")
            if policy == "raise":
                with pytest.raises(SlotGapError):
                    list(made.batches())
            else:
                wait_until(lambda: _polled(made) == [4])
        database.execute("DELETE FROM t")
        read(database, slot_name)
        database.execute("INSERT INTO t VALUES (1)")


def _polled(made: ReplicationReader) -> list[object]:
    change = made.poll(1)
    return [] if change is None else keys([change])


# -- stop


def _stopped_after(made: ReplicationReader, seconds: float, *, way: str = "loop") -> list[object]:
    """Read, stop from another thread, and return what came until then."""
    timer = threading.Timer(seconds, made.stop)
    timer.start()
    began = time.monotonic()
    got = keys(list(made)) if way == "loop" else keys([c for b in made.batches() for c in b])
    assert time.monotonic() - began < seconds + 1
    timer.join()
    assert made.ended
    return got


def test_stop_while_it_waits_and_in_the_pause(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    with reader(database, slot_name) as made:
        change = made.poll(10)
        assert change is not None
        made.ack(change)
        assert _stopped_after(made, 0.3) == []
        assert made.poll(10) is None
    with proxied(database, slot_name, reconnect=Backoff(initial=30)) as (made, proxy):
        made.open()
        proxy.refuse()
        proxy.cut()
        assert _stopped_after(made, 0.3, way="batches") == []
    # While a connection is made to what accepts, and never answers.
    with proxied(database, slot_name, reconnect=AT_ONCE) as (made, proxy):
        made.open()
        proxy.cut()
        proxy.black_hole()
        assert _stopped_after(made, 0.3) == []
        began = time.monotonic()
    assert time.monotonic() - began < 1


def test_stop_while_it_opens(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with proxied(database, slot_name) as (made, proxy):
        proxy.black_hole()
        assert _stopped_after(made, 0.3) == []
        assert not made.is_open
    # While it waits for a slot that somebody else has.
    with reader(database, slot_name), contextlib.closing(reader(database, slot_name)) as made:
        assert _stopped_after(made, 0.5) == []
        assert not made.is_open


def test_stop_in_a_catalog_query(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        database.execute("INSERT INTO t VALUES (1)")
        with frozen(database, slot_name):
            assert _stopped_after(made, 0.3) == []
    assert keys(read(database, slot_name)) == [1]


@contextlib.contextmanager
def frozen(database: Database, slot: str) -> Iterator[None]:
    """Let the server's process of the connection beside the stream not answer meanwhile."""
    pids: list[int] = []

    def is_alone() -> bool:
        # Those of a reader that was just closed may be there still.
        found = database.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'pglogical_cdc' AND pid <> %s",
            [active_pid(database, slot)],
        )
        pids[:] = [pid for (pid,) in found]
        return len(pids) == 1

    wait_until(is_alone)
    os.kill(pids[0], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pids[0], signal.SIGCONT)


def test_stop_when_it_is_over(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    made = reader(database, slot_name)
    made.open()
    made.close()
    made.stop()
    made.close()
    with pytest.raises(ConfigurationError, match="closed"):
        made.open()


def test_closing_while_another_thread_reads_ends_that(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    made = reader(database, slot_name)
    made.open()
    raised: list[BaseException] = []

    def consume() -> None:
        try:
            list(made)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    time.sleep(0.3)
    try:
        with contextlib.suppress(ConfigurationError):  # which it may be as well
            made.close()
            thread.join(3)
            assert not thread.is_alive()
            assert made._source.link.stream is None
    finally:
        made.stop()
        thread.join(3)
    assert all(isinstance(error, ConfigurationError) for error in raised)


def test_commit_that_is_the_last_of_what_is_here_ends_its_transaction(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name, ack="manual") as made:
        for number in range(5):
            database.execute("INSERT INTO t VALUES (%s)", [number])
            change = made.poll(10)
            assert keys([] if change is None else [change]) == [number]
            stream = made._source.link.stream
            assert stream is not None
            # Its Commit has come, and nothing comes after it, not even a keepalive.
            wait_until(lambda: stream.receive() or bool(stream.messages))  # noqa: B023
            while isinstance(parse_walsender_message(stream.messages[-1]), PrimaryKeepalive):
                stream.messages.pop()
            began = time.monotonic()
            assert made.poll(20) is None
            assert time.monotonic() - began < 10


# -- in the middle of what was read ahead


def _one_transaction(database: Database, slot: str, rows: int = 300) -> list[object]:
    make_slot(database, slot)
    database.execute("INSERT INTO t SELECT n, 'v' FROM generate_series(1, %s) n", [rows])
    return list(range(1, rows + 1))


def test_stop_in_a_loop_body_ends_before_the_next_change(
    database: Database, slot_name: str
) -> None:
    ids = _one_transaction(database, slot_name)
    with reader(database, slot_name) as made:
        got: list[Change] = []
        for change in made:
            got.append(change)
            if len(got) == 7:
                made.stop()
        assert keys(got) == ids[:7]
        assert made.poll() is None
    assert keys(read(database, slot_name)) == ids


def test_loop_goes_on_where_another_was_left(database: Database, slot_name: str) -> None:
    ids = _one_transaction(database, slot_name)
    with reader(database, slot_name, until="now") as made:
        loop = iter(made)
        got = [next(loop) for _ in range(5)]
        assert made.stats.changes == 5
        assert not made.has_unacknowledged
        batches = made.batches(max_rows=70)
        # What was in hand comes again, and what was read ahead after it.
        assert keys(next(batches)) == ids[4:74]
        assert keys(next(batches)) == ids[74:144]
        assert made.stats.changes == 144
        with pytest.raises(ConfigurationError, match="replaced by a newer one"):
            next(loop)
        again = iter(made)
        rest = list(again)
        assert keys(got[:4] + rest) == ids[:4] + ids[74:]
        assert made.stats.rows == {"insert": 300}
    assert read(database, slot_name) == []


def test_transaction_is_taken_to_its_end(database: Database, slot_name: str) -> None:
    ids = _one_transaction(database, slot_name)
    database.execute("INSERT INTO t VALUES (1000, 'v'), (1001, 'v')")
    with reader(database, slot_name, until="now") as made:
        got = []
        for transaction in made.transactions():
            changes = []
            for change in transaction:
                assert transaction.position == change.position
                changes.append(change)
            assert transaction.is_exhausted
            got.append(keys(changes))
        assert got == [ids, [1000, 1001]]
    assert read(database, slot_name) == []


def test_polls_and_acknowledges_in_between(database: Database, slot_name: str) -> None:
    ids = _one_transaction(database, slot_name)
    with reader(database, slot_name, until="now", ack="manual") as made:
        got: list[Change] = []
        for each in made:
            got.append(each)
            if len(got) % 10 == 0:
                assert made.has_unacknowledged
                made.ack(each)
                assert not made.has_unacknowledged
        assert keys(got) == ids
    assert read(database, slot_name) == []


def test_another_thread_gets_nothing_of_what_was_read_ahead(
    database: Database, slot_name: str
) -> None:
    ids = _one_transaction(database, slot_name)
    with reader(database, slot_name, until="now") as made:
        loop = iter(made)
        first = [next(loop) for _ in range(3)]
        raised: list[BaseException] = []

        def take() -> None:
            for attempt in (lambda: next(loop), made.poll):
                try:
                    attempt()
                except ConfigurationError as error:
                    raised.append(error)

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        assert ["another thread" in str(error) for error in raised] == [True, True]
        assert keys(first + list(loop)) == ids


def test_forked_process_gets_nothing_of_what_was_read_ahead(
    database: Database, slot_name: str
) -> None:
    ids = _one_transaction(database, slot_name)
    with reader(database, slot_name, until="now") as made:
        loop = iter(made)
        first = [next(loop) for _ in range(3)]
        child = os.fork()
        if child == 0:
            try:
                next(loop)
            except ConfigurationError:
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert keys(first + list(loop)) == ids


def test_connection_lost_in_the_middle_of_what_was_read_ahead(
    database: Database, slot_name: str
) -> None:
    ids = _one_transaction(database, slot_name, 3000)
    with proxied(database, slot_name, until="now", reconnect=AT_ONCE) as (made, proxy):
        got: list[Change] = []
        for change in made:
            got.append(change)
            if len(got) in (20, 1000):
                proxy.cut()
        assert keys(got) == ids
        assert len({change.position for change in got}) == len(ids)


def test_what_is_wrong_comes_after_what_was_read_before_it(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute(
        "INSERT INTO t SELECT n, 'v' FROM generate_series(1, 20) n"
        " UNION ALL SELECT 21, repeat('x', 5000)"
    )
    got: list[Change] = []
    with (
        pytest.raises(MessageTooLargeError),
        reader(database, slot_name, max_message_bytes=1000) as made,
    ):
        got.extend(made)
    assert keys(got) == list(range(1, 21))


def test_much_that_comes_is_read_together(database: Database, slot_name: str) -> None:
    """The server sends each message by itself; a wake-up for each would cost most of all."""
    ids = _one_transaction(database, slot_name, 30_000)
    with reader(database, slot_name, until="now") as made:
        stream = made._source.link.stream
        assert stream is not None
        receive, sizes = stream.receive, []

        def counted() -> bool:
            before = len(stream.messages)
            found = receive()
            sizes.append(len(stream.messages) - before)
            return found

        stream.receive = counted  # type: ignore[method-assign]
        assert sum(1 for _ in made) == len(ids)
        assert len([size for size in sizes if size]) < sum(sizes) / 4


def test_little_that_comes_is_not_waited_for_longer(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        for number in range(5):
            database.execute("INSERT INTO t VALUES (%s)", [number])
            while made.poll(10) is None:
                pass
            stream = made._source.link.stream
            assert stream is not None
            assert not stream._much_is_coming


def test_little_is_done_between_the_wake_up_and_the_change(
    database: Database, slot_name: str
) -> None:
    # After a pause each function costs several times what it costs in a loop, and the change waits.
    make_slot(database, slot_name)
    calls: list[str] = []

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and is_ours(frame.f_code):
            if frame.f_code.co_name == "fill":
                calls.clear()
            calls.append(frame.f_code.co_name)

    counts: list[int] = []
    with reader(database, slot_name) as made:
        loop = iter(made)
        for number in range(10):
            writer = threading.Timer(
                0.05, database.execute, ["INSERT INTO t VALUES (%s)", [number]]
            )
            writer.start()
            sys.setprofile(count)
            try:
                next(loop)
            finally:
                sys.setprofile(None)
            writer.join()
            counts.append(len(calls))
    # 38 with a keepalive before the Begin. The first has the table's description; a server that
    # is slow may send the parts one by one.
    assert sorted(counts)[len(counts) // 2] <= 42
