"""The real Debezium engine, which makes JSON text of every change."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from benchmarks.peers import versions
from benchmarks.peers.processes import answer
from benchmarks.runs import Job, MissingPeerError, Run
from tests.conformance.java import Java, JavaMissingError, prepare_java

__all__ = ("CHOSEN", "CHOSEN_FOR_SNAPSHOTS", "DebeziumEngine", "EngineSettings")

_DRIVER: Final = Path(__file__).parent / "DebeziumBench.java"


@dataclass(frozen=True)
class EngineSettings:
    """What decides how fast the engine is."""

    heap: str
    """The JVM's -Xmx."""
    collector: str
    """The JVM's garbage collector, as in -XX:+UseSerialGC."""
    batch: int
    """max.batch.size."""
    queue: int
    """max.queue.size."""
    poll_ms: int
    """poll.interval.ms."""
    threads: int | None
    """record.processing.threads; None for its default, as many as there is work for."""
    statistics: bool
    """statistics.metrics.enabled."""
    snapshot_threads: int = 1
    """snapshot.max.threads: with more than one a table is read in as many chunks at once."""
    fetch: int | None = None
    """snapshot.fetch.size; None for its default."""

    def options(self) -> list[str]:
        """Return the options of the JVM; both of its compilers are on, as they are by default."""
        return [f"-Xmx{self.heap}", f"-XX:+Use{self.collector}GC"]

    def properties(self) -> dict[str, str]:
        """Return the properties of the engine."""
        found = {
            "max.batch.size": str(self.batch),
            "max.queue.size": str(self.queue),
            "poll.interval.ms": str(self.poll_ms),
            "statistics.metrics.enabled": str(self.statistics).lower(),
            "snapshot.max.threads": str(self.snapshot_threads),
        }
        if self.fetch is not None:
            found["snapshot.fetch.size"] = str(self.fetch)
        if self.threads is not None:
            found["record.processing.threads"] = str(self.threads)
        return found


CHOSEN: Final = EngineSettings(
    heap="384m",
    collector="Parallel",
    batch=2048,
    queue=8192,
    poll_ms=500,
    threads=1,
    statistics=True,
)
"""The fastest that `benchmarks.peers.tuning` found on two cores, one of which the server needs.

One thread beats the default, whose threads are more than there are cores: 30,000 events/s for
23,000. The parallel collector beats the others. Larger batches, shorter pauses and no statistics
gain nothing: these are the connector's defaults. The heap is the smallest within five percent of
the best (medians, events/s: 64m 24,700, 96m 28,900, 128m 28,200, 192m 28,600, 256m 30,400,
384m 33,100, 512m 32,600, 1g 31,900).
"""

CHOSEN_FOR_SNAPSHOTS: Final = replace(CHOSEN, threads=2)
"""The fastest that ``benchmarks.peers.tuning --snapshot`` found on two cores.

A second thread pays here, as the server has less to do for a row than in a stream. To read a table
in chunks at once does not: 33,500 rows/s in two and 41,100 in four, for 44,100 in one. Batches and
fetches of other sizes gain nothing, and the heap is again the smallest within five percent of the
best (medians, rows/s: 192m 55,200, 256m 50,000, 384m 60,700, 512m 63,300, 1g 59,300).
"""


class DebeziumEngine:
    """Debezium's PostgreSQL connector in its own engine; JSON text without schemas, thrown away.

    Its time is that from the end of the first batch to that of the last, and the events are those
    between: the start of the JVM and of the connector is in neither.

    Args:
        settings: of the JVM and of the engine.
    """

    name = f"Debezium {versions.DEBEZIUM}: its JSON"

    def __init__(self, settings: EngineSettings = CHOSEN) -> None:
        self._settings = settings
        self._java: Java | None = None

    def prepare(self) -> None:
        """Find Java and the jars, and compile the driver.

        Raises:
            MissingPeerError: something is not installed, or is of another version.
        """
        self._java = _prepared()

    def run(self, job: Job) -> Run:
        """Read a backlog, or a snapshot, to its end."""
        java = self._java = self._java or _prepared()
        command = java.command(str(job.events), options=self._settings.options())
        properties = {**_properties(job), **self._settings.properties()}
        printed, peak_mb = answer(command, json.dumps(properties))
        return Run(**json.loads(printed), peak_mb=peak_mb)


def _prepared() -> Java:
    try:
        java = prepare_java(_DRIVER)
    except JavaMissingError as error:
        raise MissingPeerError(f"{DebeziumEngine.name}: {error}") from error
    if f"debezium-connector-postgres-{versions.DEBEZIUM}.jar" not in java.class_path:
        raise MissingPeerError(f"{DebeziumEngine.name}: the installed jars are of another version")
    return java


def _properties(job: Job) -> dict[str, str]:
    parameters = {key: str(value) for key, value in conninfo_to_dict(job.dsn).items()}
    found = {
        "name": "bench",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "topic.prefix": "bench",
        "slot.name": job.slot,
        "slot.drop.on.stop": "false",
        "publication.name": job.publication,
        "publication.autocreate.mode": "disabled",
        # The rows that are there, without a slot; or from where the slot stands.
        "snapshot.mode": "initial_only" if job.snapshot else "no_data",
        "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "errors.max.retries": "0",
        "database.hostname": parameters["host"],
        "database.port": parameters.get("port", "5432"),
        "database.dbname": parameters["dbname"],
        "database.user": parameters["user"],
        "database.password": parameters.get("password", ""),
    }
    tls = ("sslmode", "sslrootcert", "sslcert", "sslkey")
    return found | {f"database.{key}": parameters[key] for key in tls if key in parameters}
