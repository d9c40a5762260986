from __future__ import annotations

import json

import pytest

from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.debezium.type_rules import TypeRule, type_rule
from pglogical_cdc.formatters.wire.wire_type import WireType

DEFAULT = TypeOptions(
    decimal="precise",
    time="adaptive",
    interval="numeric",
    hstore="json",
    binary="bytes",
    placeholder="__debezium_unavailable_value",
    include_unknown=False,
)
UNKNOWN = TypeOptions(
    decimal="precise",
    time="adaptive",
    interval="numeric",
    hstore="json",
    binary="bytes",
    placeholder="ph",
    include_unknown=True,
)


def _rule(name: str, modifier: int = -1, *, options: TypeOptions = DEFAULT) -> TypeRule:
    is_array = name[0] == "_"
    wire_type = WireType(name.lstrip("_"), modifier, "b", is_array)
    rule = type_rule(wire_type, options, not_null=False)
    assert rule is not None
    return rule


class TestTypeRule:
    @pytest.mark.parametrize(
        ("name", "modifier", "wire", "expected"),
        [
            ("bool", -1, b"t", b"true"),
            ("oid", -1, b"4294967295", None),
            ("bpchar", 14, b"a  ", b'"a  "'),
            ("numeric", 655366, b"123.40", b'"MDQ="'),
            ("numeric", -1, b"7.70", b'{"scale":1,"value":"TQ=="}'),
            ("money", -1, b"$1,234.50", b'"AeI6"'),
            ("time", 3, b"13:14:15.124", b"47655124"),
            ("time", -1, b"13:14:15.124", b"47655124000"),
            ("timestamp", 0, b"2024-02-29 13:14:16", b"1709212456000"),
            ("bit", 1, b"1", b"true"),
            ("bit", 3, b"101", b'"BQ=="'),
            ("jsonb", -1, b'{"a": 1}', b'"{\\"a\\": 1}"'),
            ("_bool", -1, b"{t,NULL,f}", b"[true,null,false]"),
            ("_time", -1, b"{13:14:15.123456}", b"[47655123000]"),
            ("_text", -1, b"{{a},{b}}", b'["{a}","{b}"]'),
            ("_float8", -1, b"{{1},{2}}", b"[null,null]"),
            ("_numeric", 655366, b"{1.10,2.00}", b'["bg==","AMg="]'),
            ("_vector", -1, b'{"[1,2]"}', b"[[1.0,2.0]]"),
        ],
    )
    def test_converts(self, name: str, modifier: int, wire: bytes, expected: bytes | None) -> None:
        convert = _rule(name, modifier).convert
        assert (None if convert is None else convert(wire)) == expected

    def test_names_are_lost(self) -> None:
        convert = _rule("name").convert
        assert convert is not None
        assert convert(b"nm") is None
        kept = _rule("name", options=UNKNOWN).convert
        assert kept is not None
        assert kept(b"nm") == b'"nm"'

    @pytest.mark.parametrize("name", ["ltree", "tsvector", "vector", "isbn"])
    def test_null_among_elements(self, name: str) -> None:
        convert = _rule(f"_{name}").convert
        assert convert is not None
        assert convert(b"{NULL}") is None
        assert convert(b"{}") == b"[]"

    def test_null_among_elements_where_there_has_to_be_a_value(self) -> None:
        rule = type_rule(WireType("mood", -1, "e", True), DEFAULT, not_null=True)
        assert rule is not None
        assert rule.convert is not None
        assert rule.convert(b"{a,NULL}") == b'["a",null]'

    def test_bit_arrays(self) -> None:
        lost = type_rule(WireType("bit", 3, "b", True), DEFAULT, not_null=False)
        kept = type_rule(WireType("bit", 3, "b", True), DEFAULT, not_null=True)
        assert lost is not None
        assert lost.convert is not None
        assert lost.convert(b"{101}") is None
        assert kept is not None
        assert kept.convert is not None
        assert kept.convert(b"{101}") == b'["BQ=="]'

    @pytest.mark.parametrize(
        "wire_type",
        [
            WireType("box", -1, "b"),
            WireType("int4multirange", -1, "b"),
            WireType("addr", -1, "c"),
            WireType("dnum", -1, "d", True),
            WireType(None, -1, "b"),
            WireType("pg_lsn", -1, "b"),
        ],
    )
    def test_unknown_types(self, wire_type: WireType) -> None:
        assert type_rule(wire_type, DEFAULT, not_null=False) is None
        rule = type_rule(wire_type, UNKNOWN, not_null=False)
        assert rule is not None
        assert rule.convert is not None
        assert rule.convert(b"{1}" if wire_type.is_array else b"1") in (
            (b'["MQ=="]', b'"MQ=="', b'"MS4w"')
        )

    @pytest.mark.parametrize("name", ["money", "name", "interval", "xml", "varbit", "point"])
    def test_arrays_that_are_never_there(self, name: str) -> None:
        wire_type = WireType(name, -1, "b", True)
        assert type_rule(wire_type, DEFAULT, not_null=False) is None
        assert type_rule(wire_type, UNKNOWN, not_null=False) is None

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("text", '"ph"'),
            ("bytea", '"cGg="'),
            ("numeric", None),
            ("varbit", None),
            ("hstore", '"{\\"ph\\":\\"ph\\"}"'),
            ("_text", '["ph"]'),
            ("_bytea", '["cGg="]'),
            ("_int4", "[112,104]"),
            ("_date", "[112,104]"),
            ("_bool", None),
        ],
    )
    def test_unchanged(self, name: str, expected: str | None) -> None:
        unchanged = _rule(name, options=UNKNOWN).unchanged
        assert (None if unchanged is None else unchanged.decode()) == expected

    def test_unchanged_uuids(self) -> None:
        assert _rule("_uuid").unchanged == b'["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]'

    @pytest.mark.parametrize(
        ("name", "modifier", "expected"),
        [
            ("int2", -1, b"0"),
            ("float4", -1, b"0.0"),
            ("bool", -1, b"false"),
            ("text", -1, b'""'),
            ("numeric", -1, b'{"scale":0,"value":"AA=="}'),
            ("numeric", 655366, b'"AA=="'),
            ("money", -1, b'"AA=="'),
            ("date", -1, b"0"),
            ("timetz", -1, b'"00:00:00Z"'),
            ("timestamptz", -1, b'"1970-01-01T00:00:00Z"'),
            ("bit", 1, b"false"),
            ("bit", 3, b'""'),
            (
                "point",
                -1,
                b'{"x":0.0,"y":0.0,"wkb":"AQEAAAAAAAAAAAAAAAAAAAAAAAAA","srid":null}',
            ),
            ("hstore", -1, b'"{}"'),
            ("_int4", -1, b"[]"),
        ],
    )
    def test_zeros(self, name: str, modifier: int, expected: bytes) -> None:
        assert _rule(name, modifier).zero == expected

    def test_every_zero_and_placeholder_is_json(self) -> None:
        names = "bool int4 float8 text numeric money bytea date time timetz timestamp timestamptz"
        for name in (*names.split(), "interval", "uuid", "hstore", "point", "vector", "sparsevec"):
            rule = _rule(name)
            json.loads(rule.zero)
            json.loads(rule.unchanged or b"null")
