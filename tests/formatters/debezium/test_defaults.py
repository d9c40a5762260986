from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.debezium.defaults import (
    default_json,
    default_text,
    enum_default_text,
)
from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.debezium.type_rules import type_rule
from pglogical_cdc.formatters.wire.wire_type import WireType
from tests.formatters.debezium.test_scalar_rules import N10_2

MOOD = WireType("mood", -1, "e", labels=("it's", "ok"))


def _default(expression: str, wire_type: WireType, **options: Any) -> str | None:
    types = TypeOptions(**options)
    rule = type_rule(wire_type, types, not_null=False)
    assert rule is not None
    found = default_json(expression, wire_type, rule, types)
    if found is None:
        return None
    json.loads(found)
    return found.decode()


class TestDefaultText:
    @pytest.mark.parametrize(
        ("expression", "type_name", "expected"),
        [
            ("5", "int4", "5"),
            ("'-5'::integer", "int4", "-5"),
            ("1.23", "numeric", "1.23"),
            ("true", "bool", "true"),
            ("false", "bool", "false"),
            ("'x''y'::text", "text", "x'y"),
            ("'10101010'::\"bit\"", "bit", "10101010"),
            ("'2020-01-02'::date", "date", "2020-01-02"),
            # Backslashes stay doubled.
            ("E'a\\\\b'::text", "text", "a\\\\b"),
            # What the server computes counts as the zero of the type.
            ("nextval('t_id_seq'::regclass)", "int4", "0"),
            ("now()", "timestamptz", "1970-01-01 00:00:00+00"),
            ("(now() - '1 day'::interval)", "timestamptz", "1970-01-01 00:00:00+00"),
            ("CURRENT_DATE", "date", "1970-01-01"),
            ("CURRENT_TIMESTAMP(3)", "timestamp", "1970-01-01 00:00:00"),
            ("LOCALTIME", "time", "00:00:00"),
            ("gen_random_uuid()", "uuid", "00000000-0000-0000-0000-000000000000"),
            ("md5('x'::text)", "text", ""),
            ("is_on()", "bool", "false"),
            # Of another expression the first constant counts, or the text as it stands.
            ("('a'::text || 'b'::text)", "text", "a"),
            ("(1 + 2)", "int4", "(1 + 2)"),
        ],
    )
    def test_constants_and_zeros(self, expression: str, type_name: str, expected: str) -> None:
        assert default_text(expression, type_name) == expected

    @pytest.mark.parametrize(
        ("expression", "type_name"),
        [
            ("'\\xdead'::bytea", "bytea"),
            ("'(1,2)'::point", "point"),
            ("NULL::integer", "int4"),
            ("'x'::name", "name"),
        ],
    )
    def test_knows_no_other(self, expression: str, type_name: str) -> None:
        assert default_text(expression, type_name) is None

    @given(st.text())
    def test_any_constant(self, text: str) -> None:
        quoted = text.replace("'", "''")
        assert default_text(f"'{quoted}'::text", "text") == text


class TestEnumDefaultText:
    def test_a_label(self) -> None:
        assert enum_default_text("'ok'::mood") == "ok"
        assert enum_default_text("''::mood") == ""
        assert enum_default_text('\'two words\'::"Other Schema"."Mood 2"') == "two words"

    def test_quotes_stay_doubled(self) -> None:
        assert enum_default_text("'it''s'::mood") == "it''s"

    @pytest.mark.parametrize("expression", ["mood_of(1)", "'ok'", "'::mood", "now()::mood", ""])
    def test_no_other(self, expression: str) -> None:
        assert enum_default_text(expression) is None


