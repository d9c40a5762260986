from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from tests.formatters.debezium.columns import GARBAGE, KINDS, TYPES
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


_KEYS = [
    kind
    for kind in KINDS
    if kind.type_name
    in {
        *("bool", "int4", "int8", "numeric", "text", "bpchar", "timestamptz", "uuid", "bit"),
        *("mood", "dnum", "timestamp", "date", "bytea", "_int4"),
    }
]
_NAMES = ["id", "a b", 'Q"x', "100%", "{x}", "é", "\U0001f600", "#", "v", "null", "x\ny"]
_DEFAULTS = ["'1'::text", "1", "now()", "0.5", "true", "'{}'::jsonb"]


@st.composite
def _cases(
    draw: st.DrawFn,
) -> tuple[Relation, list[tuple[bytes | None, ...]], dict[str, Any]]:
    """Draw a table that has a key, rows of it, and options."""
    key, others = draw(st.integers(1, 2)), draw(st.integers(0, 4))
    kinds = [draw(st.sampled_from(_KEYS)) for _ in range(key)]
    kinds += [draw(st.sampled_from(KINDS)) for _ in range(others)]
    names = draw(
        st.lists(st.sampled_from(_NAMES), min_size=len(kinds), max_size=len(kinds), unique=True)
    )
    not_null = [name for i, name in enumerate(names) if i < key or draw(st.booleans())]
    table = relation(
        *(kind.column(name) for kind, name in zip(kinds, names, strict=True)),
        name=draw(st.sampled_from(["t", 'T"{b}%'])),
        not_null=not_null,
        defaults={
            name: draw(st.sampled_from(_DEFAULTS)) for name in names if draw(st.integers(0, 3)) == 0
        },
        types=TYPES,
        primary_key=draw(st.permutations(names[:key])),
    )
    has_garbage = draw(st.integers(0, 4)) == 0
    values: list[st.SearchStrategy[bytes | None]] = []
    for kind, name in zip(kinds, names, strict=True):
        each: st.SearchStrategy[bytes | None] = kind.values.map(str.encode)
        if name not in not_null or draw(st.integers(0, 20)) == 0:
            each = each | st.none()
        values.append(each | GARBAGE if has_garbage else each)
    rows = draw(st.lists(st.tuples(*values), min_size=5, max_size=8))
    options = {
        "faithful": draw(st.booleans()),
        "include_unknown_datatypes": draw(st.booleans()),
        "provide_transaction_metadata": draw(st.booleans()),
        "replace_null_with_default": draw(st.booleans()),
        "decimal_handling_mode": draw(st.sampled_from(["precise", "precise", "string"])),
        "time_precision_mode": draw(st.sampled_from(["adaptive", "isostring"])),
    }
    return table, rows, options


@settings(max_examples=150)
@given(_cases())
def test_rows_at_once_are_those_of_one_by_one(
    case: tuple[Relation, list[tuple[bytes | None, ...]], dict[str, Any]],
) -> None:
    table, drawn, options = case
    messages = _copied([*filter(_is_utf8, drawn)])
    values = CopyRowParser(len(table.columns)).rows(messages)
    rows = SnapshotRows(table, LSN(16), _POINT, values)
    given_ = {"topic_prefix": "x", "clock": _now, "run_id": "1", **options}
    plainly, at_once = DebeziumFormatter(**given_), DebeziumFormatter(**given_)
    maker = RecordMaker(at_once)
    found = maker.unpack(maker.pack(rows))
    assert found == [record for change in rows.changes() for record in plainly.format(change)]


def test_rows_at_once_are_made_at_once() -> None:
    table = relation(column("id", "int4"), column("v"), primary_key=["id"])
    parser = CopyRowParser(2)
    messages = [b"%d\t\\N\n" % i for i in range(6)]
    formatter = DebeziumFormatter(topic_prefix="x", clock=_now)
    packed = formatter.format_rows(SnapshotRows(table, LSN(16), _POINT, parser.rows(messages)))
    assert packed is not None
    assert packed.keys == [b'{"id":%d}' % i for i in range(6)]
    for rows in (parser.rows(messages[:4]), [(b"1", b"parsed")] * 6):
        assert formatter.format_rows(SnapshotRows(table, LSN(16), _POINT, rows)) is None
    schemas = DebeziumFormatter(topic_prefix="x", schemas_enable=True)
    assert schemas.format_rows(SnapshotRows(table, LSN(16), _POINT, parser.rows(messages))) is None


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
    found = _writer(table).write(columns, {1, 5}, "<", ">")
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
    found = _writer(table).write([[*map(str, range(6))], texts], {1}, "", "")
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
    assert _writer(table).write([texts, ["a", "b"]], {0}, "", "") is None


def test_a_value_that_breaks_its_type_is_left_to_others() -> None:
    table = relation(column("id", "int4"), column("d", "date"), primary_key=["id"])
    assert _writer(table).write([["1", "2"], ["1970-01-02", "soon"]], (), "", "") is None
