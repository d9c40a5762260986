"""Snapshots of the real connector and of our reader, of the same rows.

Each takes its own, with a slot of its own: where it begins and when it was taken is masked, and
looked at by itself. The stream after it is compared like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from pglogical_cdc import Change, DebeziumFormatter, Record, SnapshotRead
from tests.conformance.beside import Beside, follow
from tests.conformance.java import Java
from tests.conformance.workloads.snapshots import EMPTY_FIRST, SNAPSHOTS
from tests.conformance.workloads.workload import Properties, Workload
from tests.golden.comparison import differences, fields_of, formatted, run_id, streamed
from tests.golden.configurations import formatter_for
from tests.servers import Server

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(300)]

_POINT: Final = re.compile(
    r'"(__)?(source_)?(ts_[mun]s|lsn|txId)":\d+|"(__source_)?sequence":"\[null,\\"\d+'
)
_NUMBER: Final = re.compile(r"\d+$")


def masked(text: str) -> str:
    """Return a record's value without the point and the time of its snapshot."""
    return _POINT.sub(lambda match: _NUMBER.sub("0", match[0]), text)


def _snapshot_of(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**record, "value": masked(record["value"])}
        for record in records
        if "snapshot" in record["source_offset"]
    ]


def _ours(
    changes: Sequence[Change], formatter: DebeziumFormatter
) -> tuple[list[Record], list[Record]]:
    """Return our records of a snapshot, and those of the stream after it."""
    rows = sum(isinstance(change, SnapshotRead) for change in changes)
    assert all(isinstance(change, SnapshotRead) for change in changes[:rows])
    # One formatter for both: nothing is carried over.
    records = formatted(changes, formatter)
    read = [
        evolve(record, value=masked((record.value or b"").decode()).encode())
        for record in records[:rows]
    ]
    return read, records[rows:]


def _check(beside: Beside, name: str, properties: Properties) -> tuple[int, int]:
    """Compare what a configuration gave; return how many records and fields that were."""
    records = beside.records[name]
    read, stream = _ours(beside.changes, formatter_for(properties, run_id=run_id(records)))
    theirs, then = _snapshot_of(records), list(streamed(records))
    assert differences(read, theirs) == []
    assert differences(stream, then) == []
    assert len(then) > len(beside.parts)
    compared = [*theirs, *then]
    return len(compared), sum(map(fields_of, compared))


def _sources(values: Iterable[bytes | str | None]) -> list[dict[str, Any]]:
    payloads = [json.loads(value or "null") for value in values]
    assert all(payload["op"] == "r" for payload in payloads)
    assert all(payload["transaction"] is None for payload in payloads)
    return [payload["source"] for payload in payloads]


def _check_point(values: Iterable[bytes | str | None]) -> None:
    """Check that all rows come from one point, at one time."""
    ((lsn, sequence, xid, *times),) = {
        tuple(source[name] for name in ("lsn", "sequence", "txId", "ts_ms", "ts_us", "ts_ns"))
        for source in _sources(values)
    }
    assert sequence == f'[null,"{lsn}"]'
    assert xid > 0
    assert times[0] == times[1] // 1000 == times[2] // 1_000_000


@pytest.mark.parametrize("workload", [SNAPSHOTS, EMPTY_FIRST], ids=["tables", "empty first"])
def test_snapshots(
    java: Java,
    conformance_server: Server,
    tmp_path: Path,
    workload: Workload,
    report_compared: Callable[[str, int, int], None],
) -> None:
    beside = follow(java, conformance_server, workload, tmp_path)
    assert beside.errors == []
    for name, properties in workload.configurations.items():
        report_compared(f"snapshot: {name}", *_check(beside, name, properties))
    # The first configuration is without schemas.
    theirs = next(iter(beside.records.values()))
    reads = [change for change in beside.changes if isinstance(change, SnapshotRead)]
    _check_point(each["value"] for each in theirs if "snapshot" in each["source_offset"])
    _check_point(each.value for each in formatted(reads, DebeziumFormatter(topic_prefix="dbz")))
