"""Numbers as Java 17 prints them, and the order of a Java hash map.

Kafka Connect's JsonConverter writes floating point with ``Float.toString`` and ``Double.toString``.
Before Java 19 those give a digit or two too many for some numbers (bug JDK-4511638). Debezium 3.6
runs on Java 17 and later, and its recorded output is Java 17's. A reader of the JSON gets the same
number either way.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable
from typing import Final, TypeVar

__all__ = ("float4_json", "float8_json", "hash_map_order", "java_double")

_T = TypeVar("_T")

_SHORT: Final = re.compile(rb"-?(?:[1-9]\d{0,6}\.\d*[1-9]|0\.0{0,2}[1-9](?:\d*[1-9])?)")
_SHORT_FLOAT4: Final = 7
_SHORT_FLOAT8: Final = 16
"""Characters. Where so few digits are enough Java finds the same ones, and between 0.001 and
10,000,000 it lays them out as PostgreSQL does."""

_SPECIAL: Final = {
    b"NaN": b'"NaN"',
    b"Infinity": b'"Infinity"',
    b"-Infinity": b'"-Infinity"',
}


def float8_json(value: bytes) -> bytes:
    """Return the JSON of a ``float8`` in text form."""
    if len(value) <= _SHORT_FLOAT8 and _SHORT.fullmatch(value):
        return value
    special = _SPECIAL.get(value)
    return java_double(float(value)) if special is None else special


def float4_json(value: bytes) -> bytes:
    """Return the JSON of a ``float4`` in text form."""
    if len(value) <= _SHORT_FLOAT4 and _SHORT.fullmatch(value):
        return value
    special = _SPECIAL.get(value)
    if special is not None:
        return special
    (bits,) = struct.unpack("<I", struct.pack("<f", float(value)))
    return _java_float(bits, fraction_bits=23, exponent_bits=8)


def java_double(number: float) -> bytes:
    """Return the JSON of a number as ``Double.toString`` writes it; quoted if not finite."""
    if not math.isfinite(number):
        return b'"NaN"' if math.isnan(number) else b'"Infinity"' if number > 0 else b'"-Infinity"'
    (bits,) = struct.unpack("<Q", struct.pack("<d", number))
    return _java_float(bits, fraction_bits=52, exponent_bits=11)


def _java_float(bits: int, *, fraction_bits: int, exponent_bits: int) -> bytes:
    sign = "-" if bits >> (fraction_bits + exponent_bits) else ""
    fraction = bits & ((1 << fraction_bits) - 1)
    exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1)
    lowest = 2 - fraction_bits - (1 << (exponent_bits - 1))
    if exponent:
        fraction |= 1 << fraction_bits
        digits, point = _digits(fraction, exponent - 1 + lowest, fraction_bits + 1)
    elif fraction:
        digits, point = _digits(fraction, lowest, fraction.bit_length())
    else:
        return f"{sign}0.0".encode()
    return _layout(sign, digits, point)


def _layout(sign: str, digits: str, point: int) -> bytes:
    """Lay out ``0.digits * 10^point``; the digits have no zeros at their ends."""
    if -3 < point <= 7:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}".encode()
        return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}".encode()
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{point - 1}".encode()


# What follows repeats what the JDK's FloatingDecimal computes, its limits included: up to two
# machine words it works with overflowing integers, and that shows in the digits.

_INSIGNIFICANT: Final = (
    *(0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7),
    *(8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 11, 11, 11, 12, 12, 12, 12, 13, 13, 13, 14, 14, 14),
    *(15, 15, 15, 15, 16, 16, 16, 17, 17, 17, 18, 18, 18, 19),
)
"""How many decimal digits mean nothing in a whole number so many bits above its precision."""


def _digits(significand: int, exponent: int, precision: int) -> tuple[str, int]:
    """Return the digits d and the power p with which Java prints a number as ``0.d * 10^p``.

    Args:
        significand: the number is this times two to the power of `exponent`.
        exponent: see above.
        precision: bits that the number's significand has.
    """
    top = exponent + significand.bit_length() - 1
    zeros = (significand & -significand).bit_length() - 1
    significand >>= zeros
    exponent += zeros
    if exponent >= 0 and top <= 62:
        return _whole_digits(significand << exponent, top - precision)
    bits = significand.bit_length()
    below_point = max(0, -exponent)
    mantissa = significand / (1 << (bits - 1))
    guess = (mantissa - 1.5) * 0.289529654 + 0.176091259 + top * 0.301029995663981
    power = math.floor(guess)

    # The number is value / unit * 10^power, and half a unit in the last place is margin / unit.
    fives = max(0, -power)
    unit_fives = max(0, power)
    twos = fives + below_point + exponent
    unit_twos = unit_fives + below_point
    shared = min(twos, unit_twos)
    # At a power of two the next lower number is only half as far away.
    margin_twos = fives + below_point + top - precision - shared - (bits == 1)
    twos, unit_twos = twos - shared, unit_twos - shared
    if margin_twos < 0:
        twos, unit_twos, margin_twos = twos - margin_twos, unit_twos - margin_twos, 0
    word = _word(bits + twos + _bits_of_five(fives), unit_twos + 1 + _bits_of_five(unit_fives + 1))
    return _long_division(
        significand * 5**fives << twos,
        5**unit_fives << unit_twos,
        5**fives << margin_twos,
        power,
        word,
    )


def _whole_digits(number: int, excess: int) -> tuple[str, int]:
    dropped = 0
    if 1 < excess - 1 < len(_INSIGNIFICANT):
        dropped = _INSIGNIFICANT[excess - 1]
        number, rest = divmod(number, 10**dropped)
        number += dropped > 0 and rest >= 10**dropped >> 1
    text = str(number)
    return text.rstrip("0"), len(text) + dropped


def _bits_of_five(power: int) -> int:
    if power == 0:
        return 0
    return (5**power).bit_length() if power < 27 else 3 * power


def _word(value_bits: int, unit_bits: int) -> int:
    """Return the bits of the signed integers that Java computes with; 0 for big integers."""
    for word in (32, 64):
        if value_bits < word and unit_bits < word:
            return word
    return 0


def _long_division(value: int, unit: int, margin: int, power: int, word: int) -> tuple[str, int]:
    """Divide until less than the margin is left; return the digits and where the point is."""

    def wrap(number: int) -> int:
        if not word:
            return number
        half = 1 << (word - 1)
        return (number + half) % (2 * half) - half

    def step() -> tuple[int, bool, bool]:
        nonlocal value, margin
        digit, rest = divmod(value, unit)
        value, margin = wrap(10 * rest), wrap(10 * margin)
        total = wrap(value + margin)
        return digit, value < margin, total > ten if word else total >= ten

    ten = wrap(10 * unit)
    digit, low, high = step()
    number, count = digit, 1
    if digit == 0 and not high:
        # The power was guessed one too high.
        power, count = power - 1, 0
    if not -3 <= power < 8:
        # With an exponent there are two digits at least.
        low = high = False
    while not low and not high:
        digit, low, high = step()
        if margin <= 0:
            low = high = True
        number, count = 10 * number + digit, count + 1
    difference = wrap(wrap(2 * value) - ten)
    if high and (not low or difference > 0 or (difference == 0 and digit & 1)):
        number += 1
    text = str(number)
    return text.rstrip("0"), power + 1 + len(text) - count


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
