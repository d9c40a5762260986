"""Tests of `pglogical_cdc.postgres.asynchronous`; test_flavour.py has what both promise."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pglogical_cdc.postgres.asynchronous import Asynchronous
from pglogical_cdc.postgres.flavour import Stopped
from pglogical_cdc.postgres.parameters import parameters
from tests.postgres.sessions import silent_server
from tests.reading import wait_until

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tests.servers import Database


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def _cancel(coroutine: Coroutine[Any, Any, object]) -> None:
    """Let it come to its wait, cancel it, and see that it ends at once."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0.05)
    assert not task.done()
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 0.5


def test_cancelling_ends_every_wait_and_leaves_nothing_behind(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    heard: list[str] = []

    async def main() -> None:
        flavour = Asynchronous()
        await _cancel(flavour.wait(ours.fileno(), 60, lambda: heard.append("cancelled")))
        await _cancel(flavour.rest(60))
        with silent_server() as (_, given):
            await _cancel(flavour.connect(given))
            await _cancel(flavour.connect({**given, "connect_timeout": 60}))
        theirs.send(b"x")
        await asyncio.sleep(0.05)
        assert heard == []
        assert not asyncio.get_running_loop().remove_reader(ours.fileno())
        # And it can be used again.
        await flavour.wait(ours.fileno(), 60, lambda: heard.append("again"))
        assert heard == ["again"]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        flavour.close()

    asyncio.run(main())


def test_what_can_be_read_is_told_before_the_waiting_task_has_its_turn(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    order: list[str] = []

    async def wait(flavour: Asynchronous) -> None:
        await flavour.wait(ours.fileno(), 60, lambda: order.append("told"))
        order.append("task")

    async def main() -> None:
        flavour = Asynchronous()
        waiting = asyncio.ensure_future(wait(flavour))
        await asyncio.sleep(0)
        theirs.send(b"x")
        await waiting
        flavour.close()

    asyncio.run(main())
    assert order == ["told", "task"]


def test_other_tasks_go_on_meanwhile(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair

    async def main() -> None:
        flavour = Asynchronous()
        turns: list[int] = []

        async def work() -> None:
            for turn in range(5):
                await asyncio.sleep(0.01)
                turns.append(turn)
            theirs.send(b"x")

        task = asyncio.ensure_future(work())
        await flavour.wait(ours.fileno(), 60)
        assert turns == [0, 1, 2, 3, 4]
        await task

        gave_way: list[int] = []
        asyncio.get_running_loop().call_soon(gave_way.append, 1)
        await flavour.give_way()
        assert gave_way == [1]
        flavour.close()

    asyncio.run(main())


def test_calls_await_or_go_to_a_thread() -> None:
    async def load(slot: str) -> tuple[str, int]:
        await asyncio.sleep(0)
        return slot, threading.get_ident()

    async def refuse() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        flavour = Asynchronous()
        functions: list[Any] = [load, refuse]
        assert await flavour.call(functions[0], "s") == ("s", threading.get_ident())
        assert await flavour.call(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await flavour.call(functions[1])
        # The loop goes on while the thread blocks.
        turn = threading.Event()
        asyncio.get_running_loop().call_later(0.05, turn.set)
        assert await flavour.call(turn.wait, 10)
        flavour.close()

    asyncio.run(main())


def test_timers_are_the_loops() -> None:
    idents: set[int] = set()

    async def main() -> None:
        flavour = Asynchronous()

        def action() -> float:
            idents.add(threading.get_ident())
            return 0.01

        ticker = flavour.every(action, 0)
        await asyncio.sleep(0.05)
        ticker.stop()
        flavour.close()

    asyncio.run(main())
    assert idents == {threading.get_ident()}


def test_after_the_loop_nobody_is_woken() -> None:
    flavour = Asynchronous()
    asyncio.run(flavour.rest(0))
    flavour.wake()
    flavour.stop()
    assert flavour.stopped
    flavour.close()


def test_another_loop_takes_over() -> None:
    flavour = Asynchronous()
    asyncio.run(flavour.rest(0))
    timer = threading.Timer(0.1, flavour.wake)
    timer.start()
    began = time.monotonic()
    asyncio.run(flavour.rest(10))
    assert time.monotonic() - began < 5
    timer.join()
    flavour.close()


def test_ctrl_c_is_cancellation_of_the_main_task(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """As `asyncio.run` has it from Python 3.11 on; before that, the loop itself is interrupted."""
    ended: list[str] = []

    async def main() -> None:
        flavour = Asynchronous()
        signal_itself = threading.Timer(0.1, _interrupt)
        signal_itself.start()
        try:
            await flavour.wait(pair[0].fileno(), 60)
        finally:
            ended.append("ended")
            flavour.close()
            signal_itself.join()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert time.monotonic() - began < 10
    assert ended == ["ended"]


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.pg
def test_connection_is_psycopgs_own_and_given_up_when_it_comes_too_late(
    database: Database,
) -> None:
    given = {**parameters(database.dsn), "application_name": database.name}

    async def main() -> None:
        flavour = Asynchronous()
        connection = await flavour.connect(given)
        assert isinstance(connection, psycopg.AsyncConnection)
        assert connection.autocommit
        assert await (await connection.execute("SELECT 7")).fetchall() == [(7,)]
        await connection.close()

        # Cancelled at every step of its way; now and then it is through already.
        for turns in range(40):
            task = asyncio.ensure_future(flavour.connect(given))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                late = await task
            except asyncio.CancelledError:
                continue
            late.pgconn.finish()
        flavour.stop()
        with pytest.raises(Stopped):
            await flavour.connect(given)
        flavour.close()

    asyncio.run(main())
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    wait_until(lambda: database.execute(count, [database.name]) == [(0,)])
