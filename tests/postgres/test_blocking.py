"""Tests of `pglogical_cdc.postgres.blocking`; test_flavour.py has what both flavours promise."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.postgres.blocking import Blocking, converse, run
from pglogical_cdc.postgres.flavour import Stopped
from pglogical_cdc.postgres.parameters import parameters
from tests.postgres.sessions import silent_server
from tests.reading import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pglogical_cdc.postgres.conversation import Conversation
    from tests.servers import Database


@pytest.fixture
def flavour() -> Iterator[Blocking]:
    made = Blocking()
    yield made
    made.close()


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], object]]:
    """Presses Ctrl-C a tenth of a second after it is called: where that is expected already."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _once_it_connects(listening: socket.socket, action: Callable[[], object]) -> threading.Thread:
    """Do something when a connection is there to be accepted."""

    def wait() -> None:
        if select.select([listening], [], [], 20)[0]:
            action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def _connecting() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pglogical_cdc connects"]


# -- driving


def test_run_gives_the_result_or_the_error() -> None:
    async def gives() -> int:
        return 7

    async def fails() -> None:
        raise ZeroDivisionError

    assert run(gives()) == 7
    with pytest.raises(ZeroDivisionError):
        run(fails())


def test_run_refuses_what_suspends() -> None:
    ended: list[str] = []

    async def suspends() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            ended.append("closed")

    with pytest.raises(RuntimeError, match="has suspended"):
        run(suspends())
    assert ended == ["closed"]


def test_coroutine_functions_are_refused(flavour: Blocking) -> None:
    async def load(slot: str) -> None: ...

    function: Any = load
    with pytest.raises(ConfigurationError, match=r"load is a coroutine function: it needs Async"):
        run(flavour.call(function, "s"))


def test_calls_are_in_the_calling_thread(flavour: Blocking) -> None:
    assert run(flavour.call(threading.get_ident)) == threading.get_ident()


# -- waiting


def test_full_pipe_is_enough(flavour: Blocking) -> None:
    run(flavour.rest(0))
    for _ in range(100_000):
        flavour.wake()
    began = time.monotonic()
    run(flavour.rest(0.9))
    assert time.monotonic() - began < 0.8
    flavour.stop()


def test_no_wait_is_so_long_that_a_lost_wake_up_would_matter(flavour: Blocking) -> None:
    began = time.monotonic()
    run(flavour.rest(60))
    assert 0.9 < time.monotonic() - began < 5


def test_descriptor_that_is_used_again_is_waited_for(flavour: Blocking) -> None:
    heard: list[bytes] = []
    for _ in range(3):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.send(b"x")
            run(flavour.wait(ours.fileno(), 0.9, lambda: heard.append(b"x")))
    assert heard == [b"x"] * 3


def test_ctrl_c_ends_the_wait(flavour: Blocking, ctrl_c: Callable[[], object]) -> None:
    async def rest() -> None:
        ctrl_c()
        await flavour.rest(0.9)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(rest())
    assert time.monotonic() - began < 0.8


def test_one_that_nobody_closed_leaves_nothing_open() -> None:
    gc.collect()  # what earlier tests have left would be closed between the counts
    before = os.listdir("/proc/self/fd")
    flavour = Blocking()
    run(flavour.rest(0))
    assert len(os.listdir("/proc/self/fd")) == len(before) + 2
    del flavour
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_timer_is_a_thread_and_gone_after_stop(flavour: Blocking) -> None:
    idents: set[int] = set()
    called = threading.Event()

    def action() -> float:
        idents.add(threading.get_ident())
        called.set()
        return 60.0

    ticker = flavour.every(action, 0)
    assert called.wait(10)  # without any turn of ours
    began = time.monotonic()
    ticker.stop()
    assert time.monotonic() - began < 10
    assert idents.isdisjoint({thread.ident for thread in threading.enumerate()})
    assert len(idents) == 1


def test_stopping_a_timer_waits_for_what_it_does(flavour: Blocking) -> None:
    began, ended = threading.Event(), threading.Event()

    def action() -> None:
        began.set()
        time.sleep(0.1)
        ended.set()

    ticker = flavour.every(action, 0)
    assert began.wait(10)
    ticker.stop()
    assert ended.is_set()


# -- connecting


def test_ctrl_c_ends_connecting_to_a_silent_server(
    flavour: Blocking, ctrl_c: Callable[[], object]
) -> None:
    with silent_server() as (listening, given):
        began = time.monotonic()
        _once_it_connects(listening, ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(flavour.connect({**given, "connect_timeout": 60}))
        assert time.monotonic() - began < 20
        assert _connecting() != []
        listening.accept()[0].close()
    wait_until(lambda: _connecting() == [])


@pytest.mark.pg
def test_connection_that_comes_too_late_is_closed(database: Database) -> None:
    """A relay lets the server's answers through only after nobody wants them any more."""
    flavour = Blocking()
    server = ("127.0.0.1", database.server.embedded.port)
    given = {**parameters(database.dsn), "sslmode": "disable", "gssencmode": "disable"}
    given["application_name"] = "too_late"
    with silent_server() as (listening, reached):
        stopper = _once_it_connects(listening, flavour.stop)
        with pytest.raises(Stopped):
            run(flavour.connect({**given, "port": reached["port"]}))
        stopper.join()
        flavour.close()
        ours, _ = listening.accept()
        with ours, socket.create_connection(server) as theirs:
            theirs.sendall(ours.recv(9999))
            theirs.settimeout(20)
            answers = b""
            while not answers.endswith(b"Z\0\0\0\5I"):
                answers += theirs.recv(9999)
            ours.sendall(answers)
            assert ours.recv(9999) == b"X\0\0\0\4"  # Terminate
            assert ours.recv(9999) == b""
    wait_until(lambda: _connecting() == [])


@pytest.mark.pg
def test_conversations_over_a_connection_of_the_caller(database: Database) -> None:
    def conversation() -> Conversation[int]:
        ((number,),) = yield sql.SQL("SELECT 7")
        return int(number)

    def wrong() -> Conversation[None]:
        yield sql.SQL("SELECT nothing")

    with database.connect() as connection:
        gc.collect()
        before = os.listdir("/proc/self/fd")
        for _ in range(3):
            assert converse(connection, conversation()) == 7
            with pytest.raises(psycopg.errors.UndefinedColumn):
                converse(connection, wrong())
        assert len(os.listdir("/proc/self/fd")) == len(before)
        assert connection.execute("SELECT 8").fetchall() == [(8,)]
