"""Tests of `pglogical_cdc.postgres.exported_slots`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from attrs import evolve

from pglogical_cdc.errors import ConfigurationError, SnapshotError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    ExportedSlot,
    Server,
    converse,
    describe_slot,
    export_slot,
    identify,
    permanent_slot,
    set_failover,
)
from pglogical_cdc.postgres.parameters import parameters
from tests.postgres.sessions import connect

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


def _exported(
    connection: psycopg.Connection[Any], name: str, *, temporary: bool = False
) -> tuple[Server, ExportedSlot]:
    server = converse(connection, identify())
    return server, converse(connection, export_slot(name, server, temporary=temporary))


def test_the_snapshot_is_of_the_point_from_which_the_slot_streams(
    database: Database, slot_name: str
) -> None:
    database.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    with connect(parameters(database.dsn)) as connection:
        _, slot = _exported(connection, slot_name)
        database.execute("INSERT INTO t VALUES (2)")
        with database.connect() as other:
            other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            other.execute(f"SET TRANSACTION SNAPSHOT '{slot.snapshot_name}'")
            assert other.execute("SELECT id FROM t").fetchall() == [(1,)]
        assert slot.name.startswith(slot_name)
        assert slot.name != slot_name


def test_a_long_name_leaves_room(database: Database) -> None:
    with connect(parameters(database.dsn)) as connection:
        _, slot = _exported(connection, "x" * 63)
        assert len(slot.name) == 63


def test_it_becomes_permanent_while_it_is_there(database: Database, slot_name: str) -> None:
    with connect(parameters(database.dsn)) as connection:
        server, slot = _exported(connection, slot_name)
        converse(database.connect(), permanent_slot(slot, slot_name, server, replaces=False))
    with connect(parameters(database.dsn)) as connection:
        made = converse(connection, describe_slot(slot_name, server))
        assert made is not None
        assert made.confirmed_flush_lsn == slot.consistent_point
        assert not made.temporary
        _, other = _exported(connection, slot_name)
        ordinary = database.connect()
        with pytest.raises(SnapshotError, match="made by somebody else"):
            converse(ordinary, permanent_slot(other, slot_name, server, replaces=False))
        # One that is good stays, and moves to where the snapshot was taken.
        converse(ordinary, permanent_slot(other, slot_name, server, replaces=True))
        again = converse(connection, describe_slot(slot_name, server))
        assert again is not None
        assert again.confirmed_flush_lsn == other.consistent_point > made.confirmed_flush_lsn
        early = evolve(other, consistent_point=made.confirmed_flush_lsn)
        with pytest.raises(SnapshotError, match="somebody else has read on"):
            converse(ordinary, permanent_slot(early, slot_name, server, replaces=True))


def test_one_that_is_gone_cannot_be_made_permanent(database: Database, slot_name: str) -> None:
    with connect(parameters(database.dsn)) as connection:
        server = converse(connection, identify())
    gone = ExportedSlot("gone", LSN(1), "")
    with pytest.raises(SnapshotError, match="is gone") as caught:
        converse(database.connect(), permanent_slot(gone, slot_name, server, replaces=True))
    assert caught.value.slot == slot_name


def test_a_temporary_one_has_its_name(database: Database, slot_name: str) -> None:
    with connect(parameters(database.dsn)) as connection:
        _, slot = _exported(connection, slot_name, temporary=True)
        assert slot.name == slot_name
        with pytest.raises(ConfigurationError, match="already exists"):
            _exported(connection, slot_name, temporary=True)


@pytest.mark.pg(17)
def test_failover(database: Database, slot_name: str) -> None:
    with connect(parameters(database.dsn)) as connection:
        server, slot = _exported(connection, slot_name)
        converse(database.connect(), permanent_slot(slot, slot_name, server, replaces=False))
        converse(connection, set_failover(slot_name))
        made = converse(connection, describe_slot(slot_name, server))
        assert made is not None
        assert made.failover
