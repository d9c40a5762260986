from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import RawValue, Relation
from pglogical_cdc.formatters.dms.members import Members, members_source
from pglogical_cdc.formatters.dms.values import ValueOptions, renderer
from pglogical_cdc.protocol import BinaryValue
from tests.formatters.tables import column, relation

TABLE = relation(column("id", "int4"), column("v"), column("w", "float8"))


def members(*, nulls: bool = False, table: Relation = TABLE, separator: str = ",") -> Members:
    columns = [
        (i, f'"{each.name}":', renderer(table, each, ValueOptions()))
        for i, each in enumerate(table.columns)
    ]
    return Members(table, columns, nulls=nulls, separator=separator)


@pytest.mark.parametrize(
    ("raw", "plain", "with_nulls"),
    [
        ((b"1", b"x", b"2.5"), '"id":1,"v":"x","w":2.5', '"id":1,"v":"x","w":2.5'),
        ((None, b"x", b"1"), '"v":"x","w":1', '"id":null,"v":"x","w":1'),
        ((UNCHANGED, NOT_SENT, b"1"), '"w":1', '"w":1'),
        ((None, None, NOT_SENT), "", '"id":null,"v":null'),
        ((b"no", b"\xff", None), '"id":"no","v":"�"', '"id":"no","v":"�","w":null'),
    ],
)
def test_members_of_a_row(raw: list[RawValue], plain: str, with_nulls: str) -> None:
    for expected, made in ((plain, members()), (with_nulls, members(nulls=True))):
        assert made.write(raw, "{", "}").decode() == f"{{{expected}}}"


def test_the_comma_of_the_first_is_left_out_and_no_more() -> None:
    made = members(separator=",\n\t")
    assert made.write([b"1", b"x", None], "{", "}") == b'{\n\t"id":1,\n\t"v":"x"}'
    assert made.write([None, b"x", None], "{", "}") == b'{\n\t"v":"x"}'
    assert made.write([None, None, None], "{", ",\n\t1}") == b"{\n\t1}"
    assert made.write([None, None, None], "{", "\n}") == b"{\n}"


def test_no_column_at_all() -> None:
    assert members(table=relation()).write((), "{", ',"a":1}') == b'{"a":1}'


def test_a_deleted_row_has_null_for_what_was_not_sent() -> None:
    raw: Any = [b"1", NOT_SENT, UNCHANGED]
    assert members(nulls=True).write_deleted(raw, "", "") == b'"id":1,"v":null,"w":null'
    assert members().write_deleted(raw, "", "") == b'"id":1'


def test_a_binary_value_is_refused() -> None:
    for made in (members(), members(nulls=True)):
        for write in (made.write, made.write_deleted):
            with pytest.raises(ConfigurationError, match="binary=False"):
                write([BinaryValue(b"1"), b"x", None], "", "")


def test_no_name_of_the_database_is_in_the_source() -> None:
    columns = [(0, renderer(TABLE, TABLE.columns[0], ValueOptions()))]
    columns += [(2, renderer(TABLE, TABLE.columns[2], ValueOptions()))]
    assert members_source(columns, nulls=False, null_for_absent=False) == (
        "def write(raw, head, tail):\n"
        "  try:\n"
        "    v = raw[0]\n"
        "    if v.__class__ is bytes:\n"
        "      v0 = (v.decode()) if v.isdigit() and (v[0] != 48 or len(v) == 1) else render0(v)\n"
        "      n0 = name0\n"
        "    elif v is None or v is NOT_SENT or v is UNCHANGED:\n"
        '      n0 = v0 = ""\n'
        "    else:\n"
        "      raise TypeError\n"
        "    v = raw[2]\n"
        "    if v.__class__ is bytes:\n"
        "      v1 = render1(v)\n"
        "      n1 = name1\n"
        "    elif v is None or v is NOT_SENT or v is UNCHANGED:\n"
        '      n1 = v1 = ""\n'
        "    else:\n"
        "      raise TypeError\n"
        "    if n0: return f'{head}{n0}{v0}{n1}{v1}{tail}'.encode()\n"
        "    return begun(head, f'{n1}{v1}{tail}')\n"
        "  except Exception:\n"
        "    return begun(head, plain(raw) + tail)\n"
    )
