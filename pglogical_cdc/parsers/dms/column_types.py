"""The PostgreSQL types of columns: by the names that DMS has for types, or by the JSON alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pglogical_cdc.parsers.debezium.connect_values import PostgresType
from pglogical_cdc.parsers.dms.iso_times import date_text, time_text, timestamptz_text
from pglogical_cdc.parsers.dms.number_text import (
    float4_text,
    float8_text,
    integer_text,
    is_number,
    numeric_text,
)
from pglogical_cdc.parsers.dms.strict_json import Number

__all__ = ("NEVER_TOASTED", "UNKNOWN", "named_type", "type_of_json", "wider")

_NOT_FINITE: Final = ("NaN", "Infinity", "-Infinity")

NEVER_TOASTED: Final = frozenset(
    (
        *("int2", "int4", "int8", "float4", "float8", "bool"),
        *("date", "time", "timestamptz"),
    )
)
"""Types of fixed length, whose values the server always sends (``pg_type.typstorage``)."""


# -- from JSON values to PostgreSQL's text


def _boolean(value: Any) -> str:
    if isinstance(value, str):  # without MapBooleanAsBoolean
        return {"true": "t", "false": "f"}[value]
    return "t" if value else "f"


def _float4(value: Any) -> str:
    return value if value in _NOT_FINITE else float4_text(value)


def _float8(value: Any) -> str:
    return value if value in _NOT_FINITE else float8_text(value)


def _numeric(value: Any) -> str:
    # A string is also money in the form of some other country, which is no number to anybody else.
    return numeric_text(value) if is_number(value) else str(value)


def _bytes(value: Any) -> str:
    # "0x" cannot be the start of the digits themselves: those have no x.
    return "\\x" + bytes.fromhex(value.removeprefix("0x")).hex()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_INTEGER: Final = (Number,)
_NUMBER: Final = (Number, str)
_STRING: Final = (str,)
_SCALAR: Final = (str, Number, bool)

_INT8: Final = PostgresType("int8", _INTEGER, integer_text)
_NUMERIC: Final = PostgresType("numeric", _NUMBER, _numeric)
_BOOL: Final = PostgresType("bool", (bool, str), _boolean)
_BYTEA: Final = PostgresType("bytea", _STRING, _bytes)
_DATE: Final = PostgresType("date", _STRING, date_text)
_TIME: Final = PostgresType("time", _STRING, time_text)
_TIMESTAMP: Final = PostgresType("timestamptz", _STRING, timestamptz_text)
_TEXT: Final = PostgresType("text", _SCALAR, _text)

UNKNOWN: Final = PostgresType("text", _SCALAR, _text)
"""Of a column of which nothing but NULL was seen; compare with ``is``."""


# -- by the name of the type

_NAMED: Final[Mapping[str, PostgresType]] = {
    "BOOL": _BOOL,
    "BOOLEAN": _BOOL,
    "INT8": PostgresType("int2", _INTEGER, integer_text),
    "INT16": PostgresType("int2", _INTEGER, integer_text),
    "INT32": PostgresType("int4", _INTEGER, integer_text),
    "INT64": _INT8,
    "UINT8": PostgresType("int2", _INTEGER, integer_text),
    "UINT16": PostgresType("int4", _INTEGER, integer_text),
    "UINT32": _INT8,
    "UINT64": _NUMERIC,
    "FLOAT": PostgresType("float4", _NUMBER, _float4),
    "REAL4": PostgresType("float4", _NUMBER, _float4),
    "DOUBLE": PostgresType("float8", _NUMBER, _float8),
    "REAL8": PostgresType("float8", _NUMBER, _float8),
    "BYTES": _BYTEA,
    "BLOB": _BYTEA,
    "DATE": _DATE,
    "DATE32": _DATE,
    "TIME": _TIME,
    "TIMESTAMP": _TIMESTAMP,
    "DATETIME": _TIMESTAMP,
}
_LENGTHS: Final = range(1, 10_485_761)
_PRECISIONS: Final = range(1, 1001)
_SCALES: Final = range(-1000, 1001)
"""What ``varchar`` and ``numeric`` can be declared with (manual, "Data Types")."""


def named_type(
    name: str, length: int | None = None, precision: int | None = None, scale: int | None = None
) -> PostgresType:
    """Return the type of a column by its description in a ``table-def``.

    Args:
        name: ``type``; what is none of DMS's types is text.
        length: in characters.
        precision: of NUMERIC.
        scale: of NUMERIC.
    """
    if name == "NUMERIC":
        scale = scale or 0
        if precision is not None and precision in _PRECISIONS and scale in _SCALES:
            # numeric.c, make_numeric_typmod: the scale is a signed number of 11 bits.
            modifier = (precision << 16 | scale & 0x7FF) + 4
            return PostgresType("numeric", _NUMBER, _numeric, modifier)
        return _NUMERIC
    if name in ("STRING", "WSTRING") and length is not None and length in _LENGTHS:
        return PostgresType("varchar", _SCALAR, _text, length + 4)
    return _NAMED.get(name, _TEXT)


# -- by the JSON


def type_of_json(value: Any) -> PostgresType:
    """Return the type that a JSON value has by itself.

    Raises:
        TypeError: it is null, an array or an object, which no column has.
        ValueError: it is a number that ``numeric`` cannot hold.
    """
    if type(value) is bool:
        return _BOOL
    if type(value) is str:
        return _TEXT
    if type(value) is not Number:
        raise TypeError("no value of a column")
    text = numeric_text(value)
    return _INT8 if "." not in text and int(text[:21]) in _BIGINT else _NUMERIC


_BIGINT: Final = range(-(1 << 63), 1 << 63)


def wider(one: PostgresType, other: PostgresType) -> PostgresType:
    """Return the type that has the values of two types that the JSON has told."""
    if one is other or other is UNKNOWN:
        return one
    if one is UNKNOWN:
        return other
    return _NUMERIC if {one.name, other.name} == {"int8", "numeric"} else _TEXT
