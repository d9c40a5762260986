"""Tests of `pglogical_cdc.postgres.slots`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from pglogical_cdc.errors import ConfigurationError, SlotInvalidatedError, SlotNotFoundError
from pglogical_cdc.postgres.connection import connect, parameters
from pglogical_cdc.postgres.conversation import converse
from pglogical_cdc.postgres.server import identify
from pglogical_cdc.postgres.slots import Slot, create_slot, describe_slot, usable_slot
from tests.reading import wait_until
from tests.servers import new_database

if TYPE_CHECKING:
    from tests.servers import Database, Server

pytestmark = pytest.mark.pg


def _usable(database: Database, name: str, **options: Any) -> Slot:
    with connect(parameters(database.dsn)) as connection:
        server = converse(connection, identify())
        return converse(connection, usable_slot(name, server, **options))


def test_missing_slot(database: Database, slot_name: str) -> None:
    with pytest.raises(SlotNotFoundError, match="create=True") as caught:
        _usable(database, slot_name)
    assert caught.value.slot == slot_name


def test_created_slot_is_there_and_permanent(database: Database, slot_name: str) -> None:
    made = _usable(database, slot_name, create=True)
    assert (made.name, made.plugin, made.database) == (slot_name, "pgoutput", database.name)
    assert made.wal_status == "reserved"
    assert made.confirmed_flush_lsn > 0
    assert _usable(database, slot_name) == made
    assert _usable(database, slot_name, create=True) == made


def test_temporary_slot_is_of_its_connection(database: Database, slot_name: str) -> None:
    with connect(parameters(database.dsn)) as connection:
        server = converse(connection, identify())
        converse(connection, usable_slot(slot_name, server, create=True, temporary=True))
        query = "SELECT temporary FROM pg_replication_slots WHERE slot_name = %s"
        assert database.execute(query, [slot_name]) == [(True,)]
    wait_until(
        lambda: (
            not database.execute(
                "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [slot_name]
            )
        )
    )


def test_lost_race_is_no_error(database: Database, slot_name: str) -> None:
    _usable(database, slot_name, create=True)
    with connect(parameters(database.dsn)) as connection:
        server = converse(connection, identify())
        converse(connection, create_slot(slot_name, server))
        assert converse(connection, describe_slot(slot_name, server)) is not None


def test_no_room_for_a_slot(database: Database, slot_name: str) -> None:
    ((most,),) = database.execute("SELECT current_setting('max_replication_slots')::int")
    with pytest.raises(ConfigurationError, match="cannot be created"):
        _make_many(database, slot_name, int(most) + 1)


def _make_many(database: Database, slot_name: str, count: int) -> None:
    for number in range(count):
        _usable(database, f"{slot_name}_{number}", create=True)


def test_slot_of_another_plugin(database: Database, slot_name: str) -> None:
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [slot_name])
    with pytest.raises(ConfigurationError, match="'test_decoding', not 'pgoutput'"):
        _usable(database, slot_name, create=True)


def test_slot_of_another_database(database: Database, slot_name: str) -> None:
    with new_database(database.server) as other:
        _usable(other, slot_name, create=True)
        with pytest.raises(ConfigurationError, match=f"belongs to database '{other.name}'"):
            _usable(database, slot_name, create=True)


def test_two_phase_slot(database: Database, slot_name: str) -> None:
    database.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput', false, true)", [slot_name]
    )
    with pytest.raises(ConfigurationError, match="two_phase"):
        _usable(database, slot_name)


def test_physical_slot_is_not_ours(database: Database, slot_name: str) -> None:
    database.execute("SELECT pg_create_physical_replication_slot(%s)", [slot_name])
    try:
        with pytest.raises(SlotNotFoundError):
            _usable(database, slot_name)
    finally:
        database.execute("SELECT pg_drop_replication_slot(%s)", [slot_name])


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
        with pytest.raises(SlotInvalidatedError) as caught:
            _usable(database, slot_name, create=True)
        assert not caught.value.retryable
        if database.server.version >= 17:
            assert "reason: wal_removed" in str(caught.value)


@pytest.mark.pg(17)
def test_failover_slot(database: Database, slot_name: str) -> None:
    _usable(database, slot_name, create=True, failover=True)
    assert database.execute(
        "SELECT failover FROM pg_replication_slots WHERE slot_name = %s", [slot_name]
    ) == [(True,)]


@pytest.mark.pg(17)
def test_existing_slot_without_failover_is_refused(database: Database, slot_name: str) -> None:
    _usable(database, slot_name, create=True)
    with pytest.raises(ConfigurationError, match="without failover"):
        _usable(database, slot_name, create=True, failover=True)


def test_failover_slot_needs_its_version(database: Database, slot_name: str) -> None:
    with connect(parameters(database.dsn)) as connection:
        older = evolve(converse(connection, identify()), version=169999)
        with pytest.raises(ConfigurationError, match="PostgreSQL 17"):
            converse(connection, create_slot(slot_name, older, failover=True))
