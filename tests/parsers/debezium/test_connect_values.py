from __future__ import annotations

import json
from typing import Any

import pytest

from pglogical_cdc.parsers.debezium.connect_values import postgres_type, type_of_json

DECIMAL = "org.apache.kafka.connect.data.Decimal"


def _decimal(scale: int, precision: int | None = None) -> dict[str, Any]:
    parameters = {"scale": str(scale)}
    if precision is not None:
        parameters["connect.decimal.precision"] = str(precision)
    return {"type": "bytes", "name": DECIMAL, "parameters": parameters}


def _named(type: str, name: str, **parameters: str) -> dict[str, Any]:
    return {"type": type, "name": name, "parameters": parameters}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


@pytest.mark.parametrize(
    ("schema", "value", "name", "text"),
    [
        ({"type": "boolean"}, True, "bool", "t"),
        ({"type": "boolean"}, False, "bool", "f"),
        ({"type": "int16"}, -1, "int2", "-1"),
        ({"type": "int32"}, 7, "int4", "7"),
        ({"type": "int64"}, 1 << 62, "int8", str(1 << 62)),
        ({"type": "float"}, 1.5, "float4", "1.5"),
        ({"type": "double"}, "NaN", "float8", "NaN"),
        ({"type": "double"}, 1e300, "float8", "1e+300"),
        ({"type": "string"}, "ü", "text", "ü"),
        ({"type": "bytes"}, "3q0=", "bytea", "\\xdead"),
        ({"type": "map"}, {"a": None}, "jsonb", '{"a": null}'),
        ({"type": "struct", "fields": []}, {"a": 1}, "jsonb", '{"a": 1}'),
        (_named("string", "io.debezium.data.Uuid"), "a0eebc99", "uuid", "a0eebc99"),
        (_named("string", "io.debezium.data.Json"), '{"a":1}', "json", '{"a":1}'),
        (_named("bytes", "io.debezium.data.Bits", length="5"), "Cg==", "bit", "01010"),
        (
            _named("bytes", "io.debezium.data.Bits", length="2147483647"),
            "Cg==",
            "varbit",
            "1010",
        ),
        (_named("int32", "io.debezium.time.Date"), 19782, "date", "2024-02-29"),
        (_named("int64", "some.other.Name"), 5, "int8", "5"),
        (
            _named("struct", "io.debezium.data.geometry.Point"),
            {"x": 1.5, "y": -2.0, "wkb": "", "srid": None},
            "point",
            "(1.5,-2.0)",
        ),
    ],
)
def test_a_value_by_its_schema(schema: dict[str, Any], value: Any, name: str, text: str) -> None:
    found = postgres_type(schema)

    assert (found.name, found.text(value)) == (name, text)


@pytest.mark.parametrize(
    ("scale", "value", "text"),
    [
        (2, "AeI6", "1234.50"),
        (0, "AA==", "0"),
        (2, "/w==", "-0.01"),
        (-2, "BQ==", "500"),
        # More digits than the default context of decimal has.
        (10, "tMSzV6V5O4X2dd3AAAAAAQ==", "-9999999999999999999999999999.9999999999"),
    ],
)
def test_every_digit_of_a_decimal_is_kept(scale: int, value: str, text: str) -> None:
    assert postgres_type(_decimal(scale)).text(value) == text


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "bytes", "name": DECIMAL},
        {"type": "bytes", "name": DECIMAL, "parameters": {"scale": "x"}},
        {"type": "bytes", "name": DECIMAL, "parameters": {"scale": "99999999999999999999"}},
        {"type": "bytes", "name": DECIMAL, "parameters": {"scale": float("inf")}},
        _decimal(2, 1001),
        _named("bytes", "io.debezium.data.Bits", length="-5"),
        _named("bytes", "io.debezium.data.Bits", length="83886081"),
        {},
        {"type": "array"},
    ],
)
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, LookupError, ArithmeticError)):
        postgres_type(schema)


def test_the_same_schema_gives_the_same_type() -> None:
    for schema in (
        _decimal(2, 10),
        _array(_decimal(3)),
        _array(_array({"type": "string"})),
        _named("bytes", "io.debezium.data.Bits", length="5"),
    ):
        first, second = postgres_type(schema), postgres_type(json.loads(json.dumps(schema)))
        assert first == second
        assert hash(first) == hash(second)


def test_a_decimal_with_a_precision_is_a_numeric_with_one() -> None:
    assert postgres_type(_decimal(2, 10)).modifier == (10 << 16 | 2) + 4
    assert postgres_type(_decimal(2)).modifier == -1


def test_a_decimal_of_any_scale() -> None:
    found = postgres_type(_named("struct", "io.debezium.data.VariableScaleDecimal"))

    assert (found.name, found.text({"scale": 21, "value": "/w=="})) == (
        "numeric",
        "-0.000000000000000000001",
    )


@pytest.mark.parametrize(
    ("items", "value", "name", "text"),
    [
        ({"type": "int32"}, [1, None, -2], "_int4", "{1,NULL,-2}"),
        ({"type": "boolean"}, [True, False], "_bool", "{t,f}"),
        (
            {"type": "string"},
            ["a", "", "null", 'b"c\\', "d e"],
            "_text",
            '{a,"","null","b\\"c\\\\","d e"}',
        ),
        (_array({"type": "int64"}), [[1, 2], [3, None]], "_int8", "{{1,2},{3,NULL}}"),
        (_decimal(1), ["Cw=="], "_numeric", "{1.1}"),
        ({"type": "map"}, [{"a": "b"}], "_jsonb", '{"{\\"a\\": \\"b\\"}"}'),
    ],
)
def test_an_array_by_its_schema(
    items: dict[str, Any], value: list[Any], name: str, text: str
) -> None:
    found = postgres_type(_array(items))

    assert (found.name, found.text(value)) == (name, text)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (True, "bool", "t"),
        (1, "int8", "1"),
        (1 << 63, "numeric", "9223372036854775808"),
        (1.5, "float8", "1.5"),
        ("a", "text", "a"),
        ([1, None], "jsonb", "[1, null]"),
        ({"a": "ü"}, "jsonb", '{"a": "ü"}'),
    ],
)
def test_a_value_without_schema(value: Any, name: str, text: str) -> None:
    found = type_of_json(value)

    assert (found.name, found.text(value)) == (name, text)


def test_every_type_has_an_oid() -> None:
    assert postgres_type(_array({"type": "int32"})).oid == 1007
