"""Compiles the function that splits TupleData of so many columns.

`read_tuple` says plainly what TupleData is, value by value; here its loop is unrolled, which takes
two thirds of the time, and this is the most frequent thing that a reader does. The source that is
compiled depends on the number of columns alone. What it cannot read it leaves to `read_tuple`,
which reads it or says what is wrong with it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.protocol.tuples import BinaryValue, TupleData, read_tuple

__all__ = ("SPLITTERS", "Split", "split_tuple", "splitter", "splitter_source")

Split: TypeAlias = Callable[[bytes, int], tuple[TupleData, int]]
"""From a message and the offset of the first value to the values and the offset behind them."""

_MOST_COLUMNS: Final = 1600
"""A table has no more (PostgreSQL manual, "PostgreSQL Limits")."""

_KEPT: Final = 256
"""Numbers of columns; more are not met in one stream but in a hostile one."""

_COUNT: Final = struct.Struct(">h").unpack_from

_NAMES: Final[dict[str, Any]] = {
    "BinaryValue": BinaryValue,
    "UNCHANGED": UNCHANGED,
    "length": struct.Struct(">I").unpack_from,
}

_VALUE: Final = """\
    kind = data[p]
    if kind == 116:
        start = p + 5
        p = start + length(data, p + 1)[0]
        v{i} = data[start:p]
    elif kind == 110:
        v{i} = None
        p += 1
    elif kind == 98:
        start = p + 5
        p = start + length(data, p + 1)[0]
        v{i} = BinaryValue(data[start:p])
    elif kind == 117:
        v{i} = UNCHANGED
        p += 1
    else:
        raise ValueError
"""


def splitter_source(columns: int) -> str:
    """Return the source of the function for so many columns."""
    return "".join(
        [
            "def split(data, p):\n",
            *[_VALUE.format(i=i) for i in range(columns)],
            # A length beyond the end gives a short value, and an offset that tells it.
            "    if p > len(data):\n        raise ValueError\n",
            f"    return ({''.join(f'v{i}, ' for i in range(columns))}), p\n",
        ]
    )


SPLITTERS: Final[dict[int, Split]] = {}
"""By number of columns, those that `splitter` has compiled."""


def splitter(columns: int) -> Split:
    """Return the function that splits so many columns.

    It raises `ValueError`, `IndexError` or `struct.error` where the message is not well-formed.

    Raises:
        ValueError: no table has so many.
    """
    if columns > _MOST_COLUMNS:
        raise ValueError(columns)
    split = SPLITTERS.get(columns)
    if split is None:
        if len(SPLITTERS) >= _KEPT:
            SPLITTERS.clear()
        names = dict(_NAMES)
        exec(compile(splitter_source(columns), "<splitter>", "exec"), names)
        split = SPLITTERS[columns] = names["split"]
    return split


def split_tuple(data: bytes, offset: int, message_name: str) -> tuple[TupleData, int]:
    """Do what `read_tuple` does, faster.

    Args:
        data: the whole message.
        offset: where TupleData starts.
        message_name: the message's name, for errors.

    Returns:
        The values, and the offset behind them.

    Raises:
        ProtocolError: as `read_tuple`.
    """
    try:
        (columns,) = _COUNT(data, offset)
        # Nothing is compiled for what cannot be: each value takes a byte at least.
        if 0 <= columns <= len(data) - offset - 2:
            return splitter(columns)(data, offset + 2)
    except (ValueError, IndexError, struct.error):
        pass
    return read_tuple(data, offset, message_name)
