"""Vectors: from the server's text to JSON; ``int2vector``, and those of the extension pgvector."""

from __future__ import annotations

from typing import Final

from pglogical_cdc.formatters.wire.java_text import float4_json, float8_json

__all__ = (
    "float_vector_json",
    "integer_vector_json",
    "short_sparse_vector_json",
    "sparse_vector_json",
    "vector_json",
)

_MAX_INT16: Final = 32767


def integer_vector_json(value: bytes) -> bytes:
    """Return the JSON of an ``int2vector`` or ``oidvector``: ``1 2 3``."""
    return b"[%b]" % value.replace(b" ", b",")


def vector_json(value: bytes) -> bytes:
    """Return the JSON of a pgvector ``vector``: an array of doubles."""
    return b"[%b]" % b",".join([float8_json(x) for x in value.strip(b"[]").split(b",") if x])


def float_vector_json(value: bytes) -> bytes:
    """Return the JSON of a pgvector ``halfvec``: an array of floats."""
    return b"[%b]" % b",".join([float4_json(x) for x in value.strip(b"[]").split(b",") if x])


def sparse_vector_json(value: bytes) -> bytes:
    """Return the JSON of a pgvector ``sparsevec``: ``{1:1.5,3:2}/5`` has 5 dimensions."""
    elements, _, dimensions = value.partition(b"/")
    pairs = [pair.partition(b":") for pair in elements.strip(b"{}").split(b",") if pair]
    entries = sorted((int(index), float8_json(number)) for index, _, number in pairs)
    listed = b",".join([b"[%d,%b]" % entry for entry in entries])
    return b'{"dimensions":%d,"vector":[%b]}' % (int(dimensions), listed)


def short_sparse_vector_json(value: bytes) -> bytes | None:
    """Return the same; None if it has more dimensions than 16 bits can count."""
    return sparse_vector_json(value) if int(value.rpartition(b"/")[2]) <= _MAX_INT16 else None
