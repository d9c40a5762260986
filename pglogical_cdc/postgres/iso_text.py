"""Dates, times and intervals in the server's own words, for those that Python cannot hold.

Everything here turns the binary form of a value into the text that the server would have sent,
with the session settings that ours pin: DateStyle ISO, IntervalStyle postgres, TimeZone UTC. The
binary forms and the limits are those of the server's ``date_send``, ``timestamp_send``,
``timetz_send`` and ``interval_send`` (``src/backend/utils/adt``); the text is described in the
PostgreSQL manual, "Date/Time Output" and "Interval Output".
"""

from __future__ import annotations

import re
import struct
from datetime import date, timedelta
from typing import Final

__all__ = (
    "Interval",
    "date_text",
    "interval_text",
    "interval_timedelta",
    "read_interval",
    "read_interval_text",
    "time_text",
    "timestamp_text",
    "timestamptz_text",
    "timetz_text",
)

Interval = tuple[int, int, int]
"""Months, days and microseconds, which the server keeps apart."""

_INT4: Final = struct.Struct(">i").unpack
_INT8: Final = struct.Struct(">q").unpack
_TIMETZ: Final = struct.Struct(">qi").unpack
_INTERVAL: Final = struct.Struct(">qii").unpack

_INT4_MIN, _INT4_MAX = -(1 << 31), (1 << 31) - 1
_INT8_MIN, _INT8_MAX = -(1 << 63), (1 << 63) - 1

_EPOCH: Final = date(2000, 1, 1)
_CYCLE_DAYS: Final = 146_097
"""After 400 years the Gregorian calendar repeats itself."""
_DAY_US: Final = 86_400_000_000

_INTERVAL_TEXT: Final = re.compile(
    rb"(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?"
    rb"(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?"
)


def date_text(data: bytes) -> str:
    """Render a ``date``: days since 2000-01-01.

    Raises:
        struct.error: the value has another length.
    """
    (days,) = _INT4(data)
    if days in (_INT4_MIN, _INT4_MAX):
        return _infinity(days)
    day, era = _date(days)
    return day + era


def time_text(data: bytes) -> str:
    """Render a ``time``: microseconds since midnight.

    Raises:
        struct.error: the value has another length.
    """
    (micros,) = _INT8(data)
    return _clock(micros)


def timetz_text(data: bytes) -> str:
    """Render a ``timetz``: microseconds since midnight, and seconds west of UTC.

    Raises:
        struct.error: the value has another length.
    """
    micros, west = _TIMETZ(data)
    minutes, seconds = divmod(abs(west), 60)
    hours, minutes = divmod(minutes, 60)
    zone = f"{'-' if west > 0 else '+'}{hours:02}"
    if seconds:
        zone += f":{minutes:02}:{seconds:02}"
    elif minutes:
        zone += f":{minutes:02}"
    return _clock(micros) + zone


def timestamp_text(data: bytes) -> str:
    """Render a ``timestamp``: microseconds since 2000-01-01 00:00.

    Raises:
        struct.error: the value has another length.
    """
    return _timestamp(data, "")


def timestamptz_text(data: bytes) -> str:
    """Render a ``timestamptz`` in UTC: microseconds since 2000-01-01 00:00 UTC.

    Raises:
        struct.error: the value has another length.
    """
    return _timestamp(data, "+00")


def read_interval(data: bytes) -> Interval:
    """Read the binary form of an ``interval``.

    Raises:
        struct.error: the value has another length.
    """
    micros, days, months = _INTERVAL(data)
    return months, days, micros


def read_interval_text(data: bytes) -> Interval | None:
    """Read the text form of an ``interval``; None if it is infinite, or of another style."""
    found = _INTERVAL_TEXT.fullmatch(data)
    if not data or found is None:
        return None
    years, months, days, sign, hours, minutes, seconds, fraction = found.groups()
    micros = 0
    if hours is not None:
        micros = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
        micros = micros * 1_000_000 + int((fraction or b"").ljust(6, b"0"))
        if sign == b"-":
            micros = -micros
    return int(years or 0) * 12 + int(months or 0), int(days or 0), micros


def interval_text(interval: Interval) -> str:
    """Render an ``interval``."""
    if interval == (_INT4_MIN, _INT4_MIN, _INT8_MIN) or interval == (
        _INT4_MAX,
        _INT4_MAX,
        _INT8_MAX,
    ):
        return _infinity(interval[0])
    months, days, micros = interval
    parts: list[str] = []
    after_negative = False
    years, months = _divide(months, 12)
    for value, unit in ((years, "year"), (months, "mon"), (days, "day")):
        if value:
            sign = "+" if after_negative and value > 0 else ""
            parts.append(f"{sign}{value} {unit}{'' if value == 1 else 's'}")
            after_negative = value < 0
    if micros or not parts:
        sign = "-" if micros < 0 else "+" if after_negative else ""
        parts.append(sign + _clock(abs(micros)))
    return " ".join(parts)


def interval_timedelta(interval: Interval) -> timedelta | None:
    """Make a timedelta as psycopg does: a year has 365 days, a month 30; None if it is too long."""
    months, days, micros = interval
    years, months = _divide(months, 12)
    try:
        return timedelta(days=365 * years + 30 * months + days, microseconds=micros)
    except OverflowError:
        return None


def _divide(value: int, by: int) -> tuple[int, int]:
    """Divide towards zero, as C does."""
    whole, rest = divmod(abs(value), by)
    return (-whole, -rest) if value < 0 else (whole, rest)


def _infinity(value: int) -> str:
    return "-infinity" if value < 0 else "infinity"


def _date(days: int) -> tuple[str, str]:
    cycles, rest = divmod(days, _CYCLE_DAYS)
    day = _EPOCH + timedelta(days=rest)
    year = day.year + 400 * cycles
    era = ""
    if year <= 0:  # the year before 1 is 1 BC
        year, era = 1 - year, " BC"
    return f"{year:04}-{day.month:02}-{day.day:02}", era


def _clock(micros: int) -> str:
    seconds, micros = divmod(micros, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{micros:06}".rstrip("0") if micros else ""
    return f"{hours:02}:{minutes:02}:{seconds:02}{fraction}"


def _timestamp(data: bytes, zone: str) -> str:
    (micros,) = _INT8(data)
    if micros in (_INT8_MIN, _INT8_MAX):
        return _infinity(micros)
    days, micros = divmod(micros, _DAY_US)
    day, era = _date(days)
    return f"{day} {_clock(micros)}{zone}{era}"
