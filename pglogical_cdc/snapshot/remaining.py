r"""Remaining: what a resumable snapshot has still to read, as text for a store of offsets. Pure.

A JSON object::

    {"version":1,"binary":false,"tables":[["public","orders","[[\"id\",23]]",["NDI="],[],12000]]}

``tables`` has the tables that were not read to their end: schema, name, what its key is (null
before that was looked for), the key of the last row that is dealt with (null before the first),
keys to be read again, and rows so far. Values of keys
are as the server sent them, in base64. ``tables`` is null before anybody has looked which tables
there are.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import OffsetStoreError
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.snapshot.window import Key

__all__ = ("RemainingTable", "parse_remaining", "remaining_text")

_VERSION: Final = 1


@record
class RemainingTable:
    """A table that was not read to its end."""

    name: tuple[str, str]
    key_text: str | None
    """`RowKey.text` of the key."""
    after: Key | None
    again: tuple[Key, ...]
    rows: int


def remaining_text(tables: Sequence[RemainingTable], *, binary: bool) -> str:
    """Return the text for some tables; the empty text if there are none.

    Args:
        tables: the tables.
        binary: whether keys are in binary.
    """
    if not tables:
        return ""
    members = {
        "version": _VERSION,
        "binary": binary,
        "tables": [
            [
                *table.name,
                table.key_text,
                None if table.after is None else _encoded(table.after),
                list(map(_encoded, table.again)),
                table.rows,
            ]
            for table in tables
        ],
    }
    return json.dumps(members, separators=(",", ":"))


def parse_remaining(text: str, *, binary: bool) -> list[RemainingTable] | None:
    """Read what `remaining_text` has written; None if it is not known yet which tables there are.

    Args:
        text: the text.
        binary: whether the reader that goes on has keys in binary.

    Raises:
        OffsetStoreError: it is none, or was written by a reader with another `binary`.
    """
    try:
        members: Any = json.loads(text)
        version, was_binary, tables = (members[each] for each in ("version", "binary", "tables"))
        if version != _VERSION:
            raise ValueError
        found = [
            RemainingTable(
                name=(str(schema), str(name)),
                key_text=None if key is None else str(key),
                after=None if after is None else _decoded(after, binary=binary),
                again=tuple(_decoded(each, binary=binary) for each in again),
                rows=int(rows),
            )
            for schema, name, key, after, again, rows in tables or ()
        ]
    except (ValueError, TypeError, KeyError, binascii.Error):
        raise OffsetStoreError(
            "what is stored of the snapshot cannot be read: expected the text that this version "
            f"writes, found {len(text)} characters that are not. Delete the stored offset and drop "
            "the slot to begin anew"
        ) from None
    if tables is None:
        return None
    if was_binary is not binary:
        raise OffsetStoreError(
            f"the snapshot was begun with binary={was_binary}, and can only be resumed so"
        )
    return found


def _encoded(key: Key) -> list[str]:
    return [base64.b64encode(value).decode() for value in key]


def _decoded(key: Sequence[str], *, binary: bool) -> Key:
    values = [base64.b64decode(value, validate=True) for value in key]
    return tuple(map(BinaryValue, values)) if binary else tuple(values)
