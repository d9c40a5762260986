"""The types of columns as DMS names them in a ``table-def``, and which of them are LOBs.

Names and lengths are those of captured ``create-table`` records and, where those have none, of the
DMS user guide ("Source data types for PostgreSQL", "Data types for AWS Database Migration
Service"). Not verified against AWS: TIME, BYTES and NUMERIC as names, and ``precision`` and
``scale`` as members.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pglogical_cdc._attrs import record
from pglogical_cdc.events import Column, Relation, base_type
from pglogical_cdc.events.base_type import below_domains

__all__ = ("ColumnType", "column_type")


@record
class ColumnType:
    """The type of a column."""

    name: str
    """``INT32``, ``STRING``, ..."""
    length: int | None = None
    """In characters; None if the type has none."""
    precision: int | None = None
    scale: int | None = None
    is_lob: bool = False
    """Whether DMS moves the values as large objects (NCLOB, CLOB, BLOB)."""


MAX_DIGITS: Final = 38
"""DMS's NUMERIC holds so many digits; a wider column is a STRING."""

_LOB: Final = ColumnType("STRING", is_lob=True)
_ENUM: Final = ColumnType("STRING", 64)
_RANGE: Final = ColumnType("STRING", 255)

_FIXED: Final[Mapping[str, ColumnType]] = {
    "int2": ColumnType("INT16"),
    "int4": ColumnType("INT32"),
    "int8": ColumnType("INT64"),
    "oid": ColumnType("INT64"),
    "float4": ColumnType("FLOAT"),
    "float8": ColumnType("DOUBLE"),
    "money": ColumnType("NUMERIC", precision=MAX_DIGITS, scale=4),
    "date": ColumnType("DATE32"),
    "time": ColumnType("TIME"),
    "timetz": ColumnType("TIME"),
    "timestamp": ColumnType("TIMESTAMP"),
    "timestamptz": ColumnType("TIMESTAMP"),
    "bytea": ColumnType("BYTES", is_lob=True),
    "interval": ColumnType("STRING", 128),
    "uuid": ColumnType("STRING", 36),
    "inet": ColumnType("STRING", 50),
    "cidr": ColumnType("STRING", 50),
    "macaddr": ColumnType("STRING", 18),
    "macaddr8": ColumnType("STRING", 23),
    "name": ColumnType("STRING", 63),
    "char": ColumnType("STRING", 1),
    "point": ColumnType("STRING", 255),
    "line": ColumnType("STRING", 255),
    "lseg": ColumnType("STRING", 255),
    "box": ColumnType("STRING", 255),
    "circle": ColumnType("STRING", 255),
    **dict.fromkeys(
        ("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"), _RANGE
    ),
}

_VARCHAR_LENGTH: Final = 8000
"""Of a varchar without a length."""


def column_type(relation: Relation, column: Column, *, boolean: bool = True) -> ColumnType:
    """Return the type of a column, below its domains.

    Args:
        relation: the version of the table.
        column: one of its columns.
        boolean: ``MapBooleanAsBoolean``: whether a boolean is one, and not a CHAR(5).
    """
    name, modifier = base_type(relation, column)
    match name:
        case None:
            found = below_domains(column, relation.catalog)[2]
            if found is not None and found.kind == "e":
                return _ENUM
            return _RANGE if found is not None and found.kind == "r" else _LOB
        case "bool":
            return ColumnType("BOOL") if boolean else ColumnType("STRING", 5)
        case "varchar":
            # varchar.c: the modifier is the length plus VARHDRSZ (4).
            return ColumnType("STRING", modifier - 4 if modifier >= 4 else _VARCHAR_LENGTH)
        case "bpchar" if modifier >= 4:
            return ColumnType("STRING", modifier - 4)
        case "bit" | "varbit" if modifier > 0:
            return ColumnType("STRING", modifier)
        case "numeric":
            return _numeric(modifier)
    return _FIXED.get(name, _LOB)


def _numeric(modifier: int) -> ColumnType:
    if modifier < 4:
        # User guide, limitations of PostgreSQL as a source: numeric without precision and scale.
        return ColumnType("NUMERIC", precision=28, scale=6)
    # numeric.c, make_numeric_typmod: the scale is a signed number of 11 bits.
    precision = (modifier - 4) >> 16 & 0xFFFF
    scale = ((modifier - 4 & 0x7FF) ^ 1024) - 1024
    if precision > MAX_DIGITS:
        return ColumnType("STRING", precision + 2)  # sign and point
    return ColumnType("NUMERIC", precision=precision, scale=scale)
