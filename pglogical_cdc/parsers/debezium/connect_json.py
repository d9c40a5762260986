"""ConnectJson: reads what Kafka Connect's JsonConverter writes, with and without schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import RecordFormatError

__all__ = ("ConnectJson", "ConnectRecord", "is_text", "json_type")

_HEAD: Final = '{"schema":'
_PAYLOAD: Final = ',"payload":'
_RECENT: Final = 256
"""How many heads are remembered: those of the tables that a consumer reads in turns."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_JSON_TYPES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def is_text(text: str) -> bool:
    """Tell whether a string of JSON can be encoded: an escape may be half a surrogate pair."""
    return text.isascii() or _SURROGATE.search(text) is None


def json_type(value: object) -> str:
    """Return what a value is called in JSON, for messages of errors."""
    return _JSON_TYPES[type(value)]


@record
class ConnectRecord:
    """A key or a value, taken apart."""

    payload: Any = field(repr=False)
    schema: Mapping[str, Any] | None = field(repr=False)
    """None if the JSON came without one."""


class ConnectJson:
    """Reads JSON, and parses the text of each schema once.

    A schema is most of the bytes of a record, and that of a table is the same in all its records.

    Args:
        format: name of the format, for errors.
    """

    def __init__(self, format: str) -> None:
        self._format = format
        self._decoder = json.JSONDecoder()
        self._recent: list[tuple[str, Mapping[str, Any] | None]] = []

    def read(self, what: str, given: bytes | str) -> ConnectRecord:
        """Read a key or a value.

        Args:
            what: ``key`` or ``value``, for errors.
            given: the JSON text, in UTF-8 if it is bytes.

        Raises:
            RecordFormatError: it is no JSON.
        """
        try:
            text = given if isinstance(given, str) else given.decode()
            if text.startswith(_HEAD) and text.endswith("}"):
                found = self._beside_schema(text)
                if found is not None:
                    return found
            return _plain(json.loads(text))
        except UnicodeDecodeError as error:
            raise RecordFormatError(
                self._format, f"UTF-8 in the {what}", f"another byte at offset {error.start}"
            ) from None
        except json.JSONDecodeError as error:
            raise RecordFormatError(
                self._format, f"JSON in the {what}", f"something else at character {error.pos}"
            ) from None
        except ValueError:
            # Python reads no integer of more than 4300 digits.
            raise RecordFormatError(
                self._format, f"JSON in the {what}", "a number that is too long to read"
            ) from None
        except RecursionError:
            raise RecordFormatError(
                self._format, f"JSON in the {what}", "nesting that is too deep to read"
            ) from None

    def _beside_schema(self, text: str) -> ConnectRecord | None:
        """Read what has just the form that JsonConverter writes; None if it has another."""
        for position, (head, schema) in enumerate(self._recent):
            if text.startswith(head):
                if position:
                    self._recent.insert(0, self._recent.pop(position))
                try:
                    return ConnectRecord(json.loads(text[len(head) : -1]), schema)
                except json.JSONDecodeError:
                    return None
        try:
            schema, end = self._decoder.raw_decode(text, len(_HEAD))
            head = text[: end + len(_PAYLOAD)]
            payload, end = self._decoder.raw_decode(text, len(head))
        except json.JSONDecodeError:
            return None
        if not head.endswith(_PAYLOAD) or end != len(text) - 1:
            return None
        if not isinstance(schema, dict | None):
            return None
        self._recent.insert(0, (head, schema))
        del self._recent[_RECENT:]
        return ConnectRecord(payload, schema)


def _plain(content: Any) -> ConnectRecord:
    # JsonConverter takes an object of just these two members for the envelope of a schema.
    if (
        isinstance(content, dict)
        and content.keys() == {"schema", "payload"}
        and isinstance(content["schema"], dict | None)
    ):
        return ConnectRecord(content["payload"], content["schema"])
    return ConnectRecord(content, None)
