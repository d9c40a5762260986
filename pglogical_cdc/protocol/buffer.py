"""Bounds-checked reads from the bytes of one message.

Formats are those of the PostgreSQL manual, "Message Data Types": numbers are big-endian, a String
ends with a zero byte. Every read is checked against the bytes that are there before anything is
made of it, so that the cost of a message is bounded by its size, whatever its length fields say.
"""

from __future__ import annotations

import struct
from typing import Final

from pglogical_cdc.errors import ProtocolError, TruncatedMessageError

__all__ = ("MessageBuffer", "check_end")

_INT16: Final = struct.Struct(">h").unpack_from
_INT32: Final = struct.Struct(">i").unpack_from
_INT64: Final = struct.Struct(">q").unpack_from
_UINT32: Final = struct.Struct(">I").unpack_from
_UINT64: Final = struct.Struct(">Q").unpack_from


def check_end(data: bytes, offset: int, message_name: str) -> None:
    """Check that a message ends where its last field ended.

    Raises:
        ProtocolError: there are more bytes.
    """
    if offset != len(data):
        raise ProtocolError(
            message_name,
            offset,
            expected="the end of the message",
            found=f"{len(data) - offset} more bytes",
        )


class MessageBuffer:
    """Reads the fields of one message, one after the other.

    Each method takes the name of the field, for the error, and moves `offset` behind it.

    Attributes:
        offset: where the next field starts, in bytes from the type byte.

    Args:
        data: the whole message.
        message_name: its name in the PostgreSQL manual.
        offset: where to start; 1 is behind the type byte.
    """

    __slots__ = ("_data", "_message_name", "offset")

    def __init__(self, data: bytes, message_name: str, offset: int = 1) -> None:
        self._data = data
        self._message_name = message_name
        self.offset = offset

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self.offset

    def uint8(self, field: str) -> int:
        """Read one byte.

        Raises:
            TruncatedMessageError: the message ends before.
        """
        offset = self.offset
        if offset >= len(self._data):
            raise self._truncated(field, 1)
        self.offset = offset + 1
        return self._data[offset]

    def uint32(self, field: str) -> int:
        """Read four bytes without a sign: an OID or a transaction ID.

        Raises:
            TruncatedMessageError: the message ends before.
        """
        value: int
        try:
            (value,) = _UINT32(self._data, self.offset)
        except struct.error:
            raise self._truncated(field, 4) from None
        self.offset += 4
        return value

    def uint64(self, field: str) -> int:
        """Read eight bytes without a sign: an LSN.

        Raises:
            TruncatedMessageError: the message ends before.
        """
        value: int
        try:
            (value,) = _UINT64(self._data, self.offset)
        except struct.error:
            raise self._truncated(field, 8) from None
        self.offset += 8
        return value

    def int32(self, field: str) -> int:
        """Read four bytes with a sign: a type modifier.

        Raises:
            TruncatedMessageError: the message ends before.
        """
        value: int
        try:
            (value,) = _INT32(self._data, self.offset)
        except struct.error:
            raise self._truncated(field, 4) from None
        self.offset += 4
        return value

    def int64(self, field: str) -> int:
        """Read eight bytes with a sign: a timestamp.

        Raises:
            TruncatedMessageError: the message ends before.
        """
        value: int
        try:
            (value,) = _INT64(self._data, self.offset)
        except struct.error:
            raise self._truncated(field, 8) from None
        self.offset += 8
        return value

    def count16(self, field: str) -> int:
        """Read a count of two bytes. Nothing may be allocated by it alone.

        Raises:
            TruncatedMessageError: the message ends before.
            ProtocolError: the count is negative.
        """
        value: int
        try:
            (value,) = _INT16(self._data, self.offset)
        except struct.error:
            raise self._truncated(field, 2) from None
        return self._not_negative(value, field, 2)

    def count32(self, field: str) -> int:
        """Read a count or length of four bytes. Nothing may be allocated by it alone.

        Raises:
            TruncatedMessageError: the message ends before.
            ProtocolError: the count is negative.
        """
        value: int
        try:
            (value,) = _INT32(self._data, self.offset)
        except struct.error:
            raise self._truncated(field, 4) from None
        return self._not_negative(value, field, 4)

    def uint32_array(self, count: int, field: str) -> tuple[int, ...]:
        """Read `count` times four bytes without a sign.

        Raises:
            TruncatedMessageError: the message ends before.
        """
        size = 4 * count
        if size > self.remaining:
            raise self._truncated(field, size)
        values: tuple[int, ...] = struct.unpack_from(f">{count}I", self._data, self.offset)
        self.offset += size
        return values

    def content(self, length: int, field: str) -> bytes:
        """Read `length` bytes as they are.

        Raises:
            TruncatedMessageError: the message ends before.
        """
        if length > self.remaining:
            raise self._truncated(field, length)
        start = self.offset
        self.offset = start + length
        return self._data[start : self.offset]

    def string(self, field: str) -> str:
        """Read a String: text in the client's encoding, which is UTF-8 here, and a zero byte.

        Raises:
            TruncatedMessageError: no zero byte follows.
            ProtocolError: the text is not UTF-8.
        """
        start = self.offset
        stop = self._data.find(b"\0", start)
        if stop < 0:
            raise TruncatedMessageError(
                self._message_name,
                start,
                expected=f"{field}, ended by a zero byte",
                found=f"{self.remaining} bytes without one",
            )
        try:
            text = self._data[start:stop].decode()
        except UnicodeDecodeError as error:
            wrong = start + error.start
            raise ProtocolError(
                self._message_name,
                wrong,
                expected=f"{field} in UTF-8",
                found=f"byte 0x{self._data[wrong]:02X}",
            ) from None
        self.offset = stop + 1
        return text

    def end(self) -> None:
        """Check that the message ends here.

        Raises:
            ProtocolError: there are more bytes.
        """
        check_end(self._data, self.offset, self._message_name)

    def _not_negative(self, value: int, field: str, size: int) -> int:
        if value < 0:
            raise ProtocolError(
                self._message_name, self.offset, expected=f"{field} of 0 or more", found=str(value)
            )
        self.offset += size
        return value

    def _truncated(self, field: str, size: int) -> TruncatedMessageError:
        return TruncatedMessageError(
            self._message_name,
            self.offset,
            expected=f"{size} bytes of {field}",
            found=f"{self.remaining} bytes",
        )
