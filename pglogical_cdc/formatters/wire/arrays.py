"""Arrays: from the server's array literal to a JSON array (manual, "Array Input and Output")."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

from pglogical_cdc.formatters.wire.convert import Convert

__all__ = (
    "Elements",
    "array_converter",
    "dimensions",
    "integer_array_json",
    "nested_integer_array_json",
    "read_array",
)

_TOKEN: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^{}",;\\]+)|([{},;])', re.DOTALL)
_BACKSLASHED: Final = re.compile(rb"\\(.)", re.DOTALL)

Elements = list["bytes | memoryview | None"]
"""Elements of an array: text, NULL, or (as a memoryview of its text) an array in the array."""


def read_array(value: bytes, delimiter: bytes = b",") -> Elements:
    """Take an array literal apart, one level deep.

    Raises:
        ValueError: it is none.
    """
    if value[:1] == b"[":
        # Bounds other than 1: ``[2:3]={7,8}``.
        value = value[value.index(b"=") + 1 :]
    if value[:1] != b"{" or value[-1:] != b"}":
        raise ValueError("not an array literal")
    if b'"' not in value and b"{" not in value[1:] and b"\\" not in value:
        inside = value[1:-1]
        if not inside:
            return []
        return [None if item == b"NULL" else item for item in inside.split(delimiter)]
    return _read_quoted(value, delimiter)


def _read_quoted(value: bytes, delimiter: bytes) -> Elements:
    elements: Elements = []
    depth = nested_from = position = 0
    parts: list[bytes] = []
    quoted = False
    while position < len(value):
        token = _TOKEN.match(value, position)
        if token is None:
            raise ValueError("not an array literal")
        mark = token[3]
        position = token.end()
        if mark == b"{":
            depth += 1
            if depth == 2:
                nested_from = token.start()
        elif depth > 1:
            if mark == b"}":
                depth -= 1
                if depth == 1:
                    elements.append(memoryview(value)[nested_from:position])
                    nested_from = 0
        elif mark == b"}" or mark == delimiter:
            text = b"".join(parts)
            if parts:
                elements.append(None if text == b"NULL" and not quoted else text)
            parts, quoted = [], False
        elif token[1] is not None:
            parts.append(_BACKSLASHED.sub(rb"\1", token[1]))
            quoted = True
        else:
            parts.append(token[0])
    return elements


def integer_array_json(value: bytes) -> bytes:
    """Return the JSON of an array of integers, whose text nearly is JSON.

    An array in the array becomes null, as Debezium writes it.
    """
    if value[:1] == b"{" and b"{" not in value[1:]:
        return b"[%b]" % value[1:-1].replace(b"NULL", b"null")
    return b"[%b]" % b",".join(
        [item if isinstance(item, bytes) else b"null" for item in read_array(value)]
    )


_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")


def nested_integer_array_json(value: bytes) -> bytes:
    """Return the JSON of an array of integers of any number of dimensions."""
    return value[value.index(b"{") :].translate(_BRACKETS).replace(b"NULL", b"null")


def array_converter(
    convert: Convert | None,
    *,
    nested: Callable[[bytes], bytes] | Literal["array"] | None = None,
    null_elements: bool = True,
    delimiter: bytes = b",",
) -> Convert:
    """Return the converter of an array.

    Args:
        convert: the converter of its elements; None where their text is JSON already.
        nested: what to write for an array in the array, given its text: a function's result,
            a JSON array (``"array"``), or by default null.
        null_elements: whether an element may be NULL; if not, one makes the whole array NULL.
        delimiter: the type's delimiter, ``;`` for ``box`` (``pg_type.typdelim``).
    """

    def array_json(value: bytes) -> bytes | None:
        items: list[bytes] = []
        for element in read_array(value, delimiter):
            if element is None:
                converted = None
            elif isinstance(element, memoryview):
                converted = None if convert_nested is None else convert_nested(bytes(element))
            else:
                converted = element if convert is None else convert(element)
            if converted is None:
                if not null_elements:
                    return None
                converted = b"null"
            items.append(converted)
        return b"[%b]" % b",".join(items)

    convert_nested: Convert | None = array_json if nested == "array" else nested
    return array_json


def dimensions(value: bytes) -> int:
    """Return how many dimensions the text of an array has; 1 if it is empty."""
    opened = value[value.index(b"{") :]
    return len(opened) - len(opened.lstrip(b"{"))
