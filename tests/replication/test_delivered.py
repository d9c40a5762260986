"""Tests of `pglogical_cdc.replication.delivered`: what is noted of changes in the hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.events import LogicalMessage
from tests.reading import make_slot, reader

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


def test_operations_and_how_late_the_last_change_was(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        delivered = made._source.delivered
        assert (delivered.rows, delivered.lag, delivered.latency) == ({}, None, None)
        database.execute("INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE id = 1")
        loop = iter(made)
        changes = [next(loop) for _ in range(3)]
        assert made.stats.changes == 3
        assert delivered.rows == {"insert": 2, "delete": 1}
        transaction = changes[-1].transaction
        assert transaction is not None
        # One clock here.
        assert delivered.lag is not None
        assert delivered.latency == delivered.received_at - transaction.commit_timestamp
        assert 0 <= delivered.lag <= delivered.latency


def test_session_knows_what_is_in_hand_at_once(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name, ack="manual") as made:
        database.execute("INSERT INTO t SELECT generate_series(1, 5)")
        batch = next(made.batches(max_rows=5, max_seconds=30))
        session = made._source.session
        assert session is not None
        assert session.progress.delivered == tuple(batch[-1].position)


def test_message_outside_a_transaction_has_no_lag(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name, messages=True) as made:
        database.execute("SELECT pg_logical_emit_message(false, 'p', 'x')")
        assert isinstance(next(iter(made)), LogicalMessage)
        delivered = made._source.delivered
        assert (delivered.rows, delivered.lag, delivered.latency) == ({"message": 1}, None, None)


def test_rows_of_a_snapshot(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t;"
        "INSERT INTO t SELECT generate_series(1, 9)"
    )
    with reader(database, slot_name, create=True, snapshot="initial", until="now") as made:
        table = made.snapshot_table("public.t")
        assert len(list(made)) == 18
        assert made._source.delivered.rows == {"read": 18}
        assert table.state == "complete"
