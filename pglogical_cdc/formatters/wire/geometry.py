"""Geometric types: from the server's text to JSON (manual, "Geometric Types")."""

from __future__ import annotations

import re
import struct
from typing import Final

from pglogical_cdc.formatters.wire.binary import base64_json
from pglogical_cdc.formatters.wire.java_text import float8_json

__all__ = ("java_geometry", "point_json")


def point_json(value: bytes) -> bytes:
    """Return the JSON of a ``point``: its numbers, and the same as well-known binary."""
    x, _, y = value.strip(b"()").partition(b",")
    wkb = base64_json(struct.pack("<BIdd", 1, 1, float(x), float(y)))
    return b'{"x":%b,"y":%b,"wkb":%b,"srid":null}' % (float8_json(x), float8_json(y), wkb)


_NUMBER: Final = re.compile(rb"[^][(){}<>,]+")


def java_geometry(value: bytes) -> bytes:
    """Return the text of a geometric value as the PostgreSQL JDBC driver has it.

    Debezium writes that, with Java's numbers, of the geometric types that it does not know.
    """
    return _NUMBER.sub(lambda number: float8_json(number[0]).strip(b'"'), value)
