"""From the JSON of Kafka Connect's values back to PostgreSQL's types and their text.

With a schema the type is what the schema's logical name says; without one it is what the JSON
itself can tell: bool, numbers, text, and JSON for arrays and objects.
"""

from __future__ import annotations

import functools
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
"""From a JSON value of the right kind to the text of the PostgreSQL type."""

_OIDS: Final[Mapping[str, int]] = {name: oid for oid, name in BUILTIN_TYPES.items()}
_ARRAYS: Final[Mapping[int, int]] = {
    element: array for array, element in BUILTIN_ARRAY_ELEMENTS.items()
}
_MAX_SCALE: Final = 16_383
_MAX_BITS: Final = 83_886_080
"""The limits of ``numeric`` and ``bit`` (manual, "Numeric Types" and "Bit String Types")."""


@record(unsafe_hash=True)
class PostgresType:
    """A type, and how to make its text of a JSON value."""

    name: str
    """``pg_type.typname``."""
    takes: tuple[type, ...]
    """The classes of the JSON values that it has."""
    convert: ToText
    modifier: int = -1

    @property
    def oid(self) -> int:
        """``pg_type.oid``: all are built in."""
        return _OIDS[self.name]

    def text(self, value: Any) -> str:
        """Return the text of a JSON value, not null.

        Raises:
            TypeError: the value is of another class.
            ValueError, LookupError, ArithmeticError: it is not of the form that it should have.
        """
        # Exactly: a bool is an int to isinstance.
        if type(value) not in self.takes:
            raise TypeError("not of the type of its column")
        return self.convert(value)


# -- scalars


def _number(value: Any) -> str:
    if isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity"):
        raise ValueError("no number")
    return value if isinstance(value, str) else repr(value)


def _boolean(value: Any) -> str:
    return "t" if value else "f"


def _plain_bytes(value: Any) -> bytes:
    return b64decode(value, validate=True)


def _bytes(value: Any) -> str:
    return "\\x" + _plain_bytes(value).hex()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _within(number: Any, low: int, high: int) -> int:
    if type(number) is not int or not low <= number <= high:
        raise ValueError("out of range")
    return number


@functools.lru_cache(maxsize=1024)
def _decimal(scale: int) -> ToText:
    _within(scale, -_MAX_SCALE, _MAX_SCALE)

    def to_text(value: Any) -> str:
        # Not by Decimal's arithmetic, which rounds to the precision of a context.
        unscaled = int.from_bytes(_plain_bytes(value), "big", signed=True)
        sign, digits, _ = Decimal(unscaled).as_tuple()
        return f"{Decimal((sign, digits, -scale)):f}"

    return to_text


def _variable_scale(value: Any) -> str:
    return _decimal(_within(value["scale"], -_MAX_SCALE, _MAX_SCALE))(value["value"])


@functools.lru_cache(maxsize=1024)
def _bits(length: int) -> ToText:
    if length != _UNBOUNDED:
        _within(length, 1, _MAX_BITS)

    def to_text(value: Any) -> str:
        number = int.from_bytes(_plain_bytes(value), "little")
        digits = f"{number:b}" if number else ""
        return digits if length == _UNBOUNDED else digits.rjust(length, "0")

    return to_text


def _point(value: Any) -> str:
    return f"({_float_text(value['x'])},{_float_text(value['y'])})"


