from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.events import BUILTIN_TYPES
from pglogical_cdc.parsers.dms.column_types import (
    NEVER_TOASTED,
    UNKNOWN,
    named_type,
    type_of_json,
    wider,
)
from pglogical_cdc.parsers.dms.strict_json import Number, read_json


@pytest.mark.parametrize(
    ("name", "value", "type_name", "text"),
    [
        ("INT16", Number("-5"), "int2", "-5"),
        ("INT32", Number("5.0"), "int4", "5"),
        ("INT64", Number("9.2233720368547758e+18"), "int8", "9223372036854775800"),
        ("INT8", Number("5"), "int2", "5"),
        ("UINT64", Number("18446744073709551615"), "numeric", "18446744073709551615"),
        ("FLOAT", Number("2.20000005"), "float4", "2.2"),
        ("FLOAT", "NaN", "float4", "NaN"),
        ("DOUBLE", Number("25"), "float8", "25"),
        ("DOUBLE", "-Infinity", "float8", "-Infinity"),
        ("BOOL", True, "bool", "t"),
        ("BOOL", "false", "bool", "f"),
        ("NUMERIC", Number("46.570000"), "numeric", "46.570000"),
        ("NUMERIC", "9" * 40, "numeric", "9" * 40),
        ("NUMERIC", "1.234,56 €", "numeric", "1.234,56 €"),
        ("STRING", "ü", "text", "ü"),
        ("STRING", Number("5.50"), "text", "5.50"),
        ("STRING", True, "text", "true"),
        ("NCLOB", "{}", "text", "{}"),
        ("BYTES", "0x00fF", "bytea", "\\x00ff"),
        ("BYTES", "00ff", "bytea", "\\x00ff"),
        ("BYTES", "0x", "bytea", "\\x"),
        ("BLOB", "", "bytea", "\\x"),
        ("DATE32", "2018-01-02", "date", "2018-01-02"),
        ("TIME", "13:14:15", "time", "13:14:15"),
        ("TIMESTAMP", "2018-01-02T03:04:05Z", "timestamptz", "2018-01-02 03:04:05+00"),
        ("DATETIME", "2018-01-02T03:04:05Z", "timestamptz", "2018-01-02 03:04:05+00"),
        ("SOMETHING", "x", "text", "x"),
    ],
)
def test_types_by_name(name: str, value: Any, type_name: str, text: str) -> None:
    found = named_type(name)

    assert found.name == type_name
    assert found.text(value) == text
    assert found.modifier == -1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INT32", Number("1.5")),
        ("INT32", "5"),
        ("INT32", True),
        ("FLOAT", "sesame"),
        ("DOUBLE", Number("1e999")),
        ("BOOL", Number("1")),
        ("BOOL", "yes"),
        ("BYTES", "0xf"),
        ("BYTES", "0x0x00"),
        ("DATE32", Number("5")),
        ("TIMESTAMP", "sesame"),
        ("NUMERIC", True),
        ("STRING", []),
    ],
)
def test_values_of_another_type_are_refused(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError, LookupError)):
        named_type(name).text(value)


@pytest.mark.parametrize(
    ("given", "name", "modifier"),
    [
        (("STRING", 40), "varchar", 44),
        (("WSTRING", 1), "varchar", 5),
        (("STRING", 0), "text", -1),
        (("STRING", 99_999_999_999), "text", -1),
        (("NUMERIC", None, 10, 2), "numeric", (10 << 16 | 2) + 4),
        (("NUMERIC", None, 10, None), "numeric", (10 << 16) + 4),
        (("NUMERIC", None, 5, -3), "numeric", (5 << 16 | 2045) + 4),
        (("NUMERIC", None, 10, 5000), "numeric", -1),
        (("NUMERIC", None, 0, 0), "numeric", -1),
        (("INT32", 5, 5, 5), "int4", -1),
    ],
)
def test_modifiers(given: tuple[Any, ...], name: str, modifier: int) -> None:
    found = named_type(*given)

    assert (found.name, found.modifier) == (name, modifier)
    assert found == named_type(*given)


def test_types_that_are_never_toasted_exist() -> None:
    assert set(BUILTIN_TYPES.values()) >= NEVER_TOASTED


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("true", "bool", "t"),
        ('"x"', "text", "x"),
        ("5", "int8", "5"),
        ("9223372036854775807", "int8", "9223372036854775807"),
        ("-9223372036854775808", "int8", "-9223372036854775808"),
        ("9223372036854775808", "numeric", "9223372036854775808"),
        ("-" + "9" * 40, "numeric", "-" + "9" * 40),
        ("1.50", "numeric", "1.50"),
        ("1e2", "int8", "100"),
        ("1e-2", "numeric", "0.01"),
    ],
)
def test_types_by_the_json(text: str, name: str, expected: str) -> None:
    value = read_json("value", text)
    found = type_of_json(value)

    assert (found.name, found.text(value)) == (name, expected)


@pytest.mark.parametrize("value", [None, [], {}, Number("1e999999")])
def test_what_no_column_has(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        type_of_json(value)


def test_wider_types() -> None:
    text, integer = type_of_json("x"), type_of_json(Number("1"))
    numeric, boolean = type_of_json(Number("1.5")), type_of_json(True)

    assert wider(UNKNOWN, integer) is wider(integer, UNKNOWN) is wider(integer, integer) is integer
    assert wider(integer, numeric) is wider(numeric, integer) is numeric
    assert wider(boolean, integer) is wider(numeric, text) is wider(text, boolean) is text
    assert wider(UNKNOWN, text) is text
    assert wider(UNKNOWN, UNKNOWN) is UNKNOWN
