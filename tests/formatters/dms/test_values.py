from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.events import BUILTIN_TYPES, Column, Relation, ReplicaIdentity
from pglogical_cdc.formatters.dms.values import Render, ValueOptions, renderer

OIDS = {name: oid for oid, name in BUILTIN_TYPES.items()}
RELATION = Relation(1, "public", "t", (), ReplicaIdentity.DEFAULT)


def render(
    type_name: str, text: str | bytes, modifier: int = -1, options: ValueOptions | None = None
) -> str:
    value = text.encode() if isinstance(text, str) else text
    return _renderer(type_name, modifier, options)(value)


def _renderer(type_name: str, modifier: int, options: ValueOptions | None) -> Render:
    column = Column("c", OIDS[type_name], modifier, type_name, is_identity=False)
    return renderer(RELATION, column, options or ValueOptions())


def numeric(precision: int, scale: int) -> int:
    return (precision << 16 | scale) + 4


@pytest.mark.parametrize(
    ("type_name", "text", "expected"),
    [
        ("int2", "-32768", "-32768"),
        ("int4", "0", "0"),
        ("int8", "-9223372036854775808", "-9223372036854775808"),
        ("oid", "4294967295", "4294967295"),
        ("float8", "25", "25"),
        ("float8", "25.3", "25.3"),
        ("float8", "1.77", "1.77"),
        ("float8", "1e+300", "1e+300"),
        ("float8", "0.1234567890123456", "0.12345678901234559"),
        ("float8", "0.30000000000000004", "0.30000000000000004"),
        ("float8", "2.2204460492503131e-16", "2.2204460492503131e-16"),
        ("float4", "2.2", "2.20000005"),
        ("float4", "25", "25"),
        ("float4", "3.4028235e+38", "3.40282347e+38"),
        ("float4", "1e-45", "1.40129846e-45"),
        ("numeric", "46.570000", "46.570000"),
        ("numeric", "-" + "9" * 28 + "." + "1" * 10, "-" + "9" * 28 + "." + "1" * 10),
        ("numeric", "9" * 38 + ".5", '"' + "9" * 38 + '.5"'),
        ("money", "$1,234,567.89", "1234567.89"),
        ("money", "-$0.50", "-0.50"),
        ("money", "1.234,56 €", '"1.234,56 €"'),
        ("bool", "t", "true"),
        ("bool", "f", "false"),
        ("varchar", "x", '"x"'),
        ("bpchar", "x   ", '"x   "'),
        ("json", '{"foo": "bar"}', '"{\\"foo\\": \\"bar\\"}"'),
        ("_int4", "{1,2}", '"{1,2}"'),
        ("bytea", "\\x00fF", '"0x00ff"'),
        ("bytea", "\\x1", '"\\\\x1"'),
        ("bytea", "\\x", '"0x"'),
        ("bytea", "a\\\\\\000\\377", '"0x615c00ff"'),
        ("timestamp", "2010-11-01 00:02:00.1", '"2010-11-01T00:02:00.100000Z"'),
        ("timestamp", "2010-11-01 00:02:00", '"2010-11-01T00:02:00.000000Z"'),
        ("timestamptz", "2010-11-01 00:02:00.123456+00", '"2010-11-01T00:02:00.123456Z"'),
        ("timestamptz", "2010-01-01 00:02:00+05:30", '"2009-12-31T18:32:00.000000Z"'),
        ("timestamptz", "2010-01-01 00:02:00-03:30:15", '"2010-01-01T03:32:15.000000Z"'),
        ("timestamptz", "1890-01-01 00:00:00+00:53:28", '"1889-12-31T23:06:32.000000Z"'),
        ("timestamptz", "10000-01-01 00:00:00+00", '"10000-01-01T00:00:00.000000Z"'),
        ("timestamptz", "10000-01-01 00:00:00+02", '"10000-01-01 00:00:00+02"'),
        ("timestamp", "0044-03-15 12:00:00.123 BC", '"0044-03-15 12:00:00.123 BC"'),
        ("timestamp", "infinity", '"infinity"'),
        ("date", "2018-01-02", '"2018-01-02"'),
        ("date", "0044-03-15 BC", '"0044-03-15 BC"'),
        ("time", "24:00:00", '"24:00:00"'),
        ("timetz", "04:05:06.7+00", '"04:05:06.7+00"'),
        ("interval", "-1 days -01:42:30", '"-1 days -01:42:30"'),
        (
            "uuid",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"',
        ),
        ("inet", "10.0.0.0/8", '"10.0.0.0/8"'),
        ("int4range", "[1,10)", '"[1,10)"'),
    ],
)
def test_values(type_name: str, text: str, expected: str) -> None:
    assert render(type_name, text) == expected


@pytest.mark.parametrize("type_name", ["float4", "float8", "numeric"])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_is_null(type_name: str, text: str) -> None:
    assert render(type_name, text) == "null"


@pytest.mark.parametrize(
    ("modifier", "expected"),
    [
        (0, "2025-06-21T12:06:46Z"),
        (3, "2025-06-21T12:06:46.500Z"),
        (6, "2025-06-21T12:06:46.500000Z"),
    ],
)
def test_a_timestamp_has_the_digits_of_its_column(modifier: int, expected: str) -> None:
    text = "2025-06-21 12:06:46" if modifier == 0 else "2025-06-21 12:06:46.5"
    assert render("timestamp", text, modifier) == f'"{expected}"'
    assert render("timestamptz", text + "+00", modifier) == f'"{expected}"'


