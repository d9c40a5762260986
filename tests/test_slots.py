"""Tests of `pglogical_cdc.slots`, blocking and asynchronous."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeAlias

import psycopg
import pytest
from psycopg import sql

import pglogical_cdc as cdc
from pglogical_cdc import LSN, ConfigurationError, slots
from pglogical_cdc.postgres.blocking import Blocking, run
from pglogical_cdc.postgres.conversation import execute
from pglogical_cdc.protocol import StandbyStatusUpdate
from tests.reading import active_pid, confirmed, keys, make_slot, reader, wait_until
from tests.servers import Database, Server, new_database

Call: TypeAlias = Callable[..., Any]
"""Calls a function of `slots` by name, or its twin in a loop of its own."""


def _blocking(function: str, conninfo: str, *arguments: object, **options: object) -> Any:
    return getattr(slots, function)(conninfo, *arguments, **options)


def _asynchronous(function: str, conninfo: str, *arguments: object, **options: object) -> Any:
    return asyncio.run(getattr(slots, f"a{function}")(conninfo, *arguments, **options))


both = pytest.mark.parametrize(
    "call", [pytest.param(_blocking, id="blocking"), pytest.param(_asynchronous, id="asyncio")]
)


@contextlib.contextmanager
def _streaming(database: Database, slot: str, **params: str) -> Iterator[psycopg.Connection[Any]]:
    """Take a slot with a walsender, which never confirms anything."""
    dsn = database.server.dsn(database.name, replication="database", **params)
    command = (
        f"START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names 'pub')"
    )
    with (
        contextlib.closing(psycopg.connect(dsn, autocommit=True)) as connection,
        contextlib.closing(Blocking()) as flavour,
    ):
        run(execute(connection, command.encode(), flavour))
        yield connection


@both
@pytest.mark.pg
def test_life_of_a_slot(call: Call, database: Database, slot_name: str) -> None:
    dsn = database.dsn
    assert call("get", dsn, slot_name) is None
    made = call("create", dsn, slot_name, two_phase=True)
    assert (made.name, made.plugin, made.database) == (slot_name, "pgoutput", database.name)
    assert made.two_phase
    assert (made.active, made.invalidated, made.temporary) == (False, False, False)
    assert (made.failover, made.synced, made.conflicting) == (False, False, False)
    with pytest.raises(ConfigurationError, match="exists already"):
        call("create", dsn, slot_name)

    database.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)")
    before = call("get", dsn, slot_name)
    assert before.confirmed_flush_lsn == made.confirmed_flush_lsn
    assert before.retained_bytes >= before.lag_bytes > 1000
    middle = LSN(made.confirmed_flush_lsn + 100)
    assert call("advance", dsn, slot_name, to=str(middle)) == middle
    reached = call("advance", dsn, slot_name, to="now")
    assert reached == confirmed(database, slot_name) > middle
    assert call("advance", dsn, slot_name, to=reached) == reached
    with pytest.raises(ConfigurationError, match="no slot goes back"):
        call("advance", dsn, slot_name, to=middle)
    with pytest.raises(ConfigurationError, match="the WAL of this server ends at"):
        call("advance", dsn, slot_name, to=LSN(reached + (1 << 40)))
    for wrong in ("later", 1.5, True, -1, None):
        with pytest.raises(ConfigurationError, match="to"):
            call("advance", dsn, slot_name, to=wrong)

    with new_database(database.server) as other:
        other.execute(
            "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [f"{slot_name}_2"]
        )
        other.execute("SELECT pg_create_physical_replication_slot(%s)", [f"{slot_name}_3"])
        try:
            found = {slot.name: slot for slot in call("list", dsn)}
            assert list(found) == sorted(found)
            assert slot_name in found
            assert f"{slot_name}_3" not in found
            assert call("get", dsn, f"{slot_name}_3") is None
            with pytest.raises(cdc.SlotNotFoundError):
                call("drop", dsn, f"{slot_name}_3")
        finally:
            other.execute("SELECT pg_drop_replication_slot(%s)", [f"{slot_name}_3"])
        foreign = found[f"{slot_name}_2"]
        assert (foreign.plugin, foreign.database) == ("test_decoding", other.name)
        if database.server.version < 17:
            with pytest.raises(ConfigurationError, match=f"belongs to database '{other.name}'"):
                call("advance", dsn, foreign.name, to="now")
        else:
            assert call("advance", dsn, foreign.name, to="now") >= foreign.confirmed_flush_lsn
        call("drop", dsn, foreign.name)

    call("drop", dsn, slot_name)
    assert call("get", dsn, slot_name) is None
    for function, options in (("drop", {}), ("advance", {"to": "now"})):
        with pytest.raises(cdc.SlotNotFoundError) as caught:
            call(function, dsn, slot_name, **options)
        assert caught.value.slot == slot_name
        with pytest.raises(ConfigurationError, match="only a-z"):
            call(function, dsn, "Robert'); --", **options)


@both
@pytest.mark.pg
def test_slot_in_use(call: Call, database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with _streaming(database, slot_name) as connection:
        pid = connection.info.backend_pid
        slot = call("get", database.dsn, slot_name)
        assert (slot.active, slot.active_pid) == (True, pid)
        assert slot_name not in [idle.name for idle in call("idle_slots", database.dsn)]
        for function, options in (("drop", {}), ("advance", {"to": "now"})):
            with pytest.raises(cdc.SlotInUseError, match=f"PID {pid}") as caught:
                call(function, database.dsn, slot_name, **options)
            assert caught.value.slot == slot_name
        call("drop", database.dsn, slot_name, force=True)
        assert call("get", database.dsn, slot_name) is None


@pytest.mark.pg
def test_lag_of_a_reader(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with _streaming(database, slot_name) as connection:

        def measured() -> bool:
            # The server measures once in a second at most.
            database.execute("INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET v = ''")
            ((text,),) = database.execute("SELECT pg_current_wal_flush_lsn()::text")
            lsn = LSN.parse(text)
            confirms = StandbyStatusUpdate(
                write_lsn=lsn, flush_lsn=lsn, apply_lsn=lsn, client_time=0
            )
            connection.pgconn.put_copy_data(confirms.encode())
            connection.pgconn.flush()
            slot = slots.get(database.dsn, slot_name)
            return slot is not None and slot.lag_seconds is not None and slot.lag_seconds < 20

        wait_until(measured)


@both
@pytest.mark.pg
def test_slots_that_nobody_reads(call: Call, database: Database, slot_name: str) -> None:
    dsn = database.dsn

    def idle(**options: object) -> list[str]:
        found: list[slots.Slot] = call("idle_slots", dsn, **options)
        return [slot.name for slot in found if slot.database == database.name]

    with database.connect() as owner:
        slots.create(owner, f"{slot_name}_temporary", temporary=True)
        slots.create(dsn, f"{slot_name}_big")
        database.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)")
        slots.create(dsn, f"{slot_name}_small")
        assert idle() == [f"{slot_name}_big", f"{slot_name}_small"]
    small = call("get", dsn, f"{slot_name}_small").retained_bytes
    assert idle(larger_than=small + 10_000) == [f"{slot_name}_big"]
    assert idle(larger_than=1 << 40) == []
    if database.server.version >= 17:
        assert idle(older_than=0) == [f"{slot_name}_big", f"{slot_name}_small"]
        assert idle(older_than=timedelta(hours=1)) == []
    else:
        with pytest.raises(ConfigurationError, match="PostgreSQL 17"):
            idle(older_than=60)
    for wrong in ({"older_than": -1}, {"older_than": float("nan")}, {"larger_than": -1}):
        with pytest.raises(ConfigurationError, match="than is a"):
            idle(**wrong)


@both
@pytest.mark.pg
def test_open_transactions_hold_a_slot_up(call: Call, database: Database, slot_name: str) -> None:
    database.execute("CREATE TABLE t (v int)")
    database.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'waiting'")
    with database.connect() as writer, database.connect() as owner:
        writer.execute("BEGIN; INSERT INTO t VALUES (1)")
        pid = writer.info.backend_pid
        with pytest.raises(
            cdc.SourceError, match=rf"within 0.3 s.*PID {pid}.* 1 prepared"
        ) as caught:
            call("create", database.dsn, slot_name, timeout=0.3)
        assert caught.value.sqlstate == "57014"
        for wrong in (0, -1, float("nan"), float("inf")):
            with pytest.raises(ConfigurationError, match="timeout"):
                call("create", database.dsn, slot_name, timeout=wrong)
        # A connection of the caller keeps its own limit, and can be used after that.
        owner.execute("SET statement_timeout = '300ms'")
        with pytest.raises(cdc.SourceError, match=f"PID {pid}"):
            slots.create(owner, slot_name)
        assert slots.get(owner, slot_name) is None
        writer.execute("ROLLBACK")
        with pytest.raises(cdc.SourceError, match=r"written, 1 prepared"):
            slots.create(owner, slot_name, timeout=0.2)
        database.execute("ROLLBACK PREPARED 'waiting'")
        assert call("create", database.dsn, slot_name, timeout=20).name == slot_name


@pytest.mark.pg
def test_an_interrupted_creation_leaves_nothing(database: Database, slot_name: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    async def cancelled() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(slots.acreate(database.dsn, slot_name), 0.5)

    database.execute("CREATE TABLE t (v int)")
    with database.connect() as writer:
        writer.execute("BEGIN; INSERT INTO t VALUES (1)")
        asyncio.run(cancelled())
        wait_until(lambda: slots.get(database.dsn, slot_name) is None, 5)
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with pytest.raises(KeyboardInterrupt):
                slots.create(database.dsn, slot_name)
        finally:
            signal.signal(signal.SIGALRM, before)
        wait_until(lambda: slots.get(database.dsn, slot_name) is None, 5)
        writer.execute("ROLLBACK")
    assert slots.get(database.dsn, slot_name) is None


@pytest.mark.pg
def test_open_connections(database: Database, slot_name: str) -> None:
    # Whatever the connection has been told: in SQL_ASCII, text comes as bytes.
    database.execute(
        "CREATE SCHEMA evil; CREATE DOMAIN evil.text AS integer;"
        "CREATE FUNCTION evil.never(name, name) RETURNS bool LANGUAGE sql AS 'SELECT false';"
        "CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, PROCEDURE = evil.never);"
        "CREATE FUNCTION evil.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'"
    )
    settings = "SET search_path = evil, pg_catalog; SET client_encoding = SQL_ASCII"
    with database.connect() as connection:
        connection.execute(settings)
        made = slots.create(connection, slot_name, temporary=True)
        assert (made.name, made.temporary) == (slot_name, True)
        assert made.active_pid == connection.info.backend_pid
        assert slot_name in [slot.name for slot in slots.list(connection)]
        database.execute("CREATE PUBLICATION pub FOR ALL TABLES")
        assert slots.poisoned(connection, slot_name, "pub") is None
        assert slots.advance(connection, slot_name, to="now") >= made.confirmed_flush_lsn
        slots.drop(connection, slot_name)
        assert slots.get(connection, slot_name) is None
        with pytest.raises(ConfigurationError, match="AsyncConnection is needed"):
            asyncio.run(slots.alist(connection))  # type: ignore[arg-type]
        with connection.transaction(), pytest.raises(ConfigurationError, match="transaction"):
            slots.list(connection)
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(ConfigurationError, match="closed"):
        slots.list(connection)

    async def asynchronous() -> None:
        async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as own:
            await own.execute(settings)
            await slots.acreate(own, slot_name, temporary=True)
            with pytest.raises(cdc.SlotInUseError):
                slots.drop(database.dsn, slot_name)
            await slots.adrop(own, slot_name, force=True)
            assert await slots.aget(own, slot_name) is None
            await slots.acreate(own, slot_name, temporary=True)
            with pytest.raises(ConfigurationError, match="Connection is needed"):
                slots.list(own)  # type: ignore[arg-type]
            # A temporary slot goes with the session that is terminated.
            await asyncio.to_thread(slots.drop, database.dsn, slot_name, force=True)
            with pytest.raises(cdc.ConnectionLostError):
                await slots.alist(own)

    asyncio.run(asynchronous())
    assert slots.get(database.dsn, slot_name) is None


def test_what_a_connection_string_cannot_do() -> None:
    with pytest.raises(ConfigurationError, match="lives as long as its connection"):
        slots.create("host=nowhere.invalid", "s", temporary=True)
    with pytest.raises(ConfigurationError, match="lives as long as its connection"):
        asyncio.run(slots.acreate("host=nowhere.invalid", "s", temporary=True))
    for wrong in ("host", None):
        with pytest.raises(ConfigurationError, match="conninfo is neither"):
            slots.list(wrong)  # type: ignore[arg-type]
    with pytest.raises(cdc.ConnectionLostError) as caught:
        slots.list("host=127.0.0.1 port=1 user=u password=canary")
    assert "canary" not in str(caught.value)


@pytest.mark.pg
def test_versions_and_kinds_of_slots(database: Database, slot_name: str) -> None:
    with database.connect() as connection:
        with pytest.raises(ConfigurationError, match="no failover"):
            slots.create(connection, slot_name, temporary=True, failover=True)
        if database.server.version < 17:
            with pytest.raises(ConfigurationError, match="failover needs PostgreSQL 17"):
                slots.create(connection, slot_name, failover=True)
        else:
            assert slots.create(connection, slot_name, failover=True).failover


@pytest.mark.pg
def test_privileges_and_room(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    names = [f"{slot_name}_plain", f"{slot_name}_replication"]
    plain, replication = (database.server.dsn(database.name, user=name) for name in names)
    database.execute(f"CREATE ROLE {names[0]} LOGIN; CREATE ROLE {names[1]} LOGIN REPLICATION")
    try:
        assert slot_name in [slot.name for slot in slots.list(plain)]
        for refused in (
            lambda: slots.create(plain, f"{slot_name}_2"),
            lambda: slots.drop(plain, slot_name),
            lambda: slots.advance(plain, slot_name, to="now"),
            lambda: slots.poisoned(plain, slot_name, "pub"),
        ):
            with pytest.raises(ConfigurationError, match="REPLICATION"):
                refused()
        slots.create(replication, f"{slot_name}_2")
        slots.drop(replication, f"{slot_name}_2")
        with _streaming(database, slot_name) as connection:
            with pytest.raises(ConfigurationError, match="pg_signal_backend"):
                slots.drop(replication, slot_name, force=True)
            assert active_pid(database, slot_name) == connection.info.backend_pid
        ((most,),) = database.execute("SELECT current_setting('max_replication_slots')::int")
        with pytest.raises(ConfigurationError, match="increase max_replication_slots"):
            _fill(replication, slot_name, int(most))
    finally:
        for name in names:
            database.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _fill(dsn: str, slot_name: str, count: int) -> None:
    for number in range(count):
        slots.create(dsn, f"{slot_name}_more_{number}")


@both
@pytest.mark.pg
def test_invalidated_slot_and_wal_level(call: Call, private_server: Server, slot_name: str) -> None:
    dsn = private_server.dsn()
    slots.create(dsn, slot_name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        connection.execute("ALTER SYSTEM SET max_wal_size = '32MB'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE TABLE filler (v int); CREATE PUBLICATION pub FOR ALL TABLES")
        for _ in range(8):
            connection.execute("INSERT INTO filler VALUES (1)")
            connection.execute("SELECT pg_switch_wal()")
            connection.execute("CHECKPOINT")
            slot = call("get", dsn, slot_name)
            if slot.invalidated:
                break
            assert slot.safe_wal_size is not None
        assert slot.invalidation_reason == "wal_removed"
        assert (slot.wal_status, slot.retained_bytes) == ("lost", 0)
        assert not slot.conflicting
        for function, arguments, options in (
            ("advance", (), {"to": "now"}),
            ("poisoned", ("pub",), {}),
        ):
            with pytest.raises(cdc.SlotInvalidatedError, match="only be dropped"):
                call(function, dsn, slot_name, *arguments, **options)
        call("drop", dsn, slot_name)
        connection.execute("ALTER SYSTEM SET wal_level = 'replica'")
    private_server.embedded.restart("fast")
    assert call("list", dsn) == []
    with pytest.raises(ConfigurationError, match="wal_level is 'replica'"):
        call("create", dsn, slot_name)


def _commits(database: Database, slot: str) -> list[LSN]:
    """The commit LSNs of what a slot still has to deliver, in text, which all types have.

    Version 14 has transactions without a row as well, as the autovacuum makes them at any time.
    """
    rows = database.execute(
        "SELECT chr(get_byte(data, 0)), encode(substr(data, 2, 8), 'hex')"
        " FROM pg_logical_slot_peek_binary_changes(%s,"
        " NULL, NULL, 'proto_version', '1', 'publication_names', 'pub')",
        [slot],
    )
    return [
        LSN(int(text, 16))
        for (kind, text), (following, _) in itertools.pairwise(rows)
        if kind == "B" and following != "C"
    ]


@both
@pytest.mark.pg
def test_past_a_transaction_that_cannot_be_decoded(
    call: Call, database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name, "CREATE TABLE bad (id int PRIMARY KEY, v aclitem[])")
    poison = "INSERT INTO bad VALUES (%s, '{postgres=r/postgres}')"
    with database.connect() as other:
        # Rows of good transactions lie before, between and behind those of the bad ones.
        other.execute("BEGIN; INSERT INTO t VALUES (1)")
        database.execute("INSERT INTO t VALUES (2)")
        database.execute(poison, [3])
        database.execute("INSERT INTO t VALUES (4)")
        other.execute("COMMIT; BEGIN")
        other.execute(poison, [5])
        database.execute(
            "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(10, 3000) g"
        )
        other.execute("COMMIT")
        database.execute("INSERT INTO t VALUES (6)")
    commits = _commits(database, slot_name)
    assert len(commits) == 7
    binary: dict[str, Any] = {"binary": True}
    with (
        reader(database, slot_name, until="now", **binary) as changes,
        pytest.raises(cdc.DecodingFailedError) as caught,
    ):
        list(changes)
    assert caught.value.commit_lsn in (None, commits[1])
    assert call("poisoned", database.dsn, slot_name, "pub") is None
    for bad, good in ((commits[1], commits[2:]), (commits[5], commits[6:])):
        assert call("poisoned", database.dsn, slot_name, ["pub"], **binary) == bad
        assert call("advance", database.dsn, slot_name, to=bad + 1) == bad + 1
        assert _commits(database, slot_name) == good
    assert call("poisoned", database.dsn, slot_name, "pub", **binary) is None
    with reader(database, slot_name, until="now", **binary) as changes:
        assert keys(list(changes)) == [6]

    with pytest.raises(cdc.PublicationNotFoundError, match="'none' does not exist"):
        call("poisoned", database.dsn, slot_name, ["pub", "none"])
    if database.server.version < 18:
        # The slot has to read what came before the publication.
        database.execute("INSERT INTO t VALUES (7); CREATE PUBLICATION late FOR ALL TABLES")
        with pytest.raises(cdc.PublicationNotFoundError, match="after the point"):
            call("poisoned", database.dsn, slot_name, "late")
    with new_database(database.server) as elsewhere:
        elsewhere.execute("CREATE PUBLICATION pub FOR ALL TABLES")
        with pytest.raises(ConfigurationError, match=f"belongs to database '{database.name}'"):
            call("poisoned", elsewhere.dsn, slot_name, "pub")
    with _streaming(database, slot_name), pytest.raises(cdc.SlotInUseError):
        call("poisoned", database.dsn, slot_name, "pub")
    database.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [f"{slot_name}_2"]
    )
    with pytest.raises(ConfigurationError, match="not 'pgoutput'"):
        call("poisoned", database.dsn, f"{slot_name}_2", "pub")
