from __future__ import annotations

import json
import uuid
from hashlib import md5
from typing import Any

import pytest

from pglogical_cdc.formatters.debezium.connect_schema import (
    BOOLEAN,
    BYTES,
    INT32,
    INT64,
    STRING,
    ConnectSchema,
    array_of,
    semantic,
)
from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.debezium.scalar_rules import TypeRule, scalar_rule
from pglogical_cdc.formatters.debezium.type_rules import type_rule
from pglogical_cdc.formatters.wire.wire_type import WireType
from tests.formatters.debezium.test_scalar_rules import (
    DEFAULT,
    FAITHFUL,
    N10_2,
    UNKNOWN,
    converted,
)

MOODS = WireType("mood", -1, "e", is_array=True, labels=("a", "b"))


def _array(name: str, modifier: int = -1) -> WireType:
    return WireType(name, modifier, "b", is_array=True)


def _rule(
    wire_type: WireType, options: TypeOptions = DEFAULT, *, not_null: bool = False
) -> TypeRule:
    rule = type_rule(wire_type, options, not_null=not_null)
    assert rule is not None
    return rule


@pytest.mark.parametrize(
    ("name", "value", "lost"),
    [
        ("date", b'{2020-01-01,NULL,"0005-02-29 BC"}', True),
        ("date", b'{0004-02-29,"0005-02-28 BC"}', False),
        ("timestamptz", b'{"0001-02-29 00:00:00+00 BC"}', True),
        ("timestamptz", b'{"2020-02-29 00:00:00+00","0005-01-29 23:59:00+00 BC"}', False),
        ("timestamp", b'{"0001-02-29 00:00:00 BC"}', False),
    ],
)
def test_days_that_java_does_not_have_lose_their_array(
    name: str, value: bytes, *, lost: bool
) -> None:
    convert = _rule(_array(name)).convert
    assert convert is not None
    assert (convert(value) is None) == lost
    faithful = _rule(_array(name), FAITHFUL).convert
    assert faithful is not None
    assert faithful(value) is not None


def test_arrays_in_an_array_of_dates_are_null_whatever_is_in_them() -> None:
    convert = _rule(_array("date")).convert
    assert convert is not None
    assert convert(b'{{"0005-02-29 BC"}}') == b"[null]"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("int4", b"7"),
        ("text", b"x"),
        ("numeric", b"1.50"),
        ("hstore", b'"a"=>"1"'),
        ("timestamptz", b"2024-02-29 11:14:15+00"),
        ("bool", b"t"),
    ],
)
def test_what_is_no_array_has_its_own_rule(name: str, value: bytes) -> None:
    wire_type = WireType(name, N10_2 if name == "numeric" else -1, "b")
    expected = scalar_rule(wire_type, DEFAULT)
    assert expected is not None
    for not_null in (False, True):
        rule = type_rule(wire_type, DEFAULT, not_null=not_null)
        assert rule is not None
        assert (rule.schema, rule.zero) == (expected.schema, expected.zero)
        assert converted(rule, value) == converted(expected, value)


def test_an_enum_is_one_whatever_it_is_called() -> None:
    for name in ("box", "money", "bit", "int4"):
        mood = WireType(name, -1, "e", is_array=True, labels=("a", "b"))
        for options in (DEFAULT, FAITHFUL):
            assert converted(_rule(mood, options), b"{a,b}") == b'["a","b"]'


def test_a_name_that_must_not_be_null_is_written() -> None:
    # Debezium stops there.
    wire_type = WireType("name", -1, "b")
    assert converted(_rule(wire_type), b"nm") is None
    assert converted(_rule(wire_type, not_null=True), b"nm") == b'"nm"'


