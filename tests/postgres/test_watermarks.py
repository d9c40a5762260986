"""Tests of `pglogical_cdc.postgres.watermarks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.postgres import (
    RunningTransactions,
    converse,
    high_watermark,
    low_watermark,
    running_transactions,
    unfinished,
    who_runs,
)

if TYPE_CHECKING:
    from tests.servers import Database


def test_what_a_snapshot_sees() -> None:
    running = RunningTransactions(xmin=100, xmax=110, running=frozenset({100, 105}))
    assert [xid for xid in range(98, 113) if running.sees(xid)] == [
        *(98, 99, 101, 102, 103, 104, 106, 107, 108, 109)
    ]
    assert [xid for xid in range(98, 103) if running.is_before(xid)] == [98, 99]


def test_transaction_ids_begin_again_after_the_last() -> None:
    running = RunningTransactions(xmin=2**32 - 2, xmax=5, running=frozenset({2**32 - 2, 4}))
    seen = (2**32 - 3, 2**32 - 1, 3)
    assert all(map(running.sees, seen))
    assert not any(map(running.sees, (2**32 - 2, 4, 5, 6)))
    assert running.is_before(2**32 - 3)
    assert not running.is_before(3)


@pytest.mark.pg
@pytest.mark.newest
def test_watermarks_are_in_the_stream_in_their_order(database: Database, slot_name: str) -> None:
    database.execute("CREATE PUBLICATION pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [slot_name])
    with database.connect() as connection:
        low = converse(connection, low_watermark("one"))
        database.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
        converse(connection, high_watermark("one"))
        assert connection.execute("SHOW synchronous_commit").fetchone() != ("local",)
    rows = database.execute(
        "SELECT lsn::text, data FROM pg_logical_slot_get_changes(%s, NULL, NULL)", [slot_name]
    )
    data = [text for _, text in rows if not text.startswith(("BEGIN", "COMMIT"))]
    assert "transactional: 0 prefix: pglogical_cdc, sz: 7 content:low one" in data[0]
    assert "INSERT" in data[1]
    assert "transactional: 1 prefix: pglogical_cdc, sz: 3 content:one" in data[2]
    assert str(low) == rows[0][0]


@pytest.mark.pg
@pytest.mark.newest
def test_transactions_that_may_have_been_committed(database: Database) -> None:
    with database.connect() as asking, database.connect() as idle, database.connect() as prepared:
        idle.execute("BEGIN; CREATE TABLE t (i int)")
        prepared.execute("BEGIN; CREATE TABLE u (i int)")
        ((one,),) = idle.execute("SELECT pg_current_xact_id()::text").fetchall()
        ((other,),) = prepared.execute("SELECT pg_current_xact_id()::text").fetchall()
        prepared.execute("PREPARE TRANSACTION 'watermarks'")
        running = converse(asking, running_transactions())
        assert not running.sees(int(one))
        assert not running.sees(int(other))
        found = converse(asking, unfinished())
        assert int(other) in found
        assert int(one) not in found  # its session waits for a statement
        prepared.execute("ROLLBACK PREPARED 'watermarks'")
        idle.execute("ROLLBACK")
        assert converse(asking, running_transactions()).sees(int(one))


@pytest.mark.pg
@pytest.mark.newest
def test_who_runs_a_transaction(database: Database) -> None:
    database.execute("CREATE TABLE w (id int)")
    with database.connect() as one, database.connect() as other:
        xids = []
        for connection in (one, other):
            connection.execute("BEGIN; INSERT INTO w VALUES (1)")
            ((xid,),) = connection.execute("SELECT pg_current_xact_id()::text").fetchall()
            xids.append(int(xid))
        one.execute("PREPARE TRANSACTION 'two phases'")
        said = converse(one, who_runs([*reversed(xids), 3]))
        assert said == (
            f"3; {xids[0]}, prepared as 'two phases'; {xids[1]} of process {other.info.backend_pid}"
        )
        one.execute("ROLLBACK PREPARED 'two phases'")
