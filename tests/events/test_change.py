"""Tests of `pglogical_cdc.events.change`."""

from __future__ import annotations

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events.catalog import TableCatalog
from pglogical_cdc.events.change import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    RowChange,
    SchemaChange,
    SnapshotRead,
    Truncate,
    Update,
)
from pglogical_cdc.events.position import Position
from pglogical_cdc.events.relation import Column, Relation, ReplicaIdentity
from pglogical_cdc.events.row import AlteredRow, RawValue, Row
from pglogical_cdc.events.transaction import Transaction
from pglogical_cdc.lsn import LSN

_TRANSACTION = Transaction(700, LSN(0x2000), 0)


def _relation(
    *names: str,
    identity: tuple[str, ...] = ("k1", "k2"),
    primary_key: tuple[str, ...] | None = ("k2", "k1"),
    replica_identity: ReplicaIdentity = ReplicaIdentity.DEFAULT,
) -> Relation:
    columns = tuple(Column(name, 25, -1, "text", name in identity) for name in names)
    catalog = TableCatalog("d", 7, "s", "t", (), primary_key)
    return Relation(7, "s", "t", columns, replica_identity, catalog=catalog)


_RELATION = _relation("k1", "k2", "v")


def _row(*raw: RawValue, relation: Relation = _RELATION) -> Row:
    return Row(relation, raw)


def _update(before: Row | None, after: Row) -> Update:
    return Update(0x1000, _TRANSACTION, 1, after.relation, before, after)


def test_insert() -> None:
    change = Insert(0x1000, _TRANSACTION, 3, _RELATION, _row(b"1", b"2", b"3"))
    assert (change.op, change.schema, change.table) == ("insert", "s", "t")
    assert change.before is None
    assert change.after == {"k1": "1", "k2": "2", "v": "3"}
    assert change.lsn == LSN(0x1000)
    assert change.position == Position(LSN(0x2000), 3)
    assert list((change.key or {}).items()) == [("k2", "2"), ("k1", "1")]


def test_delete() -> None:
    change = Delete(0x1000, _TRANSACTION, 1, _RELATION, _row(b"1", b"2", NOT_SENT))
    assert change.op == "delete"
    assert change.after is None
    assert change.key == {"k2": "2", "k1": "1"}


def test_key_column_that_the_old_key_has_not() -> None:
    relation = _relation("k1", "k2", "v", identity=("v",), replica_identity=ReplicaIdentity.INDEX)
    old = _row(NOT_SENT, NOT_SENT, b"v", relation=relation)
    assert Delete(0, _TRANSACTION, 1, relation, old).key == {"k2": NOT_SENT, "k1": NOT_SENT}


def test_update_that_leaves_the_key() -> None:
    change = _update(None, _row(b"1", b"2", b"new"))
    assert change.op == "update"
    assert change.key == change.old_key == {"k2": "2", "k1": "1"}
    assert not change.key_changed


def test_update_of_the_key() -> None:
    change = _update(_row(b"1", b"2", NOT_SENT), _row(b"1", b"9", b"v"))
    assert change.key == {"k2": "9", "k1": "1"}
    assert change.old_key == {"k2": "2", "k1": "1"}
    assert change.key_changed


def test_old_key_that_came_though_it_is_the_same() -> None:
    # As under FULL, or when another column of the replica identity changed.
    change = _update(_row(b"1", b"2", b"old"), _row(b"1", b"2", b"new"))
    assert not change.key_changed
    assert change.old_key == change.key


def test_toasted_key_comes_from_the_old_row() -> None:
    change = _update(_row(b"1", b"long", NOT_SENT), _row(b"9", UNCHANGED, b"v"))
    assert change.key == {"k2": "long", "k1": "9"}
    assert change.old_key == {"k2": "long", "k1": "1"}
    assert change.key_changed


def test_key_outside_the_replica_identity_is_not_guessed() -> None:
    relation = _relation("k1", "k2", "v", identity=("v",), replica_identity=ReplicaIdentity.INDEX)
    after = _row(b"1", UNCHANGED, b"new", relation=relation)
    changed = _update(_row(NOT_SENT, NOT_SENT, b"old", relation=relation), after)
    assert changed.key == {"k2": UNCHANGED, "k1": "1"}
    assert changed.old_key == {"k2": NOT_SENT, "k1": NOT_SENT}
    assert not changed.key_changed
    assert _update(None, after).old_key == {"k2": NOT_SENT, "k1": NOT_SENT}


def test_without_key() -> None:
    relation = _relation("a", identity=(), primary_key=None)
    row = _row(b"1", relation=relation)
    assert Insert(0, _TRANSACTION, 1, relation, row).key is None
    assert Delete(0, _TRANSACTION, 1, relation, row).key is None
    update = _update(row, _row(b"2", relation=relation))
    assert (update.key, update.old_key, update.key_changed) == (None, None, False)
    without_old_row = _update(None, row)
    assert (without_old_row.key, without_old_row.old_key) == (None, None)
    assert SnapshotRead(0, None, 0, relation, row).key is None


