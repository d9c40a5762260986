from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire_json import (
    BinaryMode,
    Convert,
    base64_json,
    bits_json,
    bool_json,
    bytea_bytes,
    bytea_converter,
    bytes_json,
    decimal_converter,
    double_json,
    float_vector_json,
    geometric_base64_json,
    hstore_json,
    hstore_map_json,
    money_text,
    numeric_string_json,
    point_json,
    sparse_vector_json,
    unscaled_json,
    variable_scale_json,
    vector_json,
    withheld,
)


def _unscaled(text: bytes) -> int:
    return int.from_bytes(base64.b64decode(json.loads(text)), "big", signed=True)


def test_bool() -> None:
    assert [bool_json(x) for x in (b"t", b"f", b"1", b"0")] == [b"true", b"false"] * 2


def test_withheld() -> None:
    convert: Convert = withheld
    assert [convert(x) for x in (b"", b"x")] == [None, None]


class TestBytes:
    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (b"\\x", b""),
            (b"\\xdeadbeef", b"\xde\xad\xbe\xef"),
            (b"abc", b"abc"),
            (b"a\\000\\377\\\\b", b"a\x00\xff\\b"),
        ],
    )
    def test_reads_both_forms(self, wire: bytes, expected: bytes) -> None:
        assert bytea_bytes(wire) == expected

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            ("bytes", b'"+/8="'),
            ("base64", b'"+/8="'),
            ("base64-url-safe", b'"-_8="'),
            ("hex", b'"fbff"'),
        ],
    )
    def test_modes(self, mode: BinaryMode, expected: bytes) -> None:
        assert bytea_converter(mode)(b"\\xfbff") == expected
        assert bytes_json(b"\xfb\xff", mode) == expected

    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (b"101", b'"BQ=="'),
            (b"10101010101010101011", b'"q6oK"'),
            (b"100000000", b'"AAE="'),
            (b"000", b'""'),
            (b"", b'""'),
        ],
    )
    def test_bits_from_the_last_on(self, wire: bytes, expected: bytes) -> None:
        assert bits_json(wire) == expected

    def test_bits_of_any_length(self) -> None:
        assert len(json.loads(bits_json(b"1" * 100_000))) == 16_668


class TestNumbers:
    @pytest.mark.parametrize(
        ("number", "expected"),
        [(0, "AA=="), (127, "fw=="), (128, "AIA="), (-128, "gA=="), (-129, "/38="), (255, "AP8=")],
    )
    def test_unscaled_is_as_short_as_can_be(self, number: int, expected: str) -> None:
        assert json.loads(unscaled_json(number)) == expected

    @given(st.integers())
    def test_unscaled_keeps_the_number(self, number: int) -> None:
        assert _unscaled(unscaled_json(number)) == number

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=3))
    def test_decimal_keeps_the_number(self, number: Decimal) -> None:
        text = decimal_converter(3)(f"{number:f}".encode())
        assert text is not None
        assert _unscaled(text) == int(f"{number:f}".replace(".", ""))

    def test_decimal_fills_up(self) -> None:
        # A default is written as it was declared: 9.5 for numeric(6,2).
        assert decimal_converter(2)(b"9.5") == b'"A7Y="'

    def test_decimal_cuts_what_the_scale_has_no_room_for(self) -> None:
        assert decimal_converter(1)(b"9.59") == unscaled_json(95)
        assert decimal_converter(0)(b"-9.59") == unscaled_json(-9)

    def test_scale_below_zero_is_read_without_sign(self) -> None:
        text = decimal_converter(2046)(b"12300")
        assert text is not None
        assert _unscaled(text) == 12300 * 10**2046

    @pytest.mark.parametrize("special", [b"NaN", b"Infinity", b"-Infinity"])
    def test_special_numbers(self, special: bytes) -> None:
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
    def test_variable_scale(self, wire: bytes, scale: int, unscaled: int) -> None:
        text = variable_scale_json(wire)
        assert text is not None
        content = json.loads(text)
        assert content["scale"] == scale
        assert _unscaled(json.dumps(content["value"]).encode()) == unscaled

    def test_numeric_of_any_length(self) -> None:
        digits = b"9" * 20_000
        text = variable_scale_json(digits + b".5")
        assert text is not None
        content = json.loads(text)
        assert content["scale"] == 1
        assert _unscaled(json.dumps(content["value"]).encode()) == 10**20_001 - 5

    def test_string_mode(self) -> None:
        wires = (b"1.000", b"NaN", b"Infinity", b"-Infinity")
        assert [numeric_string_json(x) for x in wires] == [
            b'"1.000"',
            b'"NAN"',
            b'"POSITIVE_INFINITY"',
            b'"NEGATIVE_INFINITY"',
        ]

    def test_double_mode(self) -> None:
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
    def test_money(self, wire: bytes, expected: bytes) -> None:
        assert money_text(wire) == expected


class TestComposed:
    def test_point(self) -> None:
        assert point_json(b"(1.5,-2)") == (
            b'{"x":1.5,"y":-2.0,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":null}'
        )

    def test_point_at_infinity_is_json(self) -> None:
        content = json.loads(point_json(b"(Infinity,NaN)"))
        assert (content["x"], content["y"]) == ("Infinity", "NaN")

    def test_vectors(self) -> None:
        assert vector_json(b"[1,2.5,-3]") == b"[1.0,2.5,-3.0]"
        assert float_vector_json(b"[1,1e-07]") == b"[1.0,1.0E-7]"
        assert sparse_vector_json(b"{1:1.5,3:2}/5") == (
            b'{"dimensions":5,"vector":[[1,1.5],[3,2.0]]}'
        )
        assert sparse_vector_json(b"{}/5") == b'{"dimensions":5,"vector":[]}'

    def test_geometric_text_has_javas_numbers(self) -> None:
        text = geometric_base64_json(b"<(1,2),1e+20>")
        assert base64.b64decode(json.loads(text)) == b"<(1.0,2.0),1.0E20>"

    def test_base64(self) -> None:
        assert base64_json(b"") == b'""'
        assert base64_json(b"\x00\xff\x10") == b'"AP8Q"'


class TestHstore:
    def test_json_mode_is_a_string(self) -> None:
        wire = rb'"a"=>"1", "c"=>"x\"y", "b c"=>NULL'
        assert hstore_json(wire) == rb'"{\"a\":\"1\",\"c\":\"x\\\"y\",\"b c\":null}"'

    def test_map_mode_is_an_object(self) -> None:
        wire = rb'"a"=>"1", "c"=>"x\"y", "b c"=>NULL'
        assert hstore_map_json(wire) == rb'{"a":"1","c":"x\"y","b c":null}'

    def test_empty(self) -> None:
        assert hstore_json(b"") == b'"{}"'
        assert hstore_map_json(b"") == b"{}"

    def test_refuses_other_text(self) -> None:
        with pytest.raises(ValueError, match="hstore"):
            hstore_json(b"no pair")

    @given(st.dictionaries(st.text(), st.none() | st.text()))
    def test_keeps_every_entry(self, entries: dict[str, str | None]) -> None:
        wire = ", ".join(
            f"{_quoted(k)}=>{'NULL' if v is None else _quoted(v)}" for k, v in entries.items()
        )
        value = wire.encode(errors="replace")
        expected = {
            key.encode(errors="replace").decode(): None
            if content is None
            else content.encode(errors="replace").decode()
            for key, content in entries.items()
        }
        assert json.loads(json.loads(hstore_json(value))) == expected
        assert json.loads(hstore_map_json(value)) == expected


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
