"""Column defaults as Debezium knows them: constants, and a zero for what the server computes.

Debezium reads the text of the default's expression and evaluates nothing. A function counts as the
zero of its type (``now()`` is 1970-01-01, ``nextval(...)`` is 0); of any other expression the first
string constant counts, else the text as it stands, if it is one of the type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pglogical_cdc.events import BUILTIN_TYPE_NAMES
from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.debezium.scalar_rules import TypeRule, time_unit
from pglogical_cdc.formatters.wire.java_text import java_double
from pglogical_cdc.formatters.wire.json_text import json_text
from pglogical_cdc.formatters.wire.numbers import numeric_string_json
from pglogical_cdc.formatters.wire.times import timestamptz_converter
from pglogical_cdc.formatters.wire.wire_type import WireType

__all__ = ("default_json", "default_text", "enum_default_text")

_LITERAL: Final = re.compile(r"'([^']*(?:''[^']*)*)'")
_FUNCTION: Final = re.compile(r"[(]?[A-Za-z0-9_.]+\(.*\)")
_CURRENT: Final = frozenset(
    ("current_timestamp", "current_time", "current_date", "localtime", "localtimestamp")
)
_NULL: Final = "NULL::"

_ZEROS: Final[Mapping[str, str]] = {
    "bit": "00",
    "varbit": "0",
    "bool": "false",
    "bpchar": "",
    "varchar": "",
    "text": "",
    "numeric": "0.0",
    "float4": "0.0",
    "float8": "0.0",
    "int2": "0",
    "int4": "0",
    "int8": "0",
    "json": "{}",
    "jsonb": "{}",
    "xml": "",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "date": "1970-01-01",
    "time": "00:00:00",
    "timestamp": "1970-01-01 00:00:00",
    "timestamptz": "1970-01-01 00:00:00+00",
    "interval": "00:00:00",
}
"""What counts as the value of a function, by the types whose defaults Debezium reads at all."""

_INTEGER: Final = re.compile(r"[+-]?\d+")
_DECIMAL: Final = re.compile(r"[+-]?\d+(?:\.(\d*))?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NOT_ONE: Final = re.compile(r"[^1]", re.DOTALL)

# Java's LocalDateTime.MAX and MIN, which is what infinity is in a default, in the units of the
# schema; where they overflow there is no default.
_INFINITE_DATES: Final = {
    "infinity": (b"169560311", b'"+999999999-12-31Z"'),
    "-infinity": (b"-170999002", b'"-999999999-01-01Z"'),
}
_INFINITE_TIMESTAMPS: Final = {
    "infinity": (b"-9223372036853775810", b'"+999999999-12-31T23:59:59.999999999Z"'),
    "-infinity": (b"-9223372036854775808", b'"-999999999-01-01T00:00:00Z"'),
}
_LAST_TIME: Final = {
    "ms": b"86399999",
    "us": b"86399999999",
    "ns": b"86399999999999",
    "iso": b'"23:59:59.999999999Z"',
}
"""Java's LocalTime.MAX, which is what 24:00 is in a default."""


def default_json(
    expression: str, wire_type: WireType, rule: TypeRule, options: TypeOptions
) -> bytes | None:
    """Return the JSON of a column's default.

    Args:
        expression: as ``pg_get_expr`` prints it.
        wire_type: the column's type, which is not a domain.
        rule: the rule of the type.
        options: the formatter's options.

    Returns:
        None if Debezium has no default there.
    """
    name = wire_type.name
    if wire_type.is_array or name is None:
        return None
    if wire_type.kind == "e":
        if "." in name or '"' in name or name in BUILTIN_TYPE_NAMES:
            # Debezium finds no such type, or the other one.
            return None
        text = enum_default_text(expression)
        return None if text is None else json_text(text)
    text = default_text(expression, name)
    if text is None:
        return None
    try:
        return _default_json(text, wire_type, rule, options)
    except (ValueError, OverflowError):
        # Not the text of a value: the expression is more than a constant after all.
        return None


