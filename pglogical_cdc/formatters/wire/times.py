"""Dates, times and intervals: from ISO text of the server to Debezium's numbers and strings.

Text forms: PostgreSQL manual, "Date/Time Output" (style ISO) and "Interval Output" (style
postgres). Dates before the Gregorian calendar are counted as if it had always been (as PostgreSQL
and Java do). The odd numbers that stand for infinity, and what happens beyond the range of 64 bits,
are those that Debezium 3.6.3 writes.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import ROUND_DOWN, Decimal
from typing import Final, Literal, TypeAlias

from pglogical_cdc.formatters.wire.convert import Convert
from pglogical_cdc.formatters.wire.usual_form import PartlyUsual, UsualForm

__all__ = (
    "ISO_TIMESTAMP",
    "TimeUnit",
    "civil_of_days",
    "date_converter",
    "days_of_civil",
    "faithful_interval_json",
    "faithful_interval_text_json",
    "interval_json",
    "interval_text_json",
    "iso_form",
    "time_converter",
    "timestamp_converter",
    "timestamptz_converter",
    "timetz_json",
    "utc_offset",
)

TimeUnit: TypeAlias = Literal["ms", "us", "ns", "iso"]
"""Milliseconds, microseconds, nanoseconds, or ISO 8601 text."""

_MAX: Final = (1 << 63) - 1
_MIN: Final = -(1 << 63)

_DATE: Final = re.compile(rb"(\d{4,})-(\d\d)-(\d\d)( BC)?")
_OFFSET: Final = rb"([+-]\d\d(?::\d\d(?::\d\d)?)?)?"
_TIME: Final = re.compile(rb"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?" + _OFFSET)
ISO_TIMESTAMP: Final = re.compile(
    rb"(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?" + _OFFSET + rb"( BC)?"
)
"""``timestamp`` or ``timestamptz``: six numbers, fraction, offset from UTC, ``BC``."""


_ZEROS: Final = bytes.maketrans(b"0123456789", b"0000000000")

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DAYS_OF_400_YEARS: Final = 146_097

_MAX_DAYS: Final = (1 << 31) - 1
_INFINITE_DAYS: Final = {b"infinity": -2_147_472_692, b"-infinity": -2_147_472_691}
_INFINITE_MICROSECONDS: Final = {
    b"infinity": 9_223_372_036_825_200_000,
    b"-infinity": -9_223_372_036_832_400_000,
}


def days_of_civil(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date, in any year; 1 BC is year 0."""
    # Whole cycles of 400 years bring the year into the range of Python's dates.
    cycles = (year - 1) // 400
    ordinal = date(year - 400 * cycles, month, day).toordinal()
    return ordinal - _EPOCH_ORDINAL + cycles * _DAYS_OF_400_YEARS


def civil_of_days(days: int) -> tuple[int, int, int]:
    """Return year, month and day of a number of days since 1970-01-01; 1 BC is year 0."""
    cycles, rest = divmod(days + _EPOCH_ORDINAL - 1, _DAYS_OF_400_YEARS)
    day = date.fromordinal(rest + 1)
    return day.year + 400 * cycles, day.month, day.day


def _year(digits: bytes, bc: bytes | None) -> int:
    return 1 - int(digits) if bc else int(digits)


def utc_offset(text: bytes | None) -> int:
    """Return the seconds east of UTC of ``+HH[:MM[:SS]]``; 0 if there is none."""
    if not text or text == b"+00":
        return 0
    parts = [int(part) for part in text[1:].split(b":")]
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    return -seconds if text[:1] == b"-" else seconds


def _microseconds(fraction: bytes | None) -> int:
    return int(fraction.ljust(6, b"0")) if fraction else 0


def _match(pattern: re.Pattern[bytes], value: bytes) -> re.Match[bytes]:
    match = pattern.fullmatch(value)
    if match is None:
        raise ValueError("not in ISO style")
    return match


def _date_days(value: bytes) -> int:
    if len(value) == 10 and value[4] == 45:
        return date.fromisoformat(value.decode()).toordinal() - _EPOCH_ORDINAL
    match = _match(_DATE, value)
    return days_of_civil(_year(match[1], match[4]), int(match[2]), int(match[3]))


