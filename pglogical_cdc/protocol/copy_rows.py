"""Rows of COPY TO STDOUT, each in a CopyData message of its own, to the values of TupleData.

The formats are in the PostgreSQL manual, "COPY", File Formats. What COPY writes of a value is what
pgoutput writes of it, so that rows of a snapshot and of the stream are made of the same bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Final, NamedTuple, cast, overload

from pglogical_cdc.errors import ProtocolError, TruncatedMessageError
from pglogical_cdc.protocol.tuples import BinaryValue, ColumnValue, TupleData

__all__ = ("CopyRowParser", "TextColumns", "TextRows")


class TextColumns(NamedTuple):
    """The values of some rows by column, in text."""

    values: Sequence[Sequence[str | None]]
    """None for NULL."""
    with_null: frozenset[int] = frozenset()
    """Which columns have one."""


_NAME: Final = "CopyData"

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_CONTROLS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_TEXT_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TEXT_CONTROLS: Final = {key.decode(): value.decode() for key, value in _CONTROLS.items()}

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
        self._is_text = not binary
        self._has_begun = False
        self.parse: Callable[[bytes], TupleData | None] = self._binary if binary else self._text
        """Return the values of one message; None for one without a row, as a binary COPY ends.

        Raises:
            TruncatedMessageError: the message ends before its last value.
            ProtocolError: anything else that breaks the format.
        """

    def rows(self, messages: Sequence[bytes]) -> Sequence[TupleData]:
        """Return the rows of some messages.

        Raises:
            TruncatedMessageError: see `parse`; of the text format it may be raised later, when the
                row is asked for.
            ProtocolError: the same.
        """
        if self._is_text:
            return TextRows(messages, self)
        return [row for row in map(self.parse, messages) if row is not None]

    def columns(self, messages: Sequence[bytes]) -> TextColumns | None:
        r"""Return the values of several messages in text format by column.

        >>> CopyRowParser(2).columns([b"1\t\\N\n", b"2\ttab\\there\n"])
        TextColumns(values=[['1', '2'], [None, 'tab\there']], with_null=frozenset({1}))

        Returns:
            None if the format is binary or has no columns, or if they are not UTF-8 or break the
            format, of which `parse` says how.
        """
        width = self._columns
        if not (self._is_text and width):
            return None
        # In the text format a tab or newline within a value is escaped.
        if set(map(bytes.count, messages, repeat(b"\t"))) - {width - 1}:
            return None
        try:
            text = b"".join(messages).decode()
        except UnicodeDecodeError:
            return None
        fields = text.replace("\n", "\t").split("\t")
        if len(fields) != width * len(messages) + 1 or fields.pop():
            return None
        columns = [fields[i::width] for i in range(width)]
        if "\\" not in text:
            return TextColumns(columns)
        values = [
            [_text_unescaped(field) for field in column] if "\\" in "".join(column) else column
            for column in columns
        ]
        return TextColumns(
            values, frozenset(i for i, column in enumerate(values) if None in column)
        )

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


class TextRows(Sequence[TupleData]):
    """Rows of one COPY in text format, of which each is parsed when it is asked for.

    Args:
        messages: a row each.
        parser: parses them.
    """

    def __init__(self, messages: Sequence[bytes], parser: CopyRowParser) -> None:
        self._messages = messages
        self._parser = parser

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[TupleData]:
        # Of what is no row there is none in this format.
        return map(cast("Callable[[bytes], TupleData]", self._parser.parse), self._messages)

    @overload
    def __getitem__(self, index: int) -> TupleData: ...

    @overload
    def __getitem__(self, index: slice) -> TextRows: ...

    def __getitem__(self, index: int | slice) -> TupleData | TextRows:
        if isinstance(index, slice):
            return TextRows(self._messages[index], self._parser)
        row = self._parser.parse(self._messages[index])
        assert row is not None
        return row

    def columns(self) -> TextColumns | None:
        """Return the values by column; see `CopyRowParser.columns`."""
        return self._parser.columns(self._messages)


def _text_unescaped(field: str) -> str | None:
    if "\\" not in field:
        return field
    if field == "\\N":
        return None
    return _TEXT_ESCAPED.sub(lambda found: _TEXT_CONTROLS.get(found[1], found[1]), field)


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