# What Debezium 3.6.3 had in its schemas.
@pytest.mark.parametrize(
    ("name", "modifier", "expression", "expected"),
    [
        ("bool", -1, "true", "true"),
        ("bool", -1, "false", "false"),
        ("bool", -1, "('t'::text)::boolean", "false"),
        ("int4", -1, "5", "5"),
        ("int4", -1, "'-5'::integer", "-5"),
        ("int4", -1, "(1 + 1)", None),
        ("int4", -1, "abs('-1'::integer)", "0"),
        ("int4", -1, "nextval('s'::regclass)", "0"),
        ("int8", -1, "'99999999999'::bigint", "99999999999"),
        ("int2", -1, "'5'::smallint", "5"),
        ("float4", -1, "'-15000000000'::bigint", "-1.50000005E10"),
        ("float8", -1, "'2.25'::numeric", "2.25"),
        ("float8", -1, "'NaN'::double precision", '"NaN"'),
        ("float8", -1, "pi()", "0.0"),
        ("numeric", N10_2, "1", '"ZA=="'),
        ("numeric", N10_2, "1.234", None),
        ("numeric", N10_2, "'-1.5'::numeric", '"/2o="'),
        ("numeric", N10_2, "'NaN'::numeric", None),
        ("numeric", -1, "3.5", None),
        ("money", -1, "1.5", None),
        ("money", -1, "'$1.50'::money", None),
        ("text", -1, "'it''s'::text", '"it\'s"'),
        ("text", -1, "('a'::text || 'b'::text)", '"a"'),
        ("text", -1, "upper('x'::text)", '""'),
        ("text", -1, "CURRENT_USER", '"CURRENT_USER"'),
        ("text", -1, "(5)::text", '"(5)::text"'),
        ("text", -1, "NULL::text", None),
        ("varchar", 14, "'abc'::character varying", '"abc"'),
        ("bpchar", 7, "'a'::bpchar", '"a"'),
        ("json", -1, "'{\"a\":1}'::json", '"{\\"a\\":1}"'),
        ("jsonb", -1, "jsonb_build_object()", '"{}"'),
        ("date", -1, "'2020-01-02'::date", "18263"),
        ("date", -1, "CURRENT_DATE", "0"),
        ("date", -1, "'infinity'::date", "169560311"),
        ("date", -1, "(CURRENT_DATE + 1)", None),
        ("time", -1, "'01:02:03'::time without time zone", "3723000000"),
        ("time", 3, "'01:02:03'::time without time zone", "3723000"),
        ("time", -1, "'24:00:00'::time without time zone", "86399999999"),
        ("time", -1, "LOCALTIME", "0"),
        ("timetz", -1, "'01:02:03+00'::time with time zone", None),
        ("timestamp", -1, "'2020-01-02'::timestamp without time zone", "1577923200000000"),
        (
            *("timestamp", -1, "'infinity'::timestamp without time zone"),
            "-9223372036853775810",
        ),
        ("timestamp", 3, "'infinity'::timestamp without time zone", None),
        ("timestamp", -1, "now()", "0"),
        (
            *("timestamptz", -1, "'2020-01-02 01:04:05+00'::timestamp with time zone"),
            '"2020-01-02T01:04:05.000000Z"',
        ),
        (
            *("timestamptz", 0, "'2020-01-02 03:04:05.12+00'::timestamp with time zone"),
            '"2020-01-02T03:04:05.12Z"',
        ),
        (
            *("timestamptz", -1, "'2020-01-02'::timestamp with time zone"),
            '"2020-01-02T00:00:00.000000Z"',
        ),
        ("timestamptz", -1, "'infinity'::timestamp with time zone", None),
        ("timestamptz", -1, "now()", '"1970-01-01T00:00:00.000000Z"'),
        ("interval", -1, "'1 day'::interval", "86400000000"),
        ("uuid", -1, "gen_random_uuid()", '"00000000-0000-0000-0000-000000000000"'),
        ("bit", 1, "'1'::\"bit\"", "true"),
        ("bit", 8, "'10101010'::\"bit\"", '"qg=="'),
        ("bit", 8, "(11)::bit(8)", '"AAY="'),
        ("bit", 8, "(5)::bit(8)", '""'),
        ("bit", 8, "some_bits()", '""'),
        ("bit", 1, "some_bits()", None),
        ("varbit", -1, "'101'::\"bit\"", '"BQ=="'),
        ("bytea", -1, "'\\xdead'::bytea", None),
        ("name", -1, "'x'::name", None),
        ("citext", -1, "'x'::citext", None),
        ("inet", -1, "'1.1.1.1'::inet", None),
        ("oid", -1, "5", None),
        ("int4range", -1, "'[1,2)'::int4range", None),
        ("hstore", -1, "'a=>1'::hstore", None),
        ("point", -1, "'(1,2)'::point", None),
    ],
)
def test_defaults(name: str, modifier: int, expression: str, expected: str | None) -> None:
    assert _default(expression, WireType(name, modifier, "b")) == expected


