"""How AWS DMS lays a message out as text: its two formats, and its timestamps.

``MessageFormat`` of the endpoint settings: ``json`` is what cJSON_Print writes (tabs and lines),
``json-unformatted`` what cJSON_PrintUnformatted writes (one line, no spaces).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final, TypeAlias

__all__ = ("LAYOUTS", "Json", "Layout", "quoted", "timestamp", "timestamps")

Json: TypeAlias = bool | int | str | Sequence[str] | Mapping[str, "Json"]
"""What a control record tells."""


def quoted(text: str) -> str:
    """Quote text as cJSON does: control characters escaped, all else as it is."""
    return encode_basestring(text)


class Layout:
    """Where tabs and line ends go.

    Args:
        line: what ends a line.
        tab: what stands before a member for each level, and between a name and its value.
        comma: what separates the elements of an array.
    """

    def __init__(self, *, line: str, tab: str, comma: str) -> None:
        self._line: Final = line
        self._tab: Final = tab
        self._comma: Final = comma
        self.colon: Final = f":{tab}"
        """Between a name and its value."""
        self._outer: Final = self._braces(1)
        self._inner: Final = self._braces(2)
        self.data: Final = f'{self._outer[0]}"data"{self.colon}{{'
        """What a message begins with, up to the members of its first one."""
        self.separator: Final = self._inner[1]
        """Between the members of an object that is itself a member of the message."""

    def message(self, members: Sequence[str]) -> bytes:
        """Return the message that has these members."""
        first, between, last = self._outer
        return f"{first}{between.join(members)}{last}".encode()

    def member(self, name: str, members: Sequence[str]) -> str:
        """Return the member of a message that is an object of these members.

        Args:
            name: as JSON.
            members: each a name as JSON, `colon`, and a value as JSON.
        """
        first, between, last = self._inner
        if not members:
            # cJSON starts the line of a first member also where there is none.
            return f"{name}{self.colon}{{{last}"
        return f"{name}{self.colon}{first}{between.join(members)}{last}"

    def object(self, name: str, members: str) -> str:
        """Return what `member` does, of members that each have a `separator` before them."""
        # The brace takes the place of the first comma.
        return f"{name}{self.colon}{{{members[1:]}{self._inner[2]}"

    def rest(self, members: Sequence[str]) -> str:
        """Return what comes in a message after the members of its first member.

        Args:
            members: the other members of the message.
        """
        _, between, last = self._outer
        return f"{self._inner[2]}{''.join([between + each for each in members])}{last}"

    def members(self, content: Mapping[str, Json]) -> list[str]:
        """Return the members of an object that is itself a member of a message."""
        return self._members(content, 3)

    def _members(self, content: Mapping[str, Json], depth: int) -> list[str]:
        return [
            f"{quoted(name)}{self.colon}{self._value(value, depth)}"
            for name, value in content.items()
        ]

    def _value(self, value: Json, depth: int) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, str):
            return quoted(value)
        if isinstance(value, Mapping):
            first, between, last = self._braces(depth)
            members = self._members(value, depth + 1)
            return f"{first}{between.join(members)}{last}" if members else f"{{{last}"
        return f"[{self._comma.join(map(quoted, value))}]"

    def _braces(self, depth: int) -> tuple[str, str, str]:
        """Return what opens, separates and closes the members of an object."""
        start = self._line + self._tab * depth
        return f"{{{start}", f",{start}", f"{self._line}{self._tab * (depth - 1)}}}"


LAYOUTS: Final[Mapping[str, Layout]] = {
    "json": Layout(line="\n", tab="\t", comma=", "),
    "json-unformatted": Layout(line="", tab="", comma=","),
}
"""By the value of ``MessageFormat``."""


def timestamp(microseconds: int) -> str:
    """Write a time as DMS does: UTC, always with six digits of the second.

    Args:
        microseconds: since 1970-01-01 UTC.
    """
    if microseconds < 1_000_000:
        seconds, fraction = divmod(microseconds, 1_000_000)
        return f"{_second(seconds)}.{fraction:06d}Z"
    text = f"{microseconds}"
    return f"{_second(text[:-6])}.{text[-6:]}Z"


def timestamps(clock: Callable[[], int]) -> Callable[[], str]:
    """Return what writes the time as `timestamp` does, the second only when it changes.

    Args:
        clock: nanoseconds since 1970-01-01 UTC.
    """
    start = end = 0
    second = ""

    def written() -> str:
        nonlocal start, end, second
        now = clock()
        if start <= now < end:
            return f"{second}{f'{now}'[-9:-3]}Z"
        text = timestamp(now // 1000)
        if now >= 1_000_000_000:  # below that there are too few digits to cut
            start = now - now % 1_000_000_000
            end = start + 1_000_000_000
            second = text[:-7]
        return text

    return written


@lru_cache(maxsize=16)
def _second(seconds: int | str) -> str:
    seconds = int(seconds)
    try:
        return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        # Only a broken clock goes there; the message shall be valid all the same.
        return (datetime.min if seconds < 0 else datetime.max).isoformat(timespec="seconds")
