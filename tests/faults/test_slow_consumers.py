"""Consumers that are slower than the server, and backlogs that are bigger than memory."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pglogical_cdc import AsyncReplicationReader, ReplicationReader
from tests.faults.consumer import FLAVOURS, Flavour
from tests.faults.load import Verdict
from tests.reading import active_pid, make_slot, reader

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg

Tally = Callable[..., None]

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def _memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _clean(changes: int) -> Verdict:
    return Verdict(events=changes, lost=0, repeated=0, reordered=0)


def _patience(database: Database, text: str) -> None:
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '{text}'")


@pytest.mark.fault(5)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_body_that_takes_long_keeps_its_connection(
    database: Database, slot_name: str, flavour: Flavour, tally: Tally
) -> None:
    make_slot(database, slot_name)
    _patience(database, "2s")
    database.execute("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g")
    options = {"slot": slot_name, "publications": "pub", "until": "now", "reconnect": None}

    def read_all() -> int:
        with ReplicationReader(database.dsn, **options) as made:  # type: ignore[arg-type]
            for count, _ in enumerate(made):
                if count == 100:
                    time.sleep(4.5)
            return made.stats.changes

    async def aread_all() -> int:
        async with AsyncReplicationReader(database.dsn, **options) as made:  # type: ignore[arg-type]
            count = 0
            async for _ in made:
                count += 1
                if count == 100:
                    await asyncio.sleep(4.5)
            return made.stats.changes

    got = read_all() if flavour == "sync" else asyncio.run(aread_all())
    assert got == 20000
    tally("loop body of over twice wal_sender_timeout", 1, _clean(got))


@pytest.mark.slow
@pytest.mark.fault(5, 6)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_gigabyte_of_backlog_behind_a_body_of_ten_times_the_timeout(
    database: Database, slot_name: str, flavour: Flavour, tally: Tally
) -> None:
    make_slot(database, slot_name)
    _patience(database, "2s")
    rows = 0
    for _ in range(10):
        database.execute(
            f"INSERT INTO t SELECT g, repeat('x', 10000)"
            f" FROM generate_series({rows + 1}, {rows + 10500}) g"
        )
        rows += 10500
    options = {"slot": slot_name, "publications": "pub", "until": "now", "reconnect": None}
    before = _memory()
    most = before

    def look(count: int) -> None:
        nonlocal most
        if count % 1000 == 0:
            most = max(most, _memory())

    def read_all() -> int:
        with ReplicationReader(database.dsn, **options) as made:  # type: ignore[arg-type]
            for count, _ in enumerate(made):
                look(count)
                if count == 1000:
                    time.sleep(20)
            return made.stats.changes

    async def aread_all() -> int:
        async with AsyncReplicationReader(database.dsn, **options) as made:  # type: ignore[arg-type]
            count = 0
            async for _ in made:
                look(count)
                count += 1
                if count == 1000:
                    await asyncio.sleep(20)
            return made.stats.changes

    got = read_all() if flavour == "sync" else asyncio.run(aread_all())
    assert got == rows
    assert most - before < 30_000_000
    tally("1 GB of backlog, body of 20 s, wal_sender_timeout 2 s", 1, _clean(got))


@pytest.mark.fault(6)
def test_server_is_held_back_and_memory_stays_flat(
    database: Database, slot_name: str, tally: Tally
) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT g, repeat('x', 9000) FROM generate_series(1, 12000) g")
    with reader(database, slot_name, until="now") as made:
        loop = iter(made)
        changes = [next(loop)]
        before = _memory()
        time.sleep(1)
        # What is not asked for stays with the server, but for what the sockets hold.
        ((sent,),) = database.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), sent_lsn) FROM pg_stat_replication"
            " WHERE pid = %s",
            [active_pid(database, slot_name)],
        )
        assert _memory() - before < 20_000_000
        assert sent is not None
        most = before
        for count, change in enumerate(loop):
            changes[0] = change
            if count % 500 == 0:
                most = max(most, _memory())
        assert most - before < 25_000_000
        assert made.stats.changes == 12000
    tally("slow consumer, 108 MB of backlog", 1, _clean(12000))


@pytest.mark.slow
@pytest.mark.fault(20)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_huge_transaction_passes_in_flat_memory(
    database: Database, slot_name: str, flavour: Flavour, tally: Tally
) -> None:
    """Not streamed: decoded by the server in one piece, read here row by row."""
    make_slot(database, slot_name)
    rows = 2_000_000
    database.execute(f"INSERT INTO t SELECT g, 'x' FROM generate_series(1, {rows}) g")
    before = _memory()
    most = before
    expected = 0
    options = {"slot": slot_name, "publications": "pub", "until": "now"}

    def take(key: object) -> None:
        nonlocal expected, most
        expected += 1
        assert key == expected
        if expected % 50_000 == 0:
            most = max(most, _memory())

    def read_all() -> None:
        with ReplicationReader(database.dsn, **options) as made:  # type: ignore[arg-type]
            for change in made:
                assert change.key is not None
                take(change.key["id"])

    async def aread_all() -> None:
        async with AsyncReplicationReader(database.dsn, **options) as made:  # type: ignore[arg-type]
            async for change in made:
                assert change.key is not None
                take(change.key["id"])

    if flavour == "sync":
        read_all()
    else:
        asyncio.run(aread_all())
    assert expected == rows
    assert most - before < 20_000_000
    tally("transaction of 2,000,000 rows", 1, _clean(rows))


@pytest.mark.fault(5)
def test_body_that_holds_the_gil_is_told(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can send for it meanwhile, so that its duration is logged."""
    make_slot(database, slot_name)
    _patience(database, "3s")
    database.execute("INSERT INTO t VALUES (1)")

    async def block() -> None:
        async with AsyncReplicationReader(
            database.dsn, slot=slot_name, publications="pub", until="now"
        ) as made:
            async for _ in made:
                time.sleep(2.2)  # noqa: ASYNC251  the event loop has to stand still
                await asyncio.sleep(0.05)

    asyncio.run(block())
    assert re.search(r"no status update could be sent for [2-9]\.", caplog.text)
