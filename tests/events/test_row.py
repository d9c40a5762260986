"""Tests of `pglogical_cdc.events.row`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events.relation import Column, Relation, ReplicaIdentity
from pglogical_cdc.events.row import AlteredRow, RawValue, Row, key_image

if TYPE_CHECKING:
    from pglogical_cdc.events.relation import Load


class _Counting:
    """Loaders that count what they are asked for."""

    def __init__(self) -> None:
        self.loads: list[str] = []

    def load(self, relation: Relation, column: Column, *, binary: bool) -> Load:
        def load(value: bytes) -> object:
            self.loads.append(column.name)
            return None if value == b"nothing" else value.decode()

        return load


def _row(loaders: _Counting, *raw: RawValue, identity: str = "id") -> Row:
    columns = tuple(
        Column(name, 25, -1, "text", name == identity) for name in ("id", "b", "c", "d")[: len(raw)]
    )
    relation = Relation(7, "s", "t", columns, ReplicaIdentity.DEFAULT, loaders=loaders)
    return Row(relation, raw)


def test_values_are_decoded_once_and_when_asked_for() -> None:
    loaders = _Counting()
    row = _row(loaders, b"1", b"secret", None)
    assert loaders.loads == []
    assert row["b"] == "secret"
    assert row["b"] == "secret"
    assert loaders.loads == ["b"]
    assert dict(row) == {"id": "1", "b": "secret", "c": None}
    assert loaders.loads == ["b", "id"]


def test_a_value_that_loads_as_none_is_decoded_once_too() -> None:
    loaders = _Counting()
    row = _row(loaders, b"nothing")
    assert row["id"] is None
    assert row["id"] is None
    assert loaders.loads == ["id"]


def test_absent_is_not_null() -> None:
    row = _row(_Counting(), b"1", None, UNCHANGED, NOT_SENT)
    assert row["b"] is None
    assert row["c"] is UNCHANGED
    assert row["d"] is NOT_SENT
    assert row.missing == ("c", "d")
    assert not row.is_complete
    assert _row(_Counting(), b"1", None).is_complete
    assert _row(_Counting(), b"1", None).missing == ()


def test_mapping() -> None:
    row = _row(_Counting(), b"1", b"2", b"3")
    assert list(row) == list(row.keys()) == ["id", "b", "c"]
    assert len(row) == 3
    assert "c" in row
    assert "d" not in row
    assert not row.__contains__(0)
    assert row.get("d", 5) == 5
    with pytest.raises(KeyError):
        row["d"]
    with pytest.raises(TypeError):
        row["id"] = 1  # type: ignore[index]
    assert row.raw == (b"1", b"2", b"3")
    assert [column.name for column in row.relation.columns] == ["id", "b", "c"]


def test_equality_is_that_of_names_and_values() -> None:
    loaders = _Counting()
    assert _row(loaders, b"1", None) == _row(loaders, b"1", None) == {"id": "1", "b": None}
    assert _row(loaders, b"1", UNCHANGED) != _row(loaders, b"1", None)


def test_repr_shows_no_value() -> None:
    row = _row(_Counting(), b"1", b"secret", UNCHANGED, NOT_SENT)
    assert repr(row) == "<Row of s.t: id, b, c=UNCHANGED, d=NOT_SENT>"
    row["b"]
    assert "secret" not in repr(row)


def test_key_image() -> None:
    relation = _row(_Counting(), b"", b"", b"", identity="b").relation
    # The server sends NULL for the columns outside of the key.
    assert key_image(relation, [None, b"k", None]) == [NOT_SENT, b"k", NOT_SENT]


class TestAlteredRow:
    def test_a_row_is_its_own_base(self) -> None:
        row = _row(_Counting(), b"1", b"2")
        assert row.base is row

    def test_it_remembers_the_row_that_the_server_sent(self) -> None:
        sent = _row(_Counting(), b"1", b"secret", UNCHANGED)
        narrow = _row(_Counting(), b"1", b"***").relation
        once = AlteredRow(narrow, [b"1", b"***"], sent)
        assert once.base is sent
        # The base of an altered row that is altered again is the same.
        twice = AlteredRow(once.relation, [b"0", b"***"], once)
        assert twice.base is sent
        assert dict(twice) == {"id": "0", "b": "***"}
        assert dict(once) == {"id": "1", "b": "***"}
        assert sent.raw == (b"1", b"secret", UNCHANGED)

    def test_it_is_a_row_like_any_other(self) -> None:
        sent = _row(_Counting(), b"1", b"secret")
        row = AlteredRow(sent.relation, [b"1", NOT_SENT], sent)
        assert row == _row(_Counting(), b"1", NOT_SENT)
        assert row.missing == ("b",)
        assert not row.is_complete
        assert row.relation is sent.relation
        assert repr(row) == "<Row of s.t: id, b=NOT_SENT>"

    def test_values_are_decoded_for_itself(self) -> None:
        loaders = _Counting()
        sent = _row(loaders, b"1", b"secret")
        row = AlteredRow(sent.relation, [b"1", b"***"], sent)
        assert (sent["b"], row["b"], row["b"]) == ("secret", "***", "***")
        assert loaders.loads == ["b", "b"]
