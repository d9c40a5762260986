"""``table-def`` of control records: the columns of a table, and its primary key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pglogical_cdc._attrs import record
from pglogical_cdc.parsers.debezium.connect_json import is_text
from pglogical_cdc.parsers.debezium.connect_values import PostgresType
from pglogical_cdc.parsers.dms.column_types import named_type
from pglogical_cdc.parsers.dms.number_text import integer_text
from pglogical_cdc.parsers.dms.strict_json import Number, json_type, not_dms

__all__ = ("TableColumn", "TableDefinition", "read_definition")


@record(unsafe_hash=True)
class TableColumn:
    """A column of a table."""

    name: str
    type: PostgresType
    not_null: bool = False
    is_defined: bool = False
    """Whether a ``table-def`` has told the type, not only the values."""


@record
class TableDefinition:
    """What a ``table-def`` says."""

    columns: tuple[TableColumn, ...]
    primary_key: tuple[str, ...] | None


def read_definition(content: object) -> TableDefinition:
    """Read a ``table-def``.

    Raises:
        RecordFormatError: it is none.
    """
    columns = _object("control.table-def", content).get("columns")
    found = tuple(
        _column(name, each) for name, each in _object("control.table-def.columns", columns).items()
    )
    return TableDefinition(found, _primary_key(content, found))


def _object(name: str, content: object) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise not_dms(f"an object as {name}", json_type(content))
    return content


def _column(name: str, content: object) -> TableColumn:
    if not is_text(name):
        raise not_dms("text as name of a column", "half a character")
    where = f"control.table-def.columns.{name}"
    column = _object(where, content)
    kind, nullable = column.get("type"), column.get("nullable", True)
    if type(kind) is not str:
        raise not_dms(f"a string as {where}.type", json_type(kind))
    if type(nullable) is not bool:
        raise not_dms(f"a boolean as {where}.nullable", json_type(nullable))
    length, precision, scale = (
        _integer(f"{where}.{each}", column.get(each)) for each in ("length", "precision", "scale")
    )
    found = named_type(kind, length, precision, scale)
    return TableColumn(name, found, not_null=not nullable, is_defined=True)


def _integer(where: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        if type(value) is Number:
            return int(integer_text(value))
    except ValueError:
        pass
    raise not_dms(f"an integer as {where}", json_type(value))


def _primary_key(content: Any, columns: tuple[TableColumn, ...]) -> tuple[str, ...] | None:
    names = content.get("primary-key")
    if names is None:
        return None
    known = {column.name for column in columns}
    if (
        not isinstance(names, list)
        or not all(type(name) is str and name in known for name in names)
        or len(set(names)) < len(names)
    ):
        raise not_dms(
            "names of columns as control.table-def.primary-key",
            "something else" if isinstance(names, list) else json_type(names),
        )
    return tuple(names) or None
