"""Bytes and bit strings: from the server's text to base64 or hexadecimal digits in JSON.

Text forms: PostgreSQL manual, "Binary Data Types" (``hex`` and ``escape``) and "Bit String Types".
"""

from __future__ import annotations

import re
from binascii import b2a_base64, unhexlify
from typing import Final, Literal, TypeAlias

from pglogical_cdc.formatters.wire.convert import Convert

__all__ = (
    "BinaryMode",
    "base64_json",
    "bits_json",
    "bytea_bytes",
    "bytea_converter",
    "bytes_json",
)

BinaryMode: TypeAlias = Literal["bytes", "base64", "base64-url-safe", "hex"]

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


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
