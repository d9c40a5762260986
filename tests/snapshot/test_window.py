"""Tests of `pglogical_cdc.snapshot.window`: what is left of rows that the stream changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc import UNCHANGED, Delete, Insert, Transaction, Truncate, Update
from pglogical_cdc.events import Column, Relation, ReplicaIdentity, Row
from pglogical_cdc.events.row import key_image
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import RunningTransactions
from pglogical_cdc.snapshot import Window
from pglogical_cdc.snapshot.window import changed_keys, row_key_of

if TYPE_CHECKING:
    from pglogical_cdc.events import RawValue, RowChange
    from pglogical_cdc.protocol import TupleData
    from pglogical_cdc.snapshot import Key

LOW = LSN(1000)
RUNNING = RunningTransactions(xmin=50, xmax=60, running=frozenset({50, 55}))
RELATION = Relation(
    oid=1,
    schema="public",
    name="t",
    columns=(
        Column("v", 25, -1, "text", is_identity=False),
        Column("k", 25, -1, "text", is_identity=True),
    ),
    replica_identity=ReplicaIdentity.DEFAULT,
)
KEY = ["k"]


def _at(commit: int, xid: int = 70) -> Transaction:
    return Transaction(xid, LSN(commit), 0, LSN(commit), None)


def _row(key: RawValue, value: RawValue = b"new") -> Row:
    return Row(RELATION, (value, key))


def _update(key: RawValue, value: RawValue, old: bytes | None = None, commit: int = 1500) -> Update:
    before = None if old is None else Row(RELATION, key_image(RELATION, (None, old)))
    return Update(1, _at(commit), 1, RELATION, before, _row(key, value))


def _window(*, is_plain: bool = True, has_key: bool = True) -> Window:
    rows: dict[Key, TupleData] = {}
    if has_key:
        rows = {(key,): (b"old", key) for key in (b"a", b"b", b"c")}
    return Window(LOW, RUNNING, rows, is_plain=is_plain, has_key=has_key)


def _see(window: Window, change: RowChange) -> None:
    keys, is_whole = changed_keys(change, KEY)
    window.see(change, keys, is_whole=is_whole)


def test_changed_rows_are_left_to_the_stream() -> None:
    window = _window()
    _see(window, Insert(1, _at(1500), 1, RELATION, _row(b"x")))
    _see(window, _update(b"a", b"new"))
    _see(window, Delete(1, _at(1500), 2, RELATION, _row(b"b", None)))
    _see(window, Truncate(1, _at(1500), 3, RELATION, False, False))
    assert list(window.rows) == [(b"c",)]
    assert (window.again, window.is_spoiled) == (set(), False)


def test_row_that_has_moved_is_left_to_it_as_well() -> None:
    window = _window()
    _see(window, _update(b"z", b"new", old=b"b"))
    assert list(window.rows) == [(b"a",), (b"c",)]


def test_rows_of_which_not_all_was_told_are_read_again() -> None:
    window = _window()
    _see(window, _update(b"a", UNCHANGED))
    _see(window, _update(b"q", UNCHANGED))  # none of ours
    assert (list(window.rows), window.again) == ([(b"b",), (b"c",)], {(b"a",)})


@pytest.mark.parametrize("xid", [50, 55, 60])
def test_what_the_stream_had_and_the_rows_lack_spoils_them(xid: int) -> None:
    window = _window()
    _see(window, Insert(1, _at(900, 54), 1, RELATION, _row(b"a")))
    assert len(window.rows) == 3  # the rows have it
    assert not window.is_spoiled
    _see(window, Insert(1, _at(900, xid), 1, RELATION, _row(b"a")))
    assert window.is_spoiled


def test_keys_that_only_the_server_can_compare() -> None:
    window = _window(is_plain=False)
    _see(window, _update(b"A", b"new"))
    _see(window, _update(b"B", UNCHANGED))
    _see(window, _update(b"B", b"new"))
    assert len(window.rows) == 3
    assert window.touched == {(b"A",): True, (b"B",): False}
    window.leave_out([(b"a",)], is_whole=True)
    window.leave_out([(b"b",), (b"z",)], is_whole=False)
    assert (list(window.rows), window.again) == ([(b"c",)], {(b"b",)})
    for i in range(2000):
        _see(window, _update(b"%d" % i, b"new"))
    assert window.is_spoiled


def test_table_without_a_key() -> None:
    window = _window(has_key=False)
    _see(window, Insert(1, _at(1500, 54), 1, RELATION, _row(b"a")))
    assert not window.is_spoiled
    _see(window, Insert(1, _at(1500, 61), 1, RELATION, _row(b"a")))
    assert window.is_spoiled


def test_keys_that_are_not_known() -> None:
    assert row_key_of(_row(UNCHANGED), KEY) is None
    assert row_key_of(_row(UNCHANGED), KEY, _row(b"a")) == (b"a",)
    assert row_key_of(_row(b"a"), ["gone"]) is None
    window = _window()
    _see(window, _update(UNCHANGED, b"new"))
    assert window.is_spoiled
