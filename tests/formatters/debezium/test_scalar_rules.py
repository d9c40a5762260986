from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pglogical_cdc.formatters.debezium.connect_schema import (
    BOOLEAN,
    BYTES,
    DOUBLE,
    FLOAT,
    INT16,
    INT32,
    INT64,
    STRING,
    ConnectSchema,
    ConnectType,
    array_of,
    semantic,
    struct,
)
from pglogical_cdc.formatters.debezium.options import TimeMode, TypeOptions
from pglogical_cdc.formatters.debezium.scalar_rules import (
    TypeRule,
    scalar_rule,
    time_unit,
    unknown_rule,
)
from pglogical_cdc.formatters.wire.wire_type import WireType

DEFAULT = TypeOptions()
FAITHFUL = TypeOptions(faithful=True)
UNKNOWN = TypeOptions(placeholder=b"ph", include_unknown=True)
N10_2, N5_0, N38_10, N5_MINUS_2 = 655366, 327684, 2490382, 329730
"""Modifiers of ``numeric(10,2)`` and so on; the scale has 11 bits."""


def rule_of(name: str, modifier: int = -1, options: TypeOptions = DEFAULT) -> TypeRule:
    """Return the rule of a type that Debezium knows."""
    rule = scalar_rule(WireType(name, modifier, "b"), options)
    assert rule is not None
    return rule


def converted(rule: TypeRule, wire: bytes) -> bytes | None:
    """Return what a rule makes of a value."""
    return wire if rule.convert is None else rule.convert(wire)


def unscaled(text: bytes | None) -> int:
    """Read the number in a Connect decimal."""
    assert text is not None
    return int.from_bytes(base64.b64decode(json.loads(text)), "big", signed=True)


def _of_time(type: ConnectType, name: str) -> ConnectSchema:
    return semantic(type, f"io.debezium.time.{name}")


def _of_data(name: str, *parameters: tuple[str, str]) -> ConnectSchema:
    return semantic("string", f"io.debezium.data.{name}", *parameters)


def _bits(length: int) -> ConnectSchema:
    return semantic("bytes", "io.debezium.data.Bits", ("length", str(length)))


def _decimal(scale: int, precision: int | None = None) -> ConnectSchema:
    parameters = [("scale", str(scale))]
    if precision is not None:
        parameters.append(("connect.decimal.precision", str(precision)))
    return semantic("bytes", "org.apache.kafka.connect.data.Decimal", *parameters)


VARIABLE = struct(
    ("scale", INT32),
    ("value", BYTES),
    name="io.debezium.data.VariableScaleDecimal",
    doc="Variable scaled decimal",
)
POINT = struct(
    ("x", DOUBLE),
    ("y", DOUBLE),
    ("wkb", BYTES.as_optional()),
    ("srid", INT32.as_optional()),
    name="io.debezium.data.geometry.Point",
    doc="Geometry (POINT)",
)
SPARSE = struct(
    ("dimensions", INT16),
    ("vector", ConnectSchema("map", keys=INT16, values=DOUBLE)),
    name="io.debezium.data.SparseDoubleVector",
    doc="Sparse double vector",
)
ZONED_TIME, ZONED = _of_time("string", "ZonedTime"), _of_time("string", "ZonedTimestamp")
UUID = b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
WKB = b"AQEAAAAAAAAAAAD4PwAAAAAAAADA"