# Schemas and values are those that Debezium 3.6.3 wrote.
@pytest.mark.parametrize(
    ("name", "modifier", "wire", "items", "expected"),
    [
        ("bool", -1, b"{t,NULL,f}", BOOLEAN, b"[true,null,false]"),
        ("int4", -1, b"{1,NULL,-2}", INT32, b"[1,null,-2]"),
        ("oid", -1, b"{1,NULL,4294967295}", INT64, b"[1,null,4294967295]"),
        (
            *("numeric", N10_2, b"{1.10,NULL,2.00}"),
            semantic(
                *("bytes", "org.apache.kafka.connect.data.Decimal"),
                *(("scale", "2"), ("connect.decimal.precision", "10")),
            ),
            b'["bg==",null,"AMg="]',
        ),
        ("text", -1, b'{a,NULL,"NULL","b,\\"c\\""}', STRING, b'["a",null,"NULL","b,\\"c\\""]'),
        ("bpchar", 7, b'{"a  ",NULL}', STRING, b'["a  ",null]'),
        ("bytea", -1, b'{"\\\\xdead",NULL,"\\\\x"}', BYTES, b'["3q0=",null,""]'),
        (
            *("time", -1, b"{13:14:15.123456,NULL}"),
            *(semantic("int64", "io.debezium.time.MicroTime"), b"[47655123000,null]"),
        ),
        (
            *("timetz", -1, b"{13:14:15.123456+02}"),
            *(semantic("string", "io.debezium.time.ZonedTime"), b'["11:14:15Z"]'),
        ),
        (
            *("timestamp", -1, b'{"2024-02-29 13:14:15.123456"}'),
            *(semantic("int64", "io.debezium.time.MicroTimestamp"), b"[1709212455123456]"),
        ),
        (
            *("hstore", -1, b'{"\\"a\\"=>\\"1\\"",NULL}'),
            *(semantic("string", "io.debezium.data.Json"), b'["{\\"a\\":\\"1\\"}",null]'),
        ),
        ("int4range", -1, b'{"[1,10)",NULL}', STRING, b'["[1,10)",null]'),
    ],
)
def test_arrays(
    name: str, modifier: int, wire: bytes, items: ConnectSchema, expected: bytes
) -> None:
    rule = _rule(_array(name, modifier))
    assert rule.schema == array_of(items.as_optional())
    assert converted(rule, wire) == expected
    assert rule.zero == b"[]"
    assert converted(rule, b"{}") == b"[]"


@pytest.mark.parametrize(
    ("options", "name", "wire", "expected"),
    [
        ({"decimal": "double"}, "numeric", b"{1.10,NULL,2}", b"[1.1,null,2.0]"),
        ({"decimal": "string"}, "numeric", b"{1.10,NULL,2}", b'["1.10",null,"2"]'),
        ({"hstore": "map"}, "hstore", b'{"\\"a\\"=>\\"1\\"",NULL}', b'[{"a":"1"},null]'),
        ({"binary": "hex"}, "bytea", b'{"\\\\xdead",NULL}', b'["dead",null]'),
        ({"time": "connect"}, "timestamp", b'{"2024-02-29 13:14:15.123456"}', b"[1709212455123]"),
        ({"time": "nanoseconds"}, "time", b"{13:14:15.123456}", b"[47655123000000]"),
    ],
)
def test_modes(options: dict[str, Any], name: str, wire: bytes, expected: bytes) -> None:
    assert converted(_rule(_array(name), TypeOptions(**options)), wire) == expected


