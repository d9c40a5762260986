"""The connection outlives a loop body that takes far longer than the server's patience."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.reading import active_pid, keys, make_slot, read, reader

if TYPE_CHECKING:
    from tests.servers import Database


def _patience(database: Database, text: str) -> None:
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '{text}'")


@pytest.mark.pg
@pytest.mark.newest
def test_body_of_over_twice_the_timeout_keeps_its_connection(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    _patience(database, "2s")
    log = database.server.embedded.log
    before = log.stat().st_size
    with reader(database, slot_name) as made:
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1)")
        assert keys([next(loop)]) == [1]
        process = active_pid(database, slot_name)
        assert process is not None
        time.sleep(5)
        database.execute("INSERT INTO t VALUES (2)")
        assert keys([next(loop)]) == [2]
        assert active_pid(database, slot_name) == process
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(before)
        assert "timeout" not in file.read()
    assert keys(read(database, slot_name)) == [2]


@pytest.mark.pg
@pytest.mark.newest
def test_reading_slower_than_the_backlog_keeps_the_connection(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    _patience(database, "2s")
    database.execute("INSERT INTO t SELECT g, repeat('x', 9000) FROM generate_series(1, 4000) g")
    with reader(database, slot_name, until="now") as made:
        for count, _ in enumerate(made):
            if count % 1000 == 0:
                time.sleep(1.2)
        assert made.stats.changes == 4000
        assert made.stats.reconnects == 0
