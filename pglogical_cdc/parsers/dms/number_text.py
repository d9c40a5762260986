"""From the text of JSON's numbers to that of PostgreSQL's, without the loss of a digit."""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal
from typing import Final

__all__ = ("float4_text", "float8_text", "integer_text", "is_number", "numeric_text")

_NUMBER: Final = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?", re.ASCII)
_MAX_BEFORE_POINT: Final = 131_072
_MAX_AFTER_POINT: Final = 16_383
"""The digits that ``numeric`` can have (manual, "Arbitrary Precision Numbers")."""
_MAX_INTEGER_DIGITS: Final = 20
"""As many as 64 bits without a sign have."""
_DOUBLE_FIXED: Final = range(-4, 15)
_SINGLE_FIXED: Final = range(-4, 6)
"""The exponents of numbers that the server writes without one (d2s.c, f2s.c: ``to_chars``)."""
_SINGLE: Final = struct.Struct("<f")
_SINGLE_DIGITS: Final = 9
"""Of decimal digits, what tells any two numbers of ``float4`` apart."""


def is_number(text: str) -> bool:
    """Tell whether a text is a number in the form of JSON."""
    return _NUMBER.fullmatch(text) is not None


def numeric_text(text: str) -> str:
    """Return the text of a ``numeric``: all digits, no exponent.

    Raises:
        ValueError: it is no number, or has more digits than ``numeric`` can have.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("no number")
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", match[4]
    if exponent is not None:
        whole, fraction = _shifted(whole, fraction, int(exponent))
    if len(whole) > _MAX_BEFORE_POINT or len(fraction) > _MAX_AFTER_POINT:
        raise ValueError("too many digits")
    if not whole.strip("0") and not fraction.strip("0"):
        sign = ""  # numeric has no negative zero
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _shifted(whole: str, fraction: str, exponent: int) -> tuple[str, str]:
    """Move the point of a number by its exponent."""
    if not whole.strip("0") and not fraction.strip("0"):
        return "0", ""
    if abs(exponent) > _MAX_BEFORE_POINT + _MAX_AFTER_POINT:
        raise ValueError("too many digits")
    if exponent >= 0:
        fraction = fraction.ljust(exponent, "0")
        whole, fraction = whole + fraction[:exponent], fraction[exponent:]
    else:
        whole = whole.rjust(1 - exponent, "0")
        whole, fraction = whole[:exponent], whole[exponent:] + fraction
    return whole.lstrip("0") or "0", fraction


def integer_text(text: str) -> str:
    """Return the text of an integer.

    Raises:
        ValueError: it is no integer of up to 20 digits, which those of 64 bits have.
    """
    whole, _, fraction = numeric_text(text).partition(".")
    if fraction.strip("0") or len(whole.lstrip("-")) > _MAX_INTEGER_DIGITS:
        raise ValueError("no integer of 64 bits")
    return whole


def float8_text(text: str) -> str:
    """Return the text of a ``float8``: the shortest that means it, as the server writes it.

    Raises:
        ValueError: it is no number, or beyond the range of the type.
    """
    return _laid_out(repr(_finite(text)), _DOUBLE_FIXED)


def float4_text(text: str) -> str:
    """Return the text of a ``float4``: the shortest that means it, as the server writes it.

    Raises:
        ValueError: it is no number, or beyond the range of the type.
    """
    try:
        single = _SINGLE.pack(_finite(text))
    except OverflowError:
        raise ValueError("beyond the range") from None
    (number,) = _SINGLE.unpack(single)
    for digits in range(1, _SINGLE_DIGITS):
        short = f"{number:.{digits}g}"
        if _is_single(short, single):
            break
    else:
        short = f"{number:.{_SINGLE_DIGITS}g}"
    return _laid_out(short, _SINGLE_FIXED)


def _laid_out(shortest: str, fixed: range) -> str:
    """Write a number as the server does.

    Args:
        shortest: its text, with no more digits than it takes.
        fixed: the exponents of numbers that have none in their text.
    """
    number = Decimal(shortest)
    if not number:
        return "-0" if shortest.startswith("-") else "0"
    if number.adjusted() in fixed:
        text = f"{number:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    sign = "-" if number < 0 else ""
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    point = "." if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}{digits[1:]}e{number.adjusted():+03d}"


def _is_single(text: str, single: bytes) -> bool:
    try:
        return _SINGLE.pack(float(text)) == single
    except OverflowError:
        return False


def _finite(text: str) -> float:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("no number")
    number = float(text)
    if math.isinf(number):
        raise ValueError("beyond the range")
    return number
