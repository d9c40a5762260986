from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import RawValue, Relation
from pglogical_cdc.formatters.debezium.options import TableOptions, TypeOptions
from pglogical_cdc.formatters.debezium.row_format import RowFormat, row_members
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.wire.row_writer import (
    Frame,
    Member,
    compile_event,
    compile_row,
    event_source,
    row_source,
)
from pglogical_cdc.formatters.wire.usual_form import UsualForm
from pglogical_cdc.protocol import BinaryValue
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


def _source(rows: RowFormat) -> str:
    return row_source(row_members(rows.columns))


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
    """One of a value that is JSON already, one whose form is tested, one that is always asked."""
    columns = (column("id", "int4"), column("x", "pg_lsn"), column("t", "timestamptz"))
    rows = _format(relation(*columns, column("d", "date")))
    assert _source(rows) == (
        "def write(raw, head, tail):\n"
        "  try:\n"
        "    name0, name1, name2, = names\n"
        "    v = raw[0]\n"
        "    v0 = ((v.decode())) if v.__class__ is bytes else null[0] if v is None"
        " else not_sent[0] if v is NOT_SENT else other(0, v)\n"
        "    v = raw[2]\n"
        "    v1 = ((f'\"{(t := v.decode())[:10]}T{t[11:26]}Z\"')"
        " if v.translate(zeros) == b\"0000-00-00 00:00:00.000000+00\" and v[-2:] == b'00'"
        " else (convert[1](v) or failed[1]).decode()) if v.__class__ is bytes else null[1]"
        " if v is None else not_sent[1] if v is NOT_SENT else other(1, v)\n"
        "    v = raw[3]\n"
        "    v2 = ((convert[2](v) or failed[2]).decode()) if v.__class__ is bytes else null[2]"
        " if v is None else not_sent[2] if v is NOT_SENT else other(2, v)\n"
        "    return f'{head}{name0}{v0}{name1}{v1}{name2}{v2}{end}{tail}'.encode()\n"
        "  except Exception:\n"
        "    return head.encode() + plain(raw) + tail.encode()\n"
    )


def test_no_name_of_the_database_is_in_the_source() -> None:
    columns = [column(name, "int4") for name in HOSTILE]
    named = relation(*columns, schema='"); x', name="t'; DROP", not_null=list(HOSTILE))
    plain = relation(*(column(f"c{i}", "int4") for i in range(len(HOSTILE))))
    assert _source(_format(named)) == _source(_format(plain))


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
    assert _source(rows) == _source(
        _format(relation(*(column("c" * (i + 1), "int4") for i in range(len(names)))))
    )


def test_no_columns() -> None:
    assert compile_row((), end="{}", other=_nothing, plain=_plain)([], "<", ">") == b"<{}>"


def _nothing(index: int, value: object) -> str:
    raise LookupError


def _plain(raw: Sequence[RawValue]) -> bytes:
    return b"plain"


def _member(
    position: int, name: str, form: UsualForm | None = None, not_sent: str | None = None
) -> Member:
    return Member(
        position=position,
        name=name,
        form=form,
        call="asked[#](v)",
        names={"asked": lambda value: f"<{value.decode()}>"},
        null="null",
        not_sent=not_sent,
    )


class TestCompileRow:
    def test_what_stands_around_a_row(self) -> None:
        write = compile_row([_member(0, "[")], end="]", other=_nothing, plain=_plain)
        assert write([b"1"], "\xe9", "\xe8") == "\xe9[<1>]\xe8".encode()
        assert write([UNCHANGED], "\xe9", "\xe8") == "\xe9plain\xe8".encode()

    def test_values_of_another_form_are_asked_for(self) -> None:
        form = UsualForm('"usual"', "v[0] == 49")
        write = compile_row([_member(0, "[", form)], end="]", other=_nothing, plain=_plain)
        assert [write([value], "", "") for value in (b"1", b"2", b"")] == [
            *(b"[usual]", b"[<2>]", b"plain"),
        ]

    def test_what_is_neither_text_nor_null_is_asked_for(self) -> None:
        asked: list[object] = []

        def other(index: int, value: object) -> str:
            asked.append((index, value))
            return "0"

        members = [_member(0, "["), _member(1, ",", not_sent="-")]
        write = compile_row(members, end="]", other=other, plain=_plain)
        assert write([b"7", UNCHANGED], "", "") == b"[<7>,0]"
        assert write([NOT_SENT, NOT_SENT], "", "") == b"[0,-]"
        assert write([BinaryValue(b"x"), None], "", "") == b"[0,null]"
        assert asked == [(1, UNCHANGED), (0, NOT_SENT), (0, BinaryValue(b"x"))]

    def test_tables_of_the_same_types_keep_their_own_names_and_defaults(self) -> None:
        one = _format(relation(column("a", "int4"), defaults={"a": "1"}))
        other = _format(relation(column("b", "int4"), defaults={"b": "2"}))
        assert (one.payload([None]), other.payload([None])) == (b'{"a":1}', b'{"b":2}')


_EVENT = Frame("before, after", "<{before}", "{after}>")


class TestCompileEvent:
    def test_the_key_is_made_of_the_rows_values(self) -> None:
        form = UsualForm("v.decode()", "v != b'odd'")
        members = [_member(0, "[", form), _member(1, ",", form)]
        part = _member(1, "{", form)
        write = compile_event(
            members, [part], _EVENT, end="]", other=_nothing, plain=_plain, plain_key=_plain_key
        )
        assert write is not None
        assert write([b"1", b"2"], "a", "\xe9") == ("<a[1,2]\xe9>".encode(), b"{2]")
        # As the row has it, in the usual form or not.
        assert write([None, b"odd"], "", "") == (b"<[null,<odd>]>", b"{<odd>]")
        # What is not text is for the key to say, and what fails, too.
        assert write([b"1", None], "", "") == (b"<[1,null]>", b"key")
        assert write([UNCHANGED, b"2"], "a", "\xe9") == ("<aplain\xe9>".encode(), b"key")

    def test_a_key_that_is_written_otherwise(self) -> None:
        form, other = UsualForm("v.decode()"), UsualForm("'x'")
        for part in (_member(1, "{", form), _member(0, "{", other), _member(0, "{")):
            for member in (_member(0, "[", form), _member(0, "[")):
                if member.form is part.form and part.form is not None and part.position == 0:
                    continue
                assert (
                    compile_event(
                        *([member], [part], _EVENT),
                        end="]",
                        other=_nothing,
                        plain=_plain,
                        plain_key=_plain_key,
                    )
                    is None
                )

    def test_the_source_can_be_read(self) -> None:
        form = UsualForm("v.decode()")
        assert event_source([_member(0, "[", form)], [0], _EVENT) == (
            "def write(raw, before, after):\n"
            "  try:\n"
            "    name0, = names\n"
            "    key_name0, = key_names\n"
            "    v = raw[0]\n"
            "    v0 = ((v.decode())) if v.__class__ is bytes else null[0] if v is None"
            " else other(0, v)\n"
            "    key = f'{key_name0}{v0}{end}'.encode() if raw[0].__class__ is bytes"
            " else plain_key(raw)\n"
            "    return f'<{before}{name0}{v0}{end}{after}>'.encode(), key\n"
            "  except Exception:\n"
            "    return f'<{before}'.encode() + plain(raw) + f'{after}>'.encode(), plain_key(raw)\n"
        )


def _plain_key(raw: Sequence[RawValue]) -> bytes:
    return b"key"
