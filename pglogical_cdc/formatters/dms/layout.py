"""How AWS DMS lays a message out as text: its two formats, and its timestamps.

``MessageFormat`` of the endpoint settings: ``json`` is what cJSON_Print writes (tabs and lines),
``json-unformatted`` what cJSON_PrintUnformatted writes (one line, no spaces).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pglogical_cdc._attrs import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ("LAYOUTS", "Layout", "timestamp")


@record
class Layout:
    """Where tabs and line ends go in an object of objects."""

    colon: str
    """Between a name and its value."""
    outer: tuple[str, str, str]
    """What opens, separates and closes the members of the message."""
    inner: tuple[str, str, str]
    """The same one level below."""
    empty: str
    """An object without members, one level below."""

    def message(self, members: Sequence[str]) -> bytes:
        """Return the message that has these members."""
        first, between, last = self.outer
        return f"{first}{between.join(members)}{last}".encode()

    def member(self, name: str, members: Sequence[str]) -> str:
        """Return the member of a message that is an object of these members.

        Args:
            name: needs no escape.
            members: each a name as JSON, `colon`, and a value as JSON.
        """
        if not members:
            return f'"{name}"{self.colon}{self.empty}'
        first, between, last = self.inner
        return f'"{name}"{self.colon}{first}{between.join(members)}{last}'


LAYOUTS: Final[Mapping[str, Layout]] = {
    "json": Layout(
        colon=":\t",
        outer=("{\n\t", ",\n\t", "\n}"),
        inner=("{\n\t\t", ",\n\t\t", "\n\t}"),
        empty="{\n\t}",
    ),
    "json-unformatted": Layout(colon=":", outer=("{", ",", "}"), inner=("{", ",", "}"), empty="{}"),
}
"""By the value of ``MessageFormat``."""


def timestamp(microseconds: int) -> str:
    """Write a time as DMS does: UTC, always with six digits of the second.

    Args:
        microseconds: since 1970-01-01 UTC.
    """
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{fraction:06d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    try:
        return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        # Only a broken clock goes there; the message shall be valid all the same.
        return (datetime.min if seconds < 0 else datetime.max).isoformat(timespec="seconds")
