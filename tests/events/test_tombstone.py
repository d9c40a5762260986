"""Tests of `pglogical_cdc.events.tombstone`."""

from __future__ import annotations

from pglogical_cdc.events.tombstone import Tombstone


def test_the_repr_shows_names_and_no_value() -> None:
    assert repr(Tombstone({"id": "secret", "part": 7})) == "<Tombstone: id, part>"
    assert repr(Tombstone({})) == "<Tombstone: >"
    assert repr(Tombstone(None)) == "<Tombstone: no key>"


def test_a_tombstone_is_itself_only() -> None:
    one, other = (Tombstone({"id": 1}) for _ in "12")
    assert one != other
    assert one.key == other.key == {"id": 1}