class TestScalarRule:
    # Schemas and values are those that Debezium 3.6.3 wrote.
    @pytest.mark.parametrize(
        ("name", "modifier", "wire", "schema", "expected"),
        [
            ("bool", -1, b"t", BOOLEAN, b"true"),
            ("int2", -1, b"12", INT16, b"12"),
            ("int4", -1, b"-345", INT32, b"-345"),
            ("int8", -1, b"6789012345", INT64, b"6789012345"),
            ("oid", -1, b"4294967295", INT64, b"4294967295"),
            ("float4", -1, b"1.1", FLOAT, b"1.1"),
            ("float8", -1, b"2.25", DOUBLE, b"2.25"),
            ("numeric", -1, b"12345.6789", VARIABLE, b'{"scale":4,"value":"B1vNFQ=="}'),
            ("numeric", -1, b"7.70", VARIABLE, b'{"scale":1,"value":"TQ=="}'),
            ("numeric", N10_2, b"123.40", _decimal(2, 10), b'"MDQ="'),
            ("numeric", N5_0, b"42", _decimal(0, 5), b'"Kg=="'),
            ("numeric", N38_10, b"1234567890.0123456789", _decimal(10, 38), b'"AKtUqYyo5NUV"'),
            ("money", -1, b"$1,234.50", _decimal(2), b'"AeI6"'),
            ("text", -1, b'h "w"\\', STRING, b'"h \\"w\\"\\\\"'),
            ("varchar", 14, b"v10", STRING, b'"v10"'),
            ("bpchar", 14, b"a  ", STRING, b'"a  "'),
            ("char", -1, b"q", STRING, b'"q"'),
            ("citext", -1, b"Ci", STRING, b'"Ci"'),
            ("bytea", -1, b"\\xdeadbeef00ff", BYTES, b'"3q2+7wD/"'),
            ("date", -1, b"2024-02-29", _of_time("int32", "Date"), b"19782"),
            ("time", 3, b"13:14:15.124", _of_time("int32", "Time"), b"47655124"),
            ("time", 4, b"13:14:15.1235", _of_time("int64", "MicroTime"), b"47655123500"),
            ("time", -1, b"13:14:15.123456", _of_time("int64", "MicroTime"), b"47655123456"),
            ("timetz", -1, b"13:14:15.124+02", ZONED_TIME, b'"11:14:15.124Z"'),
            (
                *("timestamp", 0, b"2024-02-29 13:14:16"),
                *(_of_time("int64", "Timestamp"), b"1709212456000"),
            ),
            (
                *("timestamp", -1, b"2024-02-29 13:14:15.123456"),
                *(_of_time("int64", "MicroTimestamp"), b"1709212455123456"),
            ),
            (
                "timestamptz",
                -1,
                b"2024-02-29 11:14:15.1+00",
                ZONED,
                b'"2024-02-29T11:14:15.100000Z"',
            ),
            ("timestamptz", 0, b"2024-02-29 11:14:16+00", ZONED, b'"2024-02-29T11:14:16Z"'),
            (
                *("interval", -1, b"1 year 2 mons 3 days 04:05:06.789"),
                *(_of_time("int64", "MicroDuration"), b"37091106789000"),
            ),
            ("uuid", -1, UUID, _of_data("Uuid"), b'"%b"' % UUID),
            ("json", -1, b'{"b":  1}', _of_data("Json"), b'"{\\"b\\":  1}"'),
            ("jsonb", -1, b'{"a": 1}', _of_data("Json"), b'"{\\"a\\": 1}"'),
            ("xml", -1, b'<a x="1"/>', _of_data("Xml"), b'"<a x=\\"1\\"/>"'),
            ("inet", -1, b"192.168.1.5/24", STRING, b'"192.168.1.5/24"'),
            ("bit", 1, b"1", BOOLEAN, b"true"),
            ("bit", 3, b"101", _bits(3), b'"BQ=="'),
            ("varbit", -1, b"1011", _bits(2147483647), b'"Cw=="'),
            ("varbit", 1, b"1", BOOLEAN, b"true"),
            (
                *("point", -1, b"(1.5,-2)", POINT),
                b'{"x":1.5,"y":-2.0,"wkb":"%b","srid":null}' % WKB,
            ),
            ("int4range", -1, b"[1,10)", STRING, b'"[1,10)"'),
            ("hstore", -1, b'"a"=>NULL', _of_data("Json"), b'"{\\"a\\":null}"'),
            ("ltree", -1, b"Top.Science", _of_data("Ltree"), b'"Top.Science"'),
            ("tsvector", -1, b"'a' 'cat'", _of_data("Tsvector"), b"\"'a' 'cat'\""),
            (
                "vector",
                -1,
                b"[1,2.5]",
                array_of(DOUBLE, "io.debezium.data.DoubleVector"),
                b"[1.0,2.5]",
            ),
            ("halfvec", -1, b"[1]", array_of(FLOAT, "io.debezium.data.FloatVector"), b"[1.0]"),
            ("sparsevec", -1, b"{3:2}/5", SPARSE, b'{"dimensions":5,"vector":[[3,2.0]]}'),
        ],
    )
    def test_types(
        self, name: str, modifier: int, wire: bytes, schema: ConnectSchema, expected: bytes
    ) -> None:
        rule = rule_of(name, modifier)
        assert rule.schema == schema
        assert converted(rule, wire) == expected

    @pytest.mark.parametrize(
        ("options", "name", "modifier", "wire", "schema", "expected"),
        [
            ({"decimal": "double"}, "numeric", -1, b"12345.6789", DOUBLE, b"12345.6789"),
            ({"decimal": "double"}, "numeric", N5_0, b"42", DOUBLE, b"42.0"),
            ({"decimal": "double"}, "money", -1, b"-$1,234.01", DOUBLE, b"-1234.01"),
            ({"decimal": "string"}, "numeric", -1, b"1.000", STRING, b'"1.000"'),
            ({"decimal": "string"}, "numeric", N10_2, b"NaN", STRING, b'"NAN"'),
            ({"decimal": "string"}, "money", -1, b"-$1,234.01", STRING, b'"-1234.01"'),
            (
                *({"money_fraction_digits": 4}, "money", -1, b"$1.25"),
                *(_decimal(4), b'"MNQ="'),
            ),
            (
                *({"interval": "string"}, "interval", -1, b"00:00:05.94"),
                *(_of_time("string", "Interval"), b'"P0Y0M0DT0H0M5.939999999S"'),
            ),
            (
                *({"interval": "string", "faithful": True}, "interval", -1, b"00:00:05.94"),
                *(_of_time("string", "Interval"), b'"P0Y0M0DT0H0M5.94S"'),
            ),
            ({"money_fraction_digits": 1}, "money", -1, b"-$1.25", _decimal(1), b'"8w=="'),
            (
                *({"interval": "string"}, "interval", -1, b"3 days 04:05:06.5"),
                *(_of_time("string", "Interval"), b'"P0Y0M3DT4H5M6.5S"'),
            ),
            (
                *({"hstore": "map"}, "hstore", -1, b'"a"=>"1", "b"=>NULL'),
                ConnectSchema("map", keys=STRING, values=STRING.as_optional()),
                b'{"a":"1","b":null}',
            ),
            ({"binary": "hex"}, "bytea", -1, b"\\x00fF", STRING, b'"00ff"'),
            ({"binary": "base64"}, "bytea", -1, b"\\xfbff", STRING, b'"+/8="'),
            ({"binary": "base64-url-safe"}, "bytea", -1, b"\\xfbff", STRING, b'"-_8="'),
        ],
    )
    def test_modes(
        self,
        options: dict[str, Any],
        name: str,
        modifier: int,
        wire: bytes,
        schema: ConnectSchema,
        expected: bytes,
    ) -> None:
        rule = rule_of(name, modifier, TypeOptions(**options))
        assert rule.schema == schema
        assert converted(rule, wire) == expected

    def test_a_scale_below_zero_is_read_without_its_sign(self) -> None:
        rule = rule_of("numeric", N5_MINUS_2)
        assert rule.schema == _decimal(2046, 5)
        assert unscaled(converted(rule, b"12300")) == 12300 * 10**2046
        faithful = rule_of("numeric", N5_MINUS_2, FAITHFUL)
        assert faithful.schema == _decimal(-2, 5)
        assert unscaled(converted(faithful, b"12300")) == 123

    @pytest.mark.parametrize(
        ("mode", "time", "date", "timestamp"),
        [
            ("adaptive", "io.debezium.time.MicroTime", "Date", "MicroTimestamp"),
            ("adaptive_time_microseconds", "io.debezium.time.MicroTime", "Date", "MicroTimestamp"),
            ("microseconds", "io.debezium.time.MicroTime", "Date", "MicroTimestamp"),
            ("nanoseconds", "io.debezium.time.NanoTime", "Date", "NanoTimestamp"),
            ("isostring", "io.debezium.time.IsoTime", "IsoDate", "IsoTimestamp"),
            ("connect", "org.apache.kafka.connect.data.Time", "Date", "Timestamp"),
        ],
    )
    def test_names_of_time(self, mode: TimeMode, time: str, date: str, timestamp: str) -> None:
        options = TypeOptions(time=mode)
        folder = time.rpartition(".")[0]
        assert rule_of("time", -1, options).schema.name == time
        assert rule_of("date", -1, options).schema.name == f"{folder}.{date}"
        assert rule_of("timestamp", -1, options).schema.name == f"{folder}.{timestamp}"
        # These two are the same in every mode.
        assert rule_of("timetz", -1, options).schema == ZONED_TIME
        assert rule_of("timestamptz", -1, options).schema == ZONED

    @pytest.mark.parametrize(
        ("mode", "time", "time3", "date", "timestamp", "timestamp3"),
        [
            ("adaptive", "47655123456", "47655123", "19782", "1709212455123456", "1709212455123"),
            (
                *("adaptive_time_microseconds", "47655123456", "47655123000", "19782"),
                *("1709212455123456", "1709212455123"),
            ),
            (
                *("microseconds", "47655123456", "47655123000", "19782"),
                *("1709212455123456", "1709212455123000"),
            ),
            (
                *("nanoseconds", "47655123456000", "47655123000000", "19782"),
                *("1709212455123456000", "1709212455123000000"),
            ),
            (
                *("isostring", '"13:14:15.123456Z"', '"13:14:15.123Z"', '"2024-02-29Z"'),
                *('"2024-02-29T13:14:15.123456Z"', '"2024-02-29T13:14:15.123Z"'),
            ),
            ("connect", "47655123", "47655123", "19782", "1709212455123", "1709212455123"),
        ],
    )
    def test_units_of_time(
        self,
        mode: TimeMode,
        time: str,
        time3: str,
        date: str,
        timestamp: str,
        timestamp3: str,
    ) -> None:
        options = TypeOptions(time=mode)
        text = b"13:14:15.123456", b"13:14:15.123"
        made = [
            converted(rule_of("time", -1, options), text[0]),
            converted(rule_of("time", 3, options), text[1]),
            converted(rule_of("date", -1, options), b"2024-02-29"),
            converted(rule_of("timestamp", -1, options), b"2024-02-29 " + text[0]),
            converted(rule_of("timestamp", 3, options), b"2024-02-29 " + text[1]),
        ]
        assert made == [each.encode() for each in (time, time3, date, timestamp, timestamp3)]

    def test_an_enum_lists_its_labels(self) -> None:
        mood = WireType("mood", -1, "e", labels=("sad", 'it\'s "q"', "a,b"))
        rule = scalar_rule(mood, DEFAULT)
        assert rule is not None
        assert rule.schema == _of_data("Enum", ("allowed", 'sad,it\'s "q",a,b'))
        assert converted(rule, b'it\'s "q"') == b'"it\'s \\"q\\""'

    def test_an_enum_named_like_a_type_is_an_enum(self) -> None:
        rule = scalar_rule(WireType("money", -1, "e", labels=("a",)), DEFAULT)
        assert rule is not None
        assert rule.schema == _of_data("Enum", ("allowed", "a"))

    def test_names_are_lost(self) -> None:
        assert converted(rule_of("name"), b"nm") is None
        assert converted(rule_of("name", options=UNKNOWN), b"nm") == b'"nm"'
        assert converted(rule_of("name", options=FAITHFUL), b"nm") == b'"nm"'

    @pytest.mark.parametrize(
        ("name", "wire", "usual", "faithful"),
        [
            ("date", b"infinity", b"-2147472692", b"2147483647"),
            ("date", b"-infinity", b"-2147472691", b"-2147483648"),
            ("timestamp", b"infinity", b"9223372036825200000", b"9223372036854775807"),
            ("timestamp", b"-infinity", b"-9223372036832400000", b"-9223372036854775808"),
            ("interval", b"infinity", b"0", b"9223372036854775807"),
            ("interval", b"-infinity", b"0", b"-9223372036854775808"),
        ],
    )
    def test_infinity(self, name: str, wire: bytes, usual: bytes, faithful: bytes) -> None:
        assert converted(rule_of(name), wire) == usual
        assert converted(rule_of(name, options=FAITHFUL), wire) == faithful

    @pytest.mark.parametrize(
        ("name", "modifier", "options", "wire", "schema", "expected"),
        [
            ("numeric", -1, DEFAULT, b"NaN", STRING, b'"NAN"'),
            ("numeric", N10_2, DEFAULT, b"Infinity", STRING, b'"POSITIVE_INFINITY"'),
            ("numeric", N10_2, FAITHFUL, b"-Infinity", STRING, b'"-Infinity"'),
            (
                *("timestamp", -1, TypeOptions(time="nanoseconds"), b"9999-12-31 00:00:00"),
                *(_of_time("string", "IsoTimestamp"), b'"9999-12-31T00:00:00Z"'),
            ),
            (
                *("timestamp", -1, FAITHFUL, b"294276-12-31 23:59:59.5"),
                *(_of_time("string", "IsoTimestamp"), b'"+294276-12-31T23:59:59.5Z"'),
            ),
            (
                *("interval", -1, FAITHFUL, b"-178000000 years"),
                *(_of_time("string", "Interval"), b'"P-178000000Y0M0DT0H0M0S"'),
            ),
        ],
    )
    def test_what_the_type_cannot_hold_is_a_string(
        self,
        name: str,
        modifier: int,
        options: TypeOptions,
        wire: bytes,
        schema: ConnectSchema,
        expected: bytes,
    ) -> None:
        rule = rule_of(name, modifier, options)
        assert converted(rule, wire) is None
        assert rule.otherwise is not None
        assert rule.otherwise.schema == schema
        assert rule.otherwise.convert(wire) == expected

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("numeric", TypeOptions(decimal="string")),
            ("numeric", TypeOptions(decimal="double")),
            ("interval", DEFAULT),
            ("interval", TypeOptions(interval="string", faithful=True)),
            ("int8", DEFAULT),
            ("date", DEFAULT),
            ("money", DEFAULT),
        ],
    )
    def test_types_that_hold_every_value(self, name: str, options: TypeOptions) -> None:
        assert rule_of(name, options=options).otherwise is None

    def test_the_largest_scale_is_not_below_zero(self) -> None:
        # numeric(1000,1000)
        modifier, digits = (1000 << 16 | 1000) + 4, b"0." + b"0" * 999 + b"7"
        for options in (DEFAULT, FAITHFUL):
            rule = rule_of("numeric", modifier, options)
            assert rule.schema == _decimal(1000, 1000)
            assert unscaled(converted(rule, digits)) == 7
        text = rule_of("numeric", modifier, TypeOptions(decimal="string"))
        assert converted(text, b"0") == b'"0"'

    def test_strings_of_a_scale_below_zero(self) -> None:
        usual = rule_of("numeric", N5_MINUS_2, TypeOptions(decimal="string"))
        assert converted(usual, b"12300") == b'"12300.%b"' % (b"0" * 2046)
        faithful = rule_of("numeric", N5_MINUS_2, TypeOptions(decimal="string", faithful=True))
        assert converted(faithful, b"12300") == b'"12300"'
        assert converted(faithful, b"NaN") == b'"NaN"'

    @pytest.mark.parametrize("name", ["box", "int4multirange", "pg_lsn", "mood", "xid8", "nothing"])
    def test_knows_no_others(self, name: str) -> None:
        assert scalar_rule(WireType(name, -1, "b"), DEFAULT) is None

    def test_a_type_without_name_is_unknown(self) -> None:
        assert scalar_rule(WireType(None, -1, "b"), DEFAULT) is None

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("text", b'"ph"'),
            ("jsonb", b'"ph"'),
            ("tsvector", b'"ph"'),
            ("bytea", b'"cGg="'),
            ("numeric", None),
            ("varbit", None),
            ("hstore", b'"{\\"ph\\":\\"ph\\"}"'),
        ],
    )
    def test_unchanged(self, name: str, expected: bytes | None) -> None:
        assert rule_of(name, options=UNKNOWN).unchanged == expected

    @pytest.mark.parametrize(
        ("name", "options", "expected"),
        [
            ("numeric", TypeOptions(decimal="string", placeholder=b"p"), b'"p"'),
            ("numeric", TypeOptions(decimal="double", placeholder=b"p"), None),
            ("hstore", TypeOptions(hstore="map", placeholder=b"p"), b'{"p":"p"}'),
            # Jackson escapes characters beyond U+FFFF where it writes bytes, and not within text.
            (
                "hstore",
                TypeOptions(placeholder="\U0001f600".encode()),
                b'"{\\"\\uD83D\\uDE00\\":\\"\\uD83D\\uDE00\\"}"',
            ),
            ("bytea", TypeOptions(binary="hex", placeholder=b"p"), b'"p"'),
            ("bytea", TypeOptions(binary="base64", placeholder=b"p"), None),
            ("bytea", TypeOptions(placeholder=b"\xde\xad\xbe\xef"), b'"3q2+7w=="'),
            ("text", TypeOptions(placeholder=b"\xde\xad"), '"\u07ad"'.encode()),
            ("text", TypeOptions(placeholder=b"\xff"), '"\ufffd"'.encode()),
        ],
    )
    def test_unchanged_in_other_modes(
        self, name: str, options: TypeOptions, expected: bytes | None
    ) -> None:
        assert rule_of(name, options=options).unchanged == expected

    def test_unchanged_domain_over_hstore(self) -> None:
        over_hstore = WireType("hstore", -1, "b", is_domain=True)
        for options, expected in (
            (TypeOptions(placeholder=b"p"), b'"p"'),
            (TypeOptions(placeholder=b"p", hstore="map"), None),
            (TypeOptions(placeholder=b"p", faithful=True), b'"{\\"p\\":\\"p\\"}"'),
        ):
            rule = scalar_rule(over_hstore, options)
            assert rule is not None
            assert rule.unchanged == expected

    @pytest.mark.parametrize(
        ("name", "modifier", "options", "expected"),
        [
            ("int2", -1, DEFAULT, b"0"),
            ("float4", -1, DEFAULT, b"0.0"),
            ("bool", -1, DEFAULT, b"false"),
            ("text", -1, DEFAULT, b'""'),
            ("numeric", -1, DEFAULT, b'{"scale":0,"value":"AA=="}'),
            ("numeric", N10_2, DEFAULT, b'"AA=="'),
            ("numeric", N10_2, TypeOptions(decimal="string"), b'"0.00"'),
            ("numeric", N5_0, TypeOptions(decimal="string"), b'"0"'),
            ("numeric", N10_2, TypeOptions(decimal="double"), b"0.0"),
            ("money", -1, DEFAULT, b'"AA=="'),
            ("money", -1, TypeOptions(decimal="string"), b'"0.00"'),
            (
                *("money", -1, TypeOptions(decimal="string", money_fraction_digits=1)),
                b'"0.0"',
            ),
            ("date", -1, DEFAULT, b"0"),
            ("date", -1, TypeOptions(time="isostring"), b'"1970-01-01Z"'),
            ("time", -1, TypeOptions(time="isostring"), b'"00:00:00Z"'),
            ("timestamp", -1, TypeOptions(time="isostring"), b'"1970-01-01T00:00:00Z"'),
            ("interval", -1, TypeOptions(interval="string"), b'"P0Y0M0DT0H0M0S"'),
            ("timetz", -1, DEFAULT, b'"00:00:00Z"'),
            ("timestamptz", -1, DEFAULT, b'"1970-01-01T00:00:00Z"'),
            ("bit", 1, DEFAULT, b"false"),
            ("bit", 3, DEFAULT, b'""'),
            (
                *("point", -1, DEFAULT),
                b'{"x":0.0,"y":0.0,"wkb":"AQEAAAAAAAAAAAAAAAAAAAAAAAAA","srid":null}',
            ),
            ("hstore", -1, DEFAULT, b'"{}"'),
            ("hstore", -1, TypeOptions(hstore="map"), b"{}"),
        ],
    )
    def test_zeros(self, name: str, modifier: int, options: TypeOptions, expected: bytes) -> None:
        assert rule_of(name, modifier, options).zero == expected

    def test_every_zero_and_placeholder_is_json(self) -> None:
        names = "bool int4 float8 text numeric money bytea date time timetz timestamp timestamptz"
        for name in (*names.split(), "interval", "uuid", "hstore", "point", "vector", "sparsevec"):
            rule = rule_of(name)
            json.loads(rule.zero)
            json.loads(rule.unchanged or b"null")


