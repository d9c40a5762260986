from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Relation
from pglogical_cdc.formatters.debezium.connect_schema import INT32, STRING, ConnectSchema
from pglogical_cdc.formatters.debezium.options import TableOptions, TypeOptions
from pglogical_cdc.formatters.debezium.row_format import RowFormat
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.protocol import BinaryValue
from tests.formatters.debezium.columns import tables
from tests.formatters.tables import column, relation

TABLE = relation(
    column("id", "int4"),
    column("v"),
    column("x", "box"),
    column("n", "numeric"),
    not_null=["id", "n"],
)


def _rows(made: Relation = TABLE, *, faithful: bool = False) -> RowFormat:
    options = TableOptions(prefix="dbz", schemas=True, types=TypeOptions(faithful=faithful))
    return TableFormat(made, options).row_format


class TestPayload:
    def test_values_and_what_stands_for_them(self) -> None:
        rows = _rows()
        assert rows.payload([b"1", b'a"', b"(1,1),(0,0)", b"2"]) == (
            b'{"id":1,"v":"a\\"","n":{"scale":0,"value":"Ag=="}}'
        )
        assert rows.payload([NOT_SENT, NOT_SENT, NOT_SENT, NOT_SENT]) == (
            b'{"id":0,"v":null,"n":{"scale":0,"value":"AA=="}}'
        )
        assert rows.payload([b"1", UNCHANGED, None, UNCHANGED]) == (
            b'{"id":1,"v":"__debezium_unavailable_value","n":null}'
        )
        assert rows.payload([b"1", None, None, b"NaN"]) == b'{"id":1,"v":null,"n":"NAN"}'

    def test_members_that_are_left_out(self) -> None:
        rows = _rows(faithful=True)
        assert rows.payload([b"1", NOT_SENT, NOT_SENT, NOT_SENT]) == b'{"id":1}'
        assert rows.payload([NOT_SENT, UNCHANGED, NOT_SENT, UNCHANGED]) == (
            b'{"v":"__debezium_unavailable_value"}'
        )
        assert rows.payload([NOT_SENT] * 4) == b"{}"

    def test_a_value_of_another_form_comes_as_string(self) -> None:
        rows = _rows(relation(column("d", "date"), column("v"), column("n", "float8")))
        assert rows.payload([b"29/02/2024", b"x", b"2.5"]) == b'{"d":"29/02/2024","v":"x","n":2.5}'
        assert rows.payload([b"\xff", b"\xff", b"x"]) == (
            '{"d":"\ufffd","v":"\ufffd","n":"x"}'.encode()
        )

    def test_a_value_in_binary_form_is_refused(self) -> None:
        rows = _rows()
        for raw in (
            [BinaryValue(b"\x00"), None, None, None],
            [b"1", BinaryValue(b"x"), None, b"2"],
            # Also where the plain way is taken.
            [b"1", BinaryValue(b"x"), None, b"no number"],
        ):
            for write in (rows.payload, rows.plain_payload, rows.values):
                with pytest.raises(ConfigurationError, match=r"public\.t .*binary=False"):
                    write(raw)

    def test_a_binary_value_in_a_column_that_is_left_out_does_no_harm(self) -> None:
        assert _rows().payload([b"1", None, BinaryValue(b"x"), b"NaN"]) == (
            b'{"id":1,"v":null,"n":"NAN"}'
        )

    def test_values_are_the_members(self) -> None:
        rows = _rows()
        assert rows.values([b"1", UNCHANGED, None, None]) == (
            b"1",
            b'"__debezium_unavailable_value"',
            b'{"scale":0,"value":"AA=="}',
        )
        assert _rows(faithful=True).values([b"1", None, None, NOT_SENT]) == (b"1", b"null", None)

    @given(st.data(), st.booleans())
    def test_the_plain_way_joins_the_values(self, data: st.DataObject, faithful: bool) -> None:
        table = data.draw(tables())
        rows = _rows(table.relation, faithful=faithful)
        raw = data.draw(table.rows)
        values = {
            column.field: json.loads(value)
            for column, value in zip(rows.columns, rows.values(raw), strict=True)
            if value is not None
        }
        assert json.loads(rows.payload(raw)) == values


class TestSchema:
    def test_of_rows(self) -> None:
        schema = _rows().schema()
        assert (schema.type, schema.name, schema.optional) == ("struct", "dbz.public.t.Value", True)
        assert [name for name, _ in schema.fields] == ["id", "v", "n"]
        assert schema.fields[:2] == (("id", INT32), ("v", STRING.as_optional()))
        assert not schema.fields[2][1].optional

    def test_with_deviations(self) -> None:
        rows = _rows()
        usual = rows.schema()
        assert rows.deviations([b"1", b"x", None, b"2"]) == ()
        ((index, instead),) = rows.deviations([b"1", b"x", None, b"NaN"])
        assert (index, instead) == (2, STRING)
        assert rows.schema(((2, instead),)) == ConnectSchema(
            "struct",
            optional=True,
            name="dbz.public.t.Value",
            fields=(*usual.fields[:2], ("n", instead)),
        )

    def test_deviations_are_by_the_columns_that_are_written(self) -> None:
        made = relation(
            column("x", "box"), column("a", "numeric"), column("b", "numeric"), not_null=["a", "b"]
        )
        rows = _rows(made)
        assert rows.deviations([None, b"NaN", UNCHANGED]) == (
            (0, STRING),
            (1, rows.columns[1].schema.as_optional()),
        )