_UNBOUNDED: Final = 2147483647
_MILLISECONDS: Final = 3
"""The type modifier of ``time(3)`` and ``timestamp(3)``: adaptive modes write no more as that."""
_TEXT: Final = (str,)
_INT: Final = (int,)
_JSONB: Final = PostgresType("jsonb", (list, dict), _json)
_FLOAT8: Final = PostgresType("float8", (int, float, str), _number)
_float_text: Final = _FLOAT8.text
_PLAIN: Final[Mapping[str, PostgresType]] = {
    "boolean": PostgresType("bool", (bool,), _boolean),
    "int8": PostgresType("int2", _INT, str),
    "int16": PostgresType("int2", _INT, str),
    "int32": PostgresType("int4", _INT, str),
    "int64": PostgresType("int8", _INT, str),
    "float": PostgresType("float4", (int, float, str), _number),
    "double": _FLOAT8,
    "string": PostgresType("text", _TEXT, str),
    "bytes": PostgresType("bytea", _TEXT, _bytes),
    "map": _JSONB,
    "struct": _JSONB,
}
_NAMED: Final[Mapping[str, PostgresType]] = {
    "io.debezium.data.VariableScaleDecimal": PostgresType("numeric", (dict,), _variable_scale),
    "io.debezium.data.Uuid": PostgresType("uuid", _TEXT, str),
    "io.debezium.data.Json": PostgresType("json", _TEXT, str),
    "io.debezium.data.Xml": PostgresType("xml", _TEXT, str),
    "io.debezium.data.Tsvector": PostgresType("tsvector", _TEXT, str),
    "io.debezium.data.geometry.Point": PostgresType("point", (dict,), _point),
    "io.debezium.time.Date": PostgresType("date", _INT, date_text),
    "io.debezium.time.Time": PostgresType("time", _INT, time_text(1_000), _MILLISECONDS),
    "io.debezium.time.MicroTime": PostgresType("time", _INT, time_text(1)),
    "io.debezium.time.NanoTime": PostgresType("time", _INT, time_text(-1_000)),
    "io.debezium.time.Timestamp": PostgresType(
        "timestamp", _INT, timestamp_text(1_000), _MILLISECONDS
    ),
    "io.debezium.time.MicroTimestamp": PostgresType("timestamp", _INT, timestamp_text(1)),
    "io.debezium.time.NanoTimestamp": PostgresType("timestamp", _INT, timestamp_text(-1_000)),
    "io.debezium.time.MicroDuration": PostgresType("interval", _INT, duration_text),
    "io.debezium.time.Interval": PostgresType("interval", _TEXT, interval_text),
    "io.debezium.time.ZonedTime": PostgresType("timetz", _TEXT, iso_time_text("+00")),
    "io.debezium.time.ZonedTimestamp": PostgresType(
        "timestamptz", _TEXT, iso_timestamp_text("+00")
    ),
    "io.debezium.time.IsoDate": PostgresType("date", _TEXT, iso_date_text),
    "io.debezium.time.IsoTime": PostgresType("time", _TEXT, iso_time_text("")),
    "io.debezium.time.IsoTimestamp": PostgresType("timestamp", _TEXT, iso_timestamp_text("")),
    "org.apache.kafka.connect.data.Date": PostgresType("date", _INT, date_text),
    "org.apache.kafka.connect.data.Time": PostgresType("time", _INT, time_text(1_000)),
    "org.apache.kafka.connect.data.Timestamp": PostgresType(
        "timestamp", _INT, timestamp_text(1_000)
    ),
}


def postgres_type(schema: Mapping[str, Any]) -> PostgresType:
    """Return the type of the values of a Connect schema; the same schema gives the same type.

    Args:
        schema: the schema, as `json.loads` gives it.

    Raises:
        TypeError, ValueError, LookupError, ArithmeticError: it is none.
    """
    name, parameters = schema.get("name"), schema.get("parameters") or {}
    if name == "org.apache.kafka.connect.data.Decimal":
        scale = int(parameters["scale"])
        precision = parameters.get("connect.decimal.precision")
        modifier = -1
        if precision is not None and 0 <= scale < 1024:
            modifier = (_within(int(precision), 1, 1000) << 16 | scale) + 4
        return PostgresType("numeric", _TEXT, _decimal(scale), modifier)
    if name == "io.debezium.data.Bits":
        length = int(parameters["length"])
        if length == _UNBOUNDED:
            return PostgresType("varbit", _TEXT, _bits(length))
        return PostgresType("bit", _TEXT, _bits(length), length)
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
        return element
    if element.oid not in _ARRAYS:
        return _JSONB
    name = BUILTIN_TYPES[_ARRAYS[element.oid]]
    return PostgresType(name, (list,), _array_text(element), element.modifier)


@functools.lru_cache(maxsize=1024)
def _array_text(element: PostgresType) -> ToText:
    def text_of(value: Any) -> str:
        return f"{{{','.join(map(item, value))}}}"

    def item(value: Any) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, list):
            return text_of(value)
        text = element.text(value)
        if _PLAIN_ELEMENT.fullmatch(text) and text.upper() != "NULL":
            return text
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    return text_of


# -- without a schema

_BOOL: Final = _PLAIN["boolean"]
_INT8: Final = _PLAIN["int64"]
_STRING: Final = _PLAIN["string"]
_NUMERIC: Final = PostgresType("numeric", _INT, str)
_BIGINT: Final = range(-(1 << 63), 1 << 63)
_BY_CLASS: Final[Mapping[type, PostgresType]] = {
    bool: _BOOL,
    float: _FLOAT8,
    str: _STRING,
    list: _JSONB,
    dict: _JSONB,
}


def type_of_json(value: Any) -> PostgresType:
    """Return the type that a JSON value other than null has by itself."""
    if type(value) is int:
        return _INT8 if value in _BIGINT else _NUMERIC
    return _BY_CLASS[type(value)]
