from __future__ import annotations

from pglogical_cdc.events import Position
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.lsn import LSN


def test_the_repr_of_a_record_shows_no_key_and_no_value() -> None:
    position = Position(LSN(16), 1)
    record = Record("topic", b"secret key", b"secret value", [("h", b"secret")], position)
    assert repr(record) == "<Record for topic at 0/10:1: 12 bytes>"


def test_the_repr_of_a_tombstone_says_so() -> None:
    assert repr(Record("topic", b"secret", None)) == "<Record for topic at None: tombstone>"
