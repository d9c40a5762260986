from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    BUILTIN_TYPES,
    AlteredRow,
    CatalogType,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    UniqueIndex,
)
from pglogical_cdc.formatters.debezium.connect_schema import INT32, STRING, struct
from pglogical_cdc.formatters.debezium.options import TableOptions, TypeOptions, message_keys
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.protocol import BinaryValue
from tests.formatters.debezium.columns import tables
from tests.formatters.debezium.test_scalar_rules import UNKNOWN
from tests.formatters.tables import column, relation


def _format(made: Relation, **options: Any) -> TableFormat:
    return TableFormat(made, TableOptions(**{"prefix": "dbz", **options}))


def _row(table: TableFormat, *raw: RawValue) -> bytes:
    return table.row_format.payload(raw)


def _key(table: TableFormat, *raw: RawValue) -> bytes | None:
    return table.key(Row(table.relation, raw))


class TestNames:
    def test_of_a_table(self) -> None:
        table = _format(relation(column("id", "int4"), schema="My S", name='t"\u00e9'))
        assert table.topic == "dbz.My_S.t__"
        assert table.schema_name == "dbz.My_S.t__"
        assert table.collection == 'My S.t"\u00e9'
        assert table.source == ',"schema":"My S","table":"t\\"\u00e9"'
        assert table.row_format.name == "dbz.My_S.t__.Value"
        assert table.key_format.name == "dbz.My_S.t__.Key"

    def test_delimiter_and_adjustments(self) -> None:
        table = _format(
            relation(column("1 x", "int4"), name="t-1", primary_key=["1 x"]),
            delimiter="_",
            schema_names="avro_unicode",
            field_names="avro",
        )
        assert table.topic == "dbz_public_t-1"
        assert table.schema_name == "dbz_u005fpublic_u005ft_u002d1"
        assert _row(table, b"7") == b'{"_1_x":7}'
        assert _key(table, b"7") == b'{"_1_x":7}'