@pytest.mark.parametrize(
    ("options", "name", "modifier", "expression", "expected"),
    [
        ({"decimal": "string"}, "numeric", N10_2, "1", '"1.00"'),
        ({"decimal": "string"}, "numeric", N10_2, "'-1.5'::numeric", '"-1.50"'),
        ({"decimal": "string"}, "numeric", N10_2, "1.23", '"1.23"'),
        ({"decimal": "string"}, "numeric", N10_2, "1.234", None),
        ({"decimal": "string"}, "numeric", -1, "3.5", '"3.5"'),
        ({"decimal": "double"}, "numeric", -1, "1.5", "1.5"),
        ({"decimal": "double"}, "numeric", N10_2, "1.23", "1.23"),
        ({"decimal": "double"}, "money", -1, "1.5", None),
        ({"interval": "string"}, "interval", -1, "'1 day'::interval", '"P0Y0M1DT0H0M0S"'),
        ({"time": "connect"}, "time", -1, "'01:02:03'::time without time zone", "3723000"),
        ({"time": "connect"}, "time", -1, "'24:00:00'::time without time zone", "86399999"),
        ({"time": "isostring"}, "date", -1, "'infinity'::date", '"+999999999-12-31Z"'),
        ({"time": "isostring"}, "date", -1, "'2020-01-02'::date", '"2020-01-02Z"'),
        (
            *({"time": "nanoseconds"}, "timestamp", -1),
            *("'2020-01-02 03:04:05'::timestamp without time zone", "1577934245000000000"),
        ),
        (
            *({"time": "nanoseconds"}, "timestamp", -1),
            *("'infinity'::timestamp without time zone", None),
        ),
        (
            *({"time": "isostring"}, "timestamp", -1),
            *("'-infinity'::timestamp without time zone", '"-999999999-01-01T00:00:00Z"'),
        ),
    ],
)
def test_defaults_in_other_modes(
    options: dict[str, Any], name: str, modifier: int, expression: str, expected: str | None
) -> None:
    assert _default(expression, WireType(name, modifier, "b"), **options) == expected


def test_defaults_of_enums() -> None:
    assert _default("'ok'::mood", MOOD) == '"ok"'
    assert _default("'it''s'::mood", MOOD) == "\"it''s\""
    assert _default("mood_of(1)", MOOD) is None


def test_no_default_of_an_array() -> None:
    assert _default("'{1,2}'::integer[]", WireType("int4", -1, "b", is_array=True)) is None
    assert _default("'{ok}'::mood[]", WireType("mood", -1, "e", is_array=True)) is None


@given(st.text() | st.text("0123456789-+.:, 'TBCZ{}()infinty"), st.data())
def test_no_expression_raises(expression: str, data: st.DataObject) -> None:
    names = "bool int4 float4 float8 numeric bit varbit uuid date time timestamp timestamptz"
    name = data.draw(st.sampled_from([*names.split(), "interval", "text", "jsonb", "money"]))
    modifier = data.draw(st.sampled_from([-1, 1, 3, N10_2]))
    for text in (expression, f"'{expression}'::{name}"):
        _default(text, WireType(name, modifier, "b"), decimal="string")
        _default(text, WireType(name, modifier, "b"), time="nanoseconds")


def test_long_expressions_take_no_time() -> None:
    pairs = ", ".join(f"'key {number}', {number}" for number in range(5000))
    for expression in (
        f"jsonb_build_object({pairs}, 'note', 'one\ntwo')",
        f"COALESCE({pairs}\nCASE WHEN true THEN 1 END)",
    ):
        # Some seconds, where all ways to divide the text at its commas are tried, are ages.
        assert default_text(expression, "jsonb") is not None
