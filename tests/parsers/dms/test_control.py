from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.dms.control import read_control
from pglogical_cdc.parsers.dms.metadata import TableName

DEFINITION: dict[str, Any] = {"columns": {"id": {"type": "INT32"}}}


def test_without_details() -> None:
    found = read_control("add-column", {})

    assert found.definition is None
    assert found.old_name is None


def test_a_definition() -> None:
    found = read_control("add-column", {"table-def": DEFINITION, "column-name": "id"})

    assert found.definition is not None
    assert [each.name for each in found.definition.columns] == ["id"]


def test_the_name_before() -> None:
    content = {"old-schema-name": "", "old-table-name": "t"}

    assert read_control("rename-table", content).old_name == TableName("", "t")
    assert read_control("add-column", content).old_name is None


@pytest.mark.parametrize(
    ("content", "expected", "found"),
    [
        ({"table-def": "sesame"}, "an object as control.table-def", "a string"),
        ({"old-table-name": "sesame"}, "a string as control.old-schema-name", "null"),
        ({"old-schema-name": "sesame", "old-table-name": []}, "old-table-name", "an array"),
        ({"old-schema-name": "sesame", "old-table-name": "\ud800"}, "text as", "half a character"),
    ],
)
def test_what_is_damaged_is_refused(content: dict[str, Any], expected: str, found: str) -> None:
    with pytest.raises(RecordFormatError) as caught:
        read_control("rename-table", content)

    assert expected in caught.value.expected
    assert caught.value.found == found
    assert "sesame" not in str(caught.value)
