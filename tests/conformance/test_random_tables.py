"""The real connector and our reader beside it, on tables of random types with random values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.beside import follow
from tests.conformance.java import Java
from tests.conformance.random_tables import random_tables
from tests.conformance.workloads.workload import SCHEMAS
from tests.golden.comparison import differences, formatted, run_id, streamed
from tests.golden.configurations import formatter_for, transforms_for
from tests.servers import Server

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(1200)]

_TABLES: Final = 205
"""A few of them may stay empty, where a constraint refuses every row."""
_CONFIGURATIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "precise": {
        **SCHEMAS,
        "skipped.operations": "none",
        "provide.transaction.metadata": "true",
    },
    "string": {
        **SCHEMAS,
        "decimal.handling.mode": "string",
        "time.precision.mode": "isostring",
        "interval.handling.mode": "string",
        "hstore.handling.mode": "map",
        "binary.handling.mode": "hex",
        "include.unknown.datatypes": "true",
    },
    "unwrapped": {
        **SCHEMAS,
        "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
        "transforms.unwrap.add.fields": "op,table,lsn,source.ts_ms,before.id",
        "decimal.handling.mode": "double",
        "time.precision.mode": "connect",
        "binary.handling.mode": "base64",
        "column.propagate.source.type": ".*",
    },
    "adjusted": {
        **SCHEMAS,
        "time.precision.mode": "nanoseconds",
        "include.unknown.datatypes": "true",
        "binary.handling.mode": "base64-url-safe",
        "schema.name.adjustment.mode": "avro_unicode",
        "field.name.adjustment.mode": "avro_unicode",
    },
}


def test_random_tables(seed: int, java: Java, conformance_server: Server, tmp_path: Path) -> None:
    workload = random_tables(seed, _TABLES, _CONFIGURATIONS)

    beside = follow(java, conformance_server, workload, tmp_path)

    found = []
    for name, properties in _CONFIGURATIONS.items():
        records = beside.records[name]
        theirs = list(streamed(records))
        formatter = formatter_for(properties, run_id=run_id(records))
        ours = formatted(beside.changes, formatter, transforms_for(properties))
        # One more is that of the markers.
        tables = {record["topic"] for record in theirs if record["topic"].count(".") > 1}
        assert len(tables) > 200
        found += [f"{name}: {each}" for each in differences(ours, theirs)]
    assert found == []
