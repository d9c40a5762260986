from __future__ import annotations

import json
from typing import Any

import pytest

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.debezium.connect_json import ConnectJson, json_type

SCHEMA = {"type": "struct", "fields": [], "optional": False}


def _text(schema: Any, payload: Any, **options: Any) -> str:
    return json.dumps({"schema": schema, "payload": payload}, **options)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n", " :\n")])
def test_a_payload_beside_its_schema(separators: tuple[str, str]) -> None:
    found = ConnectJson("F").read("value", _text(SCHEMA, {"a": 1}, separators=separators))

    assert found.schema == SCHEMA
    assert found.payload == {"a": 1}


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1},
        [],
        {"schema": SCHEMA},
        {"schema": SCHEMA, "payload": 1, "more": 2},
        {"schema": "a column of that name", "payload": 1},
    ],
)
def test_json_without_a_schema(content: Any) -> None:
    found = ConnectJson("F").read("value", json.dumps(content, separators=(",", ":")))

    assert found.schema is None
    assert found.payload == content


def test_a_schema_may_be_null() -> None:
    for separators in ((",", ":"), (", ", ": ")):
        found = ConnectJson("F").read("value", _text(None, None, separators=separators))
        assert (found.schema, found.payload) == (None, None)


def test_the_same_text_of_a_schema_is_parsed_once() -> None:
    reader = ConnectJson("F")
    first = reader.read("value", _text(SCHEMA, 1, separators=(",", ":")))
    other = reader.read("value", _text({**SCHEMA, "optional": True}, 2, separators=(",", ":")))
    second = reader.read("value", _text(SCHEMA, 3, separators=(",", ":")).encode())

    assert first.schema is second.schema
    assert other.schema is not first.schema
    assert (first.payload, other.payload, second.payload) == (1, 2, 3)


def test_a_payload_that_looks_like_another_head() -> None:
    inner = _text(SCHEMA, {"b": 2}, separators=(",", ":"))
    reader = ConnectJson("F")
    for payload in ({"a": inner}, [inner], inner):
        text = _text(SCHEMA, payload, separators=(",", ":"))
        assert reader.read("value", text).payload == payload


@pytest.mark.parametrize("end", ["", "}}", "} x", ',"more":1}'])
def test_what_follows_the_payload_is_not_overlooked(end: str) -> None:
    good = _text(SCHEMA, {"a": 1}, separators=(",", ":"))
    reader = ConnectJson("F")
    bad = good[:-1] + end
    if end == ',"more":1}':
        assert reader.read("value", bad).schema is None
        return

    for _ in range(2):
        with pytest.raises(RecordFormatError, match="expected JSON in the value"):
            reader.read("value", bad)
        reader.read("value", good)


def test_what_is_found_does_not_depend_on_what_was_read_before() -> None:
    good = _text(SCHEMA, {"a": 1}, separators=(",", ":"))
    twice = good[:-1] + ',"payload":{"a":2}}'
    broken = good[:-2] + ",}}"
    found = []
    for reader in (ConnectJson("F"), ConnectJson("F")):
        for _ in range(2):
            assert reader.read("value", twice).payload == {"a": 2}
            with pytest.raises(RecordFormatError) as caught:
                reader.read("value", broken)
            found.append(caught.value.found)
            reader.read("value", good)
    assert len(set(found)) == 1


def test_a_number_that_python_does_not_read() -> None:
    for text in ("9" * 5000, _text(SCHEMA, 1, separators=(",", ":"))[:-2] + "9" * 5000 + "}"):
        with pytest.raises(RecordFormatError, match="too long to read"):
            ConnectJson("F").read("value", text)


def test_the_repr_shows_no_value() -> None:
    assert "sesame" not in repr(ConnectJson("F").read("value", '{"pw":"sesame"}'))


def test_the_types_of_json_have_names() -> None:
    values: tuple[object, ...] = (None, True, 1, 1.5, "a", [], {})

    assert [json_type(value) for value in values] == [
        "null",
        "a boolean",
        "a number",
        "a number",
        "a string",
        "an array",
        "an object",
    ]
