"""Reads from the bytes of one message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.errors import ProtocolError, TruncatedMessageError
from pglogical_cdc.protocol import MessageBuffer, check_end

if TYPE_CHECKING:
    from collections.abc import Callable


def _buffer(hexadecimal: str, offset: int = 0) -> MessageBuffer:
    return MessageBuffer(bytes.fromhex(hexadecimal), "Test", offset)


@pytest.mark.parametrize(
    ("read", "hexadecimal", "value"),
    [
        (MessageBuffer.uint8, "ff", 255),
        (MessageBuffer.uint32, "b2d05e00", 3_000_000_000),
        (MessageBuffer.uint32, "ffffffff", 4_294_967_295),
        (MessageBuffer.uint64, "ffffffffffffffff", 2**64 - 1),
        (MessageBuffer.int32, "ffffffff", -1),
        (MessageBuffer.int32, "7fffffff", 2**31 - 1),
        (MessageBuffer.int64, "8000000000000000", -(2**63)),
        (MessageBuffer.int64, "000303d97889eb8a", 848_657_495_223_178),
        (MessageBuffer.count16, "7fff", 2**15 - 1),
        (MessageBuffer.count32, "7fffffff", 2**31 - 1),
    ],
)
def test_numbers(read: Callable[[MessageBuffer, str], int], hexadecimal: str, value: int) -> None:
    buffer = _buffer("aa" + hexadecimal, 1)
    assert read(buffer, "field") == value
    assert buffer.offset == 1 + len(hexadecimal) // 2
    assert buffer.remaining == 0

    short = _buffer("aa" + hexadecimal[:-2], 1)
    with pytest.raises(TruncatedMessageError) as caught:
        read(short, "field")
    size = len(hexadecimal) // 2
    assert str(caught.value) == (
        f"Test, offset 1: expected {size} bytes of field, found {size - 1} bytes"
    )
    assert short.offset == 1


@pytest.mark.parametrize(
    ("read", "hexadecimal"),
    [(MessageBuffer.count16, "ffff"), (MessageBuffer.count32, "ffffffff")],
)
def test_counts_are_not_negative(
    read: Callable[[MessageBuffer, str], int], hexadecimal: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(_buffer(hexadecimal), "count")
    assert str(caught.value) == "Test, offset 0: expected count of 0 or more, found -1"


def test_array() -> None:
    buffer = _buffer("00000001 ffffffff aa")
    assert buffer.uint32_array(2, "OIDs") == (1, 4_294_967_295)
    assert buffer.remaining == 1
    assert buffer.uint32_array(0, "OIDs") == ()
    with pytest.raises(TruncatedMessageError, match="8589934588 bytes of OIDs, found 1 bytes"):
        buffer.uint32_array(2**31 - 1, "OIDs")


def test_content() -> None:
    buffer = _buffer("0001ff")
    assert buffer.content(2, "content") == b"\0\1"
    assert buffer.content(0, "content") == b""
    with pytest.raises(
        TruncatedMessageError, match=r"offset 2: expected 2 bytes of content, found 1 bytes"
    ):
        buffer.content(2, "content")


def test_strings() -> None:
    buffer = _buffer("7a 00 00 c3b6 00 61")
    assert [buffer.string("name") for _ in range(3)] == ["z", "", "ö"]
    with pytest.raises(
        TruncatedMessageError, match=r"offset 6: expected name, ended by a zero byte, found 1 bytes"
    ):
        buffer.string("name")


def test_strings_are_utf8() -> None:
    with pytest.raises(ProtocolError) as caught:
        _buffer("6162ff6300").string("name")
    assert str(caught.value) == "Test, offset 2: expected name in UTF-8, found byte 0xFF"
    assert caught.value.__cause__ is None


def test_end() -> None:
    buffer = _buffer("0102")
    with pytest.raises(ProtocolError, match="expected the end of the message, found 2 more bytes"):
        buffer.end()
    buffer.content(2, "content")
    buffer.end()
    with pytest.raises(ProtocolError, match=r"Test, offset 1: .* found 1 more bytes"):
        check_end(b"ab", 1, "Test")
