"""Tests of `pglogical_cdc.postgres.conversation`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
import pytest
from psycopg import capabilities, pq, sql

from pglogical_cdc.postgres.blocking import Blocking, run
from pglogical_cdc.postgres.conversation import Conversation, Field, Verbatim, exchange, execute
from pglogical_cdc.postgres.flavour import Stopped
from pglogical_cdc.postgres.parameters import parameters
from tests.postgres.sessions import FLAVOURS, drive
from tests.reading import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pglogical_cdc.postgres.flavour import AnyConnection, Flavour
    from tests.servers import Database

T = TypeVar("T")

_AT_ONCE: Final = 5.0
"""Seconds that even a busy machine does not need; the server would sleep for much longer."""


def _carry_on(
    kind: type[Flavour], database: Database, conversation: Callable[[], Conversation[T]]
) -> T:
    """Carry a conversation on over a connection of its own."""

    async def use(flavour: Flavour) -> T:
        connection = await _connect(database, flavour)
        try:
            return await exchange(connection, conversation(), flavour)
        finally:
            connection.pgconn.finish()

    return drive(kind, use)


async def _connect(database: Database, flavour: Flavour) -> AnyConnection:
    return await flavour.connect(
        {**parameters(database.dsn), "application_name": f"sleeps in {database.name}"}
    )


def _sleep() -> Conversation[None]:
    yield sql.SQL("SELECT pg_sleep(60)")


def _number() -> Conversation[int]:
    ((number,),) = yield sql.SQL("SELECT 7")
    return int(number)


def _is_given_up(database: Database, began: float, connection: AnyConnection) -> None:
    """Check that a statement ended at once, here and on the server, and its connection with it."""
    assert time.monotonic() - began < _AT_ONCE
    assert connection.closed
    name = f"sleeps in {database.name}"
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    wait_until(lambda: database.execute(count, [name]) == [(0,)], _AT_ONCE)


# -- what is said


@pytest.mark.pg
def test_rows_are_sent_back_and_the_result_returned(database: Database) -> None:
    def conversation() -> Conversation[int]:
        rows = yield sql.SQL("SELECT 1, 'a' UNION ALL SELECT 2, 'b' ORDER BY 1")
        assert rows == [(1, "a"), (2, "b")]
        assert (yield sql.SQL("CREATE TEMPORARY TABLE t (id int)")) == []
        rows = yield sql.SQL("SELECT {}, 1.5, NULL").format(sql.Literal("é'\\"))
        assert [tuple(map(str, row)) for row in rows] == [("é'\\", "1.5", "None")]
        assert (yield sql.SQL("SELECT 1; SELECT 2")) == [(2,)]
        assert (yield sql.SQL("")) == []
        return 7

    def silent() -> Conversation[int]:
        yield from ()
        return 8

    for kind in FLAVOURS:
        assert _carry_on(kind, database, conversation) == 7
        assert _carry_on(kind, database, silent) == 8


@pytest.mark.pg
def test_error_comes_at_its_statement(database: Database) -> None:
    def conversation() -> Conversation[str]:
        try:
            yield sql.SQL("SELECT 1 FROM nowhere")
        except psycopg.errors.UndefinedTable:
            with pytest.raises(psycopg.errors.UndefinedColumn):
                yield sql.SQL("SELECT nothing; SELECT 1")
            ((text,),) = yield sql.SQL("SELECT 'went on'")
            return str(text)
        return "no error"

    for kind in FLAVOURS:
        assert _carry_on(kind, database, conversation) == "went on"


@pytest.mark.pg
def test_error_that_nobody_expected_comes_out(database: Database) -> None:
    def conversation() -> Conversation[None]:
        yield sql.SQL("SELECT 1 FROM nowhere")

    async def use(flavour: Flavour) -> None:
        connection = await _connect(database, flavour)
        with pytest.raises(psycopg.errors.UndefinedTable):
            await exchange(connection, conversation(), flavour)
        assert not connection.closed
        assert await exchange(connection, _number(), flavour) == 7
        connection.pgconn.finish()
        with pytest.raises(psycopg.OperationalError):
            await exchange(connection, _number(), flavour)

    for kind in FLAVOURS:
        drive(kind, use)


@pytest.mark.pg
def test_verbatim_rows_are_as_the_server_sends_them(database: Database) -> None:
    database.execute("CREATE DOMAIN word AS varchar(9); CREATE TABLE t (b bool, w word, n int)")
    database.execute("INSERT INTO t VALUES (true, '', NULL)")
    ((oid,),) = database.execute("SELECT 't'::regclass::oid::int")

    def conversation() -> Conversation[None]:
        rows = yield Verbatim(sql.SQL("SET LOCAL work_mem = '1MB'; SELECT b, w, n, 1.5 FROM t"))
        assert rows == [
            (
                Field(b"t", oid, 16, -1),
                Field(b"", oid, 1043, 13),
                Field(None, oid, 23, -1),
                Field(b"1.5", 0, 1700, -1),
            )
        ]
        assert (yield Verbatim(sql.SQL("SELECT 1; SELECT b FROM t WHERE NOT b"))) == []
        with pytest.raises(psycopg.errors.UndefinedTable):
            yield Verbatim(sql.SQL("SELECT 1; SELECT 1 FROM nowhere"))
        assert (yield sql.SQL("SELECT true")) == [(True,)]

    for kind in FLAVOURS:
        _carry_on(kind, database, conversation)


def test_no_value_is_shown() -> None:
    shown = repr((Verbatim(sql.SQL("SELECT 'canary'")), Field(b"canary", 0, 25, -1)))
    assert "25" in shown
    assert "canary" not in shown


@pytest.mark.pg
def test_statement_that_the_socket_does_not_take_at_once(database: Database) -> None:
    """Its rest is sent while the answer is waited for, and not at the end of each long wait."""
    length = 1 << 20

    def conversation() -> Conversation[None]:
        rows = yield sql.SQL("SELECT length({0}), {0}").format(sql.Literal("x" * length))
        assert [(row[0], len(row[1])) for row in rows] == [(length, length)]

    async def use(flavour: Flavour) -> None:
        connection = await _connect(database, flavour)
        with socket.socket(fileno=os.dup(connection.fileno())) as narrow:
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        began = time.monotonic()
        await exchange(connection, conversation(), flavour)
        assert time.monotonic() - began < _AT_ONCE
        connection.pgconn.finish()

    for kind in FLAVOURS:
        drive(kind, use)


# -- answers that do not come


@pytest.mark.pg
@pytest.mark.parametrize("cancels_safely", [True, False])
@pytest.mark.newest
def test_what_is_not_waited_for_any_more_is_cancelled(
    database: Database, cancels_safely: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to libpq 16 there is another way to cancel."""
    if not cancels_safely:
        monkeypatch.setattr(capabilities, "has_cancel_safe", lambda: False)

    async def patience(flavour: Flavour) -> None:
        connection = await _connect(database, flavour)
        assert await exchange(connection, _number(), flavour, patience=20) == 7
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match=r"no answer .* within 0\.1 s"):
            await exchange(connection, _sleep(), flavour, patience=0.1)
        _is_given_up(database, began, connection)

    async def stopped(flavour: Flavour) -> None:
        connection = await _connect(database, flavour)
        timer = threading.Timer(0.1, flavour.stop)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            await exchange(connection, _sleep(), flavour, patience=50)
        _is_given_up(database, began, connection)
        timer.join()

    for kind in FLAVOURS:
        drive(kind, patience)
        drive(kind, stopped)
    _ctrl_c(database)
    asyncio.run(_cancellation(database))


