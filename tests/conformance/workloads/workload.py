"""Workload: tables, what happens to them, and the configurations that follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

__all__ = ("CHANGES", "SCHEMAS", "UNWRAP", "Properties", "Workload")

Properties = Mapping[str, str]
"""Of a connector, its converters and its transforms."""


@frozen
class Workload:
    """Tables, what happens to them, and the configurations that follow it."""

    schema: str
    """SQL, all of which must succeed."""
    parts: Sequence[tuple[str, str]]
    """Name and SQL of each part."""
    configurations: Mapping[str, Properties]
    """By name."""
    publication: str = "dbz_pub"
    snapshot: bool = False
    """Whether the rows that the schema leaves are read first."""


SCHEMAS: Final[Properties] = {
    "key.converter.schemas.enable": "true",
    "value.converter.schemas.enable": "true",
}
UNWRAP: Final[Properties] = {
    "transforms": "unwrap",
    "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
}
CHANGES: Final[Properties] = {
    "transforms": "changes,unwrap",
    "transforms.changes.type": "io.debezium.transforms.ExtractChangedRecordState",
    "transforms.changes.header.changed.name": "Changed",
    "transforms.changes.header.unchanged.name": "Unchanged",
    "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
}
