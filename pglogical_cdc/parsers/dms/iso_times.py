"""From DMS's dates and times to PostgreSQL's text (style ISO)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

__all__ = ("date_text", "microseconds", "time_text", "timestamptz_text")

_DATE: Final = re.compile(r"\d{4,7}-\d\d-\d\d(?: BC)?|-?infinity", re.ASCII)
_OFFSET: Final = r"(?:Z|[+-]\d\d(?::?\d\d){0,2})"
_TIME: Final = re.compile(rf"(\d\d:\d\d:\d\d(?:\.\d+)?)({_OFFSET})?", re.ASCII)
_TIMESTAMP: Final = re.compile(
    rf"(\d{{4,7}}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?({_OFFSET})?( BC)?", re.ASCII
)
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1)


def date_text(value: str) -> str:
    """Return the text of a ``date``: DMS writes the server's.

    Raises:
        ValueError: it is none.
    """
    if _DATE.fullmatch(value) is None:
        raise ValueError("no date")
    return value


def time_text(value: str) -> str:
    """Return the text of a ``time`` or ``timetz``: DMS writes the server's.

    Raises:
        ValueError: it is none.
    """
    if _TIME.fullmatch(value) is None:
        raise ValueError("no time")
    return value


def timestamptz_text(value: str) -> str:
    """Return the text of a ``timestamptz``: ``2010-11-01T00:02:00.100000Z``.

    What DMS's form cannot hold (infinity, a date before Christ) is in that of the server.

    Raises:
        ValueError: it is none.
    """
    if value in ("infinity", "-infinity"):
        return value
    match = _TIMESTAMP.fullmatch(value)
    if match is None:
        raise ValueError("no timestamp")
    day, clock, fraction, offset, era = match.groups(default="")
    fraction = fraction.rstrip("0")  # as the server writes it
    zone = "+00" if offset in ("", "Z") else offset
    return f"{day} {clock}{'.' if fraction else ''}{fraction}{zone}{era}"


def microseconds(value: str) -> int:
    """Return the microseconds since 1970-01-01 UTC of a time in ``metadata``.

    Raises:
        ValueError: it is none.
    """
    match = _MOMENT.fullmatch(value)
    if match is None:
        raise ValueError("no time in UTC")
    seconds = (datetime.fromisoformat(match[1]) - _EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000 + int((match[2] or "").ljust(6, "0")[:6])
