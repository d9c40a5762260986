"""Rows of COPY, made by a writer of its own and by a real server."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.errors import ProtocolError, TruncatedMessageError
from pglogical_cdc.protocol import BinaryValue, CopyRowParser, TextRows

if TYPE_CHECKING:
    from tests.servers import Database

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">II", 0, 0)

_ROWS = st.lists(st.one_of(st.none(), st.binary(max_size=20)), max_size=6)

_ESCAPES = {
    ord("\\"): b"\\\\",
    ord("\b"): b"\\b",
    ord("\f"): b"\\f",
    ord("\n"): b"\\n",
    ord("\r"): b"\\r",
    ord("\t"): b"\\t",
    ord("\v"): b"\\v",
}


def _text(row: list[bytes | None]) -> bytes:
    fields = (
        b"\\N" if value is None else b"".join(_ESCAPES.get(b, bytes([b])) for b in value)
        for value in row
    )
    return b"\t".join(fields) + b"\n"


def _binary(row: list[bytes | None]) -> bytes:
    fields = (
        struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value
        for value in row
    )
    return struct.pack(">h", len(row)) + b"".join(fields)


@given(_ROWS)
def test_text(row: list[bytes | None]) -> None:
    assert CopyRowParser(len(row)).parse(_text(row)) == tuple(row)


_TEXTS = st.one_of(st.none(), st.text(max_size=9), st.sampled_from(["\\N", "\\", "\t\n\\t"]))


@given(st.integers(1, 4), st.data())
def test_text_by_column(width: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(*[_TEXTS] * width), max_size=5))
    raw = [[None if text is None else text.encode() for text in row] for row in rows]
    messages = [*map(_text, raw)]
    parser = CopyRowParser(width)
    columns = parser.columns(messages)
    assert columns is not None
    assert [*map(list, columns.values)] == [[row[i] for row in rows] for i in range(width)]
    assert columns.with_null == {i for i in range(width) if None in [row[i] for row in rows]}
    found = parser.rows(messages)
    assert isinstance(found, TextRows)
    assert found.columns() == columns
    assert [found[i] for i in range(len(rows))] == [*found]
    assert (len(found), [*found]) == (len(rows), [*map(tuple, raw)])
    assert [*found[1:-1]] == [*map(tuple, raw[1:-1])]


@pytest.mark.parametrize(
    "messages",
    [
        [b"1\n"],
        [b"1\t2\t3\n"],
        [b"1\t2"],
        [b"1\t2", b"1\t2\n"],
        [b"1\t2\t3\n", b"1\n"],
        [b"1\t2\n3\t4\n"],
        [b"1\t\xff\n"],
    ],
)
def test_text_that_cannot_be_had_by_column(messages: list[bytes]) -> None:
    assert CopyRowParser(2).columns(messages) is None


def test_rows_without_columns_and_binary_rows_have_no_columns_of_text() -> None:
    assert CopyRowParser(0).columns([b"\n"]) is None
    parser = CopyRowParser(1, binary=True)
    assert parser.columns([_HEADER + _binary([b"x"])]) is None
    assert parser.rows([_HEADER, _binary([b"x"]), struct.pack(">h", -1)]) == [(b"x",)]


@given(st.lists(_ROWS.filter(lambda row: len(row) == 2), max_size=3))
def test_binary(rows: list[list[bytes | None]]) -> None:
    parser = CopyRowParser(2, binary=True)
    first, *others = [*map(_binary, rows), struct.pack(">h", -1)]
    found = [parser.parse(message) for message in (_HEADER + first, *others)]
    assert found == [*map(tuple, rows), None]
    assert all(type(value) is BinaryValue for row in found[:-1] for value in row or () if value)


def test_header_by_itself() -> None:
    parser = CopyRowParser(1, binary=True)
    assert parser.parse(_HEADER) is None
    assert parser.parse(_binary([b"x"])) == (b"x",)


def test_header_with_an_extension() -> None:
    header = _HEADER[:-4] + struct.pack(">I", 3) + b"abc"
    assert CopyRowParser(1, binary=True).parse(header + _binary([b"x"])) == (b"x",)


def test_null_and_its_mark_and_empty_differ() -> None:
    assert CopyRowParser(3).parse(b"\\N\t\\\\N\t\n") == (None, b"\\N", b"")


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b"", TruncatedMessageError, "offset 0: expected a newline behind the row"),
        (b"1\t2", TruncatedMessageError, "offset 3: expected a newline behind the row"),
        (b"1\n", ProtocolError, "expected 2 columns, found 1"),
        (b"1\t2\t3\n", ProtocolError, "expected 2 columns, found 3"),
    ],
)
def test_wrong_text(data: bytes, error: type[ProtocolError], text: str) -> None:
    with pytest.raises(error, match=text):
        CopyRowParser(2).parse(data)


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b"PGCOPY", TruncatedMessageError, "offset 0: expected 19 bytes of header, found 6 bytes"),
        (b"x" * 19, ProtocolError, "offset 0: expected the signature of COPY"),
        (_HEADER[:11] + struct.pack(">II", 1 << 16, 0), ProtocolError, "flags 0x00010000"),
        (_HEADER[:-1] + b"\5abc", TruncatedMessageError, "offset 19: expected 5 bytes of header"),
        (_HEADER + b"\0", TruncatedMessageError, "offset 19: .* found 1 bytes"),
        (_HEADER + b"\0\1", ProtocolError, "offset 19: expected 2 columns, found 1"),
        (_HEADER + b"\xff\xff0", ProtocolError, "expected 2 columns, found -1"),
        (_HEADER + b"\0\2" + b"\xff" * 6, TruncatedMessageError, "offset 25: .* value 2 of 2"),
        (_HEADER + b"\0\2\0\0\0\5abc", TruncatedMessageError, "offset 25: expected 5 bytes"),
        (_HEADER + b"\0\2\xff\xff\xff\xfe", ProtocolError, "length of -1 or more, found -2"),
        (_HEADER + _binary([None, None]) + b"!", ProtocolError, "offset 29: expected the end"),
    ],
)
def test_wrong_binary(data: bytes, error: type[ProtocolError], text: str) -> None:
    with pytest.raises(error, match=text):
        CopyRowParser(2, binary=True).parse(data)


@pytest.mark.pg
@pytest.mark.parametrize("binary", [False, True])
def test_what_a_server_writes(database: Database, *, binary: bool) -> None:
    database.execute("CREATE TABLE t (a text, b bytea, c text); CREATE TABLE empty ()")
    odd = "\b\f\n\r\t\v\\\\N \\. é 😀\x01\x7f"
    rows: list[tuple[str | None, bytes | None, str | None]] = [
        ("", b"", None),
        (odd, odd.encode(), "\\N"),
        (None, None, None),
        ("\\.", b"\0\xff", "\t"),
    ]
    options = " WITH (FORMAT binary)" if binary else ""
    with psycopg.connect(database.dsn) as connection:
        connection.execute("SET bytea_output = 'hex'")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO t VALUES (%s, %s, %s)", rows)
            cursor.execute("INSERT INTO empty DEFAULT VALUES")
        parser = CopyRowParser(3, binary=binary)
        with connection.cursor().copy(f"COPY t TO STDOUT{options}") as copy:
            found = [parser.parse(bytes(data)) for data in copy]
        parser = CopyRowParser(0, binary=binary)
        with connection.cursor().copy(f"COPY empty TO STDOUT{options}") as copy:
            nothing = [parser.parse(bytes(data)) for data in copy]
    expected = [
        (
            None if a is None else a.encode(),
            b if b is None or binary else b"\\x" + b.hex().encode(),
            None if c is None else c.encode(),
        )
        for a, b, c in rows
    ]
    assert [row for row in found if row is not None] == expected
    assert [row for row in nothing if row is not None] == [()]