class TestTimeUnit:
    @pytest.mark.parametrize(
        ("mode", "time", "timestamp"),
        [
            ("adaptive", ["ms", "ms", "us", "us", "us"], ["ms", "ms", "us", "us", "us"]),
            ("adaptive_time_microseconds", ["us"] * 5, ["ms", "ms", "us", "us", "us"]),
            ("microseconds", ["us"] * 5, ["us"] * 5),
            ("nanoseconds", ["ns"] * 5, ["ns"] * 5),
            ("connect", ["ms"] * 5, ["ms"] * 5),
            ("isostring", ["iso"] * 5, ["iso"] * 5),
        ],
    )
    def test_units(self, mode: TimeMode, time: list[str], timestamp: list[str]) -> None:
        options = TypeOptions(time=mode)
        precisions = (0, 3, 4, 6, -1)
        assert [time_unit("time", each, options) for each in precisions] == time
        assert [time_unit("timestamp", each, options) for each in precisions] == timestamp


class TestUnknownRule:
    def test_none_unless_they_are_asked_for(self) -> None:
        assert unknown_rule(WireType("pg_lsn", -1, "b"), DEFAULT) is None
        assert unknown_rule(WireType("pg_lsn", -1, "b"), FAITHFUL) is None

    # What Debezium wrote with include.unknown.datatypes.
    @pytest.mark.parametrize(
        ("name", "wire", "expected"),
        [
            ("pg_lsn", b"16/B374D848", b"MTYvQjM3NEQ4NDg="),
            ("line", b"{1,2,3}", b"ezEuMCwyLjAsMy4wfQ=="),
            ("box", b"(2,2),(0,0)", b"KDIuMCwyLjApLCgwLjAsMC4wKQ=="),
            ("circle", b"<(1,2),3>", b"PCgxLjAsMi4wKSwzLjA+"),
            ("polygon", b"((0,0),(1,1),(2,0))", b"KCgwLjAsMC4wKSwoMS4wLDEuMCksKDIuMCwwLjApKQ=="),
            ("int4multirange", b"{[1,3),[5,8)}", b"e1sxLDMpLFs1LDgpfQ=="),
        ],
    )
    def test_is_base64_of_the_text(self, name: str, wire: bytes, expected: bytes) -> None:
        rule = unknown_rule(WireType(name, -1, "b"), UNKNOWN)
        assert rule is not None
        assert rule.schema == BYTES
        assert converted(rule, wire) == b'"%b"' % expected
        assert (rule.zero, rule.unchanged) == (b'""', b'"cGg="')

    def test_faithful_keeps_the_servers_numbers(self) -> None:
        options = TypeOptions(include_unknown=True, faithful=True, binary="hex")
        rule = unknown_rule(WireType("circle", -1, "b"), options)
        assert rule is not None
        assert rule.schema == STRING
        assert converted(rule, b"<(1,2),3>") == b'"%b"' % b"<(1,2),3>".hex().encode()
