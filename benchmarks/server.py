"""The server of a run: backlogs, each in a database of its own, and copies of their slots."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from benchmarks.runs import Job
from benchmarks.shapes import Shape
from tests.faults.servers import switch_tls_on
from tests.reading import wait_until
from tests.servers import Server, find_binaries, run_binaries

__all__ = ("PUBLICATION", "Backlogs", "run_backlogs")

PUBLICATION: Final = "bench"

_SETTINGS: Final = {
    # Neither may come into the middle of a run; whoever writes a backlog has a checkpoint made.
    "autovacuum": "off",
    "max_wal_size": "64GB",
    "checkpoint_timeout": "1d",
}


@dataclass(frozen=True)
class _Written:
    """A backlog that is on the server."""

    origin: str
    """The slot that stands before it, and is never read from."""
    until: str


@dataclass
class Backlogs:
    """A server, and what has been written to it."""

    server: Server
    binaries: Path
    _written: dict[str, _Written] = field(default_factory=dict)
    _filled: set[str] = field(default_factory=set)
    """Databases whose rows are there for snapshots."""
    _copies: int = 0

    def dsn(self, database: str = "postgres", *, tls: bool = False) -> str:
        """Give the connection string of a database; where TLS is not said, there is none."""
        mode = "require" if tls else "disable"
        return self.server.dsn(database, sslmode=mode, gssencmode="disable")

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection in autocommit mode."""
        return psycopg.connect(self.dsn(database), autocommit=True)

    def make_database(self, name: str) -> None:
        """Make a database whose tables are all published."""
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with self.connect(name) as connection:
            publish = sql.SQL("CREATE PUBLICATION {} FOR ALL TABLES")
            connection.execute(publish.format(sql.Identifier(PUBLICATION)))

    def write(self, shape: Shape) -> None:
        """Write a backlog behind a new slot, or rows without one, unless they are there."""
        if shape.name in self._written or shape.name in self._filled:
            return
        if shape.snapshot:
            self._fill(shape)
            return
        origin = f"{shape.name}_origin"
        self.make_database(shape.name)
        with self.connect(shape.name) as connection:
            for table in shape.tables:
                connection.execute(table.encode())
            connection.execute(
                "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [origin]
            )
            for statement in shape.statements:
                connection.execute(statement.encode())
            ((until,),) = connection.execute("SELECT pg_current_wal_flush_lsn()::text")
            # Some readers end at the first message at or behind their end.
            connection.execute("CREATE TABLE behind (id int PRIMARY KEY)")
            connection.execute("INSERT INTO behind VALUES (1)")
            connection.execute("CHECKPOINT")
        self._written[shape.name] = _Written(origin, str(until))

    def _fill(self, shape: Shape) -> None:
        self.make_database(shape.name)
        with self.connect(shape.name) as connection:
            for statement in (*shape.tables, *shape.statements):
                connection.execute(statement.encode())
        self._filled.add(shape.name)

    @contextlib.contextmanager
    def job(self, shape: Shape, *, tls: bool = False) -> Iterator[Job]:
        """Give a job of one's own on a backlog; its slot is dropped afterwards.

        A job on a snapshot has no slot: who reads it makes a temporary one, or none.
        """
        if shape.snapshot:
            yield Job(
                dsn=self.dsn(shape.name, tls=tls),
                slot="snapshot",
                publication=PUBLICATION,
                until="",
                events=shape.events,
                binaries=self.binaries,
                snapshot=True,
            )
            return
        written = self._written[shape.name]
        self._copies += 1
        slot = f"copy_{self._copies}"
        with self.connect(shape.name) as connection:
            connection.execute(
                "SELECT pg_copy_logical_replication_slot(%s, %s)", [written.origin, slot]
            )
            try:
                yield Job(
                    dsn=self.dsn(shape.name, tls=tls),
                    slot=slot,
                    publication=PUBLICATION,
                    until=written.until,
                    events=shape.events,
                    binaries=self.binaries,
                )
            finally:
                _drop(connection, slot)

    @contextlib.contextmanager
    def new_slot(self, database: str) -> Iterator[Job]:
        """Give a job on what is written from now on, without an end."""
        self._copies += 1
        slot = f"new_{self._copies}"
        with self.connect(database) as connection:
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
            try:
                yield Job(
                    dsn=self.dsn(database),
                    slot=slot,
                    publication=PUBLICATION,
                    until="FFFFFFFF/FFFFFFFF",
                    events=0,
                    binaries=self.binaries,
                )
            finally:
                _drop(connection, slot)

    @property
    def version(self) -> str:
        """What the server says of its version."""
        with self.connect() as connection:
            ((version,),) = connection.execute("SHOW server_version")
        return str(version)


@contextlib.contextmanager
def run_backlogs(choice: str) -> Iterator[Backlogs]:
    """Run a server that takes connections with and without TLS.

    Args:
        choice: as of `tests.servers.find_binaries`.
    """
    binaries = find_binaries(choice)
    with run_binaries(binaries, **_SETTINGS) as server:
        backlogs = Backlogs(server, binaries)
        switch_tls_on(server)
        yield backlogs


def _drop(connection: psycopg.Connection[tuple[Any, ...]], slot: str) -> None:
    def is_free() -> bool:
        return not connection.execute(
            "SELECT FROM pg_replication_slots WHERE slot_name = %s AND active", [slot]
        ).fetchall()

    wait_until(is_free)
    connection.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
        [slot],
    )
