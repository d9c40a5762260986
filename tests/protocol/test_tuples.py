"""TupleData, byte by byte."""

from __future__ import annotations

import pytest

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.errors import ProtocolError, TruncatedMessageError
from pglogical_cdc.protocol import BinaryValue, read_tuple


def _read(hexadecimal: str) -> list[object]:
    data = bytes.fromhex("ffff" + hexadecimal)
    values, offset = read_tuple(data, 2, "Insert")
    assert offset == len(data)
    return list(values)


def test_every_kind_of_value() -> None:
    values = _read("0005 6e 75 74 00000002 3432 62 00000004 0000002a 74 00000000")
    assert values == [None, UNCHANGED, b"42", b"\0\0\0*", b""]
    assert [type(value) for value in values[2:]] == [bytes, BinaryValue, bytes]


def test_null_and_unchanged_and_empty_differ() -> None:
    null, unchanged, empty = _read("0003 6e 75 74 00000000")
    assert null is None
    assert unchanged is UNCHANGED
    assert empty == b""


def test_a_table_without_columns() -> None:
    assert _read("0000") == []


def test_it_stops_behind_the_last_value() -> None:
    assert read_tuple(b"\0\1nN", 0, "Update") == ((None,), 3)


@pytest.mark.parametrize(
    ("hexadecimal", "error", "text"),
    [
        ("", TruncatedMessageError, "offset 1: expected 2 bytes of column count, found 0 bytes"),
        ("00", TruncatedMessageError, "offset 1: expected 2 bytes of column count, found 1 bytes"),
        ("ffff", ProtocolError, "offset 1: expected a column count of 0 or more, found -1"),
        (
            "0002 6e",
            TruncatedMessageError,
            "offset 4: expected the kind, and the length if it has one, of value 2, found 0 bytes",
        ),
        (
            "0001 74 000000",
            TruncatedMessageError,
            "offset 3: expected the kind, and the length if it has one, of value 1, found 4 bytes",
        ),
        (
            "0001 62 000000",
            TruncatedMessageError,
            "offset 3: expected the kind, and the length if it has one, of value 1, found 4 bytes",
        ),
        (
            "0001 74 00000003 6162",
            TruncatedMessageError,
            "offset 8: expected 3 bytes of a value, found 2 bytes",
        ),
        (
            "0001 62 7fffffff 6162",
            TruncatedMessageError,
            "offset 8: expected 2147483647 bytes of a value, found 2 bytes",
        ),
        (
            "0001 74 ffffffff",
            ProtocolError,
            "offset 4: expected a value length of 0 or more, found -1",
        ),
        (
            "0001 62 80000000 00",
            ProtocolError,
            "offset 4: expected a value length of 0 or more, found -2147483648",
        ),
        (
            "0002 6e 78",
            ProtocolError,
            "offset 4: expected a value of kind 'n', 'u', 't' or 'b', found kind byte 0x78",
        ),
    ],
)
def test_damage(hexadecimal: str, error: type[ProtocolError], text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_tuple(b"I" + bytes.fromhex(hexadecimal), 1, "Insert")
    assert type(caught.value) is error
    assert str(caught.value) == f"Insert, {text}"


def test_errors_show_no_values() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_tuple(b"\0\2t\0\0\0\6secretX", 0, "Insert")
    assert "secret" not in str(caught.value) + repr(caught.value)
