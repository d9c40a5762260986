from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pglogical_cdc.events import RawValue, Relation, SnapshotPoint, SnapshotRows
from pglogical_cdc.formatters.debezium.formatter import DebeziumFormatter
from pglogical_cdc.formatters.debezium.options import TableOptions
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.record_maker import RecordMaker
from pglogical_cdc.formatters.wire.column_writer import ColumnWriter
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import CopyRowParser
from tests.formatters.debezium.columns import tables
from tests.formatters.tables import column, relation

if TYPE_CHECKING:
    from collections.abc import Sequence

_POINT = SnapshotPoint(7, 1_700_000_000_000_000)
_ESCAPES: dict[str, int | str | None] = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def _copied(rows: Sequence[Sequence[RawValue]]) -> list[bytes]:
    """Write rows as COPY does."""
    return [
        "\t".join(
            value.decode().translate(str.maketrans(_ESCAPES)) if isinstance(value, bytes) else "\\N"
            for value in row
        ).encode()
        + b"\n"
        for row in rows
    ]


def _is_utf8(row: Sequence[RawValue]) -> bool:
    try:
        b"".join(value for value in row if isinstance(value, bytes)).decode()
    except UnicodeDecodeError:
        return False
    return True


def _now() -> int:
    return 1_700_000_000_123_456_789


def _writer(table: Relation) -> ColumnWriter:
    writer = TableFormat(table, TableOptions(prefix="x")).column_writer
    assert writer is not None
    return writer


@settings(max_examples=150)
@given(st.data(), st.booleans(), st.booleans())
def test_rows_at_once_are_those_of_one_by_one(
    data: st.DataObject, faithful: bool, unknown: bool
) -> None:
    table = data.draw(tables())
    drawn = data.draw(st.lists(table.rows | table.texts, min_size=1, max_size=5))
    messages = _copied([*filter(_is_utf8, drawn)])
    values = CopyRowParser(len(table.relation.columns)).rows(messages)
    formatter = DebeziumFormatter(
        topic_prefix="x", clock=_now, faithful=faithful, include_unknown_datatypes=unknown
    )
    rows = SnapshotRows(table.relation, LSN(16), _POINT, values)
    expected = [record for change in rows.changes() for record in formatter.format(change)]
    maker = RecordMaker(formatter)
    assert maker.unpack(maker.pack(rows)) == expected


def test_all_of_a_row_and_its_key() -> None:
    table = relation(
        column("id", "int8"),
        column("v"),
        column("n", "numeric", 655366),
        column("at", "timestamptz"),
        column("is", "bool"),
        column("d", "date"),
        primary_key=["id"],
    )
    columns: list[list[str | None]] = [
        ["1", "-2"],
        [None, 'a"b'],
        ["1.50", "12345.67"],
        ["2026-01-02 03:04:05.123456+00", "2026-01-02 03:04:05+00"],
        ["t", "f"],
        ["1970-01-02", None],
    ]
    found = _writer(table).write(columns, "<", ">")
    assert found == (
        [
            b'<{"id":1,"v":null,"n":"AJY=","at":"2026-01-02T03:04:05.123456Z","is":true,"d":1}>',
            b'<{"id":-2,"v":"a\\"b","n":"EtaH","at":"2026-01-02T03:04:05.000000Z","is":false,'
            b'"d":null}>',
        ],
        [b'{"id":1}', b'{"id":-2}'],
    )


def test_values_of_all_forms_in_one_column() -> None:
    table = relation(column("id", "int4"), column("v"), primary_key=["id"])
    texts = ["plain", None, "\x01", "é", "\U0001f600", "\\u0041"]
    found = _writer(table).write([[*map(str, range(6))], texts], "", "")
    assert found is not None
    assert found[0] == [
        b'{"id":0,"v":"plain"}',
        b'{"id":1,"v":null}',
        b'{"id":2,"v":"\\u0001"}',
        '{"id":3,"v":"é"}'.encode(),
        b'{"id":4,"v":"\\uD83D\\uDE00"}',
        b'{"id":5,"v":"\\\\u0041"}',
    ]


@pytest.mark.parametrize("texts", [["1", None], [None, None]])
def test_a_key_with_a_null_is_left_to_others(texts: list[str | None]) -> None:
    table = relation(column("id", "int4"), column("v"), primary_key=["id"])
    assert _writer(table).write([texts, ["a", "b"]], "", "") is None


def test_a_value_that_breaks_its_type_is_left_to_others() -> None:
    table = relation(column("id", "int4"), column("d", "date"), primary_key=["id"])
    assert _writer(table).write([["1", "2"], ["1970-01-02", "soon"]], "", "") is None
