"""The rule of each PostgreSQL type in Debezium's JSON: converter, zero, and TOAST placeholder."""

from __future__ import annotations

import hashlib
import uuid
from binascii import b2a_base64
from collections.abc import Callable
from typing import Final

from pglogical_cdc._attrs import record
from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.wire.arrays import array_converter, integer_array_json
from pglogical_cdc.formatters.wire.binary import base64_json, bits_json, bytea_converter
from pglogical_cdc.formatters.wire.convert import Convert, bool_json, withheld
from pglogical_cdc.formatters.wire.geometry import geometric_base64_json, point_json
from pglogical_cdc.formatters.wire.hstore import hstore_json, hstore_map_json
from pglogical_cdc.formatters.wire.json_text import float4_json, float8_json, json_string, json_text
from pglogical_cdc.formatters.wire.numbers import (
    decimal_converter,
    double_json,
    money_text,
    numeric_string_json,
    variable_scale_json,
)
from pglogical_cdc.formatters.wire.times import (
    TimeUnit,
    array_time_converter,
    date_json,
    interval_json,
    interval_text_json,
    time_converter,
    timestamp_converter,
    timestamptz_converter,
    timetz_json,
)
from pglogical_cdc.formatters.wire.vectors import (
    float_vector_json,
    sparse_vector_json,
    vector_json,
)
from pglogical_cdc.formatters.wire.wire_type import WireType

__all__ = ("TypeRule", "type_rule")


@record
class TypeRule:
    """How values of a type are written."""

    convert: Convert | None
    """None if the wire text is JSON already."""
    zero: bytes
    """What stands for NULL in a column that is NOT NULL (the rest of a key image)."""
    unchanged: bytes | None = None
    """What stands for a TOASTed value that was not sent; None: NULL does."""


# -- scalars

_ENUM: Final = "enum"
_STRINGS: Final = frozenset(
    (
        *("text", "varchar", "bpchar", "char", "citext", "json", "jsonb", "xml", "uuid", "isbn"),
        *("inet", "cidr", "macaddr", "macaddr8", "ltree", "tsvector", _ENUM),
        *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
    )
)
_INTEGERS: Final = frozenset(("int2", "int4", "int8", "oid"))
_VECTORS: Final[dict[str, tuple[Convert, bytes]]] = {
    "vector": (vector_json, b"[]"),
    "halfvec": (float_vector_json, b"[]"),
    "sparsevec": (sparse_vector_json, b'{"dimensions":0,"vector":[]}'),
}
_ZERO_POINT: Final = point_json(b"(0,0)")
_ZERO_DECIMAL: Final = b'"AA=="'

_TIMESTAMP_UNITS: Final[dict[str, TimeUnit]] = {
    "connect": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
}


def _time_unit(name: str, modifier: int, options: TypeOptions) -> TimeUnit:
    if options.time == "adaptive_time_microseconds" and name == "time":
        return "us"
    adapted: TimeUnit = "ms" if 0 <= modifier <= 3 else "us"
    return _TIMESTAMP_UNITS.get(options.time, adapted)


def _numeric(modifier: int, options: TypeOptions) -> TypeRule:
    if options.decimal == "double":
        return TypeRule(double_json, b"0.0")
    if options.decimal == "string":
        return TypeRule(numeric_string_json, b'"0"', json_text(options.placeholder))
    if modifier < 4:
        return TypeRule(variable_scale_json, b'{"scale":0,"value":"AA=="}')
    # The low 11 bits of the modifier are the scale with a sign (manual: numeric(5,-2)); Debezium
    # reads them without one, so that a scale of -2 is 2046.
    return TypeRule(decimal_converter((modifier - 4) & 0x7FF), _ZERO_DECIMAL)


def _money(options: TypeOptions) -> TypeRule:
    convert: Convert = decimal_converter(2)
    zero = _ZERO_DECIMAL
    if options.decimal == "double":
        convert, zero = double_json, b"0.0"
    elif options.decimal == "string":
        convert, zero = numeric_string_json, b'"0"'

    def money_json(value: bytes) -> bytes | None:
        return convert(money_text(value))

    return TypeRule(money_json, zero)


def _bytea(options: TypeOptions) -> TypeRule:
    placeholder = options.placeholder.encode()
    unchanged: bytes | None = None
    if options.binary == "bytes":
        unchanged = base64_json(placeholder)
    elif options.binary == "hex":
        unchanged = json_text(options.placeholder)
    return TypeRule(bytea_converter(options.binary), b'""', unchanged)


def _hstore(options: TypeOptions) -> TypeRule:
    key = json_text(options.placeholder)
    if options.hstore == "map":
        return TypeRule(hstore_map_json, b"{}", b"{%b:%b}" % (key, key))
    inner = key.decode()
    return TypeRule(hstore_json, b'"{}"', json_text(f"{{{inner}:{inner}}}"))