@pytest.mark.parametrize(
    ("name", "wire", "usual", "faithful"),
    [
        # Of an array of arrays Debezium keeps the length, or writes the identity of a Java object;
        # here is the text instead of that.
        ("int4", b"{{1,2},{3,NULL}}", b"[null,null]", b"[[1,2],[3,null]]"),
        ("float8", b"{{1},{2}}", b"[null,null]", b"[[1.0],[2.0]]"),
        ("text", b"{{a,b},{c,NULL}}", b'["{a,b}","{c,NULL}"]', b'[["a","b"],["c",null]]'),
        ("int4", b"{{{1},{2}},{{3},{4}}}", b"[null,null]", b"[[[1],[2]],[[3],[4]]]"),
        ("int8", b"[0:1]={7,8}", b"[7,8]", b"[7,8]"),
        ("time", b"{13:14:15.123456,24:00:00}", b"[47655123000,0]", b"[47655123456,86400000000]"),
        ("timetz", b"{13:14:15.5+00}", b'["13:14:15Z"]', b'["13:14:15.5Z"]'),
        ("date", b"{1582-10-10}", b"[-141422]", b"[-141432]"),
        ("date", b'{"0044-03-15 BC"}', b"[-703383]", b"[-735160]"),
        ("ltree", b"{a,NULL}", None, b'["a",null]'),
        ("numeric", b"{1,NaN}", None, b'[{"scale":0,"value":"AQ=="},null]'),
        ("int2vector", b'{"1 2",3}', None, b"[[1,2],[3]]"),
        (
            "sparsevec",
            b'{"{40000:2}/50000"}',
            None,
            b'[{"dimensions":50000,"vector":[[40000,2.0]]}]',
        ),
    ],
)
def test_faithful_is_true_to_the_value(
    name: str, wire: bytes, usual: bytes | None, faithful: bytes
) -> None:
    assert converted(_rule(_array(name)), wire) == usual
    assert converted(_rule(_array(name), FAITHFUL), wire) == faithful


class TestNullElements:
    @pytest.mark.parametrize("name", ["ltree", "tsvector", "vector", "halfvec", "isbn"])
    def test_one_makes_the_whole_null(self, name: str) -> None:
        rule = _rule(_array(name))
        assert converted(rule, b"{NULL}") is None
        assert converted(rule, b"{}") == b"[]"

    def test_not_where_there_has_to_be_a_value(self) -> None:
        assert converted(_rule(MOODS), b"{a,NULL}") is None
        assert converted(_rule(MOODS, not_null=True), b"{a,NULL}") == b'["a",null]'
        assert converted(_rule(MOODS, FAITHFUL), b"{a,NULL}") == b'["a",null]'

    def test_what_the_schema_says(self) -> None:
        label = semantic("string", "io.debezium.data.Enum", ("allowed", "a,b"))
        assert _rule(MOODS).schema == array_of(label)
        assert _rule(MOODS, FAITHFUL).schema == array_of(label.as_optional())
        ltree = semantic("string", "io.debezium.data.Ltree")
        assert _rule(_array("ltree")).schema == array_of(ltree.as_optional())
        tsvector = semantic("string", "io.debezium.data.Tsvector")
        assert _rule(_array("tsvector")).schema == array_of(tsvector)

    def test_vectors(self) -> None:
        assert converted(_rule(_array("vector")), b'{"[1,2]"}') == b"[[1.0,2.0]]"


def test_bit_arrays_are_taken_for_one_bit_string() -> None:
    bits = _array("bit", 3)
    lost, kept, faithful = _rule(bits), _rule(bits, not_null=True), _rule(bits, FAITHFUL)
    schema = semantic("bytes", "io.debezium.data.Bits", ("length", "3"))
    assert lost.schema == schema
    assert converted(lost, b"{101}") is None
    for rule in (kept, faithful):
        assert rule.schema == array_of(schema.as_optional())
        assert converted(rule, b"{101}") == b'["BQ=="]'


@pytest.mark.parametrize("name", ["money", "name", "interval", "xml", "varbit", "point"])
def test_arrays_that_are_never_there(name: str) -> None:
    assert type_rule(_array(name), DEFAULT, not_null=False) is None
    assert type_rule(_array(name), UNKNOWN, not_null=False) is None
    assert type_rule(_array(name), FAITHFUL, not_null=False) is not None


