"""Column defaults as Debezium knows them: constants, and a zero for what the server computes.

Debezium reads the text of the default's expression and evaluates nothing. A constant counts; a
function of a type that has an obvious zero counts as that zero (``now()`` is 1970-01-01,
``nextval(...)`` is 0); any other expression counts as no default.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ("default_text",)

_LITERAL: Final = re.compile(r"(E?)'((?:[^']|'')*)'(?:::.+)?", re.DOTALL)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_COMPUTED: Final = re.compile(
    r"\(?[A-Za-z_][\w.]*\(.*\).*|(?:CURRENT_DATE|(?:CURRENT_|LOCAL)TIME(?:STAMP)?)(?:\(\d\))?.*",
    re.DOTALL,
)

_ZEROS: Final = {
    "int2": b"0",
    "int4": b"0",
    "int8": b"0",
    "float4": b"0",
    "float8": b"0",
    "numeric": b"0",
    "date": b"1970-01-01",
    "time": b"00:00:00",
    "timestamp": b"1970-01-01 00:00:00",
    "timestamptz": b"1970-01-01 00:00:00+00",
    "uuid": b"00000000-0000-0000-0000-000000000000",
}
_NUMBERS: Final = frozenset(("int2", "int4", "int8", "float4", "float8", "numeric"))
_CONSTANTS: Final = frozenset(
    (
        *_ZEROS,
        *("bool", "text", "varchar", "bpchar", "json", "jsonb", "xml", "enum"),
        *("bit", "varbit", "interval"),
    )
)


def default_text(expression: str, type_name: str) -> bytes | None:
    """Return a default as wire text of its type.

    Args:
        expression: as ``pg_get_expr`` prints it: ``'x'::text``, ``5``, ``now()``.
        type_name: ``pg_type.typname``, or ``enum``.

    Returns:
        None if Debezium has no default there.
    """
    if type_name not in _CONSTANTS:
        return None
    if type_name == "bool":
        return {"true": b"t", "false": b"f"}.get(expression)
    literal = _LITERAL.fullmatch(expression)
    if literal is not None:
        text = literal[2].replace("''", "'")
        return (text.replace("\\\\", "\\") if literal[1] else text).encode()
    if type_name in _NUMBERS and _NUMBER.fullmatch(expression):
        return expression.encode()
    if _COMPUTED.fullmatch(expression):
        return _ZEROS.get(type_name)
    return None