def date_converter(*, iso: bool = False, faithful: bool = False) -> Convert:
    """Return the converter of ``date``: days since 1970-01-01, or an ISO 8601 string.

    Args:
        iso: the string.
        faithful: infinity is the end of the range, or a word, and not what Debezium's
            calculation overflows to.
    """
    infinite = _INFINITE_DAYS
    if faithful:
        infinite = {b"infinity": _MAX_DAYS, b"-infinity": -_MAX_DAYS - 1}

    def date_json(value: bytes) -> bytes:
        days = infinite.get(value)
        if days is None:
            days = _date_days(value)
        elif iso and faithful:
            return b'"%b"' % value
        if iso:
            return b'"%b-%02d-%02dZ"' % _iso_date(days)
        # Java's int, for what arrays make of infinity.
        return b"%d" % (days if abs(days) <= _MAX_DAYS else (days + 2**31) % 2**32 - 2**31)

    return date_json


def _iso_date(days: int) -> tuple[bytes, int, int]:
    year, month, day = civil_of_days(days)
    if 0 <= year <= 9999:
        return b"%04d" % year, month, day
    return b"+%d" % year if year > 0 else b"-%04d" % -year, month, day


# -- time


def _time_of_day(value: bytes) -> int:
    """Microseconds since midnight."""
    seconds = int(value[:2]) * 3600 + int(value[3:5]) * 60 + int(value[6:8])
    return seconds * 1_000_000 + _microseconds(value[9:])


def _time_ms(value: bytes) -> bytes:
    return b"%d" % (_time_of_day(value) // 1000)


def _time_us(value: bytes) -> bytes:
    return b"%d" % _time_of_day(value)


def _time_ns(value: bytes) -> bytes:
    return b"%d" % (_time_of_day(value) * 1000)


def _iso_time(value: bytes) -> bytes:
    # 24:00 is the next day's 00:00 to Java.
    hour = b"00" if value[:2] == b"24" else value[:2]
    return b'"%b%b%bZ"' % (hour, value[2:8], _fraction(value[9:]))


def _fraction(digits: bytes) -> bytes:
    """Return a point and the digits without zeros at their end, or nothing."""
    digits = digits.rstrip(b"0")
    return b"." + digits if digits else b""


def time_converter(unit: TimeUnit) -> Convert:
    """Return the converter of ``time``: a number of units since midnight, or a string."""
    return {"ms": _time_ms, "us": _time_us, "ns": _time_ns, "iso": _iso_time}[unit]


def timetz_json(value: bytes) -> bytes:
    """Return the JSON of a ``timetz``: a string, in UTC, fraction without trailing zeros.

    An offset with seconds, which stops Debezium, is taken into account like any other.
    """
    match = _match(_TIME, value)
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]) - utc_offset(match[5])
    minutes, second = divmod(seconds % 86_400, 60)
    return b'"%02d:%02d:%02d%bZ"' % (*divmod(minutes, 60), second, _fraction(match[4] or b""))


# -- timestamp


def _timestamp(value: bytes) -> tuple[int, int]:
    """Seconds since 1970-01-01 and the microseconds beyond them."""
    match = _match(ISO_TIMESTAMP, value)
    days = days_of_civil(_year(match[1], match[9]), int(match[2]), int(match[3]))
    seconds = days * 86_400 + int(match[4]) * 3600 + int(match[5]) * 60 + int(match[6])
    return seconds - utc_offset(match[8]), _microseconds(match[7])


def _iso_timestamp(seconds: int, microseconds: int, *, precision: int | None) -> bytes:
    """Return a string; all digits of a precision, or as many of the fraction as are not zero."""
    days, second = divmod(seconds, 86_400)
    minute, second = divmod(second, 60)
    digits = b"%06d" % microseconds
    fraction = _fraction(digits)
    if precision is not None:
        fraction = b"." + digits[:precision] if precision else b""
    return b'"%b-%02d-%02dT%02d:%02d:%02d%bZ"' % (
        *_iso_date(days),
        *divmod(minute, 60),
        second,
        fraction,
    )


def _count(unit: TimeUnit, seconds: int, microseconds: int) -> int | None:
    """Return how many units have passed since 1970-01-01; None where Debezium has no number."""
    if unit == "ms":
        return seconds * 1000 + microseconds // 1000
    if unit == "us":
        # Java's TimeUnit stops at the end of the range, and the addition after it wraps around.
        total = min(max(seconds * 1_000_000, _MIN), _MAX) + microseconds
        return (total - _MIN) % (1 << 64) + _MIN
    # Debezium counts the nanoseconds up to the day before it adds those of the day.
    day, rest = divmod(seconds, 86_400)
    midnight = _in_range(day * 86_400_000_000_000)
    if midnight is None:
        return None
    return _in_range(midnight + (rest * 1_000_000 + microseconds) * 1000)


