from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.hstore import hstore_json, hstore_map_json


def test_json_mode_is_a_string() -> None:
    wire = rb'"a"=>"1", "c"=>"x\"y", "b c"=>NULL'
    assert hstore_json(wire) == rb'"{\"a\":\"1\",\"c\":\"x\\\"y\",\"b c\":null}"'


def test_map_mode_is_an_object() -> None:
    wire = rb'"a"=>"1", "c"=>"x\"y", "b c"=>NULL'
    assert hstore_map_json(wire) == rb'{"a":"1","c":"x\"y","b c":null}'


def test_empty() -> None:
    assert hstore_json(b"") == b'"{}"'
    assert hstore_map_json(b"") == b"{}"


def test_refuses_other_text() -> None:
    with pytest.raises(ValueError, match="hstore"):
        hstore_json(b"no pair")


@given(st.dictionaries(st.text(), st.none() | st.text()))
def test_keeps_every_entry(entries: dict[str, str | None]) -> None:
    wire = ", ".join(
        f"{_quoted(k)}=>{'NULL' if v is None else _quoted(v)}" for k, v in entries.items()
    )
    value = wire.encode(errors="replace")
    expected = {
        key.encode(errors="replace").decode(): None
        if content is None
        else content.encode(errors="replace").decode()
        for key, content in entries.items()
    }
    assert json.loads(json.loads(hstore_json(value))) == expected
    assert json.loads(hstore_map_json(value)) == expected


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
