"""Dates, times and intervals: from ISO text of the server to Debezium's numbers and strings.

Text forms: PostgreSQL manual, "Date/Time Output" (style ISO) and "Interval Output" (style
postgres). Dates before the Gregorian calendar are counted as if it had always been (as PostgreSQL
and Java do). The odd numbers that stand for infinity, and what happens beyond the range of 64 bits,
are those that Debezium 3.6.3 writes.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final, Literal, TypeAlias

from pglogical_cdc.formatters.wire.convert import Convert

__all__ = (
    "ISO_TIMESTAMP",
    "TimeUnit",
    "array_time_converter",
    "date_json",
    "interval_json",
    "interval_text_json",
    "time_converter",
    "timestamp_converter",
    "timestamptz_converter",
    "timetz_json",
    "utc_offset",
)

TimeUnit: TypeAlias = Literal["ms", "us", "ns"]

_MAX: Final = (1 << 63) - 1
_MIN: Final = -(1 << 63)

_DATE: Final = re.compile(rb"(\d{4,})-(\d\d)-(\d\d)( BC)?")
_OFFSET: Final = rb"([+-]\d\d(?::\d\d(?::\d\d)?)?)?"
_TIME: Final = re.compile(rb"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?" + _OFFSET)
ISO_TIMESTAMP: Final = re.compile(
    rb"(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?" + _OFFSET + rb"( BC)?"
)
"""``timestamp`` or ``timestamptz``: six numbers, fraction, offset from UTC, ``BC``."""


_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DAYS_OF_400_YEARS: Final = 146_097

_INFINITE_DATE: Final = {b"infinity": b"-2147472692", b"-infinity": b"-2147472691"}
_INFINITE_MICROSECONDS: Final = {
    b"infinity": 9_223_372_036_825_200_000,
    b"-infinity": -9_223_372_036_832_400_000,
}


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01, for any year; 1 BC is year 0."""
    # Whole cycles of 400 years bring the year into the range of Python's dates.
    cycles = (year - 1) // 400
    ordinal = date(year - 400 * cycles, month, day).toordinal()
    return ordinal - _EPOCH_ORDINAL + cycles * _DAYS_OF_400_YEARS


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970-01-01."""
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


def date_json(value: bytes) -> bytes:
    """Return the JSON of a ``date``: days since 1970-01-01."""
    if len(value) == 10 and value[4] == 45:
        return b"%d" % (date.fromisoformat(value.decode()).toordinal() - _EPOCH_ORDINAL)
    infinite = _INFINITE_DATE.get(value)
    if infinite is not None:
        return infinite
    match = _match(_DATE, value)
    return b"%d" % _days(_year(match[1], match[4]), int(match[2]), int(match[3]))


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


def time_converter(unit: TimeUnit) -> Convert:
    """Return the converter of ``time``: a number of units since midnight."""
    return {"ms": _time_ms, "us": _time_us, "ns": _time_ns}[unit]


def array_time_converter(unit: TimeUnit) -> Convert:
    """Return the converter of ``time`` in an array, where Debezium drops the microseconds."""
    factor = {"ms": 1, "us": 1000, "ns": 1_000_000}[unit]

    def truncated_time_json(value: bytes) -> bytes:
        return b"%d" % (_time_of_day(value) // 1000 * factor)

    return truncated_time_json


def timetz_json(value: bytes) -> bytes:
    """Return the JSON of a ``timetz``: a string, in UTC, fraction without trailing zeros.

    An offset with seconds, which stops Debezium, is taken into account like any other.
    """
    match = _match(_TIME, value)
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]) - utc_offset(match[5])
    minutes, second = divmod(seconds % 86_400, 60)
    fraction = (match[4] or b"").rstrip(b"0")
    point = b"." if fraction else b""
    return b'"%02d:%02d:%02d%b%bZ"' % (*divmod(minutes, 60), second, point, fraction)


# -- timestamp


def _timestamp(value: bytes) -> tuple[int, int]:
    """Seconds since 1970-01-01 and the microseconds beyond them."""
    match = _match(ISO_TIMESTAMP, value)
    days = _days(_year(match[1], match[9]), int(match[2]), int(match[3]))
    seconds = days * 86_400 + int(match[4]) * 3600 + int(match[5]) * 60 + int(match[6])
    return seconds - utc_offset(match[8]), _microseconds(match[7])


def _timestamp_ms(value: bytes) -> bytes:
    infinite = _INFINITE_MICROSECONDS.get(value)
    if infinite is not None:
        # Java's division rounds towards zero.
        return b"%d" % (infinite // 1000 if infinite > 0 else -(-infinite // 1000))
    seconds, microseconds = _timestamp(value)
    return b"%d" % (seconds * 1000 + microseconds // 1000)


def _timestamp_us(value: bytes) -> bytes:
    infinite = _INFINITE_MICROSECONDS.get(value)
    if infinite is not None:
        return b"%d" % infinite
    seconds, microseconds = _timestamp(value)
    # Java's TimeUnit stops at the end of the range, and the addition after it wraps around.
    total = min(max(seconds * 1_000_000, _MIN), _MAX) + microseconds
    return b"%d" % ((total - _MIN) % (1 << 64) + _MIN)


def _timestamp_ns(value: bytes) -> bytes | None:
    infinite = _INFINITE_MICROSECONDS.get(value)
    if infinite is not None:
        return b"%d" % (_MAX if infinite > 0 else _MIN)
    seconds, microseconds = _timestamp(value)
    total = (seconds * 1_000_000 + microseconds) * 1000
    return b"%d" % total if _MIN <= total <= _MAX else None


def timestamp_converter(unit: TimeUnit) -> Convert:
    """Return the converter of ``timestamp``: a number of units since 1970-01-01."""
    return {"ms": _timestamp_ms, "us": _timestamp_us, "ns": _timestamp_ns}[unit]


def timestamptz_converter(precision: int) -> Convert:
    """Return the converter of ``timestamptz``: an ISO 8601 string in UTC.

    Args:
        precision: digits of the fraction, 0 to 6; it is always written in full.
    """

    def timestamptz_json(value: bytes) -> bytes:
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


def _far_timestamptz(value: bytes, precision: int) -> bytes:
    if value in _INFINITE_MICROSECONDS:
        return b'"%b"' % value
    seconds, microseconds = _timestamp(value)
    days, second = divmod(seconds, 86_400)
    year, month, day = _civil(days)
    minute, second = divmod(second, 60)
    years = b"+%d" % year if year > 9999 else b"%04d" % year if year >= 0 else b"-%04d" % -year
    fraction = b".%b" % (b"%06d" % microseconds)[:precision] if precision else b""
    return b'"%b-%02d-%02dT%02d:%02d:%02d%bZ"' % (
        years,
        month,
        day,
        *divmod(minute, 60),
        second,
        fraction,
    )


# -- interval

_INTERVAL: Final = re.compile(
    rb"(?:([+-]?\d+) years?)? ?(?:([+-]?\d+) mons?)? ?(?:([+-]?\d+) days?)? ?"
    rb"(?:([+-])?(\d+):(\d\d):(\d\d)(?:\.(\d+))?)?"
)
_US_OF_DAY: Final = 86_400_000_000
_US_OF_MONTH: Final = 2_629_800_000_000
"""A month of 365.25 / 12 days, which Debezium takes for every month."""


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


def interval_json(value: bytes) -> bytes:
    """Return the JSON of an ``interval`` in mode ``numeric``: microseconds; infinity is 0."""
    if value.endswith(b"infinity"):
        return b"0"
    years, months, days, hours, minutes, microseconds = _interval(value)
    total = (
        (years * 12 + months) * _US_OF_MONTH
        + days * _US_OF_DAY
        + (hours * 60 + minutes) * 60_000_000
        + microseconds
    )
    return b"%d" % min(max(total, _MIN), _MAX)


def interval_text_json(value: bytes) -> bytes:
    """Return the JSON of an ``interval`` in mode ``string``: ``P1Y2M3DT4H5M6.789S``."""
    parts = (0,) * 6 if value.endswith(b"infinity") else _interval(value)
    years, months, days, hours, minutes, microseconds = parts
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    text = b"%b%d.%06d" % (b"-" if microseconds < 0 else b"", seconds, fraction)
    return b'"P%dY%dM%dDT%dH%dM%bS"' % (
        years,
        months,
        days,
        hours,
        minutes,
        text.rstrip(b"0").rstrip(b"."),
    )
