from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.java_text import (
    float4_json,
    float8_json,
    hash_map_order,
    java_double,
)

_LINES: Final = [
    line.split()
    for line in Path(__file__)
    .with_name("java_numbers.txt")
    .read_text(encoding="ascii")
    .splitlines()
]
"""``d`` or ``f`` and the bits of a number, and what Java 17's ``toString`` makes of it."""


def _json(text: str) -> bytes:
    return text.encode() if text[-1].isdigit() else f'"{text}"'.encode()


def _server_text(number: float, shortest: str) -> bytes:
    """Return a number as PostgreSQL writes it, given its shortest digits."""
    if not math.isfinite(number):
        return {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}[repr(number)]
    mantissa, _, exponent = shortest.partition("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{int(exponent):+03}".encode() if exponent else mantissa.encode()


def _shortest_float4(number: float) -> str:
    """The text of a ``float4``: as few digits as tell it from its neighbours."""
    packed = struct.pack("<f", number)
    for digits in range(9):
        text = f"{number:.{digits}e}"
        try:
            if struct.pack("<f", float(text)) == packed:
                return text
        except OverflowError:
            continue
    raise AssertionError("nine digits tell any two apart")


class TestRecordedNumbers:
    def test_there_are_many(self) -> None:
        kinds = [bits[0] for bits, _text in _LINES]
        assert kinds.count("d") > 150
        assert kinds.count("f") > 100

    @pytest.mark.parametrize(("bits", "text"), [line for line in _LINES if line[0][0] == "d"])
    def test_doubles(self, bits: str, text: str) -> None:
        (number,) = struct.unpack(">d", bytes.fromhex(bits[1:]))
        assert java_double(number) == _json(text)
        assert float8_json(_server_text(number, repr(number))) == _json(text)

    @pytest.mark.parametrize(("bits", "text"), [line for line in _LINES if line[0][0] == "f"])
    def test_floats(self, bits: str, text: str) -> None:
        (number,) = struct.unpack(">f", bytes.fromhex(bits[1:]))
        shortest = _shortest_float4(number) if math.isfinite(number) else ""
        assert float4_json(_server_text(number, shortest)) == _json(text)
        if math.isfinite(number) and abs(number) >= 1:
            # Without an exponent, as the server writes what is not far from one.
            assert float4_json(f"{float(shortest):f}".encode()) == _json(text)


class TestFloats:
    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (b"0", b"0.0"),
            (b"-0", b"-0.0"),
            (b"100", b"100.0"),
            (b"1.1", b"1.1"),
            (b"0.001", b"0.001"),
            (b"0.00123", b"0.00123"),
            (b"0.0001", b"1.0E-4"),
            (b"0.00099", b"9.9E-4"),
            (b"9999999", b"9999999.0"),
            (b"9999999.5", b"9999999.5"),
            (b"10000000", b"1.0E7"),
            (b"12345678.5", b"1.23456785E7"),
            (b"1e+10", b"1.0E10"),
            (b"1.5e-07", b"1.5E-7"),
            (b"1.7976931348623157e+308", b"1.7976931348623157E308"),
            (b"-1.7976931348623157e+308", b"-1.7976931348623157E308"),
            (b"5e-324", b"4.9E-324"),
            (b"-1e-323", b"-1.0E-323"),
            (b"2e-322", b"2.0E-322"),
            (b"NaN", b'"NaN"'),
            (b"Infinity", b'"Infinity"'),
            (b"-Infinity", b'"-Infinity"'),
        ],
    )
    def test_float8_is_java_text(self, wire: bytes, expected: bytes) -> None:
        assert float8_json(wire) == expected

    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (b"0", b"0.0"),
            (b"-0", b"-0.0"),
            (b"1.1", b"1.1"),
            (b"123456.79", b"123456.79"),
            (b"3.4028235e+38", b"3.4028235E38"),
            (b"1e-45", b"1.4E-45"),
            (b"3e-45", b"2.8E-45"),
            (b"16777216", b"1.6777216E7"),
            (b"-1.5e+10", b"-1.50000005E10"),
            (b"NaN", b'"NaN"'),
        ],
    )
    def test_float4_is_java_text(self, wire: bytes, expected: bytes) -> None:
        assert float4_json(wire) == expected

    def test_digits_too_many(self) -> None:
        # Fewer would do, and Java 19 and later write fewer: bug JDK-4511638.
        assert float8_json(b"2e+23") == b"1.9999999999999998E23"
        assert float8_json(b"2.2250738585072014e-308") == b"2.2250738585072014E-308"

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_java_double_keeps_the_number(self, number: float) -> None:
        text = java_double(number)
        assert struct.pack("<d", float(text)) == struct.pack("<d", number)
        assert b"." in text
        assert text == float8_json(repr(number).encode())

    @given(st.floats(width=32, allow_nan=False, allow_infinity=False))
    def test_float4_keeps_the_number(self, number: float) -> None:
        shortest = _shortest_float4(number)
        text = float4_json(shortest.encode())
        assert struct.pack("<f", float(text)) == struct.pack("<f", number)

    def test_java_double_quotes_what_json_lacks(self) -> None:
        assert [java_double(x) for x in (math.nan, math.inf, -math.inf)] == [
            b'"NaN"',
            b'"Infinity"',
            b'"-Infinity"',
        ]

    @pytest.mark.parametrize("wire", [b"", b"x", b"1.2.3", b"(1)"])
    def test_refuses_other_text(self, wire: bytes) -> None:
        for convert in (float4_json, float8_json):
            with pytest.raises(ValueError, match="float"):
                convert(wire)


class TestHashMapOrder:
    def test_orders_as_java(self) -> None:
        assert hash_map_order([("e", 1), ('a"b', 2)]) == [('a"b', 2), ("e", 1)]
        assert hash_map_order([("a", 1), ("c", 2), ("b c", 3)]) == [("a", 1), ("c", 2), ("b c", 3)]

    def test_keeps_order_within_a_bucket(self) -> None:
        # "Aa" and "BB" have the same hash code in Java.
        assert hash_map_order([("BB", 1), ("Aa", 2)]) == [("BB", 1), ("Aa", 2)]

    def test_grows(self) -> None:
        keys = [(chr(code), code) for code in range(ord("a"), ord("p") + 1)]
        # 16 entries need 32 buckets; in 16 of them "p" would come first.
        assert hash_map_order(keys)[0] == ("a", ord("a"))

    def test_the_last_of_two_entries_counts(self) -> None:
        assert hash_map_order([("a", 1), ("b", 2), ("a", 3)]) == [("a", 3), ("b", 2)]

    @given(st.dictionaries(st.text(), st.integers()))
    def test_loses_nothing(self, entries: dict[str, int]) -> None:
        assert dict(hash_map_order(entries.items())) == entries
