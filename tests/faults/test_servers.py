"""Tests of `tests.faults.servers`."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import psycopg
import pytest

from pglogical_cdc.cli.embedded import EmbeddedServer
from pglogical_cdc.replication.reader import ReplicationReader
from tests.faults.load import Load, create_tables
from tests.faults.servers import Cluster, configure, execute, run_cluster

pytestmark = pytest.mark.pg


def _port(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        return connection.info.port


def test_a_cluster_fails_over_and_is_gone_afterwards(server_choice: str) -> None:
    servers: list[EmbeddedServer] = []
    processes: list[int | None] = []
    with contextlib.suppress(ZeroDivisionError), run_cluster(server_choice) as cluster:
        servers += (cluster.primary.embedded, cluster.standby.server.embedded)
        processes += (server.pid for server in servers)
        _follow_fall_behind_and_take_over(cluster)
        cluster.primary.embedded.start()
        raise ZeroDivisionError
    assert len(servers) == 2
    assert not any(server.directory.exists() for server in servers)
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def _follow_fall_behind_and_take_over(cluster: Cluster) -> None:
    primary, standby = cluster.primary, cluster.standby
    writable = cluster.dsn(target_session_attrs="read-write")
    assert _port(writable) == primary.embedded.port
    assert _port(cluster.dsn(target_session_attrs="standby")) == standby.server.embedded.port
    configure(primary, work_mem="5MB")
    assert cluster.execute("SHOW work_mem") == [("5MB",)]
    configure(primary, work_mem=None)
    assert cluster.execute("SHOW work_mem") == [("4MB",)]
    create_tables(primary.dsn())
    with contextlib.closing(Load(writable)) as load:
        load.run(5)
        standby.wait_for_replay()
        truth = load.expected()
        assert load.expected(standby.dsn()) == truth

        standby.pause_replay()
        load.run(5)
        assert load.expected(standby.dsn()) == truth
        standby.resume_replay()
        standby.wait_for_replay()
        assert load.expected(standby.dsn()) == load.expected()

        standby.restart("immediate")
        standby.cut_off()
        truth = load.expected()
        load.run(5)
        standby.follow()
        standby.wait_for_replay()
        assert load.expected(standby.dsn()) == load.expected() != truth

        standby.cut_off()
        truth = load.expected(standby.dsn())
        load.run(5)
        cluster.fail_over()
        assert not standby.in_recovery
        assert load.expected() == truth
        load.run(5)
        assert _port(writable) == standby.server.embedded.port
        assert load.expected(standby.dsn()) != truth


@pytest.mark.versions(18)
@pytest.mark.pg(17)
def test_a_failover_slot_survives(cluster: Cluster) -> None:
    standby = cluster.standby
    create_tables(cluster.primary.dsn(), publication="pub")
    execute(
        cluster.primary,
        "SELECT pg_create_logical_replication_slot('unread', 'pgoutput', failover => true)",
    )
    execute(cluster.primary, "SELECT pg_create_logical_replication_slot('other', 'pgoutput')")
    standby.wait_for_slot("unread", advance=True)

    standby.configure(sync_replication_slots="on")
    configure(cluster.primary, synchronized_standby_slots=standby.name)
    with (
        Load(cluster.primary.dsn(), rate=50) as load,
        ReplicationReader(
            cluster.primary.dsn(), slot="read", publications="pub", create=True, failover=True
        ) as reader,
    ):
        thread = threading.Thread(target=lambda: list(reader))
        thread.start()
        try:
            standby.wait_for_slot("read")
        finally:
            reader.stop()
            thread.join()
        load.stop()
    cluster.fail_over()
    rows = standby.execute("SELECT slot_name FROM pg_replication_slots ORDER BY 1")
    assert rows == [("read",), ("unread",)]
