from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.json_text import (
    float4_json,
    float8_json,
    hash_map_order,
    java_double,
    json_string,
    json_text,
    object_mapper_text,
    utf8,
)


class TestStrings:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", '""'),
            ("plain", '"plain"'),
            ('"\\/', '"\\"\\\\/"'),
            ("\b\t\n\f\r", '"\\b\\t\\n\\f\\r"'),
            ("\x01\x1f\x0b", '"\\u0001\\u001F\\u000B"'),
            ("\x7f\u2028\ufeff", '"\x7f\u2028\ufeff"'),
            ("h\u00e9llo \u65e5", '"h\u00e9llo \u65e5"'),
            ("\U0001f600", '"\\uD83D\\uDE00"'),
            ("\\u001f", '"\\\\u001f"'),
            ("\\u001f\x1f", '"\\\\u001f\\u001F"'),
        ],
    )
    def test_escapes_as_jackson(self, text: str, expected: str) -> None:
        assert json_text(text).decode() == expected
        assert json_string(text.encode()).decode() == expected

    def test_replaces_what_is_no_utf8(self) -> None:
        assert json_string(b"a\xffb") == '"a\ufffdb"'.encode()
        assert utf8(b"\xff") == "\ufffd"

    def test_leaves_surrogates_alone_inside_a_string(self) -> None:
        assert object_mapper_text('\U0001f600"\x1f') == '"\U0001f600\\"\\u001F"'

    @given(st.text())
    def test_is_json_of_the_text(self, text: str) -> None:
        text = text.encode(errors="replace").decode()
        assert json.loads(json_text(text)) == text

    @given(st.binary())
    def test_is_json_whatever_the_bytes(self, value: bytes) -> None:
        assert json.loads(json_string(value)) == value.decode(errors="replace")


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
            (b"-1e-323", b"-9.9E-324"),
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
            (b"NaN", b'"NaN"'),
        ],
    )
    def test_float4_is_java_text(self, wire: bytes, expected: bytes) -> None:
        assert float4_json(wire) == expected

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

    @given(st.dictionaries(st.text(), st.integers()))
    def test_loses_nothing(self, entries: dict[str, int]) -> None:
        assert dict(hash_map_order(entries.items())) == entries
