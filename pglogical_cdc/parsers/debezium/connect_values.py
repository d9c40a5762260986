"""From the JSON of Kafka Connect's values back to PostgreSQL's types and their text.

With a schema the type is what the schema's logical name says; without one it is what the JSON
itself can tell: bool, numbers, text, and JSON for arrays and objects.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from pglogical_cdc._attrs import record
from pglogical_cdc.events import BUILTIN_ARRAY_ELEMENTS, BUILTIN_TYPES
from pglogical_cdc.parsers.debezium.connect_times import (
    date_text,
    duration_text,
    interval_text,
    iso_date_text,
    iso_time_text,
    iso_timestamp_text,
    time_text,
    timestamp_text,
)

__all__ = ("PostgresType", "ToText", "postgres_type", "type_of_json")

ToText: TypeAlias = Callable[[Any], str]
"""From a JSON value, never null, to the text of the PostgreSQL type."""

_OIDS: Final[Mapping[str, int]] = {name: oid for oid, name in BUILTIN_TYPES.items()}
_ARRAYS: Final[Mapping[int, int]] = {
    element: array for array, element in BUILTIN_ARRAY_ELEMENTS.items()
}


@record
class PostgresType:
    """A type, and how to make its text of a JSON value."""

    name: str
    """``pg_type.typname``."""
    to_text: ToText
    modifier: int = -1

    @property
    def oid(self) -> int:
        """``pg_type.oid``: all are built in."""
        return _OIDS[self.name]


# -- scalars


def _number(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _boolean(value: Any) -> str:
    return "t" if value else "f"


def _bytes(value: Any) -> str:
    return "\\x" + b64decode(value).hex()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _unscaled(value: Any) -> int:
    return int.from_bytes(b64decode(value), "big", signed=True)


def _decimal(scale: int) -> ToText:
    def to_text(value: Any) -> str:
        # Not by Decimal's arithmetic, which rounds to the precision of a context.
        sign, digits, _ = Decimal(_unscaled(value)).as_tuple()
        return f"{Decimal((sign, digits, -scale)):f}"

    return to_text


def _variable_scale(value: Any) -> str:
    return _decimal(value["scale"])(value["value"])


def _bits(length: int) -> ToText:
    def to_text(value: Any) -> str:
        number = int.from_bytes(b64decode(value), "little")
        digits = f"{number:b}" if number else ""
        return digits if length == _UNBOUNDED else digits.rjust(length, "0")

    return to_text


def _point(value: Any) -> str:
    return f"({_number(value['x'])},{_number(value['y'])})"


_UNBOUNDED: Final = 2147483647
_MILLISECONDS: Final = 3
"""The type modifier of ``time(3)`` and ``timestamp(3)``: adaptive modes write no more as that."""
_JSONB: Final = PostgresType("jsonb", _json)
_PLAIN: Final[Mapping[str, PostgresType]] = {
    "boolean": PostgresType("bool", _boolean),
    "int8": PostgresType("int2", str),
    "int16": PostgresType("int2", str),
    "int32": PostgresType("int4", str),
    "int64": PostgresType("int8", str),
    "float": PostgresType("float4", _number),
    "double": PostgresType("float8", _number),
    "string": PostgresType("text", str),
    "bytes": PostgresType("bytea", _bytes),
    "map": _JSONB,
    "struct": _JSONB,
}
_NAMED: Final[Mapping[str, PostgresType]] = {
    "io.debezium.data.VariableScaleDecimal": PostgresType("numeric", _variable_scale),
    "io.debezium.data.Uuid": PostgresType("uuid", str),
    "io.debezium.data.Json": PostgresType("json", str),
    "io.debezium.data.Xml": PostgresType("xml", str),
    "io.debezium.data.Tsvector": PostgresType("tsvector", str),
    "io.debezium.data.geometry.Point": PostgresType("point", _point),
    "io.debezium.time.Date": PostgresType("date", date_text),
    "io.debezium.time.Time": PostgresType("time", time_text(1_000), _MILLISECONDS),
    "io.debezium.time.MicroTime": PostgresType("time", time_text(1)),
    "io.debezium.time.NanoTime": PostgresType("time", time_text(-1_000)),
    "io.debezium.time.Timestamp": PostgresType("timestamp", timestamp_text(1_000), _MILLISECONDS),
    "io.debezium.time.MicroTimestamp": PostgresType("timestamp", timestamp_text(1)),
    "io.debezium.time.NanoTimestamp": PostgresType("timestamp", timestamp_text(-1_000)),
    "io.debezium.time.MicroDuration": PostgresType("interval", duration_text),
    "io.debezium.time.Interval": PostgresType("interval", interval_text),
    "io.debezium.time.ZonedTime": PostgresType("timetz", iso_time_text("+00")),
    "io.debezium.time.ZonedTimestamp": PostgresType("timestamptz", iso_timestamp_text("+00")),
    "io.debezium.time.IsoDate": PostgresType("date", iso_date_text),
    "io.debezium.time.IsoTime": PostgresType("time", iso_time_text("")),
    "io.debezium.time.IsoTimestamp": PostgresType("timestamp", iso_timestamp_text("")),
    "org.apache.kafka.connect.data.Date": PostgresType("date", date_text),
    "org.apache.kafka.connect.data.Time": PostgresType("time", time_text(1_000)),
    "org.apache.kafka.connect.data.Timestamp": PostgresType("timestamp", timestamp_text(1_000)),
}


def postgres_type(schema: Mapping[str, Any]) -> PostgresType:
    """Return the type of the values of a Connect schema.

    Args:
        schema: the schema, as `json.loads` gives it.
    """
    name, parameters = schema.get("name"), schema.get("parameters") or {}
    if name == "org.apache.kafka.connect.data.Decimal":
        scale = int(parameters["scale"])
        precision = parameters.get("connect.decimal.precision")
        modifier = -1
        if precision is not None and 0 <= scale < 1024:
            modifier = (int(precision) << 16 | scale) + 4
        return PostgresType("numeric", _decimal(scale), modifier)
    if name == "io.debezium.data.Bits":
        length = int(parameters["length"])
        if length == _UNBOUNDED:
            return PostgresType("varbit", _bits(length))
        return PostgresType("bit", _bits(length), length)
    if isinstance(name, str) and name in _NAMED:
        return _NAMED[name]
    if schema["type"] == "array":
        return _array(postgres_type(schema["items"]))
    return _PLAIN.get(schema["type"], _JSONB)


# -- arrays

_PLAIN_ELEMENT: Final = re.compile(r"[\w.+:-]+", re.ASCII)
"""What needs no quotes in the text of an array; the server writes numbers without."""


def _array(element: PostgresType) -> PostgresType:
    if element.name.startswith("_"):
        # Several dimensions have the type of one.
        return PostgresType(element.name, element.to_text, element.modifier)
    if element.oid not in _ARRAYS:
        return _JSONB
    name = BUILTIN_TYPES[_ARRAYS[element.oid]]
    return PostgresType(name, _array_text(element.to_text), element.modifier)


def _array_text(to_text: ToText) -> ToText:
    def text_of(value: Any) -> str:
        return f"{{{','.join(map(item, value))}}}"

    def item(value: Any) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, list):
            return text_of(value)
        text = to_text(value)
        if _PLAIN_ELEMENT.fullmatch(text) and text.upper() != "NULL":
            return text
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    return text_of


# -- without a schema

_BOOL: Final = _PLAIN["boolean"]
_INT8: Final = _PLAIN["int64"]
_FLOAT8: Final = _PLAIN["double"]
_TEXT: Final = _PLAIN["string"]
_NUMERIC: Final = PostgresType("numeric", str)
_BIGINT: Final = range(-(1 << 63), 1 << 63)
_BY_CLASS: Final[Mapping[type, PostgresType]] = {
    bool: _BOOL,
    float: _FLOAT8,
    str: _TEXT,
    list: _JSONB,
    dict: _JSONB,
}


def type_of_json(value: Any) -> PostgresType:
    """Return the type that a JSON value other than null has by itself."""
    if type(value) is int:
        return _INT8 if value in _BIGINT else _NUMERIC
    return _BY_CLASS[type(value)]
