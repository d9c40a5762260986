"""Tests of `pglogical_cdc.cli.demo_workload`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.cli.demo_workload import STEPS, TABLES, create_tables, perform
from pglogical_cdc.events import Change, ReplicaIdentity, RowChange, Update
from pglogical_cdc.replication import ReplicationReader

if TYPE_CHECKING:
    from tests.servers import Database


@pytest.mark.pg(14)
def test_shows_everything_worth_seeing(database: Database, slot_name: str) -> None:
    connection = database.connect()
    create_tables(connection)
    with ReplicationReader(
        database.dsn,
        slot=slot_name,
        publications="demo",
        create=True,
        tables=TABLES,
        until="now",
    ) as reader:
        steps = perform(connection)
        changes = list(reader)

    assert list(steps.values()) == list(STEPS)
    by_step: dict[int, list[Change]] = defaultdict(list)
    for change in changes:
        assert change.transaction is not None
        by_step[change.transaction.xid].append(change)
    assert list(by_step) == list(steps), "each step is one transaction, and each gives changes"

    assert {change.op for change in changes} == {"insert", "update", "delete", "truncate"}
    row_changes = [change for change in changes if isinstance(change, RowChange)]
    assert {f"{change.schema}.{change.table}" for change in row_changes} == set(TABLES)
    assert {change.relation.replica_identity for change in row_changes} == {
        ReplicaIdentity.DEFAULT,
        ReplicaIdentity.FULL,
        ReplicaIdentity.INDEX,
    }
    updates = [change for change in changes if isinstance(change, Update)]
    assert any(change.key_changed for change in updates)
    assert any(UNCHANGED in change.after.values() for change in updates)
    assert any(change.before is not None and change.before.is_complete for change in updates)
    assert max(len({each.table for each in group}) for group in by_step.values()) == 4
