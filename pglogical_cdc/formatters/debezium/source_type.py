"""``column.propagate.source.type``: the type of a column as the PostgreSQL JDBC driver tells it.

The parameters ``__debezium.source.column.*`` of a field's schema. Length and scale are the
precision, display size and scale that the driver derives from type and modifier.
"""

from __future__ import annotations

from typing import Final

from pglogical_cdc.events import Column, TableCatalog
from pglogical_cdc.formatters.wire.wire_type import WireType

__all__ = ("length_and_scale", "source_type_name", "source_type_parameters")

_UNBOUNDED: Final = 2147483647
_FIXED: Final = {
    "bool": (1, 0),
    "char": (1, 0),
    "int2": (5, 0),
    "int4": (10, 0),
    "int8": (19, 0),
    "oid": (10, 0),
    "float4": (8, 8),
    "float8": (17, 17),
    "date": (13, 0),
}
_TIME_SIZES: Final = {"time": 8, "timetz": 14, "timestamp": 22, "timestamptz": 28}
"""Characters without the fraction."""
_INTERVAL_SIZE: Final = 49
_SERIALS: Final = {"int2": "smallserial", "int4": "serial", "int8": "bigserial"}
"""What the driver calls a type where the default is the next value of a sequence."""
_SEARCH_PATH: Final = ("pg_catalog", "public")
"""Schemas whose types the driver names without them."""
_NUMERIC_DIGITS: Final = 131_089
"""What Debezium takes where numeric has no precision: the digits that a value can have."""


def source_type_parameters(
    column: Column, catalog: TableCatalog | None, wire_type: WireType, *, snapshot: bool = False
) -> tuple[tuple[str, str], ...]:
    """Return the parameters that tell a column's type.

    Args:
        column: the column.
        catalog: of its table.
        wire_type: its type.
        snapshot: whether it is of a snapshot, where the driver describes the columns.
    """
    name = source_type_name(column, catalog, snapshot=snapshot)
    length, scale = length_and_scale(wire_type, snapshot=snapshot)
    noted_scale = () if scale is None else (("__debezium.source.column.scale", str(scale)),)
    return (
        ("__debezium.source.column.type", name.upper()),
        ("__debezium.source.column.length", str(length)),
        *noted_scale,
        ("__debezium.source.column.name", column.name),
    )


def source_type_name(
    column: Column, catalog: TableCatalog | None, *, snapshot: bool = False
) -> str:
    """Return the name of a column's own type, of a domain the domain's.

    Args:
        column: the column.
        catalog: of its table.
        snapshot: whether it is the name that the driver gives the type.
    """
    found = None if catalog is None else catalog.types.get(column.type_oid)
    name = column.type_name if found is None else found.name
    if snapshot and found is not None and found.schema not in _SEARCH_PATH:
        return f'"{found.schema}"."{found.name}"'
    if snapshot and name in _SERIALS:
        details = None if catalog is None else catalog.column(column.name)
        if details is not None and "nextval(" in (details.default or ""):
            return _SERIALS[name]
    return "" if name is None else name


def length_and_scale(wire_type: WireType, *, snapshot: bool = False) -> tuple[int, int | None]:
    """Return the length and the scale that Debezium takes a column to have.

    Args:
        wire_type: its type.
        snapshot: whether it is of a snapshot, where the driver describes the columns.
    """
    name, modifier = wire_type.name, wire_type.modifier
    if wire_type.kind == "b" and name is not None:
        if name in _FIXED:
            return _FIXED[name]
        if name == "numeric":
            if modifier < 4:
                described = snapshot and not (wire_type.is_array or wire_type.is_domain)
                return (0, None) if described else (_NUMERIC_DIGITS, 0)
            return (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
        if name in ("varchar", "bpchar") and modifier >= 4:
            return modifier - 4, 0
        if name in ("bit", "varbit") and modifier >= 0:
            return modifier, 0
        if name in _TIME_SIZES:
            digits = 6 if modifier < 0 else modifier
            # The point takes a character; for one digit the driver counts three in all.
            size = 0 if digits == 0 else 3 if digits == 1 else digits + 1
            return _TIME_SIZES[name] + size, digits
        if name == "interval":
            return _INTERVAL_SIZE, 6 if modifier < 0 else modifier & 0xFFFF
    return _UNBOUNDED, 0
