from __future__ import annotations

from pglogical_cdc.events import Insert, Position, Row, Transaction
from pglogical_cdc.formatters.base import ControlRecord, Record, place_of
from pglogical_cdc.lsn import LSN
from tests.formatters.tables import column, relation

POSITION = Position(LSN(16), 1)


def test_the_repr_of_a_record_shows_no_key_and_no_value() -> None:
    record = Record("topic", b"secret key", b"secret value", [("h", b"secret")], POSITION)
    assert repr(record) == "<Record for topic at 0/10:1: 12 bytes>"


def test_the_repr_of_a_tombstone_says_so() -> None:
    assert repr(Record("topic", b"secret", None)) == "<Record for topic at None: tombstone>"


def test_a_position_may_be_given_as_the_pair_that_it_is() -> None:
    whole, bare = (Record("t", None, b"", (), each) for each in (POSITION, (LSN(16), 1)))
    assert whole == bare
    for each in (whole, bare):
        assert each.position == POSITION
        assert type(each.position) is Position
    assert Record("t", None, b"").position is None
    assert Record("t", None, b"") != whole
    assert ControlRecord("t", None, b"", (), (LSN(16), 1)).position == POSITION


def test_a_record_is_matched_by_position() -> None:
    match Record("t", b"k", None, (), (LSN(16), 1)):
        case Record(topic, key, value, headers, position):
            assert (topic, key, value, headers) == ("t", b"k", None, ())
            assert type(position) is Position


def test_the_place_of_a_change() -> None:
    table = relation(column("id", "int4"))
    for transaction in (None, Transaction(xid=7, commit_lsn=LSN(16), commit_timestamp=5)):
        change = Insert(
            wal_start=9,
            transaction=transaction,
            ordinal=1,
            relation=table,
            after=Row(table, [b"1"]),
        )
        assert Position(*place_of(change)) == change.position
