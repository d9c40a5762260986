"""The clock that formatters use unless another is handed in."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

__all__ = ("utc_nanoseconds",)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def utc_nanoseconds() -> int:
    """Return the time in nanoseconds since 1970-01-01 UTC, exact to the microsecond."""
    since = datetime.now(timezone.utc) - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
