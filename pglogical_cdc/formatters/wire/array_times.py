"""Dates and times in arrays, as Debezium sees them.

The PostgreSQL JDBC driver gives the elements of an array as ``java.sql.Date``, ``Time`` and
``Timestamp``, and those count dates before 15 October 1582 by the Julian calendar, know no years
before the first, and keep milliseconds of a time of day. What comes of it is, for each value, the
value of another text; that text is what the functions here return.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

from pglogical_cdc.formatters.wire.convert import Text
from pglogical_cdc.formatters.wire.times import civil_of_days, days_of_civil

__all__ = ("ARRAY_TEXTS", "has_lost_day")

_FIRST_GREGORIAN: Final = b"1582-10-15"
_GAP: Final = range(5, 15)
"""Days of October 1582 that the calendar with both parts does not have."""
_LABEL: Final = re.compile(rb"(\d{4,})-(\d\d)-(\d\d)(.*?)( BC)?", re.DOTALL)
_LEAP_DAY: Final = re.compile(rb"\d-02-29[^,]* BC")
_FRACTION: Final = re.compile(rb"\.\d+")


def _is_gregorian(value: bytes) -> bool:
    """Tell of a date, with or without time, whether both calendars have it alike."""
    return value[4:5] == b"-" and value[:10] >= _FIRST_GREGORIAN and not value.endswith(b"BC")


def _same_label(value: bytes) -> bytes:
    """Keep the label of a date, but for the era, and for the days that are not there."""
    match = _LABEL.fullmatch(value)
    if match is None:
        return value
    year, month, day, rest, _era = match.groups()
    if (year, month) == (b"1582", b"10") and int(day) in _GAP:
        moved = date(1582, 10, int(day)) + timedelta(days=10)
        return moved.isoformat().encode() + rest
    return b"%b-%b-%b%b" % (year, month, day, rest)


def has_lost_day(value: bytes) -> bool:
    """Tell whether a text has a 29 February before the first year.

    The year of the same number after it is no leap year, and has no such day.
    """
    return _LEAP_DAY.search(value) is not None


def _date_text(value: bytes) -> bytes:
    if _is_gregorian(value):
        return value
    infinite = {b"infinity": b"292278994-08-16", b"-infinity": b"292269055-12-02"}
    return infinite.get(value) or _same_label(value)


def _timestamptz_text(value: bytes) -> bytes:
    if _is_gregorian(value):
        return value
    return b"292269055-12-02 23:00:00+00" if value == b"-infinity" else _same_label(value)


def _timestamp_text(value: bytes) -> bytes:
    match = None if _is_gregorian(value) else _LABEL.fullmatch(value)
    if match is None:
        return value
    year = 1 - int(match[1]) if match[5] else int(match[1])
    month, day = int(match[2]), int(match[3])
    if (year, month, day) >= (1582, 10, 15):
        return value
    year, month, day = civil_of_days(_julian_days(year, month, day))
    era = b" BC" if year < 1 else b""
    return b"%04d-%02d-%02d%b%b" % (1 - year if year < 1 else year, month, day, match[4], era)


def _julian_days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Julian calendar; 1 BC is year 0."""
    # In years that begin in March the leap day is the last. 1 March of year 0 is 28 February in
    # the Gregorian calendar.
    late = month < 3
    years, months = year - late, month - 3 + 12 * late
    since = 365 * years + years // 4 + (153 * months + 2) // 5 + day - 1
    return days_of_civil(0, 2, 28) + since


def _time_text(value: bytes) -> bytes:
    return b"00:00:00" if value.startswith(b"24:") else value[:12]


def _timetz_text(value: bytes) -> bytes:
    return _FRACTION.sub(b"", value)


ARRAY_TEXTS: Final[dict[str, Text]] = {
    "date": _date_text,
    "time": _time_text,
    "timestamp": _timestamp_text,
    "timestamptz": _timestamptz_text,
    "timetz": _timetz_text,
}
"""By element type, from the text of an element to the text of what Debezium takes it for."""
