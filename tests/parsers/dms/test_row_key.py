from __future__ import annotations

import pytest

from pglogical_cdc.parsers.dms.row_key import read_row_key


def test_a_key_tells_table_and_columns() -> None:
    key = read_row_key(b'{"schema":"public","table":"orders","id":7,"part":"a","new":true}')

    assert key is not None
    assert (key.schema, key.table) == ("public", "orders")
    assert key.columns(()) == ("id", "part", "new")
    assert dict(key.members) == {"id": "7", "part": "a", "new": True}


def test_a_column_that_is_called_as_a_member_has_its_table_before_its_name() -> None:
    key = read_row_key('{"schema":"s","table":"orders","orders.schema":"a","orders.table":1}')

    assert key is not None
    assert key.columns(["schema", "table"]) == ("schema", "table")
    assert key.columns(()) == ("schema", "table")
    assert key.columns(["orders.schema", "table"]) == ("orders.schema", "table")


@pytest.mark.parametrize(
    "key",
    [
        *("", "public.people", "public.people.42", "42", "{1,2}", '"a"', "[1]", "null", "{}"),
        *(b"\xff", b"[" * 100_000),
        '{"id":1}',
        '{"schema":"s","table":"t"}',
        '{"table":"t","schema":"s","id":1}',
        '{"id":1,"schema":"s","table":"t"}',
        '{"schema":1,"table":"t","id":1}',
        '{"schema":"s","table":null,"id":1}',
        '{"schema":"s","table":"t","id":null}',
        '{"schema":"s","table":"t","id":[1]}',
        '{"schema":"s","table":"t","id":1,"id":2}',
        '{"schema":"s","table":"t","id":NaN}',
        '{"schema":"s","table":"t","\\ud800":1}',
        '{"schema":"s","table":"t","id":"\\ud800"}',
        '{"schema":"s","table":"\\ud800","id":"a"}',
    ],
)
def test_other_keys_tell_nothing(key: bytes | str) -> None:
    assert read_row_key(key) is None


def test_the_repr_has_no_value() -> None:
    assert "sesame" not in repr(read_row_key('{"schema":"s","table":"t","id":"sesame"}'))
