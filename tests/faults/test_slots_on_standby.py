"""Operating slots on a standby: its own, and its copies of the primary's."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import pglogical_cdc as cdc
from pglogical_cdc import ConfigurationError, slots
from tests.faults.servers import Cluster, configure
from tests.reading import wait_until


@pytest.mark.pg
@pytest.mark.versions(15, 18)
def test_slots_of_a_standby(cluster: Cluster) -> None:
    dsn = cluster.standby.dsn()
    assert slots.list(dsn) == []
    with pytest.raises(cdc.SlotNotFoundError):
        slots.drop(dsn, "own")
    if cluster.primary.version < 16:
        with pytest.raises(ConfigurationError, match="from PostgreSQL 16 on"):
            slots.create(dsn, "own")
        return

    cluster.execute("CREATE PUBLICATION pub FOR ALL TABLES")
    # A standby waits for what only the primary can log.
    with pytest.raises(cdc.SourceError, match="pg_log_standby_snapshot"):
        slots.create(dsn, "own", timeout=0.5)
    made = _made(cluster, dsn, "own")
    assert (made.name, made.synced, made.plugin) == ("own", False, "pgoutput")
    cluster.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)")
    cluster.standby.wait_for_replay()
    assert slots.poisoned(dsn, "own", "pub") is None
    slot = slots.get(dsn, "own")
    assert slot is not None
    assert slot.lag_bytes is not None
    assert slot.retained_bytes >= slot.lag_bytes > 1000
    assert [idle.name for idle in slots.idle_slots(dsn)] == ["own"]
    reached = slots.advance(dsn, "own", to="now")
    assert reached == cluster.standby.replayed
    with pytest.raises(ConfigurationError, match=f"ends at {reached}"):
        slots.advance(dsn, "own", to=reached + (1 << 30))
    assert slots.list(cluster.primary.dsn()) == []
    slots.drop(dsn, "own")
    assert slots.get(dsn, "own") is None

    # The primary may take away what the standby's slots need.
    _made(cluster, dsn, "own")
    configure(cluster.primary, wal_level="replica")
    cluster.primary.embedded.restart("immediate")
    wait_until(lambda: _invalidated(dsn, "own"))
    slot = slots.get(dsn, "own")
    assert slot is not None
    assert (slot.conflicting, slot.retained_bytes) == (True, 0)
    older = cluster.primary.version < 17
    assert slot.invalidation_reason == ("conflicting" if older else "wal_level_insufficient")
    with pytest.raises(cdc.SlotInvalidatedError):
        slots.advance(dsn, "own", to="now")
    with pytest.raises(ConfigurationError, match="wal_level"):
        slots.create(dsn, "other")
    slots.drop(dsn, "own")


def _invalidated(dsn: str, name: str) -> bool:
    slot = slots.get(dsn, name)
    return slot is not None and slot.invalidated


def _made(cluster: Cluster, dsn: str, name: str) -> slots.Slot:
    """Create a slot on the standby, while the primary logs what it waits for."""
    done = threading.Event()

    def log() -> None:
        while not done.wait(0.1):
            cluster.execute("SELECT pg_log_standby_snapshot()")

    logging = threading.Thread(target=log)
    logging.start()
    try:
        return slots.create(dsn, name, timeout=30)
    finally:
        done.set()
        logging.join()


@pytest.mark.pg(17)
@pytest.mark.versions(18)
def test_copies_of_a_primary_are_the_primarys(cluster: Cluster) -> None:
    primary, standby = cluster.primary.dsn(), cluster.standby.dsn()
    cluster.execute("CREATE PUBLICATION pub FOR ALL TABLES")
    assert slots.create(primary, "shop", failover=True).failover

    def is_copied() -> bool:
        # A copy stays when the primary's slot has moved to what the standby still has.
        cluster.execute("SELECT pg_log_standby_snapshot()")
        slots.advance(primary, "shop", to="now")
        cluster.standby.wait_for_replay()
        cluster.standby.sync_slots()
        return cluster.standby.has_slot("shop")

    wait_until(is_copied)
    copy = slots.get(standby, "shop")
    assert copy is not None
    assert (copy.synced, copy.failover, copy.active) == (True, True, False)
    refused: list[tuple[str, Any]] = [
        ("on the primary", lambda: slots.drop(standby, "shop", force=True)),
        ("on the primary", lambda: slots.advance(standby, "shop", to="now")),
        ("on the primary", lambda: slots.poisoned(standby, "shop", "pub")),
        ("on the primary", lambda: slots.create(standby, "other", failover=True)),
        ("exists already", lambda: slots.create(standby, "shop")),
    ]
    for reason, call in refused:
        with pytest.raises(ConfigurationError, match=reason):
            call()
    assert slots.idle_slots(standby) == []
    assert [slot.name for slot in slots.idle_slots(primary)] == ["shop"]

    # Once the standby has taken over, the slot is its own.
    cluster.fail_over()
    promoted = slots.get(standby, "shop")
    assert promoted is not None
    assert promoted.synced
    assert [slot.name for slot in slots.idle_slots(standby)] == ["shop"]
    assert slots.advance(standby, "shop", to="now") >= copy.confirmed_flush_lsn
    slots.drop(standby, "shop")
    assert slots.list(standby) == []
