"""From the wire text of a value to its JSON in Debezium's shape, without a Python value between.

Every converter takes the text that the server's output function wrote (the session settings that
decide on its form are pinned: `ISO` dates, time zone UTC, `C` money) and returns JSON. None means
that Debezium's converter has no value for it and writes NULL. A text that a converter cannot read
raises whatever comes; the caller writes it as a JSON string then.

Here are the simplest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ("Convert", "Text", "bool_json", "plain_json", "single_bit_json", "withheld")

Convert: TypeAlias = Callable[[bytes], "bytes | None"]
"""From wire text to JSON; None where Debezium writes NULL."""

Text: TypeAlias = Callable[[bytes], bytes]
"""From one wire text to another."""


def withheld(value: bytes) -> None:
    """Give NULL for every value: what Debezium cannot convert."""
    return


def plain_json(value: bytes) -> bytes:
    """Return the JSON string of a value without characters that need an escape."""
    return b'"%b"' % value


def bool_json(value: bytes) -> bytes:
    """Return the JSON of a ``bool`` (``t`` or ``f``) or of a ``bit(1)``."""
    return b"true" if value == b"t" or value == b"1" else b"false"


def single_bit_json(value: bytes) -> bytes | None:
    """Return the JSON of a ``varbit(1)``; None if it is empty."""
    return bool_json(value) if value else None
