"""Replays the recorded stream and compares with what the real connector made of it.

Compared byte for byte are topic, key, value and headers of every record that comes from the
stream. Masked are the connector's clock in the envelope and the identities of Java objects in
``types_array.a_text_2d``. Left out are:

- the records of the snapshot (``op`` is ``r``): they do not come from the stream;
- heartbeats: how many there are, and where, depends on the clock.

Recordings with Connect schemas are compared by their payload, for `DebeziumFormatter` writes no
schemas so far. Four tables change while the recording runs (``ddl_t``, ``new_t``, ``late_t``,
``part_ap``); `golden_replay.table_catalog` derives their catalog at each moment, and none of their
records is left out.
"""

from __future__ import annotations

import functools
import json
import lzma
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pglogical_cdc.formatters import DebeziumFormatter, Record, UnwrappedFormatter
from tests.formatters.golden_replay import masked, replay, streamed
from tests.golden import debezium_records

_GOLDEN = Path(__file__).parents[1] / "golden"
_ADDED = {
    "add_fields": (
        *("op", "table", "lsn", "source.ts_ms", "source.schema", "source.txId"),
        *("ts_ms", "transaction.id"),
    ),
    "add_headers": ("op", "db", "source.lsn"),
    "skipped_operations": "none",
}
_CONFIGURATIONS: dict[str, tuple[int, dict[str, Any]]] = {
    "default": (274, {}),
    "skipped_none": (284, {"skipped_operations": "none"}),
    "schemas": (274, {}),
    "heartbeat": (274, {}),
    "no_tombstones": (255, {"tombstones_on_delete": False, "skipped_operations": "none"}),
    "decimal_double": (274, {"decimal_handling_mode": "double"}),
    "decimal_string": (274, {"decimal_handling_mode": "string"}),
    "time_adaptive_time_microseconds": (
        274,
        {"time_precision_mode": "adaptive_time_microseconds"},
    ),
    "time_connect": (274, {"time_precision_mode": "connect"}),
    "time_microseconds": (274, {"time_precision_mode": "microseconds"}),
    "time_nanoseconds": (274, {"time_precision_mode": "nanoseconds"}),
    "interval_string": (274, {"interval_handling_mode": "string"}),
    "hstore_map": (274, {"hstore_handling_mode": "map"}),
    "binary_base64": (274, {"binary_handling_mode": "base64"}),
    "binary_base64_url_safe": (274, {"binary_handling_mode": "base64-url-safe"}),
    "binary_hex": (274, {"binary_handling_mode": "hex"}),
    "unknown_types": (274, {"include_unknown_datatypes": True}),
}
_UNWRAPPED: dict[str, tuple[int, dict[str, Any]]] = {
    "unwrap_default": (245, {}),
    "unwrap_drop": (216, {"delete_tombstone_handling_mode": "drop", **_ADDED}),
    "unwrap_tombstone": (245, {"delete_tombstone_handling_mode": "tombstone", **_ADDED}),
    "unwrap_rewrite": (245, {"delete_tombstone_handling_mode": "rewrite", **_ADDED}),
    "unwrap_delete_to_tombstone": (
        245,
        {"delete_tombstone_handling_mode": "delete-to-tombstone", **_ADDED},
    ),
}

_Line = tuple[str, str | None, str | None, tuple[tuple[str, str], ...]]


@functools.cache
def _archive() -> dict[str, bytes]:
    with lzma.open(_GOLDEN / "debezium.tar.xz") as plain, tarfile.open(fileobj=plain) as members:
        files = ((member.name, members.extractfile(member)) for member in members)
        return {name: file.read() for name, file in files if file is not None}


def _recorded(configuration: str) -> list[dict[str, Any]]:
    if configuration == "default":
        records = debezium_records("default")
    elif configuration == "skipped_none":
        records = debezium_records("skipped_none")
    else:
        lines = _archive()[f"{configuration}.jsonl"].splitlines()
        records = [json.loads(line) for line in lines]
    return list(streamed(records))


