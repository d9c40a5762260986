"""Geometric types: from the server's text to JSON (manual, "Geometric Types")."""

from __future__ import annotations

import re
import struct
from typing import Final

from pglogical_cdc.formatters.wire.binary import base64_json
from pglogical_cdc.formatters.wire.json_text import float8_json

__all__ = ("geometric_base64_json", "point_json")


def point_json(value: bytes) -> bytes:
    """Return the JSON of a ``point``: its numbers, and the same as well-known binary."""
    x, _, y = value.strip(b"()").partition(b",")
    wkb = base64_json(struct.pack("<BIdd", 1, 1, float(x), float(y)))
    return b'{"x":%b,"y":%b,"wkb":%b,"srid":null}' % (float8_json(x), float8_json(y), wkb)


_NUMBER: Final = re.compile(rb"[^][(){}<>,]+")


def geometric_base64_json(value: bytes) -> bytes:
    """Return the JSON of a geometric type that Debezium does not know: base64 of its text.

    The text is that of the PostgreSQL JDBC driver, which has Java's numbers in it.
    """
    return base64_json(
        _NUMBER.sub(lambda number: float8_json(number[0]).strip(b'"'), value),
    )