class TestRow:
    def test_row(self) -> None:
        table = _format(relation(column("id", "int4"), column("v"), column("b", "bool")))
        assert _row(table, b"1", b'a"', b"t") == b'{"id":1,"v":"a\\"","b":true}'

    def test_null_and_unchanged(self) -> None:
        table = _format(relation(column("id", "int4"), column("v")))
        assert _row(table, None, UNCHANGED) == b'{"id":null,"v":"__debezium_unavailable_value"}'

    def test_names_are_json_and_no_template(self) -> None:
        table = _format(relation(column('a"%b%'), column("\U0001f600")))
        assert _row(table, b"x", b"y") == b'{"a\\"%b%":"x","\\uD83D\\uDE00":"y"}'

    def test_unknown_types_are_left_out(self) -> None:
        made = relation(column("id", "int4"), column("x", "box"))
        assert _row(_format(made), b"1", b"(2,2),(0,0)") == b'{"id":1}'
        assert _row(_format(made, types=UNKNOWN), b"1", b"(2,2),(0,0)") == (
            b'{"id":1,"x":"KDIuMCwyLjApLCgwLjAsMC4wKQ=="}'
        )

    def test_null_becomes_the_default(self) -> None:
        table = _format(
            relation(
                column("n", "int4"),
                column("d", "numeric", 655366),
                column("e", "int4"),
                column("v", "numeric"),
                defaults={"n": "5", "d": "9.5", "e": "(1 + 2)", "v": "3.5"},
            )
        )
        assert _row(table, None, None, None, None) == b'{"n":5,"d":"A7Y=","e":null,"v":null}'
        assert _row(table, *[NOT_SENT] * 4) == b'{"n":5,"d":"A7Y=","e":null,"v":null}'

    def test_a_default_that_is_no_value_is_none(self) -> None:
        made = relation(column("d", "date"), defaults={"d": "'tomorrow'::date"})
        assert _row(_format(made), None) == b'{"d":null}'

    def test_a_generated_columns_expression_counts_as_a_default(self) -> None:
        made = relation(column("n", "int4"), defaults={"n": "5"}, generated=["n"])
        assert _row(_format(made), None) == b'{"n":5}'

    def test_not_null_columns_of_a_key_image_have_a_zero_or_the_default(self) -> None:
        table = _format(
            relation(
                column("a", "int4"),
                column("b"),
                column("c", "timestamptz"),
                column("d", "timestamptz"),
                not_null=["a", "b", "c", "d"],
                defaults={"b": "'z'::text", "d": "now()"},
            )
        )
        assert _row(table, *[NOT_SENT] * 4) == (
            b'{"a":0,"b":"z","c":"1970-01-01T00:00:00Z","d":"1970-01-01T00:00:00.000000Z"}'
        )

    def test_zero_of_each_type(self) -> None:
        # What Debezium 3.6.3 wrote for the delete of such a row under replica identity DEFAULT.
        mood = CatalogType(16400, "public", "mood", "e", labels=("a", "b"))
        columns = (
            *(column(name, name) for name in ("int2", "int4", "int8", "float4", "float8", "bool")),
            *(column(name, name) for name in ("text", "varchar", "bpchar", "numeric")),
            column("n2", "numeric", 655366),
            *(column(name, name) for name in ("money", "date", "time")),
            column("tm3", "time", 3),
            *(column(name, name) for name in ("timetz", "timestamp")),
            column("ts3", "timestamp", 3),
            *(column(name, name) for name in ("timestamptz", "interval", "uuid", "jsonb")),
            *(column(name, name) for name in ("bytea", "_int4")),
            column("e", "mood", oid=16400),
            column("b1", "bit", 1),
            column("b3", "bit", 3),
            column("pt", "point"),
            column("h", "hstore", oid=16500),
            *(column(name, name) for name in ("inet", "int4range", "xml", "oid", "tsvector")),
        )
        made = relation(*columns, types=[mood], not_null=[each.name for each in columns])
        assert _row(_format(made), *[NOT_SENT] * len(columns)).decode() == (
            '{"int2":0,"int4":0,"int8":0,"float4":0.0,"float8":0.0,"bool":false,"text":"",'
            '"varchar":"","bpchar":"","numeric":{"scale":0,"value":"AA=="},"n2":"AA==",'
            '"money":"AA==","date":0,"time":0,"tm3":0,"timetz":"00:00:00Z","timestamp":0,"ts3":0,'
            '"timestamptz":"1970-01-01T00:00:00Z","interval":0,"uuid":"","jsonb":"","bytea":"",'
            '"_int4":[],"e":"","b1":false,"b3":"","pt":{"x":0.0,"y":0.0,'
            '"wkb":"AQEAAAAAAAAAAAAAAAAAAAAAAAAA","srid":null},"h":"{}","inet":"","int4range":"",'
            '"xml":"","oid":0,"tsvector":""}'
        )

    def test_no_number_is_a_string_where_not_null(self) -> None:
        made = relation(
            column("x", "numeric"), column("y", "numeric"), not_null=["x"], primary_key=["x"]
        )
        table = _format(made)
        assert _row(table, b"NaN", b"NaN") == b'{"x":"NAN","y":null}'
        assert _key(table, b"-Infinity", b"NaN") == b'{"x":"NEGATIVE_INFINITY"}'
        faithful = _format(made, types=TypeOptions(faithful=True))
        assert _row(faithful, b"NaN", b"NaN") == b'{"x":"NaN","y":"NaN"}'
        assert _key(faithful, b"-Infinity", b"NaN") == b'{"x":"-Infinity"}'

    def test_columns_whose_names_become_the_same(self) -> None:
        made = relation(column("a-b", "int4"), column("a_b", "int4"), primary_key=["a_b"])
        table = _format(made, field_names="avro")
        assert _row(table, b"1", b"2") == b'{"a_b":1,"a_b_2":2}'
        assert _key(table, b"1", b"2") == b'{"a_b_2":2}'

    def test_an_own_type_with_a_built_in_name_is_left_out(self) -> None:
        made = relation(
            column("id", "int4"),
            column("x", oid=20000),
            types=[CatalogType(20000, "public", "oid", "r", subtype_oid=23)],
        )
        assert _row(_format(made), b"1", b"[1,5)") == b'{"id":1}'
        included = _format(made, types=TypeOptions(include_unknown=True, binary="hex"))
        assert _row(included, b"1", b"[1,5)") == b'{"id":1,"x":"5b312c3529"}'

    def test_unchanged_without_a_placeholder(self) -> None:
        made = relation(column("x", "_float8"), column("y", "_float8"), not_null=["y"])
        assert _row(_format(made), UNCHANGED, UNCHANGED) == b'{"x":null,"y":null}'

    def test_a_value_of_another_form_comes_as_string(self) -> None:
        made = relation(column("id", "int4"), column("d", "date"), column("n", "float8"))
        row = _row(_format(made), b"1", b"29/02/2024", b"2.5")
        assert row == b'{"id":1,"d":"29/02/2024","n":2.5}'

    def test_binary_values_are_refused(self) -> None:
        table = _format(relation(column("id", "int4"), column("v"), primary_key=["id"]))
        with pytest.raises(ConfigurationError, match=r"public\.t .*binary=False"):
            _row(table, BinaryValue(b"\x00\x00\x00\x01"), b"x")
        dated = _format(relation(column("d", "date"), column("v")))
        with pytest.raises(ConfigurationError, match="binary=False"):
            _row(dated, b"29/02/2024", BinaryValue(b"x"))
        with pytest.raises(ConfigurationError, match="binary=False"):
            _key(table, BinaryValue(b"\x00\x00\x00\x01"), b"x")

    def test_empty_row(self) -> None:
        assert _row(_format(relation())) == b"{}"

    @given(st.data())
    def test_no_text_of_any_type_raises(self, data: st.DataObject) -> None:
        made = relation(*(column(name, name) for name in sorted(BUILTIN_TYPES.values())))
        values = st.binary(max_size=30) | st.text('0123456789-+.:, TBCZ{}()\\"=>', max_size=20).map(
            str.encode
        )
        raw = data.draw(st.lists(values, min_size=len(made.columns), max_size=len(made.columns)))
        row = _row(_format(made), *raw)
        assert row.startswith(b'{"')

    @given(st.data(), st.booleans())
    def test_no_text_raises_beside_schemas(self, data: st.DataObject, faithful: bool) -> None:
        drawn = data.draw(tables())
        types = TypeOptions(faithful=faithful, include_unknown=True)
        table = _format(drawn.relation, schemas=True, types=types)
        row = Row(drawn.relation, data.draw(drawn.texts))
        payload = table.row_format.payload(row.raw)
        assert payload[:1] + payload[-1:] == b"{}"
        head = table.value_head(row, None)
        assert head.startswith('{"schema":{"type":"struct",')
        assert head.endswith(',"payload":')

    @given(st.lists(st.binary(), min_size=3, max_size=3))
    def test_texts_are_json_whatever_the_bytes(self, raw: list[bytes]) -> None:
        made = relation(column("a"), column("b", "bytea"), column("c", "date"))
        assert json.loads(_row(_format(made), *raw))["a"] == raw[0].decode(errors="replace")