@pytest.mark.parametrize(
    ("wire_type", "wire", "expected"),
    [
        (WireType("box", -1, "b"), b"(1,1),(0,0)", b'"KDEuMCwxLjApLCgwLjAsMC4wKQ=="'),
        (WireType("int4multirange", -1, "m"), b"{}", b'"e30="'),
        (WireType("addr", -1, "c"), b"1", b'"MQ=="'),
        (WireType("dnum", -1, "d", True), b"{1}", b'["MQ=="]'),
        (WireType(None, -1, "b"), b"1", b'"MQ=="'),
        (WireType("pg_lsn", -1, "b"), b"1", b'"MQ=="'),
        (WireType("pg_lsn", -1, "b", True), b"{1}", b'["MQ=="]'),
    ],
)
def test_unknown_types(wire_type: WireType, wire: bytes, expected: bytes) -> None:
    assert type_rule(wire_type, DEFAULT, not_null=False) is None
    rule = _rule(wire_type, UNKNOWN)
    assert rule.schema == (array_of(BYTES) if wire_type.is_array else BYTES)
    assert converted(rule, wire) == expected


class TestUnknownArrays:
    def test_a_composite_is_unknown_whatever_its_name(self) -> None:
        assert type_rule(WireType("int4", -1, "c"), DEFAULT, not_null=False) is None

    def test_boxes_have_a_delimiter_of_their_own(self) -> None:
        rule = _rule(_array("box"), TypeOptions(include_unknown=True, binary="hex"))
        texts = [
            bytes.fromhex(each)
            for each in json.loads(converted(rule, b"{(1,1),(0,0);(2,2),(0,0)}") or b"")
        ]
        assert texts == [b"(1.0,1.0),(0.0,0.0)", b"(2.0,2.0),(0.0,0.0)"]

    def test_a_null_makes_the_whole_null(self) -> None:
        assert converted(_rule(_array("pg_lsn"), UNKNOWN), b"{0/1,NULL}") is None
        options = TypeOptions(include_unknown=True, faithful=True)
        rule = _rule(_array("pg_lsn"), options)
        assert rule.schema == array_of(BYTES.as_optional())
        assert converted(rule, b"{0/1,NULL}") == b'["MC8x",null]'
        assert converted(rule, b"{{0/1},{NULL}}") == b'[["MC8x"],[null]]'

    def test_not_where_there_has_to_be_a_value(self) -> None:
        rule = _rule(_array("pg_lsn"), UNKNOWN, not_null=True)
        assert converted(rule, b"{0/1,NULL}") == b'["MC8x",null]'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text", b'["ph"]'),
        ("jsonb", b'["ph"]'),
        ("bytea", b'["cGg="]'),
        ("int4", b"[112,104]"),
        ("int8", b"[112,104]"),
        ("date", b"[112,104]"),
        ("bool", None),
        ("float8", None),
        ("numeric", None),
        ("timestamptz", None),
    ],
)
def test_unchanged(name: str, expected: bytes | None) -> None:
    assert _rule(_array(name), UNKNOWN).unchanged == expected


def test_faithful_placeholders_are_no_values() -> None:
    faithful = TypeOptions(faithful=True, placeholder=b"ph")
    for name in ("int4", "int8", "date", "uuid"):
        assert _rule(_array(name), faithful).unchanged is None
    assert _rule(_array("text"), faithful).unchanged == b'["ph"]'
    assert _rule(_array("bytea"), faithful).unchanged == b'["cGg="]'


def test_unchanged_numbers_are_bytes_with_a_sign() -> None:
    options = TypeOptions(placeholder=b"\xde\xad\x01\x7f\x80\xff")
    assert _rule(_array("int4"), options).unchanged == b"[-34,-83,1,127,-128,-1]"


def test_unchanged_in_other_modes() -> None:
    assert _rule(_array("bytea"), TypeOptions(binary="hex")).unchanged is None
    assert _rule(_array("date"), TypeOptions(time="connect")).unchanged is None
    assert _rule(_array("date"), TypeOptions(time="isostring")).unchanged is None


def test_unchanged_uuids() -> None:
    # Java's UUID.nameUUIDFromBytes, without a name space.
    digest = bytearray(md5(b"ph", usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x30
    digest[8] = digest[8] & 0x3F | 0x80
    expected = b'["%b"]' % str(uuid.UUID(bytes=bytes(digest))).encode()
    assert _rule(_array("uuid"), UNKNOWN).unchanged == expected
    assert _rule(_array("uuid")).unchanged == b'["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]'
