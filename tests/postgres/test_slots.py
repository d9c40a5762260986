"""Tests of `pglogical_cdc.postgres.slots`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from attrs import evolve

from pglogical_cdc.errors import ConfigurationError, SlotInvalidatedError, SlotNotFoundError
from pglogical_cdc.postgres import Slot, converse, create_slot, describe_slot, identify, usable_slot
from tests.reading import wait_until
from tests.servers import new_database

if TYPE_CHECKING:
    from tests.servers import Database, Server

pytestmark = pytest.mark.pg


def _usable(database: Database, name: str, **options: Any) -> Slot:
    with psycopg.connect(database.dsn, replication="database", autocommit=True) as connection:
        server = converse(connection, identify())
        return converse(connection, usable_slot(name, server, **options))


def test_created_slot_is_there_and_permanent(database: Database, slot_name: str) -> None:
    with pytest.raises(SlotNotFoundError, match="create=True") as caught:
        _usable(database, slot_name)
    assert caught.value.slot == slot_name
    made = _usable(database, slot_name, create=True)
    assert (made.name, made.plugin, made.database) == (slot_name, "pgoutput", database.name)
    assert made.wal_status == "reserved"
    assert not made.temporary
    assert not made.invalidated
    assert made.restart_lsn is not None
    assert made.confirmed_flush_lsn >= made.restart_lsn > 0
    for options in ({}, {"create": True}):
        again = _usable(database, slot_name, **options)
        assert again.confirmed_flush_lsn == made.confirmed_flush_lsn
    with database.connect(replication="database") as connection:
        server = converse(connection, identify())
        converse(connection, create_slot(slot_name, server))  # a lost race is no error
        older = evolve(server, version=169999)
        with pytest.raises(ConfigurationError, match="PostgreSQL 17"):
            converse(connection, create_slot(slot_name, older, failover=True))


def test_every_version_shows_what_it_has(database: Database, slot_name: str) -> None:
    plain = database.connect()
    with database.connect(replication="database") as connection:
        server = converse(connection, identify())
        converse(connection, usable_slot(slot_name, server, create=True, temporary=True))
        slot = converse(connection, describe_slot(slot_name, server))
        assert slot is not None
        assert slot.temporary
        assert slot.active
        assert slot.active_pid == connection.info.backend_pid
        assert slot.lag_seconds is None
        # All columns of older versions are still there in newer ones.
        for version in (140000, 160000, 170000):
            if version <= server.version:
                older = converse(
                    connection, describe_slot(slot_name, evolve(server, version=version))
                )
                assert older is not None
                assert older.confirmed_flush_lsn == slot.confirmed_flush_lsn
    wait_until(
        lambda: (
            not database.execute(
                "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [slot_name]
            )
        )
    )
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)")
    if server.version >= 170000:
        # Text of other settings would not be read.
        plain.execute("SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'")
    slot = converse(plain, describe_slot(slot_name, server))
    assert slot is not None
    assert slot.retained_bytes > 1000
    assert slot.lag_bytes is not None
    assert 1000 < slot.lag_bytes <= slot.retained_bytes
    if server.version >= 170000:
        assert slot.inactive_since is not None
        assert slot.inactive_seconds is not None
        assert 0 < slot.inactive_seconds < 60
        assert abs((datetime.now(timezone.utc) - slot.inactive_since).total_seconds()) < 60


def test_no_room_for_a_slot(database: Database, slot_name: str) -> None:
    ((most,),) = database.execute("SELECT current_setting('max_replication_slots')::int")
    with pytest.raises(ConfigurationError, match="cannot be created"):
        _make_many(database, slot_name, int(most) + 1)


def _make_many(database: Database, slot_name: str, count: int) -> None:
    for number in range(count):
        _usable(database, f"{slot_name}_{number}", create=True)


def test_slots_that_are_not_for_a_reader(database: Database, slot_name: str) -> None:
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [slot_name])
    with pytest.raises(ConfigurationError, match="'test_decoding', not 'pgoutput'"):
        _usable(database, slot_name, create=True)
    database.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput', false, true)", [f"{slot_name}_2"]
    )
    with pytest.raises(ConfigurationError, match="two_phase"):
        _usable(database, f"{slot_name}_2")
    database.execute("SELECT pg_create_physical_replication_slot(%s)", [f"{slot_name}_3"])
    try:
        with pytest.raises(SlotNotFoundError):
            _usable(database, f"{slot_name}_3")
    finally:
        database.execute("SELECT pg_drop_replication_slot(%s)", [f"{slot_name}_3"])
    with new_database(database.server) as other:
        _usable(other, f"{slot_name}_4", create=True)
        with pytest.raises(ConfigurationError, match=f"belongs to database '{other.name}'"):
            _usable(database, f"{slot_name}_4", create=True)


def test_invalidated_slot(private_server: Server, slot_name: str) -> None:
    with new_database(private_server) as database:
        _usable(database, slot_name, create=True)
        for name, value in (("max_slot_wal_keep_size", "1MB"), ("max_wal_size", "32MB")):
            database.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        database.execute("SELECT pg_reload_conf()")
        database.execute("CREATE TABLE filler (v int)")
        status = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s"
        for _ in range(8):
            database.execute("INSERT INTO filler VALUES (1)")
            database.execute("SELECT pg_switch_wal()")
            database.execute("CHECKPOINT")
            if database.execute(status, [slot_name]) == [("lost",)]:
                break
        with pytest.raises(SlotInvalidatedError, match="reason: wal_removed") as caught:
            _usable(database, slot_name, create=True)
        assert not caught.value.retryable


@pytest.mark.pg(17)
def test_failover_slot(database: Database, slot_name: str) -> None:
    _usable(database, slot_name, create=True)
    with pytest.raises(ConfigurationError, match="without failover"):
        _usable(database, slot_name, create=True, failover=True)
    assert _usable(database, f"{slot_name}_2", create=True, failover=True).failover