def test_a_numeric_beyond_dms_is_a_string() -> None:
    assert render("numeric", "1.5", numeric(38, 10)) == "1.5"
    assert render("numeric", "1.5", numeric(39, 10)) == '"1.5"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234567890123456", "1234567890123456"),
        ("-1234567890123456", "-1234567890123456"),
        ("9223372036854775807", "9.2233720368547758e+18"),
        ("-9223372036854775808", "-9.2233720368547758e+18"),
        ("12345678901234567", "1.2345678901234568e+16"),
        ("100000000000000000", "1e+17"),
    ],
)
def test_large_integers_as_doubles(text: str, expected: str) -> None:
    assert render("int8", text, options=ValueOptions(use_large_integer_value=False)) == expected


def test_booleans_as_strings() -> None:
    options = ValueOptions(map_boolean_as_boolean=False)
    assert render("bool", "t", options=options) == '"true"'
    assert render("bool", "f", options=options) == '"false"'


def test_bytes_without_prefix() -> None:
    assert render("bytea", "\\x00ff", options=ValueOptions(no_hex_prefix=True)) == '"00ff"'


def test_bytes_in_upper_case() -> None:
    assert render("bytea", "\\x00ff", options=ValueOptions(upper_hex=True)) == '"0x00FF"'


@pytest.mark.parametrize(
    ("text", "modifier", "expected"),
    [
        ("0.611111104488373", -1, "0.611111"),
        ("0.0000005", -1, "0.000001"),
        ("-0.0000005", -1, "-0.000001"),
        ("46.57", -1, "46.570000"),
        ("7", -1, "7.000000"),
        ("NaN", -1, "null"),
        ("9" * 40, -1, '"' + "9" * 40 + '.000000"'),
        ("1e999999999", -1, "1e999999999"),
        ("0.611111104488373", numeric(20, 15), "0.611111104488373"),
    ],
)
def test_a_numeric_without_precision_as_aws_rounds_it(
    text: str, modifier: int, expected: str
) -> None:
    options = ValueOptions(exact_numeric=False)
    assert render("numeric", text, modifier, options) == expected


@pytest.mark.parametrize(
    ("text", "modifier", "expected"),
    [
        ("46.570000", -1, '"46.570000"'),
        ("1.5", numeric(39, 1), '"1.5"'),
        ("9" * 40, -1, '"' + "9" * 40 + '"'),
        ("NaN", -1, "null"),
    ],
)
def test_numeric_as_strings(text: str, modifier: int, expected: str) -> None:
    options = ValueOptions(numeric_as_string=True)
    assert render("numeric", text, modifier, options) == expected


@pytest.mark.parametrize("type_name", ["float4", "float8", "numeric"])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1.5"])
def test_what_json_has_no_number_for_as_strings(type_name: str, text: str) -> None:
    expected = text if text == "1.5" else f'"{text}"'
    options = ValueOptions(non_finite_as_string=True)
    assert render(type_name, text, options=options) == expected


def test_bytes_that_are_not_utf8() -> None:
    assert render("text", b"a\xff\xfeb") == '"a\ufffd\ufffdb"'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_keeps_its_value(number: float) -> None:
    assert json.loads(render("float8", repr(number)), parse_int=float) == number


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_single_keeps_its_value(number: float) -> None:
    rendered = float(json.loads(render("float4", f"{number:.9g}"), parse_int=float))
    assert struct.pack("f", rendered) == struct.pack("f", number)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10))
def test_a_numeric_keeps_its_digits(number: object) -> None:
    text = format(number, "f")
    assert render("numeric", text).strip('"') == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_text_keeps_its_characters(text: str) -> None:
    assert json.loads(render("text", text)) == text


@given(st.binary())
def test_bytes_keep_their_values(content: bytes) -> None:
    escaped = b"".join(
        b"\\\\" if byte == 0x5C else bytes([byte]) if 0x20 <= byte < 0x7F else b"\\%03o" % byte
        for byte in content
    )
    assert json.loads(render("bytea", b"\\x" + content.hex().encode())) == f"0x{content.hex()}"
    assert json.loads(render("bytea", escaped)) == f"0x{content.hex()}"


def _refuse(constant: str) -> None:
    raise AssertionError(constant)


@given(
    st.sampled_from(sorted(OIDS)),
    st.sampled_from([-1, 0, 3, numeric(5, 2), numeric(50, 2)]),
    st.one_of(
        st.binary(),
        st.sampled_from(
            [
                b"",
                b"-",
                b"1e999",
                b"-1e999",
                b"1e40",
                b"3.5e38",
                b"01",
                b"1.",
                b".5",
                b"$,.1",
                b"\\x1",
                b"$1,.5",
            ]
        ),
        st.from_regex(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}[+-][0-9]{2}", fullmatch=True),
    ),
    st.builds(ValueOptions, *[st.booleans()] * 7),
)
def test_whatever_comes_the_message_is_valid(
    type_name: str, modifier: int, content: bytes, options: ValueOptions
) -> None:
    rendered = render(type_name, content, modifier, options)
    found = json.loads(rendered, parse_constant=_refuse)
    assert not isinstance(found, float) or not math.isnan(found)