class TestKey:
    def test_order_of_the_index(self) -> None:
        made = relation(column("k1", "int4"), column("k2"), column("v"), primary_key=["k2", "k1"])
        assert _key(_format(made), b"1", b"a", b"x") == b'{"k2":"a","k1":1}'

    def test_unique_index_where_there_is_no_primary_key(self) -> None:
        made = relation(column("a"), column("b", "int4"), unique=["b"])
        assert _key(_format(made), b"x", b"2") == b'{"b":2}'

    def test_the_first_unique_index_may_identify_no_row(self) -> None:
        partial = UniqueIndex("a", ("a",), included=("c",), identifies=False)
        made = relation(column("a"), column("b", "int4"), column("c"), unique=[partial, "b"])
        assert _key(_format(made), None, b"2", b"y") == b'{"a":null,"c":"y"}'
        assert _key(_format(made, types=TypeOptions(faithful=True)), None, b"2", b"y") == b'{"b":2}'

    def test_generated_columns_of_a_key_that_are_not_published_drop_out(self) -> None:
        made = relation(
            column("a", identity=True), column("g"), primary_key=["g", "a"], generated=["g"]
        )
        published = attrs.evolve(made, columns=made.columns[:1])
        assert _key(_format(published), b"x") == b'{"a":"x"}'

    def test_a_catalog_of_another_version_gives_no_key(self) -> None:
        made = relation(column("a", identity=True), column("g"), primary_key=["g", "a"])
        altered = attrs.evolve(made, columns=made.columns[:1])
        assert _key(_format(altered), b"x") == b'{"a":"x"}'
        assert altered.key_columns == ("a",)

    def test_no_key(self) -> None:
        table = _format(relation(column("a")), schemas=True)
        assert _key(table, b"x") is None

    def test_without_catalog_the_identity(self) -> None:
        made = relation(column("id", "int4", identity=True), column("v"), with_catalog=False)
        assert _key(_format(made), b"1", b"x") == b'{"id":1}'
        full = relation(
            column("id", "int4", identity=True), with_catalog=False, identity=ReplicaIdentity.FULL
        )
        assert _key(_format(full), b"1") is None

    def test_zero_where_the_key_was_not_sent(self) -> None:
        made = relation(column("id", "int4"), column("u"), primary_key=["id"], not_null=["id"])
        assert _key(_format(made), NOT_SENT, b"k") == b'{"id":0}'

    def test_a_key_of_a_type_that_debezium_does_not_know(self) -> None:
        made = relation(column("id", "pg_lsn"), column("n", "int4"), primary_key=["id", "n"])
        assert _key(_format(made), b"0/1", b"2") == b'{"n":2}'
        alone = relation(column("id", "pg_lsn"), primary_key=["id"])
        assert _key(_format(alone), b"0/1") == b"{}"
        assert _key(_format(alone, types=TypeOptions(faithful=True)), b"0/1") is None
        assert _key(_format(alone, types=UNKNOWN), b"0/1") == b'{"id":"MC8x"}'

    @pytest.mark.parametrize(
        ("option", "expected"),
        [
            ("public.t:v", b'{"v":"x"}'),
            ("public.t:v,n", b'{"v":"x","n":2}'),
            ("public.t:n;public.t:v", b'{"n":2,"v":"x"}'),
            ("public.t:n,v,n", b'{"n":2,"v":"x"}'),
            ("PUBLIC.(.*):v", b'{"v":"x"}'),
            ("public.t:nothing,v", b'{"v":"x"}'),
            ("public.t:N|x,V", b'{"n":2,"v":"x"}'),
            ("public.t:[nv]", b'{"v":"x","n":2}'),
            # The primary key where nothing is left of it.
            ("public.t:nothing", b'{"id":1}'),
            ("public.other:v", b'{"id":1}'),
            ("t:v", b'{"id":1}'),
        ],
    )
    def test_message_key_columns(self, option: str, expected: bytes) -> None:
        made = relation(column("id", "int4"), column("v"), column("n", "int4"), primary_key=["id"])
        table = _format(made, message_keys=message_keys(option))
        assert _key(table, b"1", b"x", b"2") == expected

    def test_message_key_columns_give_a_table_a_key(self) -> None:
        table = _format(relation(column("v")), message_keys=message_keys("public.t:v"))
        assert _key(table, b"x") == b'{"v":"x"}'