class TestAlteredRows:
    """Keys come from the rows that the server sent, whatever a transform made of them."""

    RELATION = _relation("v", identity=(), primary_key=None)

    def _altered(self, *raw: RawValue) -> AlteredRow:
        return AlteredRow(self.RELATION, [b"***"], _row(*raw))

    def test_keys(self) -> None:
        row, relation = self._altered(b"1", b"2", b"secret"), self.RELATION
        for change in (
            Insert(0, _TRANSACTION, 1, relation, row),
            Delete(0, _TRANSACTION, 1, relation, row),
            SnapshotRead(0, None, 0, relation, row),
            Update(0, _TRANSACTION, 1, relation, None, row),
        ):
            assert change.key == {"k2": "2", "k1": "1"}
        assert dict(row) == {"v": "***"}

    def test_an_update_of_the_key(self) -> None:
        before, after = self._altered(b"1", b"2", NOT_SENT), self._altered(b"1", b"9", b"v")
        change = Update(0, _TRANSACTION, 1, self.RELATION, before, after)
        assert change.key == {"k2": "9", "k1": "1"}
        assert change.old_key == {"k2": "2", "k1": "1"}
        assert change.key_changed
        same = Update(0, _TRANSACTION, 1, self.RELATION, before, before)
        assert not same.key_changed
        assert same.old_key == same.key

    def test_a_toasted_key(self) -> None:
        before, after = self._altered(b"1", b"long", NOT_SENT), self._altered(b"9", UNCHANGED, b"v")
        change = Update(0, _TRANSACTION, 1, self.RELATION, before, after)
        assert change.key == {"k2": "long", "k1": "9"}

    def test_a_key_outside_the_replica_identity(self) -> None:
        index = _relation("k1", "k2", "v", identity=("v",), replica_identity=ReplicaIdentity.INDEX)
        after = AlteredRow(self.RELATION, [b"***"], Row(index, [b"1", UNCHANGED, b"v"]))
        change = Update(0, _TRANSACTION, 1, self.RELATION, None, after)
        assert change.old_key == {"k2": NOT_SENT, "k1": NOT_SENT}


def test_truncate() -> None:
    change = Truncate(0x1000, _TRANSACTION, 2, _RELATION, cascade=True, restart_identity=False)
    assert (change.op, change.before, change.after, change.key) == ("truncate", None, None, None)
    assert (change.cascade, change.restart_identity) == (True, False)


def test_snapshot_read() -> None:
    change = SnapshotRead(0x1000, None, 0, _RELATION, _row(b"1", b"2", b"3"))
    assert (change.op, change.snapshot, change.before) == ("read", "true", None)
    assert change.key == {"k2": "2", "k1": "1"}
    assert change.position == Position(LSN(0x1000), 0)


def test_message() -> None:
    inside = LogicalMessage(0x1000, _TRANSACTION, 4, "prefix", b"secret")
    assert (inside.op, inside.transactional) == ("message", True)
    assert inside.position == Position(LSN(0x2000), 4)
    assert (inside.schema, inside.table, inside.key) == (None, None, None)
    assert (inside.before, inside.after) == (None, None)
    alone = LogicalMessage(0x1000, None, 0, "prefix", b"secret")
    assert not alone.transactional
    assert alone.position == Position(LSN(0x1000), 0)


def test_schema_change() -> None:
    later = _relation("k1", "v", "w", "x")
    change = SchemaChange(0x1000, _TRANSACTION, 1, later, _RELATION)
    assert change.op == "schema"
    assert change.added == ["w", "x"]
    assert change.dropped == ["k2"]
    assert (change.before, change.after, change.key) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Insert(1, _TRANSACTION, 1, _RELATION, _row(b"secret")), "<Insert s.t at 0/2000:1>"),
        (_update(_row(b"secret"), _row(b"secret")), "<Update s.t at 0/2000:1>"),
        (Delete(1, _TRANSACTION, 2, _RELATION, _row(b"secret")), "<Delete s.t at 0/2000:2>"),
        (LogicalMessage(0x10, None, 0, "p", b"secret"), "<LogicalMessage at 0/10:0>"),
    ],
)
def test_repr_shows_no_value(change: Change, text: str) -> None:
    assert repr(change) == text


def test_match() -> None:
    change: Change = Insert(1, _TRANSACTION, 1, _RELATION, _row(b"1", b"2", b"3"))
    match change:
        case Insert(table="t", after=row):
            assert row["v"] == "3"
        case _:
            raise AssertionError
    assert isinstance(change, RowChange)
