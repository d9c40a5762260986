from __future__ import annotations

import base64
import json
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.numbers import (
    decimal_converter,
    double_json,
    money_converter,
    money_text,
    numeric_string_json,
    scaled_string_converter,
    variable_scale_json,
)


def _unscaled(text: bytes) -> int:
    return int.from_bytes(base64.b64decode(json.loads(text)), "big", signed=True)


def _integral(number: int) -> bytes:
    text = decimal_converter(0)(b"%d" % number)
    assert text is not None
    return text


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "AA=="), (127, "fw=="), (128, "AIA="), (-128, "gA=="), (-129, "/38="), (255, "AP8=")],
)
def test_unscaled_is_as_short_as_can_be(number: int, expected: str) -> None:
    assert json.loads(_integral(number)) == expected


@given(st.integers())
def test_unscaled_keeps_the_number(number: int) -> None:
    assert _unscaled(_integral(number)) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3))
def test_decimal_keeps_the_number(number: Decimal) -> None:
    text = decimal_converter(3)(f"{number:f}".encode())
    assert text is not None
    assert _unscaled(text) == int(f"{number:f}".replace(".", ""))


def test_decimal_fills_up() -> None:
    # A default is written as it was declared: 9.5 for numeric(6,2).
    assert decimal_converter(2)(b"9.5") == b'"A7Y="'


def test_decimal_cuts_what_the_scale_has_no_room_for() -> None:
    assert decimal_converter(1)(b"9.59") == _integral(95)
    assert decimal_converter(0)(b"-9.59") == _integral(-9)


def test_scale_below_zero_is_read_without_sign() -> None:
    text = decimal_converter(2046)(b"12300")
    assert text is not None
    assert _unscaled(text) == 12300 * 10**2046


@pytest.mark.parametrize(
    ("wire", "unscaled"), [(b"12300", 123), (b"-12300", -123), (b"0", 0), (b"100", 1)]
)
def test_scale_below_zero_with_its_sign(wire: bytes, unscaled: int) -> None:
    text = decimal_converter(-2)(wire)
    assert text is not None
    assert _unscaled(text) == unscaled


@pytest.mark.parametrize("special", [b"NaN", b"Infinity", b"-Infinity"])
def test_special_numbers(special: bytes) -> None:
    assert decimal_converter(2)(special) is None
    assert variable_scale_json(special) is None
    assert double_json(special) == b'"%b"' % special


@pytest.mark.parametrize(
    ("wire", "scale", "unscaled"),
    [
        (b"1.000", 0, 1),
        (b"100.00", 0, 100),
        (b"12345.6789", 4, 123456789),
        (b"0.10", 1, 1),
        (b"-0.000000000000000000001", 21, -1),
        (b"0", 0, 0),
    ],
)
def test_variable_scale(wire: bytes, scale: int, unscaled: int) -> None:
    text = variable_scale_json(wire)
    assert text is not None
    content = json.loads(text)
    assert content["scale"] == scale
    assert _unscaled(json.dumps(content["value"]).encode()) == unscaled


def test_numeric_of_any_length() -> None:
    digits = b"9" * 20_000
    text = variable_scale_json(digits + b".5")
    assert text is not None
    content = json.loads(text)
    assert content["scale"] == 1
    assert _unscaled(json.dumps(content["value"]).encode()) == 10**20_001 - 5


def test_string_mode() -> None:
    wires = (b"1.000", b"NaN", b"Infinity", b"-Infinity")
    assert [numeric_string_json(x) for x in wires] == [
        b'"1.000"',
        b'"NAN"',
        b'"POSITIVE_INFINITY"',
        b'"NEGATIVE_INFINITY"',
    ]


def test_string_mode_of_a_scale_beyond_the_digits() -> None:
    convert = scaled_string_converter(5)
    assert convert(b"12300") == b'"12300.00000"'
    assert convert(b"-1.5") == b'"-1.50000"'
    assert convert(b"NaN") == b'"NAN"'


def test_double_mode() -> None:
    assert double_json(b"1234567890.0123456789") == b"1.2345678900123458E9"


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"$1,234.50", b"1234.50"),
        (b"-$1,234.56", b"-1234.56"),
        (b"($0.01)", b"-0.01"),
        (b"$92,233,720,368,547,758.07", b"92233720368547758.07"),
    ],
)
def test_money(wire: bytes, expected: bytes) -> None:
    assert money_text(wire) == expected


@pytest.mark.parametrize(
    ("digits", "wire", "unscaled"),
    [
        (2, b"$1,234.50", 123450),
        (2, b"-$0.01", -1),
        (4, b"$1.25", 12500),
        (4, b"-$0.01", -100),
        # Half is rounded away from zero.
        (1, b"$1.24", 12),
        (1, b"$1.25", 13),
        (1, b"-$1.24", -12),
        (1, b"-$1.25", -13),
        (0, b"$0.49", 0),
        (0, b"$0.50", 1),
        (0, b"-$0.50", -1),
        (0, b"-$0.49", 0),
        (0, b"$99.50", 100),
        (2, b"$92,233,720,368,547,758.07", 9223372036854775807),
    ],
)
def test_money_of_so_many_digits(digits: int, wire: bytes, unscaled: int) -> None:
    text = money_converter(digits)(wire)
    assert text is not None
    assert _unscaled(text) == unscaled


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 6))
def test_money_is_rounded_like_a_decimal(cents: int, digits: int) -> None:
    wire = f"{'-' if cents < 0 else ''}${abs(cents) // 100:,}.{abs(cents) % 100:02}"
    text = money_converter(digits)(wire.encode())
    assert text is not None
    exact = Decimal(cents).scaleb(-2)
    rounded = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    assert _unscaled(text) == int(rounded.scaleb(digits))


@pytest.mark.parametrize(
    ("scale", "wire", "expected"),
    [
        (2, b"1.50", b"1.50"),
        (2, b"-0.05", b"-0.05"),
        (0, b"12345678901234567890", b"12345678901234567890"),
        # As Java's BigDecimal.toString: an exponent from seven zeros behind the point on.
        (6, b"0.000001", b"0.000001"),
        (7, b"0.0000001", b"1E-7"),
        (9, b"0.000000000", b"0E-9"),
        (9, b"1.500000000", b"1.500000000"),
        (-2, b"12300", b"1.23E+4"),
    ],
)
def test_decimal_as_a_number(scale: int, wire: bytes, expected: bytes) -> None:
    assert decimal_converter(scale, "NUMERIC")(wire) == expected


def test_a_number_of_any_length() -> None:
    wire = b"9" * 10_000 + b".5"
    assert decimal_converter(1, "NUMERIC")(wire) == wire
    assert decimal_converter(1, "NUMERIC")(b"NaN") is None


def test_money_as_a_number() -> None:
    assert money_converter(2, "NUMERIC")(b"-$1,234.50") == b"-1234.50"
    assert money_converter(1, "NUMERIC")(b"$0.05") == b"0.1"
