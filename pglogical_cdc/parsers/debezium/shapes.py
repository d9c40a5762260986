"""Shapes: the columns of rows and keys, as far as records describe them."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.debezium.connect_values import PostgresType, postgres_type, type_of_json
from pglogical_cdc.parsers.debezium.unwrapped import is_added

__all__ = ("Described", "Shape", "Shapes")

_UNKNOWN: Final = PostgresType("text", str)
_REMEMBERED: Final = 1024


@record
class Described:
    """A column."""

    name: str
    type: PostgresType
    not_null: bool = False
    default: str | None = None
    """The text of the default; None if there is none, or no schema tells."""


Shape: TypeAlias = tuple[Described, ...]
"""The columns of a row or key in their order."""


class Shapes:
    """Finds the shape of rows and keys: the same object as long as it is the same.

    A schema tells it; without one the values do, as far as they can, together with those that the
    table had before.
    """

    def __init__(self) -> None:
        self._of_schemas: dict[int, tuple[Mapping[str, Any], Shape]] = {}
        self._seen: dict[Hashable, Shape] = {}

    def of_schema(self, schema: Mapping[str, Any], *, unwrapped: bool = False) -> Shape:
        """Return the shape of rows with a schema.

        Args:
            schema: that of a struct.
            unwrapped: whether fields of an envelope have been added to the row.

        Raises:
            RecordFormatError: it is not the schema of a struct.
        """
        known = self._of_schemas.get(id(schema))
        if known is not None:
            return known[1]
        try:
            shape = tuple(
                _described(field)
                for field in schema["fields"]
                if not (unwrapped and is_added(field["field"]))
            )
        except (LookupError, TypeError, ValueError, AttributeError):
            raise RecordFormatError(
                "Debezium JSON", "the schema of a struct, as Kafka Connect writes it", "another"
            ) from None
        if len(self._of_schemas) >= _REMEMBERED:
            self._of_schemas.clear()
        # An id is that of one object only as long as the object is there.
        self._of_schemas[id(schema)] = schema, shape
        return shape

    def of_values(self, owner: Hashable, *rows: Mapping[str, Any], whole: bool) -> Shape:
        """Return the shape that rows without schema seem to have.

        Args:
            owner: whose rows they are.
            rows: JSON objects.
            whole: whether one of the rows has every column of the table.
        """
        known = self._seen.get(owner, ())
        if all(_has_shape(row, known) for row in rows):
            return known
        earlier = {column.name: column for column in known}
        names = list(dict.fromkeys(name for row in rows for name in row))
        if not whole and earlier.keys() >= set(names):
            names = list(earlier)
        shape = tuple(_described_by(name, earlier.get(name), rows) for name in names)
        if len(shape) == len(known) and all(map(operator.is_, shape, known)):
            return known
        self._seen[owner] = shape
        return shape


def _has_shape(row: Mapping[str, Any], shape: Shape) -> bool:
    """Tell of the usual case, a row of just these columns, that it is one."""
    if len(row) != len(shape):
        return False
    for column, (name, value) in zip(shape, row.items(), strict=True):
        if name != column.name or (value is not None and type_of_json(value) is not column.type):
            return False
    return True


def _described(field: Mapping[str, Any]) -> Described:
    found = postgres_type(field)
    default = field.get("default")
    text = None if default is None else found.to_text(default)
    return Described(field["field"], found, not field.get("optional", False), text)


def _described_by(
    name: str, known: Described | None, rows: Sequence[Mapping[str, Any]]
) -> Described:
    types = [type_of_json(row[name]) for row in rows if row.get(name) is not None]
    if known is not None and all(type is known.type for type in types):
        return known
    return Described(name, types[-1] if types else _UNKNOWN)
