"""Engines that follow a database part by part, and our reader beside them.

A workload comes in parts. After each of them a row goes into ``public.sync_marker``, and the next
waits until all have read it, so that nobody sees a table as a later part leaves it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from typing_extensions import Self

from pglogical_cdc import Change, Insert, ReplicationReader
from pglogical_cdc.replication import SnapshotMode
from tests.conformance.engine import BASE_PROPERTIES, Engine, read_records
from tests.conformance.java import Java
from tests.conformance.script import run_script
from tests.conformance.workloads.workload import Workload
from tests.servers import Server, new_database

__all__ = ("SETTINGS", "Beside", "Engines", "OurReader", "create_publications", "follow")

SETTINGS: Final[Mapping[str, str]] = {
    "timezone": "UTC",
    "lc_monetary": "C",
    "max_connections": "200",
    "max_replication_slots": "100",
    "max_wal_senders": "100",
}
"""Of a server that many engines follow."""

_STARTING: Final = 4
"""JVMs that start at the same time."""


def create_publications(dsn: str) -> None:
    """Create the marker's table and the two publications that configurations name."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS public.sync_marker (id int PRIMARY KEY, note text)"
        )
        connection.execute("CREATE PUBLICATION dbz_pub FOR ALL TABLES")
        connection.execute(
            "CREATE PUBLICATION dbz_pub_root FOR ALL TABLES "
            "WITH (publish_via_partition_root = true)"
        )


class Engines:
    """Debezium engines on one database, one for each configuration.

    Args:
        java: the JVM.
        dsn: the database; it is reached over TCP.
        configurations: properties of each beside `BASE_PROPERTIES`.
        folder: where their files go.
        snapshot_mode: ``snapshot.mode``.
    """

    def __init__(
        self,
        java: Java,
        dsn: str,
        configurations: Mapping[str, Mapping[str, str]],
        folder: Path,
        *,
        snapshot_mode: str = "no_data",
    ) -> None:
        self._java = java
        self._dsn = dsn
        self._configurations = configurations
        self._folder = folder
        self._snapshot_mode = snapshot_mode
        self._engines: list[Engine] = []
        self._part = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _start(self) -> None:
        deadline = time.monotonic() + 400
        waiting = list(self._configurations)
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while True:
                rows = connection.execute("SELECT slot_name FROM pg_replication_slots WHERE active")
                active = {name for (name,) in rows}
                starting = [each for each in self._engines if each.slot not in active]
                for engine in starting:
                    if not engine.alive:
                        raise RuntimeError(f"the engine {engine.name} died: {engine.error}")
                while waiting and len(starting) < _STARTING:
                    name = waiting.pop(0)
                    engine = Engine(self._java, name, self._properties(name), self._folder)
                    self._engines.append(engine)
                    starting.append(engine)
                if not starting:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not streaming: {[each.name for each in starting]}")
                time.sleep(0.2)
        # A slot counts as active a moment before the connector has read its first message.
        time.sleep(2)

    def _properties(self, name: str) -> dict[str, str]:
        given = conninfo_to_dict(self._dsn)
        return {
            **BASE_PROPERTIES,
            "database.hostname": str(given["host"]),
            "database.port": str(given["port"]),
            "database.user": str(given["user"]),
            "database.password": str(given.get("password", "")),
            "database.dbname": str(given["dbname"]),
            "slot.name": f"dbz_{name}",
            "snapshot.mode": self._snapshot_mode,
            **self._configurations[name],
        }

    def run_part(self, name: str, script: str, *, timeout: float = 60.0) -> Sequence[str]:
        """Run a part of a workload, then its marker; return the statements that failed."""
        errors = run_script(self._dsn, script)
        self._part += 1
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO public.sync_marker VALUES (%s, %s)",
                [self._part, name + ".sync_marker"],
            )
        deadline = time.monotonic() + timeout
        while late := [each for each in self._engines if each.markers < self._part]:
            for engine in late:
                if not engine.alive:
                    raise RuntimeError(f"{engine.name} died in part {name}: {engine.error}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"part {name} did not reach {[each.name for each in late]}")
            time.sleep(0.05)
        return errors

    def stop(self) -> None:
        """Stop all; their records are complete then."""
        for engine in self._engines:
            engine.ask_to_stop()
        for engine in self._engines:
            engine.wait()

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """Return what each has delivered, in order."""
        return {engine.name: read_records(engine.output) for engine in self._engines}


class OurReader:
    """Our own reader of the same changes, which sees the catalog part by part as engines do."""

    def __init__(
        self,
        dsn: str,
        slot: str = "ours",
        publication: str = "dbz_pub",
        *,
        snapshot: SnapshotMode = "never",
    ) -> None:
        self._reader = ReplicationReader(
            dsn,
            slot=slot,
            publications=[publication],
            create=True,
            snapshot=snapshot,
            messages=True,
            ack="manual",
        )
        self.changes: list[Change] = []

    def __enter__(self) -> Self:
        self._reader.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    def read_part(self, *, timeout: float = 60.0) -> None:
        """Read up to the next marker."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            change = self._reader.poll(1.0)
            if change is None:
                continue
            self.changes.append(change)
            if isinstance(change, Insert) and change.table == "sync_marker":
                self._read_commit()
                return
        raise TimeoutError("no marker came")

    def _read_commit(self) -> None:
        """Read the end of the marker's transaction."""
        change = self._reader.poll(10.0)
        assert change is None, "the marker is alone in its transaction"


@dataclass(frozen=True)
class Beside:
    """What engines and our reader have read of one workload."""

    parts: Sequence[str]
    changes: Sequence[Change]
    records: Mapping[str, list[dict[str, Any]]]
    errors: Sequence[str]
    """Of statements that failed."""


def follow(java: Java, server: Server, workload: Workload, folder: Path) -> Beside:
    """Run a workload in a database of its own, with engines and our reader following it.

    Args:
        java: the JVM.
        server: the server.
        workload: what to run.
        folder: where the files of the engines go.
    """
    with new_database(server) as database:
        errors = run_script(database.dsn, workload.schema)
        assert errors == [], errors
        create_publications(database.dsn)
        mine: SnapshotMode = "initial" if workload.snapshot else "never"
        theirs = "initial" if workload.snapshot else "no_data"
        with (
            Engines(
                java, database.dsn, workload.configurations, folder, snapshot_mode=theirs
            ) as engines,
            OurReader(database.dsn, publication=workload.publication, snapshot=mine) as ours,
        ):
            for name, script in workload.parts:
                errors += engines.run_part(name, script, timeout=120)
                ours.read_part()
            engines.stop()
        names = [name for name, _ in workload.parts]
        return Beside(names, ours.changes, engines.records(), errors)