def _default_json(
    text: str, wire_type: WireType, rule: TypeRule, options: TypeOptions
) -> bytes | None:
    name, modifier = wire_type.name, wire_type.modifier
    if name == "bool":
        return b"true" if text.lower() == "true" else b"false"
    if name in ("int2", "int4", "int8"):
        return b"%d" % int(text) if _INTEGER.fullmatch(text) else None
    if name == "numeric":
        return _numeric_default(text, modifier, rule, options)
    if name in ("bit", "varbit"):
        if modifier == 1 and len(text) != 1:
            return None
        # Of an expression, too, every 1 counts as one and all else as zero.
        text = _NOT_ONE.sub("0", text)
    elif name == "uuid":
        return json_text(text.lower()) if _UUID.fullmatch(text) else None
    elif name == "date" and text in _INFINITE_DATES:
        return _INFINITE_DATES[text][options.time == "isostring"]
    elif name == "time" and text.startswith("24:"):
        return _LAST_TIME[time_unit(name, modifier, options)]
    elif name == "timestamp" and text in _INFINITE_TIMESTAMPS:
        unit = time_unit(name, modifier, options)
        return None if unit in ("ms", "ns") else _INFINITE_TIMESTAMPS[text][unit == "iso"]
    elif name == "timestamptz":
        if text.endswith("infinity"):
            return None
        return _timestamptz_default(text, modifier)
    return text.encode() if rule.convert is None else rule.convert(_completed(text, name))


def _completed(text: str, name: str | None) -> bytes:
    """Return the text of a date and time with its time."""
    if name == "timestamp" and len(text) == 10:
        text += " 00:00:00"
    return text.encode()


def _numeric_default(
    text: str, modifier: int, rule: TypeRule, options: TypeOptions
) -> bytes | None:
    match = _DECIMAL.fullmatch(text)
    if match is None or (modifier < 4 and options.decimal == "precise"):
        return None
    fraction = match[1] or ""
    if modifier >= 4:
        scale = (modifier - 4) & 0x7FF
        if len(fraction) > scale:
            return None
        if options.decimal == "string" and len(fraction) < scale:
            text = f"{text if fraction else text.rstrip('.') + '.'}{'0' * (scale - len(fraction))}"
    if options.decimal == "double":
        return java_double(float(text))
    if options.decimal == "string":
        return numeric_string_json(text.encode())
    return None if rule.convert is None else rule.convert(text.encode())


def _timestamptz_default(text: str, modifier: int) -> bytes | None:
    if len(text) == 10:
        text += " 00:00:00+00"
    precision = modifier if 0 <= modifier <= 6 else 6
    if precision == 0:
        # No digits is what Debezium takes for no limit.
        seconds = re.search(r"\.(\d+)", text)
        precision = 0 if seconds is None else len(seconds[1].rstrip("0"))
    return timestamptz_converter(precision)(text.encode())


def default_text(expression: str, type_name: str) -> str | None:
    """Return a default as text of its type.

    Args:
        expression: as ``pg_get_expr`` prints it: ``'x'::text``, ``5``, ``now()``.
        type_name: ``pg_type.typname``, not of a domain.

    Returns:
        None if Debezium knows no default there. The text need not be one of the type.
    """
    zero = _ZEROS.get(type_name)
    if zero is None:
        return None
    if _FUNCTION.match(expression) or expression.lower() in _CURRENT:
        return zero
    if "'" in expression:
        literal = _LITERAL.search(expression)
        return None if literal is None else literal[1].replace("''", "'")
    return None if expression.startswith(_NULL) else expression


def enum_default_text(expression: str) -> str | None:
    """Return the default of an enum: ``'ok'::mood``; quotes in it stay doubled, as in Debezium."""
    text, cast, _type = expression.rpartition("::")
    if not cast or len(text) < 2 or text[0] != "'" or text[-1] != "'":
        return None
    return text[1:-1]
