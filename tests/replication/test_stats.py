"""Tests of `pglogical_cdc.replication.stats`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.lsn import LSN
from pglogical_cdc.replication.stats import ReaderStats
from tests.reading import active_pid, delivered_transactions, make_slot, reader

if TYPE_CHECKING:
    from tests.servers import Database


def test_before_it_is_open_there_is_nothing() -> None:
    stats = ReaderStats()
    assert (stats.changes, stats.transactions, stats.reconnects, stats.lag_bytes) == (0, 0, 0, 0)
    assert (stats.lag_seconds, stats.source_latency, stats.target_latency) == (None, None, 0)
    assert stats.rows == {}


def test_lag_is_never_negative() -> None:
    assert ReaderStats(acknowledged_lsn=LSN(0x300), server_lsn=LSN(0x100)).lag_bytes == 0
    assert ReaderStats(acknowledged_lsn=LSN(0x100), server_lsn=LSN(0x300)).lag_bytes == 0x200


@pytest.mark.pg
def test_where_a_reader_stands(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    made = reader(database, slot_name, ack="manual", reconnect=None)
    assert made.stats == ReaderStats()
    with made:
        opened = made.stats
        assert opened.received_lsn == opened.acknowledged_lsn == opened.server_lsn > 0
        began = time.time()
        database.execute("INSERT INTO t SELECT generate_series(1, 3)")
        database.execute("UPDATE t SET v = 'x' WHERE id > 1; DELETE FROM t WHERE id = 3")
        database.execute("TRUNCATE t")
        changes = []
        while delivered_transactions(made) < 3:
            change = made.poll(10)
            if change is not None:
                changes.append(change)
        stats = made.stats
        assert (stats.changes, len(changes)) == (7, 7)
        assert stats.transactions == 3 or database.server.version < 15
        assert stats.rows == {"insert": 3, "update": 2, "delete": 1, "truncate": 1}
        assert opened.rows == {}
        last = changes[-1].transaction
        assert last is not None
        assert last.end_lsn is not None
        # What the server itself writes may have moved it.
        assert opened.acknowledged_lsn <= stats.acknowledged_lsn < last.commit_lsn
        assert last.end_lsn <= stats.received_lsn <= stats.server_lsn
        assert stats.lag_bytes == stats.server_lsn - stats.acknowledged_lsn
        assert stats.lag_seconds is not None
        assert stats.source_latency is not None
        # One clock here.
        assert 0 <= stats.lag_seconds <= stats.source_latency < 60
        assert 0 < stats.target_latency <= time.time() - began + 1
        time.sleep(0.1)
        assert made.stats.target_latency >= stats.target_latency + 0.09
        assert made.stats.source_latency == stats.source_latency
        for change in changes[:-1]:
            made.ack(change)
        assert made.stats.target_latency > 0
        made.ack(changes[-1])
        assert made.stats.target_latency == 0
        assert made.stats.acknowledged_lsn >= last.end_lsn
    assert made.stats.changes == 7  # the last of it can still be asked for


@pytest.mark.pg
def test_reconnects_and_what_comes_again_is_counted_once(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        loop = iter(made)
        for number in range(3):
            database.execute("INSERT INTO t VALUES (%s)", [number])
            next(loop)
            assert made.stats.reconnects == number
            database.execute(
                "SELECT pg_terminate_backend(%s, 5000)", [active_pid(database, slot_name)]
            )
        database.execute("INSERT INTO t VALUES (3)")
        next(loop)
        stats = made.stats
        assert (stats.changes, stats.reconnects, dict(stats.rows)) == (4, 3, {"insert": 4})
        assert delivered_transactions(made) == 3  # the fourth is not at its end
