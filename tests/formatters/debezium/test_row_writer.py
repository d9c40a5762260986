from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import Relation
from pglogical_cdc.formatters.debezium.options import TableOptions, TypeOptions
from pglogical_cdc.formatters.debezium.row_format import RowFormat
from pglogical_cdc.formatters.debezium.row_writer import compile_row, row_source
from pglogical_cdc.formatters.debezium.table import TableFormat
from tests.formatters.debezium.columns import tables
from tests.formatters.tables import column, relation

HOSTILE = (
    '"); import os #',
    "%s %b %% {} {0}",
    "raw[0]",
    "\n",
    '\'"""\'',
    "template",
    "\U0001f600",
)


def _format(made: Relation, *, faithful: bool = False, unknown: bool = False) -> RowFormat:
    types = TypeOptions(faithful=faithful, include_unknown=unknown)
    return TableFormat(made, TableOptions(types=types, prefix="dbz")).row_format


@settings(max_examples=300)
@given(st.data(), st.booleans(), st.booleans())
def test_compiled_rows_are_those_of_the_plain_way(
    data: st.DataObject, faithful: bool, unknown: bool
) -> None:
    table = data.draw(tables())
    rows = _format(table.relation, faithful=faithful, unknown=unknown)
    for values in (table.rows, table.texts):
        raw = data.draw(values)
        assert rows.payload(raw) == rows.plain_payload(raw)


def test_the_source_is_as_it_is() -> None:
    columns = (column("id", "int4"), column("v"), column("b", "bool"), column("x", "pg_lsn"))
    rows = _format(relation(*columns, column("d", "date")))
    assert row_source(rows.columns) == (
        "def write(raw):\n"
        "    return template % (\n"
        "        (v) if (v := raw[0]).__class__ is bytes else null_0 if v is None"
        " else otherwise(0, v),\n"
        "        (convert_1(v) or failed_1) if (v := raw[1]).__class__ is bytes else null_1"
        " if v is None else otherwise(1, v),\n"
        '        (b"true" if v == b"t" or v == b"1" else b"false") if (v := raw[2]).__class__'
        " is bytes else null_2 if v is None else otherwise(2, v),\n"
        "        (convert_3(v) or failed_3) if (v := raw[4]).__class__ is bytes else null_3"
        " if v is None else otherwise(3, v),\n"
        "    )\n"
    )


def test_no_name_of_the_database_is_in_the_source() -> None:
    columns = [column(name, "int4") for name in HOSTILE]
    named = relation(*columns, schema='"); x', name="t'; DROP", not_null=list(HOSTILE))
    plain = relation(*(column(f"c{i}", "int4") for i in range(len(HOSTILE))))
    assert row_source(_format(named).columns) == row_source(_format(plain).columns)


def test_names_come_out_as_they_are() -> None:
    rows = _format(relation(*(column(name, "int4") for name in HOSTILE)))
    made = rows.payload([b"%d" % number for number in range(len(HOSTILE))])
    assert made.decode() == (
        '{"\\"); import os #":0,"%s %b %% {} {0}":1,"raw[0]":2,"\\n":3,"\'\\"\\"\\"\'":4,'
        '"template":5,"\\uD83D\\uDE00":6}'
    )


@given(st.lists(st.text(), min_size=1, max_size=5, unique=True))
def test_any_names(names: list[str]) -> None:
    rows = _format(relation(*(column(name, "int4") for name in names)))
    raw = [b"%d" % number for number in range(len(names))]
    assert rows.payload(raw) == rows.plain_payload(raw)
    assert row_source(rows.columns) == row_source(
        _format(relation(*(column("c" * (i + 1), "int4") for i in range(len(names))))).columns
    )


def test_no_columns() -> None:
    assert row_source(()) == "def write(raw):\n    return template % (\n    )\n"
    assert compile_row(b"{}", (), lambda index, value: None)([]) == b"{}"


class TestCompileRow:
    def test_what_is_neither_text_nor_null_is_asked_for(self) -> None:
        rows = _format(relation(column("id", "int4"), column("v")))
        asked: list[object] = []

        def otherwise(index: int, value: object) -> bytes:
            asked.append((index, value))
            return b"0"

        write = compile_row(b"[%b,%b]", rows.columns, otherwise)
        assert write([b"7", UNCHANGED]) == b"[7,0]"
        assert write([NOT_SENT, None]) == b"[0,null]"
        assert asked == [(1, UNCHANGED), (0, NOT_SENT)]

    def test_a_member_that_is_left_out_raises(self) -> None:
        rows = _format(relation(column("id", "int4")))
        write = compile_row(b"[%b]", rows.columns, lambda index, value: None)
        with pytest.raises(TypeError):
            write([UNCHANGED])

    def test_a_converter_that_fails_raises(self) -> None:
        rows = _format(relation(column("d", "date")))
        write = compile_row(b"[%b]", rows.columns, lambda index, value: None)
        with pytest.raises(ValueError, match="ISO"):
            write([b"29/02/2024"])

    def test_tables_of_the_same_types_keep_their_own_names_and_defaults(self) -> None:
        one = _format(relation(column("a", "int4"), defaults={"a": "1"}))
        other = _format(relation(column("b", "int4"), defaults={"b": "2"}))
        assert (one.payload([None]), other.payload([None])) == (b'{"a":1}', b'{"b":2}')
