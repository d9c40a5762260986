"""Shapes: the columns of rows and keys, as far as records describe them."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.debezium.connect_json import is_text
from pglogical_cdc.parsers.debezium.connect_values import PostgresType, postgres_type, type_of_json
from pglogical_cdc.parsers.debezium.unwrapped import is_added

__all__ = ("Described", "Shape", "Shapes")

_UNKNOWN: Final = PostgresType("text", (str,), str)
_REMEMBERED: Final = 1024
_ALTERED: Final = frozenset(("masked", "truncateLength"))


@record(unsafe_hash=True)
class Described:
    """A column."""

    name: str
    type: PostgresType
    not_null: bool = False
    default: str | None = None
    """The text of the default; None if there is none, or no schema tells."""
    altered: bool = False
    """Whether the connector has masked, hashed or cut the values."""


Shape: TypeAlias = tuple[Described, ...]
"""The columns of a row or key in their order."""


class Shapes:
    """Finds the shape of rows and keys: the same object as long as it is the same.

    A schema tells it; without one the values do, as far as they can, together with those that the
    table had before.
    """

    def __init__(self) -> None:
        self._of_schemas: dict[int, tuple[Mapping[str, Any], Shape]] = {}
        self._known: dict[Shape, Shape] = {}
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
            _check_names(shape)
        except (
            *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError),
            RecursionError,
        ):
            raise RecordFormatError(
                "Debezium JSON", "the schema of a struct, as Kafka Connect writes it", "another"
            ) from None
        # Another object may be the same schema.
        shape = self._known.setdefault(shape, shape)
        if len(self._of_schemas) >= _REMEMBERED:
            self._of_schemas.clear()
            self._known.clear()
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
    return Described(
        name=field["field"],
        type=found,
        not_null=not field.get("optional", False),
        default=None if default is None else found.text(default),
        altered=not _ALTERED.isdisjoint(field.get("parameters") or ()),
    )


def _check_names(shape: Shape) -> None:
    """Refuse what cannot be the columns of a table.

    Raises:
        ValueError, TypeError: a name is none, or that of another column as well.
    """
    names = [column.name for column in shape]
    if not all(isinstance(name, str) and is_text(name) for name in names):
        raise TypeError("a name is no text")
    if len(set(names)) < len(names):
        raise ValueError("two columns have one name")


def _described_by(
    name: str, known: Described | None, rows: Sequence[Mapping[str, Any]]
) -> Described:
    types = [type_of_json(row[name]) for row in rows if row.get(name) is not None]
    if known is not None and all(type is known.type for type in types):
        return known
    return Described(name, types[-1] if types else _UNKNOWN)
