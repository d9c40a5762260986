"""A record taken apart: what it is about, and what it says of that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.parsers.dms.metadata import Metadata
from pglogical_cdc.parsers.dms.strict_json import json_type, not_dms, read_json

__all__ = ("Message", "read_message")

_OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "data": ("load", "insert", "update", "delete"),
    "control": (
        "create-table",
        "drop-table",
        "rename-table",
        "add-column",
        "drop-column",
        "rename-column",
        "column-type-change",
        "change-columns",
        "truncate-table",
    ),
}
"""By ``record-type``."""


@record
class Message:
    """A record."""

    is_control: bool
    """Whether it tells of a table, not of a row."""
    operation: str
    metadata: Metadata
    data: Mapping[str, Any] = field(repr=False)
    """Of a data record the columns."""
    before: Mapping[str, Any] = field(repr=False)
    """The before image; empty if there is none."""
    control: Mapping[str, Any] = field(repr=False)
    """Of a control record its details; empty if there are none."""


def read_message(value: bytes | str, before_image: str) -> Message:
    """Read the value of a record.

    Args:
        value: the JSON text.
        before_image: name of the member with the before image.

    Raises:
        RecordFormatError: it is no record of DMS.
    """
    content = read_json("value", value)
    if not isinstance(content, dict):
        raise not_dms("an object as value", json_type(content))
    metadata = Metadata(_object(content, "metadata"))
    kind, operation = metadata.text("record-type"), metadata.text("operation")
    if kind not in _OPERATIONS:
        raise not_dms("data or control as metadata.record-type", "another")
    if operation not in _OPERATIONS[kind]:
        raise not_dms(f"an operation of {kind} records as metadata.operation", "another")
    is_data = kind == "data"
    members = {"data", before_image, "metadata"} if is_data else {"control", "metadata"}
    for name in content:
        if name not in members:
            # Not passed over: it may be a before image that the parser was not told of.
            raise not_dms(
                f"no members but {', '.join(sorted(members))}", f"another, {json.dumps(name)}"
            )
    return Message(
        is_control=not is_data,
        operation=operation,
        metadata=metadata,
        data=_object(content, "data") if is_data else {},
        before=_object(content, before_image, {}) if is_data else {},
        control={} if is_data else _object(content, "control", {}),
    )


def _object(
    content: Mapping[str, Any], name: str, default: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    found = content.get(name, default)
    if not isinstance(found, dict):
        raise not_dms(f"an object as {json.dumps(name)}", json_type(found))
    return found
