"""From the wire text of a value to its JSON in Debezium's shape, without a Python value between.

Every converter takes the text that the server's output function wrote (the session settings that
decide on its form are pinned: `ISO` dates, time zone UTC, `C` money) and returns JSON. None means
that Debezium's converter has no value for it and writes NULL. A text that a converter cannot read
raises whatever comes; the caller writes it as a JSON string then. Dates and times are in
`wire_time`, arrays in `wire_array`.
"""

from __future__ import annotations

import re
import struct
from binascii import b2a_base64, unhexlify
from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from pglogical_cdc.formatters.json_text import (
    float4_json,
    float8_json,
    hash_map_order,
    java_double,
    json_text,
    object_mapper_text,
    utf8,
)

__all__ = (
    "BinaryMode",
    "Convert",
    "base64_json",
    "bits_json",
    "bool_json",
    "bytea_bytes",
    "bytea_converter",
    "bytes_json",
    "decimal_converter",
    "double_json",
    "float_vector_json",
    "geometric_base64_json",
    "hstore_json",
    "hstore_map_json",
    "money_text",
    "numeric_string_json",
    "point_json",
    "sparse_vector_json",
    "unscaled_json",
    "variable_scale_json",
    "vector_json",
    "withheld",
)

Convert: TypeAlias = Callable[[bytes], "bytes | None"]
"""From wire text to JSON; None where Debezium writes NULL."""

BinaryMode: TypeAlias = Literal["bytes", "base64", "base64-url-safe", "hex"]

_INT_DIGITS: Final = 4300
"""Python reads no more digits than this with `int`; PostgreSQL's numeric has up to 147455."""


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def withheld(value: bytes) -> None:
    """Give NULL for every value: what Debezium cannot convert."""
    return


def bool_json(value: bytes) -> bytes:
    """Return the JSON of a ``bool`` (``t`` or ``f``) or of a ``bit(1)``."""
    return b"true" if value == b"t" or value == b"1" else b"false"


# -- bytes


def base64_json(value: bytes) -> bytes:
    """Return the JSON string of bytes in base64."""
    return b'"%b"' % b2a_base64(value, newline=False)


def bytea_bytes(value: bytes) -> bytes:
    """Return the bytes of a ``bytea`` in text form, ``hex`` or ``escape``."""
    if value[:2] == b"\\x":
        return unhexlify(value[2:])
    return re.sub(
        rb"\\(\\|[0-3][0-7]{2})",
        lambda match: b"\\" if match[1] == b"\\" else bytes((int(match[1], 8),)),
        value,
    )


def bytes_json(content: bytes, mode: BinaryMode) -> bytes:
    """Return the JSON string of bytes for a ``binary.handling.mode``."""
    if mode == "hex":
        return b'"%b"' % content.hex().encode()
    encoded = base64_json(content)
    return encoded.translate(_URL_SAFE) if mode == "base64-url-safe" else encoded


def bytea_converter(mode: BinaryMode) -> Convert:
    """Return the converter of ``bytea`` for a ``binary.handling.mode``."""

    def bytea_json(value: bytes) -> bytes:
        return bytes_json(bytea_bytes(value), mode)

    return bytea_json


def bits_json(value: bytes) -> bytes:
    """Return the JSON of a bit string: bytes from the last bit on, without zeros at the end."""
    number = int(value or b"0", 2)
    return base64_json(number.to_bytes((number.bit_length() + 7) // 8, "little"))


# -- numbers


def _integer(digits: bytes) -> int:
    return int(digits) if len(digits) < _INT_DIGITS else int(Decimal(digits.decode()))


def unscaled_json(number: int) -> bytes:
    """Return base64 of the shortest big-endian two's complement: ``BigInteger.toByteArray``."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return base64_json(number.to_bytes(size, "big", signed=True))


def decimal_converter(scale: int) -> Convert:
    """Return the converter of ``numeric(p,s)`` in mode ``precise``.

    Args:
        scale: digits behind the point of the Connect type; a text with fewer is filled up,
            one with more is cut.
    """

    def decimal_json(value: bytes) -> bytes | None:
        whole, _, fraction = value.partition(b".")
        if whole[-1:] in b"Ny":  # NaN, Infinity, -Infinity
            return None
        missing = scale - len(fraction)
        if missing == 0:
            return unscaled_json(_integer(whole + fraction))
        # Fewer digits in a default; more only where the catalog is not that of the row.
        number = _integer(whole + fraction[:scale])
        return unscaled_json(number * 10 ** max(missing, 0))

    return decimal_json


def variable_scale_json(value: bytes) -> bytes | None:
    """Return the JSON of a ``numeric`` of no declared scale, in mode ``precise``."""
    if value[-1:] in b"Ny":
        return None
    whole, _, fraction = value.partition(b".")
    fraction = fraction.rstrip(b"0")
    return b'{"scale":%d,"value":%b}' % (
        len(fraction),
        unscaled_json(_integer(whole + fraction)),
    )


def double_json(value: bytes) -> bytes:
    """Return the JSON of a ``numeric`` in mode ``double``."""
    return java_double(float(value))


_SPECIAL_NUMERIC: Final = {
    b"NaN": b'"NAN"',
    b"Infinity": b'"POSITIVE_INFINITY"',
    b"-Infinity": b'"NEGATIVE_INFINITY"',
}


def numeric_string_json(value: bytes) -> bytes:
    """Return the JSON of a ``numeric`` in mode ``string``."""
    return _SPECIAL_NUMERIC.get(value) or b'"%b"' % value


def money_text(value: bytes) -> bytes:
    """Return the number in a ``money`` value: ``-$1,234.50`` is ``-1234.50``."""
    digits = re.sub(rb"[^0-9.]", b"", value)
    return b"-" + digits if value[:1] in (b"-", b"(") else digits


# -- composed values


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


_HSTORE_PAIR: Final = re.compile(
    r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:, |$)', re.DOTALL
)
_BACKSLASHED: Final = re.compile(r"\\(.)", re.DOTALL)


def _hstore_entries(value: bytes) -> list[tuple[str, str | None]]:
    text = utf8(value)
    entries: list[tuple[str, str | None]] = []
    position = 0
    while position < len(text):
        pair = _HSTORE_PAIR.match(text, position)
        if pair is None:
            raise ValueError("not the text of an hstore")
        key, content = pair[1], pair[2]
        entries.append(
            (
                _BACKSLASHED.sub(r"\1", key),
                None if content is None else _BACKSLASHED.sub(r"\1", content),
            )
        )
        position = pair.end()
    return hash_map_order(entries)


def hstore_json(value: bytes) -> bytes:
    """Return the JSON of an ``hstore`` in mode ``json``: a string with a JSON object in it."""
    members = [
        f"{object_mapper_text(key)}:{'null' if content is None else object_mapper_text(content)}"
        for key, content in _hstore_entries(value)
    ]
    return json_text(f"{{{','.join(members)}}}")


def hstore_map_json(value: bytes) -> bytes:
    """Return the JSON of an ``hstore`` in mode ``map``: an object."""
    members = [
        b"%b:%b" % (json_text(key), b"null" if content is None else json_text(content))
        for key, content in _hstore_entries(value)
    ]
    return b"{%b}" % b",".join(members)