def _scalar(name: str, modifier: int, options: TypeOptions) -> TypeRule | None:
    """Return the rule of a type, None if Debezium does not know it."""
    if name in _INTEGERS:
        return TypeRule(None, b"0")
    if name in _STRINGS:
        return TypeRule(json_string, b'""', json_text(options.placeholder))
    if name in _VECTORS:
        return TypeRule(*_VECTORS[name])
    if name in ("time", "timestamp"):
        unit = _time_unit(name, modifier, options)
        make = time_converter if name == "time" else timestamp_converter
        return TypeRule(make(unit), b"0")
    if name in ("bit", "varbit"):
        return TypeRule(bool_json, b"false") if modifier == 1 else TypeRule(bits_json, b'""')
    if name == "timestamptz":
        precision = modifier if 0 <= modifier <= 6 else 6
        return TypeRule(timestamptz_converter(precision), b'"1970-01-01T00:00:00Z"')
    if name == "interval" and options.interval == "string":
        return TypeRule(interval_text_json, b'"P0Y0M0DT0H0M0S"')
    if name == "name":
        # Debezium 3.6.3 loses it when it streams, unless it is told to keep unknown types.
        return TypeRule(json_string if options.include_unknown else withheld, b'""')
    if name == "numeric":
        return _numeric(modifier, options)
    made = _MADE.get(name)
    return _FIXED.get(name) if made is None else made(options)


_FIXED: Final[dict[str, TypeRule]] = {
    "bool": TypeRule(bool_json, b"false"),
    "float4": TypeRule(float4_json, b"0.0"),
    "float8": TypeRule(float8_json, b"0.0"),
    "date": TypeRule(date_json, b"0"),
    "timetz": TypeRule(timetz_json, b'"00:00:00Z"'),
    "interval": TypeRule(interval_json, b"0"),
    "point": TypeRule(point_json, _ZERO_POINT),
}
_MADE: Final[dict[str, Callable[[TypeOptions], TypeRule]]] = {
    "bytea": _bytea,
    "hstore": _hstore,
    "money": _money,
}

# -- arrays

_LOST_ARRAYS: Final = frozenset(("money", "name", "interval", "xml", "varbit", "point"))
"""Element types whose arrays Debezium never has, not even among unknown types."""
_NO_NULL_ELEMENTS: Final = frozenset((_ENUM, "ltree", "tsvector", "isbn", *_VECTORS))
"""Element types in whose arrays a NULL makes the whole array NULL."""
_TEXT_PLACEHOLDER: Final = frozenset(("text", "varchar", "json", "jsonb"))
_BYTES_PLACEHOLDER: Final = frozenset(("int4", "int8"))


def _unchanged_array(name: str, options: TypeOptions) -> bytes | None:
    placeholder = options.placeholder.encode()
    if name in _TEXT_PLACEHOLDER:
        return b"[%b]" % json_text(options.placeholder)
    if name in _BYTES_PLACEHOLDER or (name == "date" and options.time != "connect"):
        # Debezium puts the bytes of the placeholder, as they are, where numbers belong.
        return b"[%b]" % b",".join([b"%d" % byte for byte in placeholder])
    if name == "bytea" and options.binary == "bytes":
        return b'["%b"]' % b2a_base64(placeholder, newline=False)
    if name == "uuid":
        # UUID.nameUUIDFromBytes: version 3 over the bytes alone, without a name space.
        digest = hashlib.md5(placeholder, usedforsecurity=False).digest()
        return b'["%b"]' % str(uuid.UUID(bytes=digest, version=3)).encode()
    return None


def _array(
    name: str, modifier: int, element: TypeRule, options: TypeOptions, *, not_null: bool
) -> TypeRule:
    if name == "bit":
        # Debezium takes the column for a single bit string and finds no value for it; where
        # there has to be one it stops. The bit strings are the nearest there is.
        return TypeRule(array_converter(bits_json) if not_null else withheld, b'""')
    convert, nested = element.convert, None
    if name in _INTEGERS:
        convert_array: Convert = integer_array_json
    else:
        if name == "time":
            convert = array_time_converter(_time_unit(name, modifier, options))
        if name in _STRINGS:
            nested = json_string
        convert_array = array_converter(
            convert,
            nested=nested,
            # Debezium stops at a NULL among them in a NOT NULL column; a null is true to it.
            null_elements=not_null or name not in _NO_NULL_ELEMENTS,
        )
    return TypeRule(convert_array, b"[]", _unchanged_array(name, options))


_GEOMETRIC: Final = frozenset(("line", "lseg", "box", "path", "polygon", "circle"))


def _unknown(wire_type: WireType, options: TypeOptions) -> TypeRule | None:
    if not options.include_unknown:
        return None
    if not wire_type.is_array:
        convert = geometric_base64_json if wire_type.name in _GEOMETRIC else base64_json
        return TypeRule(convert, b'""', base64_json(options.placeholder.encode()))
    delimiter = b";" if wire_type.name == "box" else b","
    return TypeRule(array_converter(base64_json, null_elements=False, delimiter=delimiter), b"[]")


def type_rule(wire_type: WireType, options: TypeOptions, *, not_null: bool) -> TypeRule | None:
    """Return the rule of a column.

    Args:
        wire_type: the column's type.
        options: the formatter's options.
        not_null: whether the column is NOT NULL.

    Returns:
        None if the column is left out, as Debezium leaves out the types that it does not know.
    """
    # Enums, and domains over them (at which Debezium stops), are strings. The element of an
    # array may be a domain; Debezium does not look below it.
    name = _ENUM if wire_type.kind == "e" else wire_type.name
    if name is None or wire_type.kind in "cdmp":
        return _unknown(wire_type, options)
    if wire_type.is_array and name in _LOST_ARRAYS:
        return None
    scalar = _scalar(name, wire_type.modifier, options)
    if scalar is None:
        return _unknown(wire_type, options)
    if wire_type.is_array:
        return _array(name, wire_type.modifier, scalar, options, not_null=not_null)
    return scalar
