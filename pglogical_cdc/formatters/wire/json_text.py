"""JSON strings as Kafka Connect's JsonConverter writes them.

The converter writes through Jackson: no spaces, characters outside the Basic Multilingual Plane as
two escaped surrogates, hexadecimal digits in upper case, everything else as it is.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring
from typing import Final

__all__ = ("json_string", "json_text", "object_mapper_text", "utf8")

_ESCAPED: Final = re.compile('["\\\\\x00-\x1f\ud800-\udfff\U00010000-\U0010ffff]')
_PLAIN_ESCAPED: Final = re.compile('["\\\\\x00-\x1f]')
_SHORT: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}


def utf8(value: bytes) -> str:
    """Return the text; what is no UTF-8 (a database of encoding SQL_ASCII) becomes U+FFFD."""
    return value.decode(errors="replace")


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    short = _SHORT.get(character)
    if short is not None:
        return short
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04X}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04X}\\u{0xDC00 + (code & 0x3FF):04X}"


def json_text(text: str) -> bytes:
    """Return the JSON string of a text."""
    quoted = encode_basestring(text)
    # The standard encoder differs from Jackson in lower-case \\u escapes and in leaving
    # characters beyond U+FFFF alone; both are rare.
    if not quoted.isascii() or "\\u" in quoted:
        quoted = f'"{_ESCAPED.sub(_escape, text)}"'
    return quoted.encode()


def json_string(value: bytes) -> bytes:
    """Return the JSON string of a value in text form."""
    try:
        return json_text(value.decode())
    except UnicodeDecodeError:
        return json_text(utf8(value))


def object_mapper_text(text: str) -> str:
    """Return a JSON string as Jackson writes it inside another string.

    There it writes characters and not bytes, and leaves surrogates alone.
    """
    return f'"{_PLAIN_ESCAPED.sub(_escape, text)}"'
