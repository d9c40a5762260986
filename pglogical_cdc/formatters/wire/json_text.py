"""JSON text as Kafka Connect's JsonConverter writes it: strings, and Java's text of numbers.

The converter writes through Jackson: no spaces, characters outside the Basic Multilingual Plane as
two escaped surrogates, hexadecimal digits in upper case, everything else as it is. Numbers of
floating point are the text of ``Float.toString`` and ``Double.toString`` (Java's API documentation,
class Double).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Final, TypeVar

__all__ = (
    "float4_json",
    "float8_json",
    "hash_map_order",
    "java_double",
    "json_string",
    "json_text",
    "object_mapper_text",
    "utf8",
)

_T = TypeVar("_T")

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


_JAVA_DECIMAL: Final = re.compile(rb"-?(?:[1-9]\d{0,6}|0)\.(?:\d|[1-9]\d+|\d[1-9]\d*|\d\d[1-9]\d*)")
_SPECIAL: Final = {
    b"NaN": b'"NaN"',
    b"Infinity": b'"Infinity"',
    b"-Infinity": b'"-Infinity"',
}


def _java_text(sign: str, digits: str, exponent: int) -> bytes:
    """Lay out ``0.digits * 10^exponent`` as Java does; `digits` has no zeros at its ends."""
    if -3 < exponent <= 7:
        if exponent <= 0:
            return f"{sign}0.{'0' * -exponent}{digits}".encode()
        whole = digits[:exponent].ljust(exponent, "0")
        return f"{sign}{whole}.{digits[exponent:] or '0'}".encode()
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent - 1}".encode()


def _split(text: str) -> tuple[str, str, int]:
    """Take decimal text apart: sign, significant digits, exponent of ``0.digits``."""
    sign = ""
    if text[0] == "-":
        sign, text = "-", text[1:]
    mantissa, _, power = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    stripped = digits.lstrip("0")
    exponent = len(whole) - (len(digits) - len(stripped)) + (int(power) if power else 0)
    return sign, stripped.rstrip("0"), exponent


def java_double(number: float) -> bytes:
    """Return the JSON of a number as ``Double.toString`` writes it; quoted if not finite.

    The digits are those of Java 19 and later. Older versions write one digit too many for some
    numbers (bug JDK-4511638).
    """
    text = repr(number)
    if text in ("nan", "inf", "-inf"):
        return {"nan": b'"NaN"', "inf": b'"Infinity"', "-inf": b'"-Infinity"'}[text]
    sign, digits, exponent = _split(text)
    if not digits:
        return f"{sign}0.0".encode()
    if len(digits) == 1 and exponent < -300:
        # Java takes the nearest of the texts with two digits where one digit would do, which
        # makes a difference among the smallest numbers only: 4.9E-324.
        sign, digits, exponent = _split(f"{number:.1e}")
    return _java_text(sign, digits, exponent)


def float8_json(value: bytes) -> bytes:
    """Return the JSON of a ``float8`` in text form."""
    if _JAVA_DECIMAL.fullmatch(value):
        return value
    special = _SPECIAL.get(value)
    return java_double(float(value)) if special is None else special


def float4_json(value: bytes) -> bytes:
    """Return the JSON of a ``float4`` in text form.

    Its text is the shortest that gives the same 32-bit number; Java wants those digits too.
    """
    if _JAVA_DECIMAL.fullmatch(value):
        return value
    special = _SPECIAL.get(value)
    if special is not None:
        return special
    sign, digits, exponent = _split(value.decode())
    if not digits:
        return f"{sign}0.0".encode()
    if len(digits) == 1 and exponent < -40:
        (number,) = struct.unpack("<f", struct.pack("<f", float(value)))
        sign, digits, exponent = _split(f"{number:.1e}")
    return _java_text(sign, digits, exponent)


def _java_hash(key: str) -> int:
    """``String.hashCode``, over UTF-16 units, as HashMap spreads it."""
    code = 0
    for (unit,) in struct.iter_unpack("<H", key.encode("utf-16-le", "surrogatepass")):
        code = (31 * code + int(unit)) & 0xFFFFFFFF
    return code ^ (code >> 16)


def hash_map_order(entries: Iterable[tuple[str, _T]]) -> list[tuple[str, _T]]:
    """Return entries in the order in which a ``java.util.HashMap`` gives them.

    Its table starts with 16 buckets and doubles when more than three quarters are taken.
    """
    unique = dict(entries)
    buckets = 16
    while len(unique) * 4 > buckets * 3:
        buckets *= 2
    return sorted(unique.items(), key=lambda entry: _java_hash(entry[0]) & (buckets - 1))
