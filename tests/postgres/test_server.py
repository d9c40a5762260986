"""Tests of `pglogical_cdc.postgres.server`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.blocking import converse
from pglogical_cdc.postgres.parameters import parameters
from pglogical_cdc.postgres.server import (
    current_lsn,
    flush_wal,
    identify,
    set_client_encoding,
    timeline_ends,
    written_timeline,
)
from tests.postgres.sessions import connect
from tests.reading import wait_until

if TYPE_CHECKING:
    from tests.servers import Database, Server

pytestmark = pytest.mark.pg


def test_server_says_who_it_is(database: Database) -> None:
    database.execute(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '2500ms'")
    with connect(parameters(database.dsn)) as connection:
        found = converse(connection, identify())
        ((system,),) = database.execute("SELECT system_identifier::text FROM pg_control_system()")
        assert found.system_identifier == system
        assert found.database == database.name
        assert found.version // 10000 == database.server.version
        assert found.timeline == 1
        assert not found.in_recovery
        assert converse(connection, timeline_ends(found.timeline)) == {}
        assert converse(connection, written_timeline()) == 1
        assert (found.encoding, found.client_encoding) == ("UTF8", "UTF8")
        assert found.wal_sender_timeout == 2.5
        assert found.position > 0


def test_position_is_the_flushed_one(database: Database) -> None:
    with connect(parameters(database.dsn)) as connection:
        before = converse(connection, current_lsn())
        database.execute("CREATE TABLE t ()")
        ((flushed,),) = database.execute("SELECT pg_current_wal_flush_lsn()::text")
        after = converse(connection, current_lsn())
        assert before < LSN.parse(flushed) <= after


def test_flush_goes_past_what_nobody_has_committed(database: Database) -> None:
    database.execute("CREATE TABLE t (v text)")
    writer = database.connect()
    with writer.transaction(force_rollback=True), database.connect() as beside:
        writer.execute("INSERT INTO t VALUES ('x')")
        ((inserted,),) = writer.execute("SELECT pg_current_wal_insert_lsn()::text").fetchall()
        converse(beside, flush_wal())
        wait_until(lambda: converse(beside, current_lsn()) >= LSN.parse(inserted), 5)


def test_client_encoding_can_be_given_up(database: Database) -> None:
    with connect(parameters(database.dsn)) as connection:
        converse(connection, set_client_encoding("SQL_ASCII"))
        assert connection.execute("SHOW client_encoding").fetchall() == [(b"SQL_ASCII",)]


def test_wal_level_is_checked(private_server: Server) -> None:
    with psycopg.connect(private_server.dsn(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_level = 'replica'")
    private_server.embedded.restart()
    with (
        connect(parameters(private_server.dsn())) as replication,
        pytest.raises(ConfigurationError) as caught,
    ):
        converse(replication, identify())
    assert "wal_level is 'replica'" in str(caught.value)
    assert "rds.logical_replication" in str(caught.value)


def test_standby_and_the_timelines_of_a_promoted_one(private_server: Server) -> None:
    embedded = private_server.embedded
    ends: dict[int, LSN] = {}
    given = parameters(private_server.dsn())
    for timeline in (1, 2):
        embedded.stop()
        (embedded.data / "standby.signal").touch()
        embedded.start()
        with connect(given) as replication, psycopg.connect(**given, autocommit=True) as plain:
            standby = converse(replication, identify())
            assert (standby.timeline, standby.in_recovery) == (timeline, True)
            assert converse(replication, timeline_ends(timeline)) == ends
            # What is replayed is what counts, and there is nothing that could be flushed.
            assert converse(plain, current_lsn()) == standby.position
            converse(plain, flush_wal())
            assert converse(plain, current_lsn()) == standby.position
            assert plain.execute("SELECT pg_promote()").fetchall() == [(True,)]
        with connect(given) as replication:
            primary = converse(replication, identify())
            assert (primary.timeline, primary.in_recovery) == (timeline + 1, False)
            assert primary.system_identifier == standby.system_identifier
            found = converse(replication, timeline_ends(timeline + 1))
            assert found == {**ends, timeline: found[timeline]}
            assert standby.position <= found[timeline] <= primary.position
            with pytest.raises(psycopg.errors.UndefinedFile):
                converse(replication, timeline_ends(timeline + 2))
            # Also where text comes as bytes.
            converse(replication, set_client_encoding("SQL_ASCII"))
            assert converse(replication, timeline_ends(timeline + 1)) == found
            ends = found
