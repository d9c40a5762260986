from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import BUILTIN_TYPES, CatalogType, Relation, ReplicaIdentity
from pglogical_cdc.formatters.debezium.table import TableFormat, topic_name
from pglogical_cdc.protocol import BinaryValue
from tests.formatters.debezium.test_type_rules import DEFAULT, UNKNOWN
from tests.formatters.tables import column, relation


def _format(made: Relation) -> TableFormat:
    return TableFormat(made, "dbz", DEFAULT)


class TestTopicName:
    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            (("dbz", "public", "t"), "dbz.public.t"),
            (("dbz", "Weird Schema-\u00e9", 'T "q" \U0001f600'), "dbz.Weird_Schema-_.T__q____"),
        ],
    )
    def test_replaces_utf16_units(self, parts: tuple[str, ...], expected: str) -> None:
        assert topic_name(*parts) == expected


class TestRow:
    def test_row(self) -> None:
        table = _format(relation(column("id", "int4"), column("v"), column("b", "bool")))
        assert table.row((b"1", b'a"', b"t")) == b'{"id":1,"v":"a\\"","b":true}'

    def test_null_and_unchanged(self) -> None:
        table = _format(relation(column("id", "int4"), column("v")))
        assert table.row((None, UNCHANGED)) == b'{"id":null,"v":"__debezium_unavailable_value"}'

    def test_names_are_json_and_no_template(self) -> None:
        table = _format(relation(column('a"%b%'), column("\U0001f600")))
        assert table.row((b"x", b"y")) == b'{"a\\"%b%":"x","\\uD83D\\uDE00":"y"}'

    def test_unknown_types_are_left_out(self) -> None:
        made = relation(column("id", "int4"), column("x", "box"))
        assert _format(made).row((b"1", b"(2,2),(0,0)")) == b'{"id":1}'
        assert TableFormat(made, "dbz", UNKNOWN).row((b"1", b"(2,2),(0,0)")) == (
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
        assert table.row((None,) * 4) == b'{"n":5,"d":"A7Y=","e":null,"v":null}'
        assert table.row((NOT_SENT,) * 4) == b'{"n":5,"d":"A7Y=","e":null,"v":null}'

    def test_a_default_that_is_no_value_is_none(self) -> None:
        made = relation(column("d", "date"), defaults={"d": "'tomorrow'::date"})
        assert _format(made).row((None,)) == b'{"d":null}'

    def test_a_generated_columns_expression_is_no_default(self) -> None:
        made = relation(column("n", "int4"), defaults={"n": "5"}, generated=["n"])
        assert _format(made).row((None,)) == b'{"n":null}'

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
        assert table.row((NOT_SENT,) * 4) == (
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
        assert _format(made).row([NOT_SENT] * len(columns)).decode() == (
            '{"int2":0,"int4":0,"int8":0,"float4":0.0,"float8":0.0,"bool":false,"text":"",'
            '"varchar":"","bpchar":"","numeric":{"scale":0,"value":"AA=="},"n2":"AA==",'
            '"money":"AA==","date":0,"time":0,"tm3":0,"timetz":"00:00:00Z","timestamp":0,"ts3":0,'
            '"timestamptz":"1970-01-01T00:00:00Z","interval":0,"uuid":"","jsonb":"","bytea":"",'
            '"_int4":[],"e":"","b1":false,"b3":"","pt":{"x":0.0,"y":0.0,'
            '"wkb":"AQEAAAAAAAAAAAAAAAAAAAAAAAAA","srid":null},"h":"{}","inet":"","int4range":"",'
            '"xml":"","oid":0,"tsvector":""}'
        )

    def test_no_number_is_null_even_where_not_null(self) -> None:
        made = relation(column("x", "numeric"), not_null=["x"], primary_key=["x"])
        table = _format(made)
        assert table.row((b"NaN",)) == b'{"x":null}'
        assert table.key((b"NaN",)) == b'{"x":null}'

    def test_unchanged_without_a_placeholder(self) -> None:
        made = relation(column("x", "_float8"), column("y", "_float8"), not_null=["y"])
        assert _format(made).row((UNCHANGED, UNCHANGED)) == b'{"x":null,"y":null}'

    def test_a_value_of_another_form_comes_as_string(self) -> None:
        made = relation(column("id", "int4"), column("d", "date"), column("n", "float8"))
        row = _format(made).row((b"1", b"29/02/2024", b"2.5"))
        assert row == b'{"id":1,"d":"29/02/2024","n":2.5}'

    def test_binary_values_are_refused(self) -> None:
        table = _format(relation(column("id", "int4"), column("v"), primary_key=["id"]))
        with pytest.raises(ConfigurationError, match=r"public\.t .*binary=False"):
            table.row((BinaryValue(b"\x00\x00\x00\x01"), b"x"))
        dated = _format(relation(column("d", "date"), column("v")))
        with pytest.raises(ConfigurationError, match="binary=False"):
            dated.row((b"29/02/2024", BinaryValue(b"x")))
        with pytest.raises(ConfigurationError, match="binary=False"):
            table.key((BinaryValue(b"\x00\x00\x00\x01"), b"x"))

    def test_empty_row(self) -> None:
        assert _format(relation()).row(()) == b"{}"

    @given(st.data())
    def test_no_text_of_any_type_raises(self, data: st.DataObject) -> None:
        made = relation(*(column(name, name) for name in sorted(BUILTIN_TYPES.values())))
        values = st.binary(max_size=30) | st.text('0123456789-+.:, TBCZ{}()\\"=>', max_size=20).map(
            str.encode
        )
        raw = data.draw(st.lists(values, min_size=len(made.columns), max_size=len(made.columns)))
        row = TableFormat(made, "dbz", DEFAULT).row(raw)
        assert row.startswith(b'{"')

    @given(st.lists(st.binary(), min_size=3, max_size=3))
    def test_texts_are_json_whatever_the_bytes(self, raw: list[bytes]) -> None:
        made = relation(column("a"), column("b", "bytea"), column("c", "date"))
        assert json.loads(_format(made).row(raw))["a"] == raw[0].decode(errors="replace")


class TestKey:
    def test_order_of_the_index(self) -> None:
        made = relation(column("k1", "int4"), column("k2"), column("v"), primary_key=["k2", "k1"])
        assert _format(made).key((b"1", b"a", b"x")) == b'{"k2":"a","k1":1}'

    def test_unique_index_where_there_is_no_primary_key(self) -> None:
        made = relation(column("a"), column("b", "int4"), unique=["b"])
        assert _format(made).key((b"x", b"2")) == b'{"b":2}'

    def test_no_key(self) -> None:
        assert _format(relation(column("a"))).key((b"x",)) is None

    def test_without_catalog_the_identity(self) -> None:
        made = relation(column("id", "int4", identity=True), column("v"), with_catalog=False)
        assert _format(made).key((b"1", b"x")) == b'{"id":1}'
        full = relation(
            column("id", "int4", identity=True), with_catalog=False, identity=ReplicaIdentity.FULL
        )
        assert _format(full).key((b"1",)) is None

    def test_zero_where_the_key_was_not_sent(self) -> None:
        made = relation(column("id", "int4"), column("u"), primary_key=["id"], not_null=["id"])
        assert _format(made).key((NOT_SENT, b"k")) == b'{"id":0}'
