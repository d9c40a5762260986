"""What most tests of this folder begin with: a load's tables, a slot, and a consumer's notes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from pglogical_cdc import Change, Insert
from pglogical_cdc.events import RowChange
from pglogical_cdc.lsn import LSN
from tests.faults.load import Ledger, Load, create_tables
from tests.reading import wait_until

__all__ = ("Notes", "connected", "end_of_wal", "is_free", "make_slots", "quiet_load")


class Notes(Ledger):
    """A ledger that keeps the changes of all other tables, too.

    Args:
        is_load: which changes belong to the load, where others have its tables' names.
    """

    def __init__(self, is_load: Callable[[RowChange], bool] | None = None) -> None:
        super().__init__()
        self.others: list[Change] = []
        self._is_load = is_load

    def apply(self, change: Change) -> None:
        """Take the next change of the reader."""
        is_load = isinstance(change, RowChange) and change.table in ("load", "load_commits")
        if is_load and isinstance(change, RowChange) and self._is_load is not None:
            is_load = self._is_load(change)
        if is_load:
            super().apply(change)
        else:
            self.others.append(change)

    def rows_of(self, table: str) -> list[tuple[str, dict[str, object] | None]]:
        """The changes of one of the other tables: operation and new row, or key."""
        return [
            (change.op, dict(change.after or change.key or {}))
            for change in self.others
            if isinstance(change, RowChange) and change.table == table
        ]

    def inserts(self) -> list[Insert]:
        """The inserts of the other tables."""
        return [change for change in self.others if isinstance(change, Insert)]

    def wait_for(self, count: int, failed: Callable[[], object] = lambda: None) -> None:
        """Wait until so many changes of the other tables have come, or something has failed."""
        wait_until(lambda: len(self.others) >= count or failed() is not None)
        assert len(self.others) == count, failed() or self.others


@contextlib.contextmanager
def connected(dsn: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Open an autocommit connection and close it."""
    connection = psycopg.connect(dsn, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


def make_slots(dsn: str, *slots: str) -> None:
    """Make slots for pgoutput."""
    with connected(dsn) as connection:
        for slot in slots:
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])


@contextlib.contextmanager
def quiet_load(dsn: str, *slots: str, seed: int = 0) -> Iterator[Load]:
    """Give a load that changes something only when told to; its tables, published, and slots."""
    create_tables(dsn, publication="pub")
    make_slots(dsn, *slots)
    with contextlib.closing(Load(dsn, seed=seed)) as load:
        yield load


def end_of_wal(dsn: str) -> LSN:
    """Where the server's WAL ends.

    Asked just after a commit, a slot that is confirmed to less has not been told to forget it.
    Asked before, it says nothing: whatever else the server writes, a transaction that aborts or
    one of another database, may be confirmed too.
    """
    with connected(dsn) as connection:
        ((lsn,),) = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchall()
    return LSN.parse(lsn)


def is_free(dsn: str, slot: str) -> bool:
    """Tell whether nobody reads a slot."""
    with connected(dsn) as connection:
        rows = connection.execute(
            "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", [slot]
        ).fetchall()
    return rows == [(None,)]