class TestIdentityBesideThePrimaryKey:
    """REPLICA IDENTITY USING INDEX: the server sends no primary key of a deleted row."""

    TABLE = relation(
        column("id", "int4"),
        column("u", identity=True),
        identity=ReplicaIdentity.INDEX,
        primary_key=["id"],
        not_null=["id", "u"],
    )

    def test_debezium_makes_a_key_of_zeros(self) -> None:
        table = _format(self.TABLE)
        assert _key(table, b"1", b"a") == b'{"id":1}'
        assert _key(table, NOT_SENT, b"a") == b'{"id":0}'

    def test_faithful_takes_the_identity(self) -> None:
        table = _format(self.TABLE, types=TypeOptions(faithful=True))
        assert _key(table, b"1", b"a") == _key(table, NOT_SENT, b"a") == b'{"u":"a"}'

    def test_faithful_keeps_a_primary_key_that_is_sent(self) -> None:
        both = attrs.evolve(
            self.TABLE,
            columns=(column("id", "int4", identity=True), column("u", identity=True)),
        )
        table = _format(both, types=TypeOptions(faithful=True))
        assert _key(table, b"1", b"a") == b'{"id":1}'

    def test_faithful_keeps_the_order_of_the_primary_key(self) -> None:
        made = relation(
            *(column("a", "int4", identity=True), column("b", "int4", identity=True)),
            identity=ReplicaIdentity.INDEX,
            primary_key=["b", "a"],
        )
        table = _format(made, types=TypeOptions(faithful=True))
        assert _key(table, b"1", b"2") == b'{"b":2,"a":1}'

    def test_faithful_keeps_the_primary_key_under_other_identities(self) -> None:
        for identity in (ReplicaIdentity.DEFAULT, ReplicaIdentity.NOTHING):
            made = attrs.evolve(self.TABLE, replica_identity=identity)
            table = _format(made, types=TypeOptions(faithful=True))
            assert _key(table, b"1", b"a") == b'{"id":1}'


