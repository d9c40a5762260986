"""What a control record tells beside its operation: the details, if they are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pglogical_cdc._attrs import record
from pglogical_cdc.parsers.debezium.connect_json import is_text
from pglogical_cdc.parsers.dms.metadata import TableName
from pglogical_cdc.parsers.dms.strict_json import json_type, not_dms
from pglogical_cdc.parsers.dms.table_definition import TableDefinition, read_definition

__all__ = ("Control", "read_control")


@record
class Control:
    """The member ``control`` of a record."""

    definition: TableDefinition | None
    """The table's new version; None if nothing tells it."""
    old_name: TableName | None
    """Of a renamed table, its name before; None if nothing tells it."""


def read_control(operation: str, content: Mapping[str, Any]) -> Control:
    """Read the details of a control record.

    Args:
        operation: what has happened.
        content: the member; empty if there are no details.

    Raises:
        RecordFormatError: they are not of the form that they should have.
    """
    definition = content.get("table-def")
    old_name = None
    if operation == "rename-table" and "old-table-name" in content:
        old_name = TableName(_text(content, "old-schema-name"), _text(content, "old-table-name"))
    return Control(None if definition is None else read_definition(definition), old_name)


def _text(content: Mapping[str, Any], name: str) -> str:
    found = content.get(name)
    if type(found) is not str:
        raise not_dms(f"a string as control.{name}", json_type(found))
    if not is_text(found):
        raise not_dms(f"text as control.{name}", "half a character")
    return found
