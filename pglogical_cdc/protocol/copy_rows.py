"""Rows of COPY TO STDOUT, each in a CopyData message of its own, to the values of TupleData.

The formats are in the PostgreSQL manual, "COPY", File Formats. What COPY writes of a value is what
pgoutput writes of it, so that rows of a snapshot and of the stream are made of the same bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from pglogical_cdc.errors import ProtocolError, TruncatedMessageError
from pglogical_cdc.protocol.tuples import BinaryValue, ColumnValue, TupleData

__all__ = ("CopyRowParser",)

_NAME: Final = "CopyData"

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_CONTROLS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_HEADER: Final = struct.Struct(">11sII")
_COUNT: Final = struct.Struct(">h")
_LENGTH: Final = struct.Struct(">i")

_CRITICAL_FLAGS: Final = 0xFFFF0000
"""A reader that does not know one of these flags has to give up."""


class CopyRowParser:
    r"""Parses the messages of one COPY TO STDOUT, in their order.

    >>> CopyRowParser(3).parse(b"1\t\\N\ttab\\there\n")
    (b'1', None, b'tab\there')

    Args:
        columns: how many columns the command names.
        binary: whether it was given ``FORMAT binary``.
    """

    def __init__(self, columns: int, *, binary: bool = False) -> None:
        self._columns = columns
        self._has_begun = False
        self.parse: Callable[[bytes], TupleData | None] = self._binary if binary else self._text
        """Return the values of one message; None for one without a row, as a binary COPY ends.

        Raises:
            TruncatedMessageError: the message ends before its last value.
            ProtocolError: anything else that breaks the format.
        """

    def _text(self, data: bytes) -> TupleData:
        if data[-1:] != b"\n":
            raise TruncatedMessageError(
                _NAME, len(data), expected="a newline behind the row", found="the end"
            )
        fields: list[bytes] = data[:-1].split(b"\t") if self._columns or data != b"\n" else []
        if len(fields) != self._columns:
            raise _wrong_count(0, self._columns, len(fields))
        return tuple(map(_unescaped, fields)) if b"\\" in data else tuple(fields)

    def _binary(self, data: bytes) -> TupleData | None:
        position = 0
        if not self._has_begun:
            position = _end_of_header(data)
            self._has_begun = True
            if position == len(data):
                return None
        size = len(data)
        values: list[ColumnValue] = []
        try:
            (count,) = _COUNT.unpack_from(data, position)
            if count == -1 and size == position + 2:
                return None
            if count != self._columns:
                raise _wrong_count(position, self._columns, count)
            position += 2
            for _ in range(count):
                (length,) = _LENGTH.unpack_from(data, position)
                position += 4
                if length == -1:
                    values.append(None)
                    continue
                if length < 0:
                    raise ProtocolError(
                        _NAME,
                        position - 4,
                        expected="a value length of -1 or more",
                        found=f"{length}",
                    )
                if length > size - position:
                    raise TruncatedMessageError(
                        _NAME,
                        position,
                        expected=f"{length} bytes of a value",
                        found=f"{size - position} bytes",
                    )
                values.append(BinaryValue(data[position : position + length]))
                position += length
        except struct.error:
            raise TruncatedMessageError(
                _NAME,
                position,
                expected=f"the length of value {len(values) + 1} of {self._columns}",
                found=f"{size - position} bytes",
            ) from None
        if position != size:
            raise ProtocolError(
                _NAME, position, expected="the end", found=f"{size - position} more bytes"
            )
        return tuple(values)


def _unescaped(field: bytes) -> bytes | None:
    if b"\\" not in field:
        return field
    return None if field == b"\\N" else _ESCAPED.sub(_control, field)


def _control(found: re.Match[bytes]) -> bytes:
    # A character that needs no escape stands for itself: the backslash.
    return _CONTROLS.get(found[1], found[1])


def _end_of_header(data: bytes) -> int:
    try:
        signature, flags, extension = _HEADER.unpack_from(data)
    except struct.error:
        raise TruncatedMessageError(
            _NAME, 0, expected=f"{_HEADER.size} bytes of header", found=f"{len(data)} bytes"
        ) from None
    if signature != _SIGNATURE:
        raise ProtocolError(_NAME, 0, expected="the signature of COPY", found="other bytes")
    if flags & _CRITICAL_FLAGS:
        raise ProtocolError(
            _NAME, len(_SIGNATURE), expected="no critical flag", found=f"flags 0x{flags:08X}"
        )
    end: int = _HEADER.size + extension
    if end > len(data):
        raise TruncatedMessageError(
            _NAME,
            _HEADER.size,
            expected=f"{extension} bytes of header extension",
            found=f"{len(data) - _HEADER.size} bytes",
        )
    return end


def _wrong_count(offset: int, expected: int, found: int) -> ProtocolError:
    return ProtocolError(_NAME, offset, expected=f"{expected} columns", found=str(found))
