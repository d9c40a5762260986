"""Incremental snapshots of the real connector and of our reader, of the same rows.

Each takes its own: the place in the stream and the time are masked, and looked at by themselves.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from attrs import evolve

from pglogical_cdc import ReplicationReader, SnapshotRead
from tests.conformance.beside import Engines, create_publications
from tests.conformance.engine import read_records
from tests.conformance.java import Java
from tests.conformance.workloads.snapshots import SNAPSHOTS
from tests.golden.comparison import differences, fields_of, formatted, run_id
from tests.golden.configurations import formatter_for
from tests.servers import Server, new_database

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(300)]

# A table whose key is a timestamp Debezium leaves out: "operator does not exist".
_TABLES: Final = """
SELECT n.nspname, c.relname, n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE a.atttypid IN ('int'::regtype, 'bigint'::regtype) AND c.relkind = 'r'
  AND n.nspname IN ('public', 'dates') AND c.relname <> 'sync_marker'
ORDER BY 1, 2
"""

_PLACE: Final = re.compile(
    r'"ts_[mun]s":\d+|"lsn":(\d+|null)|"sequence":"\[(null|\\"\d+\\"),\\"\d+\\"\]"'
)
"""Debezium has no LSN there, and in ``sequence`` how far its stream is; ours is the watermark."""

_SIGNAL: Final = "CREATE TABLE public.debezium_signal (id text PRIMARY KEY, type text, data text)"


def _masked(text: str) -> str:
    return _PLACE.sub(lambda found: found[0].split(":")[0] + ":0", text)


def _tables(dsn: str) -> list[tuple[str, int]]:
    """Return the tables with a primary key, and how many rows they have."""
    with psycopg.connect(dsn) as connection:
        names = [name for _, _, name in connection.execute(_TABLES).fetchall()]
        return [
            (name, connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0])
            for name in names
        ]


def _ask(dsn: str, tables: list[str]) -> None:
    data = {"data-collections": tables, "type": "incremental"}
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO debezium_signal VALUES ('rows', 'execute-snapshot', %s)",
            [json.dumps(data)],
        )


def _theirs(output: Path, count: int) -> list[dict[str, Any]]:
    """Wait for so many rows."""
    deadline = time.monotonic() + 120
    while True:
        found = [
            record
            for record in read_records(output)
            if '"snapshot":"incremental"' in (record["value"] or "")
        ]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {count} rows came"
        time.sleep(0.5)


def test_rows_of_tables_beside_the_stream(
    java: Java,
    conformance_server: Server,
    tmp_path: Path,
    report_compared: Callable[[str, int, int], None],
) -> None:
    with new_database(conformance_server) as database:
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            connection.execute(SNAPSHOTS.schema)
            connection.execute(_SIGNAL)
        create_publications(database.dsn)
        tables = [(name, rows) for name, rows in _tables(database.dsn) if rows]
        names, count = [name for name, _ in tables], sum(rows for _, rows in tables)
        configuration = {
            "signal.data.collection": "public.debezium_signal",
            "signal.enabled.channels": "source",
        }
        engines = Engines(java, database.dsn, {"default": configuration}, tmp_path)
        with engines:
            _ask(database.dsn, names)
            theirs = _theirs(tmp_path / "default.jsonl", count)
        with ReplicationReader(
            database.dsn, slot="ours", publications="dbz_pub", create=True, until="now"
        ) as reader:
            snapshots = [reader.snapshot_table(name) for name in names]
            reads = [change for change in reader if isinstance(change, SnapshotRead)]
        assert {snapshot.state for snapshot in snapshots} == {"complete"}
    ours = formatted(reads, formatter_for({}, run_id=run_id(theirs)))
    masks = [evolve(each, value=_masked((each.value or b"").decode()).encode()) for each in ours]
    expected = [{**record, "value": _masked(record["value"])} for record in theirs]
    assert differences(masks, expected) == []
    report_compared("incremental snapshot", len(expected), sum(map(fields_of, expected)))
