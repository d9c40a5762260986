"""From Connect's and Debezium's dates and times back to PostgreSQL's text (style ISO)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

__all__ = (
    "date_text",
    "duration_text",
    "interval_text",
    "iso_date_text",
    "iso_time_text",
    "iso_timestamp_text",
    "time_text",
    "timestamp_text",
)

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAYS_OF_400_YEARS: Final = 146_097
_DAY: Final = 86_400_000_000

# What Debezium's arithmetic makes of infinity, and what the ends of the range stand for.
_INFINITE_DAYS: Final = {
    -2_147_472_692: "infinity",
    -2_147_472_691: "-infinity",
    2_147_483_647: "infinity",
    -2_147_483_648: "-infinity",
}
_ENDS: Final = {
    9_223_372_036_854_775_807: "infinity",
    -9_223_372_036_854_775_808: "-infinity",
}
_INFINITE_TIMESTAMPS: Final[Mapping[int, Mapping[int, str]]] = {
    1_000: {9_223_372_036_825_200: "infinity", -9_223_372_036_832_400: "-infinity", **_ENDS},
    1: {9_223_372_036_825_200_000: "infinity", -9_223_372_036_832_400_000: "-infinity", **_ENDS},
    -1_000: _ENDS,
}
"""By unit, as for `timestamp_text`."""


def _civil(days: int) -> tuple[str, str]:
    """Return a date, and the era behind it, of the days since 1970-01-01."""
    cycles, rest = divmod(days + _EPOCH - 1, _DAYS_OF_400_YEARS)
    day = date.fromordinal(rest + 1)
    year = day.year + 400 * cycles
    shown, era = (1 - year, " BC") if year < 1 else (year, "")
    return f"{shown:04d}-{day.month:02d}-{day.day:02d}", era


def _clock(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{hour:02d}:{minute:02d}:{second:02d}"
    return f"{text}.{fraction:06d}" if fraction else text


def _microseconds(value: int, unit: int) -> int:
    """Return microseconds of a number of units.

    Args:
        value: the number.
        unit: microseconds of a unit, or if negative how many units a microsecond has.
    """
    return value * unit if unit > 0 else value // -unit


def date_text(value: Any) -> str:
    """Return the text of a ``date`` in days since 1970-01-01."""
    infinite = _INFINITE_DAYS.get(value)
    return "".join(_civil(value)) if infinite is None else infinite


def time_text(unit: int) -> Callable[[Any], str]:
    """Return what makes the text of a ``time`` in units since midnight."""

    def to_text(value: Any) -> str:
        return _clock(_microseconds(value, unit))

    return to_text


def timestamp_text(unit: int) -> Callable[[Any], str]:
    """Return what makes the text of a ``timestamp`` in units since 1970-01-01.

    Args:
        unit: microseconds of a unit, or if negative how many units a microsecond has: milliseconds,
            microseconds or nanoseconds.
    """

    known = _INFINITE_TIMESTAMPS[unit]

    def to_text(value: Any) -> str:
        infinite = known.get(value)
        if infinite is not None:
            return infinite
        days, rest = divmod(_microseconds(value, unit), _DAY)
        day, era = _civil(days)
        return f"{day} {_clock(rest)}{era}"

    return to_text


# -- ISO 8601

_ISO_DATE: Final = re.compile(r"([+-]?\d{4,})-(\d\d)-(\d\d)")


def _iso_date(text: str) -> tuple[str, str]:
    match = _ISO_DATE.fullmatch(text)
    if match is None:
        raise ValueError("not an ISO 8601 date")
    year = int(match[1])
    shown, era = (1 - year, " BC") if year < 1 else (year, "")
    return f"{shown:04d}-{match[2]}-{match[3]}", era


def iso_date_text(value: Any) -> str:
    """Return the text of a ``date``: ``2024-02-29Z``."""
    if value.endswith("infinity"):
        return str(value)
    return "".join(_iso_date(value.removesuffix("Z")))


def iso_time_text(zone: str) -> Callable[[Any], str]:
    """Return what makes the text of a ``time`` or ``timetz``: ``13:14:15.2Z``."""

    def to_text(value: Any) -> str:
        return f"{value.removesuffix('Z')}{zone}"

    return to_text


def iso_timestamp_text(zone: str) -> Callable[[Any], str]:
    """Return what makes the text of a ``timestamp`` or ``timestamptz``."""

    def to_text(value: Any) -> str:
        if value.endswith("infinity"):
            return str(value)
        day, _, clock = value.removesuffix("Z").rpartition("T")
        shown, era = _iso_date(day)
        return f"{shown} {clock}{zone}{era}"

    return to_text


# -- intervals

_ISO_INTERVAL: Final = re.compile(
    r"P(-?\d+)Y(-?\d+)M(-?\d+)DT(-?\d+)H(-?\d+)M(-?)(\d+)(?:\.(\d{1,9}))?S"
)


def duration_text(value: Any) -> str:
    """Return the text of an ``interval`` in microseconds.

    The last number stands for all that are greater, and in a faithful record for infinity.
    """
    sign = "-" if value < 0 else ""
    return f"{sign}{_clock(abs(value))}"


def interval_text(value: Any) -> str:
    """Return the text of an ``interval``: ``P1Y2M3DT4H5M6.789S``."""
    match = _ISO_INTERVAL.fullmatch(value)
    if match is None:
        if value.endswith("infinity"):
            return str(value)
        raise ValueError("not an ISO 8601 interval")
    years, months, days, hours, minutes, seconds = (int(match[i]) for i in (1, 2, 3, 4, 5, 7))
    fraction = int((match[8] or "").ljust(6, "0")[:6])
    rest = seconds * 1_000_000 + fraction
    total = (hours * 60 + minutes) * 60_000_000 + (-rest if match[6] else rest)
    parts = [
        f"{number} {unit}"
        for number, unit in ((years, "years"), (months, "mons"), (days, "days"))
        if number
    ]
    return " ".join([*parts, duration_text(total)])
