"""The parser reads what Debezium wrote, and of what it reads the same is written again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import pytest

from pglogical_cdc import (
    Change,
    DebeziumFormatter,
    DebeziumParser,
    Delete,
    Insert,
    LogicalMessage,
    RecordFormatError,
    SnapshotRead,
    Tombstone,
    Truncate,
    Update,
)
from pglogical_cdc.absent import Absent
from pglogical_cdc.events import RowChange
from pglogical_cdc.formatters.debezium.names import topic_name
from tests.golden import debezium_records
from tests.golden.configurations import CONFIGURATIONS
from tests.golden.replay import replay_changes

_EVENTS: Final[Mapping[str, type[Change]]] = {
    "c": Insert,
    "d": Delete,
    "m": LogicalMessage,
    "r": SnapshotRead,
    "t": Truncate,
    "u": Update,
}
_ADDED: Final = "transforms.unwrap.add.fields"
_READ: Final = [
    name
    for name, properties in CONFIGURATIONS.items()
    if "transforms" not in properties or "op" in properties.get(_ADDED, "").split(",")
]


def _parser(properties: Mapping[str, str]) -> DebeziumParser:
    names = ("unavailable.value.placeholder", "binary.handling.mode")
    options: dict[str, Any] = {
        name.replace(".", "_"): properties[name] for name in names if name in properties
    }
    return DebeziumParser(**options)


def _payload(record: dict[str, Any]) -> Any:
    content = json.loads(record["value"] or "null")
    if isinstance(content, dict) and content.keys() == {"schema", "payload"}:
        return content["payload"]
    return content


def _is_mark(payload: Any) -> bool:
    return list(payload) == ["ts_ms"] or list(payload)[:1] == ["status"]


def _is_nameless(payload: Any, record: dict[str, Any]) -> bool:
    """Tell whether a row alone does not say of which table it is."""
    return "source" not in payload and "__table" not in payload and record["topic"].count(".") > 2


@pytest.mark.parametrize("name", _READ)
def test_every_event_is_read(name: str, report_compared: Callable[[str, int, int], None]) -> None:
    properties = CONFIGURATIONS[name]
    parser = _parser(properties)
    events = values = 0
    for record in debezium_records(name):
        payload = _payload(record)
        headers = [(header["key"], header["value"]) for header in record["headers"]]
        if payload is not None and (_is_mark(payload) or _is_nameless(payload, record)):
            with pytest.raises(RecordFormatError, match="op and source"):
                parser.parse(record["value"], record["key"], headers)
            continue
        event = parser.parse(record["value"], record["key"], headers)
        events += 1
        if payload is None:
            assert isinstance(event, Tombstone)
            assert event.key is None or set(event.key) == set(_key(record))
            continue
        if "source" in payload:
            operation = payload["op"]
        else:
            operation = "d" if payload.get("__deleted") == "true" else payload["__op"]
        assert type(event) is _EVENTS[operation]
        if isinstance(event, RowChange):
            delimiter = properties.get("topic.delimiter", ".")
            topic = topic_name("dbz", event.schema, event.table, delimiter=delimiter)
            assert record["topic"] == topic
            for row in (event.before, event.after):
                values += 0 if row is None else len(list(row.values()))
            assert event.op == "truncate" or (event.key is None) is (record["key"] is None)
    assert events > 200
    report_compared(f"read back: {name}", events, values)


def _key(record: dict[str, Any]) -> dict[str, Any]:
    key = json.loads(record["key"])
    found: dict[str, Any] = key["payload"] if key.keys() == {"schema", "payload"} else key
    return found


_NOT_TOLD: Final[Mapping[str, str]] = {
    "c_money": "a money is a decimal without a precision",
    "e_money": "a money is a decimal without a precision",
    "c_tstz0": "the schema of a timestamptz does not tell its precision",
    "c_tstz3": "the schema of a timestamptz does not tell its precision",
    "e_tstz3": "the schema of a timestamptz does not tell its precision",
    "c_sparsevec": "an object of a type that is not built in is JSON",
    "t_hstore": "the placeholder of an hstore is that of a text",
}
"""Columns that are written differently the second time, and why."""


def _again(**options: Any) -> Iterator[tuple[Change, Any, Any]]:
    """Give each change that is written and read, and what is written the first and second time."""
    options |= {"topic_prefix": "dbz", "skipped_operations": "none", "clock": lambda: 0}
    first, second = DebeziumFormatter(**options), DebeziumFormatter(**options)
    parser = DebeziumParser()
    for change in replay_changes():
        for record in first.format(change):
            event = parser.parse(record.value, record.key, record.headers)
            if isinstance(event, Tombstone):
                assert record.value is None
                continue
            assert record.value is not None
            # A change of a key has become two events by now, each of which stays one record.
            again = second.format(event)[0]
            assert again.topic == record.topic
            assert again.value is not None
            yield event, json.loads(record.value), json.loads(again.value)


def test_with_schemas_the_same_is_written_again() -> None:
    _check_written_again((first, second) for _, first, second in _again(schemas_enable=True))


def test_what_debezium_wrote_is_written_again() -> None:
    """Rows of the snapshot too, which no stream has."""
    parser = _parser({})
    formatter = DebeziumFormatter(
        topic_prefix="dbz", schemas_enable=True, skipped_operations="none", clock=lambda: 0
    )

    def pairs() -> Iterator[tuple[Any, Any]]:
        for record in debezium_records("schemas"):
            event = parser.parse(record["value"], record["key"])
            if isinstance(event, Tombstone):
                continue
            again = formatter.format(event)[0]
            assert again.topic == record["topic"]
            assert again.value is not None
            first, second = json.loads(record["value"]), json.loads(again.value)
            for envelope in (first["payload"], second["payload"]):
                for field in ("ts_ms", "ts_us", "ts_ns"):
                    envelope.pop(field, None)
            yield first, second

    _check_written_again(pairs())


def _check_written_again(pairs: Iterable[tuple[Any, Any]]) -> None:
    different = set()
    compared = 0
    for first, second in pairs:
        one, two = first["payload"], second["payload"]
        rows = [(one.pop(image, None), two.pop(image, None)) for image in ("before", "after")]
        assert one == two
        for row, other in rows:
            assert (row is None) is (other is None)
            for column, value in (row or {}).items():
                compared += 1
                if other[column] != value:
                    different.add(column)
    assert compared > 3000
    assert different <= set(_NOT_TOLD)
    assert different >= {"c_money", "c_tstz3", "t_hstore"}


def test_without_schemas_the_same_json_is_written_again() -> None:
    compared = 0
    for event, first, second in _again():
        for image in ("before", "after"):
            row, other = first.pop(image, None), second.pop(image, None)
            read = event.before if image == "before" else event.after
            assert (row is None) is (other is None) is (read is None)
            for column, value in (row or {}).items():
                compared += 1
                assert read is not None
                if isinstance(read[column], Absent):
                    # The placeholder in one form or another, or a zero, which nothing tells here.
                    assert other[column] in ("__debezium_unavailable_value", None)
                    continue
                # Arrays and objects are jsonb, which Debezium writes as a string.
                is_json = isinstance(value, list | dict)
                assert value == (json.loads(other[column]) if is_json else other[column])
        assert first == second
    assert compared > 3000
