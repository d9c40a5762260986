"""Connections that break, fall silent, lead elsewhere or are refused."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pglogical_cdc import (
    Backoff,
    ConfigurationError,
    ConnectionLostError,
    ReplicationReader,
    SlotNotFoundError,
)
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.load import Ledger, Load, create_tables
from tests.faults.proxy import Proxy
from tests.reading import active_pid, keys, make_slot, read, reader, wait_until
from tests.servers import new_database

if TYPE_CHECKING:
    from tests.servers import Database, Server

pytestmark = pytest.mark.pg

Tally = Callable[..., None]


@pytest.fixture
def slot(database: Database, slot_name: str) -> str:
    """A slot for a load, whose server gives up silent clients soon."""
    create_tables(database.dsn, publication="pub")
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '2s'")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    return slot_name


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    with Proxy(database.server.embedded.port) as made:
        yield made


@pytest.mark.fault(1)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_fast_shutdown_is_not_held_up_by_a_reader_that_has_nothing_in_hand(
    private_server: Server, slot_name: str, flavour: Flavour, tally: Tally
) -> None:
    server = private_server
    create_tables(server.dsn(), publication="pub")
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    ledger = Ledger()
    with (
        Load(server.dsn(), rate=200) as load,
        Consumer(flavour, server.dsn(), slot_name, ledger) as consumer,
    ):
        load.wait_for(20)
        last = load.stop()
        wait_until(lambda: ledger.saw(last))
        began = time.monotonic()
        server.embedded.stop("fast")
        # A server that is held up waits for the next status of the timer, up to ten seconds.
        assert time.monotonic() - began < 5
        server.embedded.start()
        consumer.finish(last)
        tally("shutdown -m fast", 1, ledger.verdict(load.expected()))


@pytest.mark.fault(2)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_walsender_is_terminated(
    database: Database, slot: str, flavour: Flavour, tally: Tally
) -> None:
    ledger = Ledger()
    with (
        Load(database.dsn, rate=300) as load,
        Consumer(flavour, database.dsn, slot, ledger) as consumer,
    ):
        for _ in range(5):
            load.wait_for(20)
            pid = active_pid(database, slot)
            if pid is not None:
                database.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            wait_until(lambda: active_pid(database, slot) not in (None, pid))  # noqa: B023
        consumer.finish(load.stop())
        assert consumer.reader.stats.reconnects >= 5
        tally("walsender terminated", 5, ledger.verdict(load.expected()))


@pytest.mark.fault(3)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_black_hole_is_noticed_and_the_slot_taken_back(
    database: Database, slot: str, proxy: Proxy, flavour: Flavour, tally: Tally
) -> None:
    """Not even the walsender hears of it: it holds the slot until the reader ends it."""
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '3s'")
    ledger = Ledger()
    with (
        Load(database.dsn, rate=100) as load,
        Consumer(flavour, proxy.dsn(database.dsn), slot, ledger) as consumer,
    ):
        load.wait_for(20)
        proxy.black_hole()
        before = ledger.events
        began = time.monotonic()
        proxy.restore()
        wait_until(lambda: ledger.events > before + 50)
        assert 1 < time.monotonic() - began < 8
        consumer.finish(load.stop())
        tally("black hole", 1, ledger.verdict(load.expected()))


@pytest.mark.fault(3)
def test_walsender_that_is_stuck_is_noticed(database: Database, slot: str, tally: Tally) -> None:
    ledger = Ledger()
    with (
        Load(database.dsn, rate=100) as load,
        Consumer("sync", database.dsn, slot, ledger) as consumer,
    ):
        load.wait_for(10)
        pid = active_pid(database, slot)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: consumer.events[-1].state in ("retrying", "connecting"), 15)
        finally:
            os.kill(pid, signal.SIGCONT)
        consumer.finish(load.stop())
        tally("walsender stopped (SIGSTOP)", 1, ledger.verdict(load.expected()))


def _cut_next(proxy: Proxy, size: int) -> None:
    """Cut the next attempt after so many bytes."""
    deadline = time.monotonic() + 30
    while True:
        proxy.cut_next_after(size, rst=size % 2 == 0)
        proxy.cut()
        try:
            proxy.wait(3)
        except AssertionError:  # it met a connection that was just being cut, or the one beside
            assert time.monotonic() < deadline
        else:
            return


@pytest.mark.fault(4)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_cut_at_every_stage(
    database: Database, slot: str, proxy: Proxy, flavour: Flavour, tally: Tally
) -> None:
    """From the first byte of an attempt on, through authentication, checks and stream."""
    sizes = [1, 5, 9, 50, 300, 420, 500, 700, 900, 1100, 1500, 2000, 4000, 9000]
    ledger = Ledger()
    with (
        Load(database.dsn, rate=300) as load,
        Consumer(flavour, proxy.dsn(database.dsn), slot, ledger) as consumer,
    ):
        for size in sizes:
            _cut_next(proxy, size)
        consumer.finish(load.stop())
        tally("cut at chosen bytes", len(sizes), ledger.verdict(load.expected()))


@pytest.mark.fault(4)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_single_bytes_are_put_together(
    database: Database, slot: str, proxy: Proxy, flavour: Flavour, tally: Tally
) -> None:
    proxy.fragment(1)
    ledger = Ledger()
    with (
        Load(database.dsn) as load,
        Consumer(flavour, proxy.dsn(database.dsn), slot, ledger) as consumer,
    ):
        load.wait_for(30)
        consumer.finish(load.stop())
        tally("single bytes", 1, ledger.verdict(load.expected()))


@pytest.mark.fault(33)
def test_what_cannot_get_better_is_raised_at_once(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(f"CREATE ROLE {slot_name} LOGIN")
    try:
        for changed, error, words in (
            ({"dbname": "nowhere"}, ConfigurationError, 'database "nowhere" does not exist'),
            ({"user": "nobody_here"}, ConfigurationError, 'role "nobody_here" does not exist'),
            ({"user": slot_name}, ConfigurationError, "needs LOGIN and REPLICATION"),
            ({"port": 1}, ConnectionLostError, "refused"),
            ({"host": "nowhere.invalid"}, ConnectionLostError, "host name|getaddrinfo|Name or"),
        ):
            dsn = make_conninfo(database.dsn, **changed)
            began = time.monotonic()
            with pytest.raises(error, match=words):
                ReplicationReader(dsn, slot=slot_name, publications="pub").open()
            # A question to the name server that gets lost is asked again after 5 s.
            assert time.monotonic() - began < (30 if "host" in changed else 5)
        with pytest.raises(SlotNotFoundError):
            reader(database, slot_name + "x").open()
    finally:
        database.execute(f"DROP ROLE {slot_name}")


def _only_walsender(database: Database) -> psycopg.Connection[Any]:
    """Connect as soon as the walsender before, whose client is gone, has noticed that."""
    made: list[psycopg.Connection[Any]] = []

    def connect() -> bool:
        dsn = make_conninfo(database.dsn, replication="database")
        with contextlib.suppress(psycopg.OperationalError):
            made.append(psycopg.connect(dsn, autocommit=True))
        return bool(made)

    wait_until(connect)
    return made[0]


@pytest.mark.fault(33)
def test_too_many_walsenders_and_a_server_that_starts_are_waited_for(
    private_server: Server, slot_name: str, tally: Tally
) -> None:
    server = private_server.embedded
    with new_database(private_server) as database, Proxy(server.port) as proxy:
        create_tables(database.dsn, publication="pub")
        database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
        database.execute("ALTER SYSTEM SET max_wal_senders = 1")
        database.connections.pop().close()
        server.restart("fast")
        ledger = Ledger()
        with (
            Load(database.dsn, rate=100) as load,
            Consumer("sync", proxy.dsn(database.dsn), slot_name, ledger) as consumer,
        ):
            told = consumer.events
            load.wait_for(5)
            proxy.refuse()
            proxy.cut()
            wait_until(lambda: len(told) > 3)
            with _only_walsender(database) as other:
                proxy.accept()
                wait_until(lambda: any("max_wal_senders" in str(event.error) for event in told))
                other.execute("IDENTIFY_SYSTEM")
            wait_until(lambda: told[-1].state == "streaming")
            consumer.finish(load.stop())
            tally("no free walsender", 1, ledger.verdict(load.expected()))


@pytest.mark.fault(33)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_attempts_are_counted_and_told(
    database: Database, slot: str, proxy: Proxy, flavour: Flavour
) -> None:
    tries = Backoff(initial=0.01, maximum=0.05, jitter=0, tries=3)
    with Consumer(flavour, proxy.dsn(database.dsn), slot, Ledger(), reconnect=tries) as consumer:
        proxy.refuse()
        proxy.cut()
        error = consumer.failure()
    assert isinstance(error, ConnectionLostError)
    told = consumer.events
    assert [(event.state, event.attempt, event.delay) for event in told] == [
        ("connecting", 0, None),
        ("streaming", 0, None),
        ("retrying", 1, 0.01),
        ("connecting", 0, None),
        ("retrying", 2, 0.02),
        ("connecting", 0, None),
        ("retrying", 3, 0.04),
        ("connecting", 0, None),
        ("stopped", 0, None),
    ]
    assert told[-1].error is error
    assert all(event.slot == slot for event in told)


@pytest.mark.fault(33)
def test_without_reconnect_a_lost_connection_is_raised(
    database: Database, slot: str, proxy: Proxy
) -> None:
    with Consumer("async", proxy.dsn(database.dsn), slot, Ledger(), reconnect=None) as consumer:
        proxy.cut()
        assert isinstance(consumer.failure(), ConnectionLostError)


@pytest.mark.fault(33)
def test_first_of_several_hosts_is_dead(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1)")
    port = database.server.embedded.port
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        for first in (1, silent.getsockname()[1]):
            dsn = make_conninfo(
                database.dsn, host="127.0.0.1,127.0.0.1", port=f"{first},{port}", connect_timeout=2
            )
            with ReplicationReader(
                dsn, slot=slot_name, publications="pub", until="now", ack="manual"
            ) as made:
                assert keys(list(made)) == [1]


@pytest.mark.fault(36)
@pytest.mark.parametrize("what", ["thread", "fork"])
def test_reader_belongs_to_its_thread_and_process(
    database: Database, slot_name: str, what: str
) -> None:
    make_slot(database, slot_name)
    for number in (1, 2):
        database.execute("INSERT INTO t VALUES (%s)", [number])
    with reader(database, slot_name) as made:
        loop = iter(made)
        first = next(loop)
        assert keys([first]) == [1]
        if what == "thread":
            caught: list[Exception] = []

            def use() -> None:
                for attempt in (lambda: next(loop), made.poll, lambda: made.ack(first)):
                    try:
                        attempt()
                    except ConfigurationError as error:
                        caught.append(error)

            thread = threading.Thread(target=use)
            thread.start()
            thread.join()
            assert len(caught) == 3
        else:
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    made.poll()
                except ConfigurationError:
                    made.close()
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(pid, 0)[1] == 0
        assert keys([next(loop)]) == [2]
    assert keys(read(database, slot_name)) == [2]