class TestBase:
    """Of a table that a transform changed, the key is that of the server's row."""

    BASE = relation(
        column("id", "int4"), column("v"), primary_key=["id"], not_null=["id"], defaults={"id": "7"}
    )

    def test_a_key_column_may_be_missing(self) -> None:
        made = attrs.evolve(self.BASE, columns=self.BASE.columns[1:], base=self.BASE)
        table = _format(made, schemas=True)
        row = AlteredRow(made, [b"x"], Row(self.BASE, [b"1", b"x"]))
        assert table.row_format.payload(row.raw) == b'{"v":"x"}'
        key = json.loads(table.key(row) or b"")
        assert key["payload"] == {"id": 1}
        # Debezium does not find what the catalog says of a column that it was told to leave out.
        (field,) = key["schema"]["fields"]
        assert field == {"type": "int32", "optional": True, "field": "id"}

    def test_a_key_column_may_be_altered(self) -> None:
        made = attrs.evolve(self.BASE, columns=self.BASE.columns, base=self.BASE)
        table = _format(made, schemas=True)
        row = AlteredRow(made, [b"0", b"x"], Row(self.BASE, [b"1", b"x"]))
        assert table.row_format.payload(row.raw) == b'{"id":0,"v":"x"}'
        key = json.loads(table.key(row) or b"")
        assert key["payload"] == {"id": 1}
        (field,) = key["schema"]["fields"]
        assert field == {"type": "int32", "optional": False, "default": 7, "field": "id"}


class TestRecords:
    TABLE = relation(
        column("id", "int4"),
        column("n", "numeric", 655366),
        primary_key=["n"],
        not_null=["id", "n"],
    )

    def test_keys_alone(self) -> None:
        row = Row(self.TABLE, [b"1", b"2.50"])
        assert _format(self.TABLE).key(row) == b'{"n":"APo="}'

    def test_keys_beside_their_schema(self) -> None:
        table = _format(self.TABLE, schemas=True)
        row = Row(self.TABLE, [b"1", b"2.50"])
        assert table.key(row) == (
            b'{"schema":{"type":"struct","fields":[{"type":"bytes","optional":false,'
            b'"name":"org.apache.kafka.connect.data.Decimal","version":1,'
            b'"parameters":{"scale":"2","connect.decimal.precision":"10"},"field":"n"}],'
            b'"optional":false,"name":"dbz.public.t.Key"},"payload":{"n":"APo="}}'
        )

    def test_a_key_that_is_no_number(self) -> None:
        table = _format(self.TABLE, schemas=True)
        usual, odd = (Row(self.TABLE, [b"1", value]) for value in (b"2.50", b"NaN"))
        records = [json.loads(table.key(each) or b"") for each in (usual, odd, usual)]
        assert [each["payload"]["n"] for each in records] == ["APo=", "NAN", "APo="]
        types = [each["schema"]["fields"][0]["type"] for each in records]
        assert types == ["bytes", "string", "bytes"]

    def test_values_beside_their_schema(self) -> None:
        made = relation(column("id", "int4"), column("v"), not_null=["id"])
        table = _format(made, schemas=True)
        content = json.loads(table.value_head(None, Row(made, [b"1", b"x"])) + "{}}")
        assert content["payload"] == {}
        row = struct(
            ("id", INT32),
            ("v", STRING.as_optional()),
            name="dbz.public.t.Value",
            version=None,
            optional=True,
        )
        schema = content["schema"]
        assert (schema["name"], schema["version"]) == ("dbz.public.t.Envelope", 2)
        assert schema["fields"][0] == json.loads(row.json("before"))
        assert schema["fields"][1] == json.loads(row.json("after"))

    def test_truncates_have_the_usual_schema(self) -> None:
        table = _format(self.TABLE, schemas=True)
        row = Row(self.TABLE, [b"1", b"2.50"])
        assert table.value_head(None, None) == table.value_head(row, row)
