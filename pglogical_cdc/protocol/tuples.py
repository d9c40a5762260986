"""TupleData: the values of one row, as the server sent them.

This loop runs once for every column of every change, so it works with local variables and without
a `MessageBuffer`. The format is in the PostgreSQL manual, "Logical Replication Message Formats",
TupleData.
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

from pglogical_cdc.absent import UNCHANGED, Unchanged
from pglogical_cdc.errors import ProtocolError, TruncatedMessageError

__all__ = ("BinaryValue", "ColumnValue", "TupleData", "read_tuple")


class BinaryValue(bytes):
    """A value in the binary form of its type; values in text form are plain `bytes`.

    ``type(value) is bytes`` is the test for text.
    """

    __slots__ = ()


ColumnValue: TypeAlias = bytes | BinaryValue | Unchanged | None
"""A value in text form, in binary form, NULL, or a TOASTed value that was not sent."""

TupleData: TypeAlias = tuple[ColumnValue, ...]
"""One value for each column, in the order of the Relation message."""

_TEXT: Final = ord("t")
_NULL: Final = ord("n")
_UNCHANGED: Final = ord("u")
_BINARY: Final = ord("b")

_COUNT: Final = struct.Struct(">h").unpack_from
# Without a sign a negative length is bigger than any message, so that one comparison finds both.
_LENGTH: Final = struct.Struct(">I").unpack_from


def read_tuple(data: bytes, offset: int, message_name: str) -> tuple[TupleData, int]:
    """Read TupleData.

    Args:
        data: the whole message.
        offset: where TupleData starts.
        message_name: the message's name, for errors.

    Returns:
        The values, and the offset behind them.

    Raises:
        TruncatedMessageError: the message ends before the last value.
        ProtocolError: a count or length is negative, or a value is of no known kind.
    """
    size = len(data)
    position = offset
    values: list[ColumnValue] = []
    append = values.append
    unpack_length = _LENGTH
    text, null, unchanged, binary = _TEXT, _NULL, _UNCHANGED, _BINARY
    try:
        (count,) = _COUNT(data, offset)
        position += 2
        if count < 0:
            raise ProtocolError(
                message_name, offset, expected="a column count of 0 or more", found=str(count)
            )
        for _ in range(count):
            kind = data[position]
            if kind == text:
                (length,) = unpack_length(data, position + 1)
                start = position + 5
                stop = start + length
                if stop > size:
                    raise _bad_length(data, position, message_name)
                append(data[start:stop])
                position = stop
            elif kind == null:
                append(None)
                position += 1
            elif kind == binary:
                (length,) = unpack_length(data, position + 1)
                start = position + 5
                stop = start + length
                if stop > size:
                    raise _bad_length(data, position, message_name)
                append(BinaryValue(data[start:stop]))
                position = stop
            elif kind == unchanged:
                append(UNCHANGED)
                position += 1
            else:
                raise ProtocolError(
                    message_name,
                    position,
                    expected="a value of kind 'n', 'u', 't' or 'b'",
                    found=f"kind byte 0x{kind:02X}",
                )
    except (IndexError, struct.error):
        raise TruncatedMessageError(
            message_name,
            position,
            expected=_expected_at(position == offset, len(values)),
            found=f"{size - position} bytes",
        ) from None
    return tuple(values), position


def _expected_at(at_start: bool, values_read: int) -> str:
    if at_start:
        return "2 bytes of column count"
    return f"the kind, and the length if it has one, of value {values_read + 1}"


def _bad_length(data: bytes, position: int, message_name: str) -> ProtocolError:
    length = int.from_bytes(data[position + 1 : position + 5], "big", signed=True)
    if length < 0:
        return ProtocolError(
            message_name, position + 1, expected="a value length of 0 or more", found=str(length)
        )
    return TruncatedMessageError(
        message_name,
        position + 5,
        expected=f"{length} bytes of a value",
        found=f"{len(data) - position - 5} bytes",
    )
