from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.parsers.dms.number_text import (
    float4_text,
    float8_text,
    integer_text,
    is_number,
    numeric_text,
)

_NUMBERS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?\Z")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("46.570000", "46.570000"),
        ("-1" * 1 + "0" * 40 + ".5", "-1" + "0" * 40 + ".5"),
        ("9.2233720368547758e+18", "9223372036854775800"),
        ("1.50e1", "15.0"),
        ("15e-1", "1.5"),
        ("5e-1", "0.5"),
        ("5E-3", "0.005"),
        ("-0", "0"),
        ("-0.0", "0.0"),
        ("0e999999", "0"),
        ("1e131071", "1" + "0" * 131_071),
    ],
)
def test_numeric(text: str, expected: str) -> None:
    assert numeric_text(text) == expected


@given(_NUMBERS)
def test_numeric_means_the_same(text: str) -> None:
    assert Decimal(numeric_text(text)) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "NaN",
        "1.",
        "+1",
        "1e131072",
        "1e-16384",
        "1e999999999",
        "1e9999999999",
        "9" * 131_073,
    ],
)
def test_what_numeric_cannot_hold(text: str) -> None:
    with pytest.raises(ValueError, match=r"no number|too many digits"):
        numeric_text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", "5"), ("-0", "0"), ("5.00", "5"), ("1.2e1", "12"), (str(2**64), str(2**64))],
)
def test_integers(text: str, expected: str) -> None:
    assert integer_text(text) == expected


@pytest.mark.parametrize("text", ["1.5", "1e-1", "1" * 21, "1e20", "x"])
def test_what_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError, match=r"no "):
        integer_text(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float8_is_the_shortest_text(number: float) -> None:
    text = float8_text(f"{number:.17g}")

    assert float(text) == number
    assert _digits(text) <= _digits(f"{number:.16e}")


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float4_is_the_shortest_text(number: float) -> None:
    text = float4_text(f"{number:.9g}")

    assert struct.unpack("<f", struct.pack("<f", float(text))) == (number,)
    assert _digits(text) <= _digits(f"{number:.8e}")


def _digits(text: str) -> int:
    return len(text.partition("e")[0].replace(".", "").strip("-0"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.20000005", "2.2"),
        ("25", "25"),
        ("100", "100"),
        ("999999", "999999"),
        ("1000000", "1e+06"),
        ("1234567", "1.234567e+06"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("3.40282347e+38", "3.4028235e+38"),
        ("1.36441695e-05", "1.36441695e-05"),
        ("1.40129846e-45", "1e-45"),
        ("-0", "-0"),
        ("0.0", "0"),
    ],
)
def test_float4_is_as_the_server_writes_it(text: str, expected: str) -> None:
    assert float4_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.12345678901234559", "0.1234567890123456"),
        ("25", "25"),
        ("-100.5", "-100.5"),
        ("100000000000000", "100000000000000"),
        ("1000000000000000", "1e+15"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("1.2345e+300", "1.2345e+300"),
        ("-0", "-0"),
    ],
)
def test_float8_is_as_the_server_writes_it(text: str, expected: str) -> None:
    assert float8_text(text) == expected


@pytest.mark.parametrize("text", ["1e39", "1e999", "x", "NaN"])
def test_what_float4_cannot_hold(text: str) -> None:
    with pytest.raises(ValueError, match=r"beyond the range|no number"):
        float4_text(text)


@pytest.mark.parametrize("text", ["1e309", "x", "Infinity"])
def test_what_float8_cannot_hold(text: str) -> None:
    with pytest.raises(ValueError, match=r"beyond the range|no number"):
        float8_text(text)


def test_is_number() -> None:
    assert is_number("-1.5e+3")
    assert not is_number("1,5")
    assert not is_number("٣")
