"""Reads JSON whose numbers have to keep every digit.

Stricter than `json.loads`: NaN is no number, and an object has no two members of one name, of which
nobody could tell which one counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pglogical_cdc.errors import RecordFormatError

__all__ = ("Number", "json_type", "not_dms", "read_json")


class Number(str):
    """A number, as its text."""

    __slots__ = ()


def not_dms(expected: str, found: str) -> RecordFormatError:
    """Return the error of a record that is not what it should be."""
    return RecordFormatError("AWS DMS JSON", expected, found)


_JSON_TYPES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    Number: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def json_type(value: object) -> str:
    """Return what a value is called in JSON, for messages of errors."""
    return _JSON_TYPES[type(value)]


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise not_dms("members of different names in an object", "two of one name")
    return found


def _constant(name: str) -> None:
    raise not_dms("a number of JSON", "one that JSON does not have")


_decode: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    # As text a number has no limit: Python reads no integer of more than 4300 digits.
    parse_int=Number,
    parse_float=Number,
    parse_constant=_constant,
).decode


def read_json(what: str, given: bytes | str) -> Any:
    """Return a JSON value, in which a number is a `Number`.

    Args:
        what: ``key`` or ``value``, for errors.
        given: the JSON text, in UTF-8 if it is bytes.

    Raises:
        RecordFormatError: it is no JSON.
    """
    try:
        return _decode(given if isinstance(given, str) else given.decode())
    except UnicodeDecodeError as error:
        raise not_dms(f"UTF-8 in the {what}", f"another byte at offset {error.start}") from None
    except json.JSONDecodeError as error:
        raise not_dms(f"JSON in the {what}", f"something else at character {error.pos}") from None
    except RecursionError:
        raise not_dms(f"JSON in the {what}", "nesting that is too deep to read") from None