def _payload(text: str | None) -> str | None:
    """Cut the schema off, and leave the text of the payload as it is."""
    start, middle = '{"schema":', ',"payload":'
    if text is None or not text.startswith(start):
        return text
    _schema, end = json.JSONDecoder().raw_decode(text, len(start))
    assert text.startswith(middle, end)
    return text[end + len(middle) : -1]


def _expected(record: dict[str, Any]) -> _Line:
    headers = tuple((each["key"], _payload(each["value"]) or "") for each in record["headers"])
    value = masked(_payload(record["value"]))
    return record["topic"], _payload(record["key"]), value, headers


def _written(record: Record) -> _Line:
    key = None if record.key is None else record.key.decode()
    value = None if record.value is None else record.value.decode()
    return record.topic, key, masked(value), tuple((k, v.decode()) for k, v in record.headers)


def _run_id(records: list[dict[str, Any]]) -> str:
    headers = {each["key"]: each["value"] for each in records[0]["headers"]}
    run_id = json.loads(_payload(headers["__debezium.context.runId"]) or "")
    assert isinstance(run_id, str)
    return run_id


def _compare(
    configuration: str,
    count: int,
    make: Callable[[str], DebeziumFormatter],
    stream: str = "raw_pgoutput_v1",
) -> None:
    recorded = _recorded(configuration)
    expected = [_expected(record) for record in recorded]
    written = [_written(record) for record in replay(make(_run_id(recorded)), stream)]

    assert len(expected) == len(written) == count
    for number, (ours, theirs) in enumerate(zip(written, expected, strict=True)):
        assert ours == theirs, f"{configuration}: record {recorded[number]['seq']}"
    fields = sum(_fields(value) for _topic, _key, value, _headers in expected)
    sys.stdout.write(f"{configuration}: {count} records, {fields} fields compared\n")


def _fields(value: str | None) -> int:
    content = None if value is None else json.loads(value)
    return 0 if content is None else len(content.get("after", content) or ())


@pytest.mark.parametrize("configuration", _CONFIGURATIONS)
def test_debezium(configuration: str) -> None:
    count, options = _CONFIGURATIONS[configuration]
    _compare(
        configuration,
        count,
        lambda run_id: DebeziumFormatter(topic_prefix="dbz", run_id=run_id, **options),
    )


def test_publish_via_partition_root() -> None:
    _compare(
        "partition_via_root",
        274,
        lambda run_id: DebeziumFormatter(topic_prefix="dbz", run_id=run_id),
        "raw_pgoutput_v1_root",
    )


@pytest.mark.parametrize("configuration", _UNWRAPPED)
def test_unwrapped(configuration: str) -> None:
    count, options = _UNWRAPPED[configuration]
    _compare(
        configuration,
        count,
        lambda run_id: UnwrappedFormatter(topic_prefix="dbz", run_id=run_id, **options),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("null", "null"),
        (
            '{"after":{"ts_ms":1},"source":{"ts_ms":2},"op":"c","ts_ms":3,"ts_us":4,"ts_ns":5}',
            '{"after":{"ts_ms":1},"source":{"ts_ms":2},"op":"c","clock":0}',
        ),
        (
            '{"op":"m","ts_ms":1,"source":{"ts_ms":2,"ts_us":4,"ts_ns":5}}',
            '{"op":"m","clock":0,"source":{"ts_ms":2,"ts_us":4,"ts_ns":5}}',
        ),
        ('{"id":1,"__source_ts_ms":2,"__ts_ms":3}', '{"id":1,"__source_ts_ms":2,"__ts_ms":0}'),
        ('{"a_text_2d":["[Ljava.lang.String;@1","x"]}', '{"a_text_2d":[]}'),
        ('{"a_text_2d":null,"a_text":["x"]}', '{"a_text_2d":null,"a_text":["x"]}'),
    ],
)
def test_the_mask_hides_no_more_than_it_says(value: str | None, expected: str | None) -> None:
    assert masked(value) == expected
