"""What the tests of the reader on a real server have in common."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pglogical_cdc.lsn import LSN
from pglogical_cdc.replication.reader import ReplicationReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from pglogical_cdc.events import Change
    from tests.servers import Database

__all__ = (
    "active_pid",
    "confirmed",
    "delivered_transactions",
    "is_sent",
    "keys",
    "make_slot",
    "read",
    "reader",
    "wait_until",
)


def make_slot(database: Database, slot: str, ddl: str = "") -> None:
    """Run the DDL, publish all tables as ``pub``, and make the slot."""
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR ALL TABLES;" + ddl
    )
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])


def reader(database: Database, slot: str, **options: Any) -> ReplicationReader:
    """A reader of ``pub``."""
    return ReplicationReader(database.dsn, slot=slot, **{"publications": "pub", **options})


def read(database: Database, slot: str, **options: Any) -> list[Change]:
    """Read and acknowledge everything up to now."""
    with reader(database, slot, until="now", **options) as made:
        return list(made)


def keys(changes: list[Change]) -> list[object]:
    """The values of the column ``id``."""
    return [None if change.key is None else change.key["id"] for change in changes]


def is_sent(database: Database, slot: str) -> bool:
    """Tell whether the server has sent all that there is; it need not have arrived."""
    ((sent,),) = database.execute(
        "SELECT sent_lsn >= pg_current_wal_lsn() FROM pg_stat_replication WHERE pid = %s",
        [active_pid(database, slot)],
    )
    return bool(sent)


def delivered_transactions(made: ReplicationReader) -> int:
    """Transactions with changes; PostgreSQL 14 sends others too, as those of autovacuum."""
    assert made._source.session is not None
    assert made.stats.transactions >= made._source.session.delivered_transactions
    return made._source.session.delivered_transactions


def confirmed(database: Database, slot: str) -> LSN:
    """Where the slot is."""
    ((lsn,),) = database.execute(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", [slot]
    )
    return LSN.parse(lsn)


def active_pid(database: Database, slot: str) -> int | None:
    """The process that streams from the slot."""
    ((pid,),) = database.execute(
        "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", [slot]
    )
    return None if pid is None else int(pid)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
