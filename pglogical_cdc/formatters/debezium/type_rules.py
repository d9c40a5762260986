"""The rule of each PostgreSQL type in Debezium's JSON: that of a scalar, or of an array of it."""

from __future__ import annotations

import uuid
from binascii import b2a_base64
from collections.abc import Callable
from typing import Final, Literal

from attrs import evolve

from pglogical_cdc.formatters.debezium.connect_schema import array_of
from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.debezium.scalar_rules import (
    ENUM,
    INTEGERS,
    STRINGS,
    TypeRule,
    scalar_rule,
    unknown_rule,
)
from pglogical_cdc.formatters.wire.array_times import ARRAY_TEXTS, has_lost_day
from pglogical_cdc.formatters.wire.arrays import (
    array_converter,
    dimensions,
    integer_array_json,
    nested_integer_array_json,
)
from pglogical_cdc.formatters.wire.convert import Convert, Text, withheld
from pglogical_cdc.formatters.wire.json_text import json_string, json_text, utf8
from pglogical_cdc.formatters.wire.wire_type import WireType

__all__ = ("type_rule",)

_LOST: Final = frozenset(("money", "name", "interval", "xml", "varbit", "point", "refcursor"))
"""Element types whose arrays Debezium never has, not even among unknown types."""
_LOST_ELEMENTS: Final = frozenset(("int2vector", "oidvector", "sparsevec"))
"""Element types of whose arrays Debezium has the empty ones only."""
_NO_NULLS: Final = _LOST_ELEMENTS | frozenset(
    (ENUM, "ltree", "tsvector", "isbn", "vector", "halfvec")
)
"""Element types in whose arrays a NULL makes the whole array NULL."""
_REQUIRED: Final = _NO_NULLS - {"ltree"}
"""Element types that the array's schema calls required."""


def type_rule(wire_type: WireType, options: TypeOptions, *, not_null: bool) -> TypeRule | None:
    """Return the rule of a column.

    Args:
        wire_type: the column's type.
        options: the formatter's options.
        not_null: whether the column is NOT NULL.

    Returns:
        None if the column is left out, as Debezium leaves out the types that it does not know.
    """
    name = ENUM if wire_type.kind == "e" else wire_type.name
    # The element of an array may be a domain; Debezium does not look below it.
    if wire_type.kind in "cdmp" or name is None:
        rule = None
    elif wire_type.is_array and name in _LOST and not options.faithful:
        return None
    else:
        rule = scalar_rule(wire_type, options)
    if rule is None:
        rule = unknown_rule(wire_type, options)
        if rule is None or not wire_type.is_array:
            return rule
        return _unknown_array(wire_type, rule, options, not_null=not_null)
    if not wire_type.is_array:
        return _as_required(wire_type, rule) if not_null else rule
    if name == "bit" and not (options.faithful or not_null):
        # Debezium takes the column for a single bit string and finds no value for it.
        return TypeRule(rule.schema, withheld, rule.zero)
    return _array(wire_type, rule, options, not_null=not_null)


def _as_required(wire_type: WireType, rule: TypeRule) -> TypeRule:
    # A name is lost when it streams, and where it must not be NULL Debezium stops for that: here
    # it is written.
    if wire_type.name == "name" and wire_type.kind == "b":
        return evolve(rule, convert=json_string)
    return rule


def _array(
    wire_type: WireType, element: TypeRule, options: TypeOptions, *, not_null: bool
) -> TypeRule:
    name = ENUM if wire_type.kind == "e" else wire_type.name or ""
    convert = element.convert
    items = element.schema
    bends = not (options.faithful or not_null)
    if options.faithful and name == "sparsevec" and element.otherwise is not None:
        items, convert = element.otherwise.schema, element.otherwise.convert
    if bends and name in _LOST_ELEMENTS:
        convert = withheld
    text_of = None if options.faithful else ARRAY_TEXTS.get(name)
    if text_of is not None and convert is not None:
        convert = _of_text(text_of, convert)
    nested: Callable[[bytes], bytes] | Literal["array"] | None = None
    if options.faithful:
        nested = "array"
    elif name in STRINGS:
        nested = json_string
    if name in INTEGERS:
        convert_array: Convert = (
            nested_integer_array_json if options.faithful else integer_array_json
        )
    else:
        convert_array = array_converter(
            convert,
            nested=nested,
            # Debezium stops at a NULL among them in a NOT NULL column.
            null_elements=not_null or options.faithful or name not in _NO_NULLS,
            delimiter=b";" if name == "box" else b",",
        )
    if bends and name == "numeric":
        convert_array = _without_nan(convert_array)
    if bends and name in ("date", "timestamptz"):
        convert_array = _without_lost_days(convert_array)
    required = name in _REQUIRED and not options.faithful
    items = items if required else items.as_optional()
    bare = wire_type.is_domain and not options.faithful
    unchanged = None if bare else _unchanged(name, options)
    return TypeRule(array_of(items), convert_array, b"[]", unchanged)


def _of_text(text_of: Text, convert: Convert) -> Convert:
    return lambda value: convert(text_of(value))


def _without_nan(convert: Convert) -> Convert:
    """Return the converter that gives up at NaN and infinity, as Debezium does."""
    # Nothing else in the text of such an array has an "a" or a "y".
    return lambda value: None if b"a" in value or b"y" in value else convert(value)


def _without_lost_days(convert: Convert) -> Convert:
    """Return the converter that gives up, as Debezium does, at days that `ARRAY_TEXTS` loses."""

    def array_json(value: bytes) -> bytes | None:
        is_lost = b"BC" in value and has_lost_day(value) and dimensions(value) == 1
        return None if is_lost else convert(value)

    return array_json


_TEXT_PLACEHOLDER: Final = frozenset(("text", "varchar", "bpchar", "json", "jsonb"))
_BYTES_PLACEHOLDER: Final = frozenset(("int4", "int8"))


def _unchanged(name: str, options: TypeOptions) -> bytes | None:
    placeholder = options.placeholder
    if options.faithful and name in ("int4", "int8", "date", "uuid"):
        # What could be a value of the row is none.
        return None
    if name in _TEXT_PLACEHOLDER:
        return b"[%b]" % json_text(utf8(placeholder))
    if name in _BYTES_PLACEHOLDER or (
        name == "date" and options.time not in ("connect", "isostring")
    ):
        # Debezium puts the bytes of the placeholder, with a sign, where numbers belong.
        numbers = [b"%d" % (byte - 256 if byte > 127 else byte) for byte in placeholder]
        return b"[%b]" % b",".join(numbers)
    if name == "bytea" and options.binary == "bytes":
        return b'["%b"]' % b2a_base64(placeholder, newline=False)
    if name == "uuid":
        import hashlib  # half a megabyte of OpenSSL's, which hardly anybody needs

        # UUID.nameUUIDFromBytes: version 3 over the bytes alone, without a name space.
        digest = hashlib.md5(placeholder, usedforsecurity=False).digest()
        return b'["%b"]' % str(uuid.UUID(bytes=digest, version=3)).encode()
    return None


def _unknown_array(
    wire_type: WireType, element: TypeRule, options: TypeOptions, *, not_null: bool
) -> TypeRule:
    convert = array_converter(
        element.convert,
        nested="array" if options.faithful else None,
        null_elements=not_null or options.faithful,
        delimiter=b";" if wire_type.name == "box" else b",",
    )
    items = element.schema.as_optional() if options.faithful else element.schema
    return TypeRule(array_of(items), convert, b"[]")
