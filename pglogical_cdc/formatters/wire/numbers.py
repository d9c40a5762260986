"""``numeric`` and ``money``: from the server's text to Debezium's ``decimal.handling.mode``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from pglogical_cdc.formatters.wire.binary import base64_json
from pglogical_cdc.formatters.wire.convert import Convert
from pglogical_cdc.formatters.wire.java_text import java_double
from pglogical_cdc.formatters.wire.usual_form import PAIRS, UsualForm

__all__ = (
    "DecimalFormat",
    "decimal_converter",
    "decimal_form",
    "double_json",
    "money_converter",
    "money_text",
    "numeric_string_json",
    "scaled_string_converter",
    "unscaled_converter",
    "variable_scale_json",
)

DecimalFormat: TypeAlias = Literal["BASE64", "NUMERIC"]

_INT_DIGITS: Final = 4300
"""Python reads no more digits than this with `int`; PostgreSQL's numeric has up to 147455."""


def _integer(digits: bytes) -> int:
    return int(digits) if len(digits) < _INT_DIGITS else int(Decimal(digits.decode()))


def _unscaled_json(number: int) -> bytes:
    """Return base64 of the shortest big-endian two's complement: ``BigInteger.toByteArray``."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return base64_json(number.to_bytes(size, "big", signed=True))


def unscaled_converter(scale: int, decimal_format: DecimalFormat) -> Callable[[int], bytes]:
    """Return what writes the JSON of an unscaled number.

    Args:
        scale: digits behind the point.
        decimal_format: its bytes in base64, or the number as Java's ``BigDecimal.toString``.
    """
    if decimal_format == "BASE64":
        return _unscaled_json

    def number_json(unscaled: int) -> bytes:
        # str() and toString() are the to-scientific-string of the General Decimal Arithmetic.
        sign, digits, _ = Decimal(unscaled).as_tuple()
        return str(Decimal((sign, digits, -scale))).encode()

    return number_json


def decimal_converter(scale: int, decimal_format: DecimalFormat = "BASE64") -> Convert:
    """Return the converter of ``numeric(p,s)`` in mode ``precise``.

    Args:
        scale: digits behind the point of the Connect type, or less than 0 for zeros before it; a
            text with fewer is filled up, one with more is cut.
        decimal_format: the bytes of the unscaled number, or the number itself.
    """

    point = -scale - 1
    unscaled_json = unscaled_converter(scale, decimal_format)

    def decimal_json(value: bytes) -> bytes | None:
        if scale > 0 and value[point : point + 1] == b".":
            return unscaled_json(_integer(value[:point] + value[point + 1 :]))
        whole, _, fraction = value.partition(b".")
        if whole[-1:] in b"Ny":  # NaN, Infinity, -Infinity
            return None
        if scale < 0:
            return unscaled_json(_integer(whole[:scale].rstrip(b"-") or b"0"))
        # Fewer digits in a default; more only where the catalog is not that of the row.
        number = _integer(whole + fraction[:scale])
        return unscaled_json(number * 10 ** max(scale - len(fraction), 0))

    return decimal_json


def decimal_form(scale: int) -> UsualForm | None:
    """Return the usual form of ``numeric(p,s)`` in base64: with all digits behind the point."""
    if scale < 0:
        return None
    point, digits = f"v[-{scale + 1}] == 46", 'v.replace(b".", b"", 1)'
    if scale == 0:
        point, digits = "v[-1] < 58", "v"  # no letter of NaN and infinity
    # Most prices and quantities have three bytes, which are two times twelve bits.
    three = (
        f"f'\"{{pairs[n >> 12]}}{{pairs[n & 4095]}}\"' if 32767 < (n := int({digits})) < 8388608"
    )
    # As `_unscaled_json` has it.
    size = "(n if n >= 0 else ~n).bit_length() // 8 + 1"
    base64 = f'base64(n.to_bytes({size}, "big", signed=True), newline=False)'
    column = functools.partial(_decimals, scale=scale)
    return UsualForm(f"{three} else f'\"{{{base64}.decode()}}\"'", point, column)


def _decimals(column: Sequence[str], scale: int) -> list[str] | None:
    texts = "\n".join(column)
    if scale:
        point = -scale - 1
        if {text[point] for text in column} != {"."} or texts.count(".") != len(column):
            return None
        texts = texts.replace(".", "")
    numbers = texts.split("\n")
    if len(numbers) != len(column):
        return None
    return [
        f'"{PAIRS[n >> 12]}{PAIRS[n & 4095]}"'
        if 32767 < n < 8388608
        else _unscaled_json(n).decode()
        for n in map(int, numbers)
    ]


def variable_scale_json(value: bytes) -> bytes | None:
    """Return the JSON of a ``numeric`` of no declared scale, in mode ``precise``."""
    if value[-1:] in b"Ny":
        return None
    whole, _, fraction = value.partition(b".")
    fraction = fraction.rstrip(b"0")
    return b'{"scale":%d,"value":%b}' % (
        len(fraction),
        _unscaled_json(_integer(whole + fraction)),
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


def scaled_string_converter(scale: int) -> Convert:
    """Return the converter of ``numeric(p,s)`` in mode ``string``, filled up with zeros.

    Args:
        scale: digits behind the point, more than the text has.
    """

    def scaled_string_json(value: bytes) -> bytes:
        if value in _SPECIAL_NUMERIC:
            return _SPECIAL_NUMERIC[value]
        whole, _, fraction = value.partition(b".")
        return b'"%b.%b"' % (whole, fraction.ljust(scale, b"0"))

    return scaled_string_json


def money_text(value: bytes) -> bytes:
    """Return the number in a ``money`` value: ``-$1,234.50`` is ``-1234.50``."""
    digits = re.sub(rb"[^0-9.]", b"", value)
    return b"-" + digits if value[:1] in (b"-", b"(") else digits


def money_converter(fraction_digits: int, decimal_format: DecimalFormat = "BASE64") -> Convert:
    """Return the converter of ``money`` in mode ``precise``.

    Args:
        fraction_digits: digits behind the point of the Connect type; a value with more is rounded,
            half away from zero.
        decimal_format: see `decimal_converter`.
    """
    unscaled_json = unscaled_converter(fraction_digits, decimal_format)

    def money_json(value: bytes) -> bytes:
        whole, _, fraction = money_text(value).partition(b".")
        dropped = len(fraction) - fraction_digits
        number = _integer(whole + fraction)
        if dropped <= 0:
            return unscaled_json(number * 10**-dropped)
        quotient, rest = divmod(abs(number), 10**dropped)
        quotient += rest * 2 >= 10**dropped
        return unscaled_json(-quotient if number < 0 else quotient)

    return money_json
