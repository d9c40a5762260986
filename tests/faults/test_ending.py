"""Ctrl-C, SIGTERM, cancellation and stop end a reader within a second, whatever it is doing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from psycopg.conninfo import make_conninfo

from pglogical_cdc import AsyncReplicationReader, Backoff, ReplicationReader
from tests.faults.consumer import FLAVOURS, Flavour
from tests.faults.proxy import Proxy
from tests.reading import active_pid, keys, make_slot, read, wait_until

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = [pytest.mark.pg, pytest.mark.fault(31)]

_ROOT: Final = Path(__file__).parents[2]

_SOON: Final = 2.5
"""Seconds: one for the reader, the rest for the interpreter and stalls of a busy machine.

A pause, a connection or a server that is waited for takes five, or does not end.
"""

_STATES: Final = ("connecting", "creating", "waiting", "body", "backlog", "retrying", "black hole")


class _Process:
    """The program, in the state that a test wants."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.faults.ending", *arguments]
        self.process = subprocess.Popen(command, cwd=_ROOT, text=True, stdout=subprocess.PIPE)

    def wait_for(self, line: str) -> None:
        assert self.process.stdout is not None
        while (said := self.process.stdout.readline().strip()) != line:
            assert said, f"it has ended before it said {line!r}"

    def end(self, number: int) -> float:
        """Send a signal; return the seconds until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return time.monotonic() - began


@contextlib.contextmanager
def _in_state(
    state: str, database: Database, slot: str, flavour: Flavour, signals: str
) -> Iterator[_Process]:
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(database.server.embedded.port))
        dsn, create = proxy.dsn(database.dsn), []
        if state == "connecting":
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            dsn = make_conninfo(dsn, port=silent.getsockname()[1])
        if state == "creating":
            create = ["create"]
            other = database.connect()
            other.execute("BEGIN")
            other.execute("SELECT pg_current_xact_id()")
            stack.callback(other.execute, "ROLLBACK")
        program = _Process(flavour, signals, dsn, slot, *create)
        stack.callback(program.process.kill)
        if state in ("connecting", "creating"):
            program.wait_for("connecting")
            if state == "creating":
                wait_until(lambda: _is_creating(database))
            else:
                time.sleep(0.3)
        else:
            program.wait_for("streaming")
        if state == "body":
            for number in (1, 2, 3):
                database.execute("INSERT INTO t VALUES (%s)", [number])
            program.wait_for("key 3")
        elif state == "backlog":
            database.execute("INSERT INTO t SELECT g FROM generate_series(10, 200000) g")
            program.wait_for("key 20")
        elif state == "retrying":
            proxy.refuse()
            proxy.cut()
            program.wait_for("retrying")
            time.sleep(0.3)  # the pause begins after it has been told
        elif state == "black hole":
            proxy.black_hole()
        yield program


def _is_creating(database: Database) -> bool:
    rows = database.execute(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION_SLOT%'"
        " AND wait_event_type = 'Lock'"
    )
    return bool(rows)


@pytest.mark.parametrize("state", _STATES)
@pytest.mark.parametrize(
    ("flavour", "signals", "number"),
    [
        ("sync", "raise", signal.SIGINT),
        ("async", "raise", signal.SIGINT),
        ("sync", "stop", signal.SIGTERM),
        ("async", "stop", signal.SIGTERM),
    ],
)
def test_process_ends_within_a_second(
    database: Database,
    slot_name: str,
    state: str,
    flavour: Flavour,
    signals: str,
    number: int,
    tally: Callable[..., None],
) -> None:
    if state == "body" and signals == "stop":
        number = signal.SIGINT  # stop() is for the reader; the body has to end by itself
        signals = "raise"
    if state == "creating":
        database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t")
    else:
        make_slot(database, slot_name)
    with _in_state(state, database, slot_name, flavour, signals) as program:
        took = program.end(number)
    assert took < _SOON
    assert program.process.returncode == 0
    if state == "creating":
        wait_until(lambda: not database.execute("SELECT 1 FROM pg_replication_slots"))
        return
    if state != "black hole":
        wait_until(lambda: active_pid(database, slot_name) is None)
    if state == "body":
        assert keys(read(database, slot_name)) == [3]
    tally(f"signal while {state}", 1)


@pytest.mark.parametrize("state", ["connecting", "waiting", "retrying"])
def test_cancellation_and_aclose_end_within_a_second(
    database: Database, slot_name: str, state: str
) -> None:
    make_slot(database, slot_name)

    async def cancel(dsn: str, proxy: Proxy) -> float:
        reader = AsyncReplicationReader(
            dsn, slot=slot_name, publications="pub", reconnect=Backoff(initial=5, jitter=0)
        )
        async with contextlib.aclosing(reader):
            if state != "connecting":
                await reader.open()
            task = asyncio.create_task(reader.poll(None))
            if state == "retrying":
                proxy.refuse()
                proxy.cut()
            await asyncio.sleep(0.2)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return time.monotonic() - began

    with (
        Proxy(database.server.embedded.port) as proxy,
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        dsn = proxy.dsn(database.dsn)
        if state == "connecting":
            dsn = make_conninfo(dsn, port=silent.getsockname()[1])
        assert asyncio.run(cancel(dsn, proxy)) < _SOON
    wait_until(lambda: active_pid(database, slot_name) is None)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_killed_process_frees_its_slot(
    database: Database, slot_name: str, flavour: Flavour
) -> None:
    make_slot(database, slot_name)
    with _in_state("waiting", database, slot_name, flavour, "raise") as program:
        program.end(signal.SIGKILL)
        wait_until(lambda: active_pid(database, slot_name) is None)


def test_last_acknowledgement_arrives_when_caught_up(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    options: dict[str, Any] = {"slot": slot_name, "publications": "pub", "until": "now"}

    async def aread_all() -> list[object]:
        async with AsyncReplicationReader(database.dsn, **options) as made:
            return [change.key and change.key["id"] async for change in made]

    for number, flavour in enumerate(FLAVOURS):
        database.execute("INSERT INTO t VALUES (%s)", [number])
        if flavour == "async":
            assert asyncio.run(aread_all()) == [number]
        else:
            with ReplicationReader(database.dsn, **options) as made:
                assert keys(list(made)) == [number]
    assert read(database, slot_name) == []