def _ctrl_c(database: Database) -> None:
    flavour = Blocking()
    connection = run(_connect(database, flavour))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            run(exchange(connection, _sleep(), flavour))
    finally:
        signal.signal(signal.SIGALRM, before)
        flavour.close()
    _is_given_up(database, began, connection)


async def _cancellation(database: Database) -> None:
    flavour = FLAVOURS[1]()
    connection = await _connect(database, flavour)
    task = asyncio.ensure_future(exchange(connection, _sleep(), flavour))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    flavour.close()
    _is_given_up(database, began, connection)


@pytest.mark.pg
def test_stopped_before_or_when_the_answer_is_near(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However late a busy machine gives the answer, it is near.
    monkeypatch.setattr("pglogical_cdc.postgres.conversation._LAST_MOMENT", 20)

    async def use(flavour: Flavour) -> None:
        connection = await _connect(database, flavour)
        timer = threading.Timer(0.05, flavour.stop)
        timer.start()
        await execute(connection, b"SELECT pg_sleep(0.15)", flavour)
        timer.join()
        assert flavour.stopped
        assert await exchange(connection, _number(), flavour) == 7
        connection.pgconn.finish()

    for kind in FLAVOURS:
        drive(kind, use)


@pytest.mark.pg
def test_connection_that_breaks_meanwhile(database: Database) -> None:
    def interrupted(pid: int) -> Conversation[Any]:
        try:
            yield sql.SQL("SELECT pg_terminate_backend({}), pg_sleep(60)").format(pid)
        except psycopg.OperationalError:
            with pytest.raises(psycopg.OperationalError):
                yield sql.SQL("SELECT 1")
            raise

    async def use(flavour: Flavour) -> None:
        connection = await _connect(database, flavour)
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="administrator command"):
            await exchange(connection, interrupted(connection.info.backend_pid), flavour)
        _is_given_up(database, began, connection)

    for kind in FLAVOURS:
        drive(kind, use)


@pytest.mark.pg
def test_commands_of_the_replication_protocol(database: Database) -> None:
    async def use(flavour: Flavour) -> None:
        given = {**parameters(database.dsn), "replication": "database"}
        connection = await flavour.connect(given)
        result = await execute(connection, b"IDENTIFY_SYSTEM", flavour)
        assert result.status == pq.ExecStatus.TUPLES_OK
        assert result.get_value(0, 3) == database.name.encode()
        with pytest.raises(psycopg.errors.SyntaxError):
            await execute(connection, b"IDENTIFY_NOTHING", flavour)
        connection.pgconn.finish()

    for kind in FLAVOURS:
        drive(kind, use)
