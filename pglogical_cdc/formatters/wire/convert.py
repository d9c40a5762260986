"""From the wire text of a value to its JSON in Debezium's shape, without a Python value between.

Every converter takes the text that the server's output function wrote (the session settings that
decide on its form are pinned: `ISO` dates, time zone UTC, `C` money) and returns JSON. None means
that Debezium's converter has no value for it and writes NULL. A text that a converter cannot read
raises whatever comes; the caller writes it as a JSON string then.

Here are the simplest; the others are in the modules whose names begin with ``wire_``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ("Convert", "bool_json", "withheld")

Convert: TypeAlias = Callable[[bytes], "bytes | None"]
"""From wire text to JSON; None where Debezium writes NULL."""


def withheld(value: bytes) -> None:
    """Give NULL for every value: what Debezium cannot convert."""
    return


def bool_json(value: bytes) -> bytes:
    """Return the JSON of a ``bool`` (``t`` or ``f``) or of a ``bit(1)``."""
    return b"true" if value == b"t" or value == b"1" else b"false"