def _faithful_count(unit: TimeUnit, seconds: int, microseconds: int) -> int | None:
    total = seconds * 1_000_000 + microseconds
    return _in_range(total // 1000 if unit == "ms" else total * 1000 if unit == "ns" else total)


def _in_range(count: int) -> int | None:
    return count if _MIN <= count <= _MAX else None


def _infinite(unit: TimeUnit) -> dict[bytes, bytes]:
    made = {}
    for value, count in _INFINITE_MICROSECONDS.items():
        if unit == "iso":
            made[value] = _iso_timestamp(*divmod(count, 1_000_000), precision=None)
        elif unit == "ms":
            # Java's division rounds towards zero.
            made[value] = b"%d" % (count // 1000 if count > 0 else -(-count // 1000))
        elif unit == "us":
            made[value] = b"%d" % count
        else:
            made[value] = b"%d" % (_MAX if count > 0 else _MIN)
    return made


def timestamp_converter(unit: TimeUnit, *, faithful: bool = False) -> Convert:
    """Return the converter of ``timestamp``: a number of units since 1970-01-01, or a string.

    Args:
        unit: see `TimeUnit`.
        faithful: infinity is the end of the range of 64 bits, or the word ``infinity``, and not
            what Debezium's calculation overflows to; what is out of the range has no number.
    """
    infinite = _infinite(unit)
    count: Callable[[TimeUnit, int, int], int | None] = _count
    if faithful:
        count = _faithful_count
        infinite = _infinite("ns")
        if unit == "iso":
            infinite = {value: b'"%b"' % value for value in infinite}

    def timestamp_json(value: bytes) -> bytes | None:
        found = infinite.get(value)
        if found is not None:
            return found
        seconds, microseconds = _timestamp(value)
        if unit == "iso":
            return _iso_timestamp(seconds, microseconds, precision=None)
        counted = count(unit, seconds, microseconds)
        return None if counted is None else b"%d" % counted

    return timestamp_json


def timestamptz_converter(precision: int) -> Convert:
    """Return the converter of ``timestamptz``: an ISO 8601 string in UTC.

    Args:
        precision: digits of the fraction, 0 to 6; it is always written in full.
    """
    all_digits = 22 + (precision + 1 if precision else 0)

    def timestamptz_json(value: bytes) -> bytes:
        if len(value) == all_digits and value[10] == 32 and value[-3:] == b"+00":
            return b'"%bT%bZ"' % (value[:10], value[11:-3])
        if value[19:] == b"+00":
            fraction = b""
        elif value[-3:] == b"+00" and value[19:20] == b".":
            fraction = value[20:-3]
        else:
            return _far_timestamptz(value, precision)
        point = b"." if precision else b""
        digits = fraction[:precision].ljust(precision, b"0")
        return b'"%bT%b%b%bZ"' % (value[:10], value[11:19], point, digits)

    return timestamptz_json


def iso_form(precision: int, *, zone: bool) -> UsualForm:
    """Return the usual form of a timestamp that becomes an ISO 8601 string.

    That is one of the years that have four digits, with all digits of the fraction.

    Args:
        precision: digits of the fraction, 0 to 6.
        zone: whether the text has the offset of its zone, which is UTC.
    """
    fraction = f".{'0' * precision}" if precision else ""
    zeros = f"0000-00-00 00:00:00{fraction}{'+00' if zone else ''}"
    test = f'v.translate(zeros) == b"{zeros}"'
    return UsualForm(
        f"f'\"{{(t := v.decode())[:10]}}T{{t[11:{len(zeros) - 3 if zone else ''}]}}Z\"'",
        f"{test} and v[-2:] == b'00'" if zone else test,
        functools.partial(_iso_times, zeros=zeros),
    )


def _iso_times(column: Sequence[str], zeros: str) -> list[str] | PartlyUsual | None:
    usual, texts = column, "\n".join(column)
    if len(texts) + 1 != len(column) * (len(zeros) + 1):
        # The server leaves out zeros at the end of a fraction.
        usual = [text for text in column if len(text) == len(zeros)]
        texts = "\n".join(usual)
    if not usual:
        return None
    if texts.encode().translate(_ZEROS) != "\n".join([zeros] * len(usual)).encode():
        return None
    if zeros.endswith("+00"):
        if texts.count("+00") != len(usual):
            return None
        texts = texts.replace("+00", "")
    made = f'"{texts}Z"'.replace(" ", "T").replace("\n", 'Z"\n"').split("\n")
    if len(made) == len(column):
        return made
    rest = iter(made)
    return PartlyUsual([next(rest) if len(text) == len(zeros) else None for text in column])


def _far_timestamptz(value: bytes, precision: int) -> bytes:
    if value in _INFINITE_MICROSECONDS:
        return b'"%b"' % value
    return _iso_timestamp(*_timestamp(value), precision=precision)


# -- interval

_INTERVAL: Final = re.compile(
    rb"(?:([+-]?\d+) years?)? ?(?:([+-]?\d+) mons?)? ?(?:([+-]?\d+) days?)? ?"
    rb"(?:([+-])?(\d+):(\d\d):(\d\d)(?:\.(\d+))?)?"
)
_DAYS_OF_MONTH: Final = 30.4375
"""365.25 / 12, which Debezium takes for every month."""
_NANOSECOND: Final = Decimal("1e-9")
_US_OF_DAY: Final = 86_400_000_000
_US_OF_MONTH: Final = 2_629_800_000_000


def _interval(value: bytes) -> tuple[int, int, int, int, int, int]:
    """Years, months, days; hours, minutes and microseconds with the sign of the time part."""
    match = _match(_INTERVAL, value)
    years, months, days = (int(part or 0) for part in match.group(1, 2, 3))
    sign = -1 if match[4] == b"-" else 1
    microseconds = int(match[7] or 0) * 1_000_000 + _microseconds(match[8])
    return (
        years,
        months,
        days,
        sign * int(match[5] or 0),
        sign * int(match[6] or 0),
        sign * microseconds,
    )


def _seconds(microseconds: int) -> float:
    """Return seconds as the PostgreSQL JDBC driver does: the sum of two numbers."""
    whole, rest = divmod(abs(microseconds), 1_000_000)
    return math.copysign(whole + rest / 1_000_000, microseconds)


def interval_json(value: bytes) -> bytes:
    """Return the JSON of an ``interval`` in mode ``numeric``: microseconds; infinity is 0.

    Debezium calculates with floating point and cuts the result off, which can make it one
    microsecond less than it is.
    """
    if value.endswith(b"infinity"):
        return b"0"
    years, months, days, hours, minutes, microseconds = _interval(value)
    all_days = (years * 12 + months) * _DAYS_OF_MONTH + days
    seconds = ((all_days * 24.0 + hours) * 60.0 + minutes) * 60.0 + _seconds(microseconds)
    return b"%d" % min(max(int(seconds * 1_000_000.0), _MIN), _MAX)


def interval_text_json(value: bytes) -> bytes:
    """Return the JSON of an ``interval`` in mode ``string``: ``P1Y2M3DT4H5M6.789S``.

    Infinity is zero. Debezium cuts seconds, in floating point, off after nine digits, which can
    make 5.94 seconds 5.939999999.
    """
    if value.endswith(b"infinity"):
        return b'"P0Y0M0DT0H0M0S"'
    years, months, days, hours, minutes, microseconds = _interval(value)
    seconds = Decimal(repr(abs(_seconds(microseconds)))).quantize(_NANOSECOND, ROUND_DOWN)
    whole, _, fraction = f"{seconds:f}".encode().partition(b".")
    sign = b"-" if microseconds < 0 else b""
    return b'"P%dY%dM%dDT%dH%dM%b%b%bS"' % (
        *(years, months, days, hours, minutes),
        sign,
        whole,
        _fraction(fraction),
    )


def faithful_interval_json(value: bytes) -> bytes | None:
    """Return what `interval_json` does, exact, and for infinity the end of the range of 64 bits.

    What is out of the range has no number.
    """
    if value.endswith(b"infinity"):
        return b"%d" % (_MIN if value[:1] == b"-" else _MAX)
    years, months, days, hours, minutes, microseconds = _interval(value)
    total = (
        (years * 12 + months) * _US_OF_MONTH
        + days * _US_OF_DAY
        + (hours * 60 + minutes) * 60_000_000
        + microseconds
    )
    return b"%d" % total if _MIN <= total <= _MAX else None


def faithful_interval_text_json(value: bytes) -> bytes:
    """Return what `interval_text_json` does, exact, and for infinity the word."""
    if value.endswith(b"infinity"):
        return b'"%b"' % value
    years, months, days, hours, minutes, microseconds = _interval(value)
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    sign = b"-" if microseconds < 0 else b""
    text = b"%b%d%b" % (sign, seconds, _fraction(b"%06d" % fraction))
    return b'"P%dY%dM%dDT%dH%dM%bS"' % (*(years, months, days, hours, minutes), text)
