from __future__ import annotations

import json
from typing import Any

import pytest

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.dms.strict_json import read_json
from pglogical_cdc.parsers.dms.table_definition import TableDefinition, read_definition

COLUMNS: dict[str, Any] = {
    "id": {"type": "INT32", "nullable": False},
    "name": {"type": "STRING", "length": 40, "nullable": True},
    "price": {"type": "NUMERIC", "precision": 10, "scale": 2},
}


def _read(content: object) -> TableDefinition:
    return read_definition(read_json("value", json.dumps(content)))


def test_columns_and_key() -> None:
    found = _read({"columns": COLUMNS, "primary-key": ["name", "id"], "collation-name": "x"})

    assert [(each.name, each.type.name, each.not_null) for each in found.columns] == [
        ("id", "int4", True),
        ("name", "varchar", False),
        ("price", "numeric", False),
    ]
    assert [each.type.modifier for each in found.columns] == [-1, 44, (10 << 16 | 2) + 4]
    assert all(each.is_defined for each in found.columns)
    assert found.primary_key == ("name", "id")


@pytest.mark.parametrize("key", [{}, {"primary-key": []}, {"primary-key": None}])
def test_without_a_key(key: dict[str, Any]) -> None:
    assert _read({"columns": {}, **key}) == TableDefinition((), None)


@pytest.mark.parametrize(
    ("content", "expected", "found"),
    [
        ([], "an object as control.table-def", "an array"),
        ({}, "an object as control.table-def.columns", "null"),
        ({"columns": {"a": "sesame"}}, "an object as control.table-def.columns.a", "a string"),
        ({"columns": {"a": {}}}, "a string as control.table-def.columns.a.type", "null"),
        ({"columns": {"\ud800": {"type": "BOOL"}}}, "text as name", "half a character"),
        (
            {"columns": {"a": {"type": "BOOL", "nullable": "sesame"}}},
            "a boolean as control.table-def.columns.a.nullable",
            "a string",
        ),
        (
            {"columns": {"a": {"type": "STRING", "length": 1.5}}},
            "an integer as control.table-def.columns.a.length",
            "a number",
        ),
        (
            {"columns": {"a": {"type": "NUMERIC", "scale": "sesame"}}},
            "an integer as control.table-def.columns.a.scale",
            "a string",
        ),
        ({"columns": {}, "primary-key": "sesame"}, "table-def.primary-key", "a string"),
        ({"columns": COLUMNS, "primary-key": ["sesame"]}, "table-def.primary-key", "something"),
        ({"columns": COLUMNS, "primary-key": [["id"]]}, "table-def.primary-key", "something"),
        ({"columns": COLUMNS, "primary-key": ["id", "id"]}, "table-def.primary-key", "something"),
    ],
)
def test_what_is_no_definition_is_refused(content: object, expected: str, found: str) -> None:
    with pytest.raises(RecordFormatError) as caught:
        _read(content)

    assert expected in caught.value.expected
    assert found in caught.value.found
    assert "sesame" not in str(caught.value)
