"""Tests of `pglogical_cdc.replication.session`."""

from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import MessageTooLargeError, ProtocolError
from pglogical_cdc.events import Change, Insert, LogicalMessage, PlainLoaders, SchemaChange
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import StandbyStatusUpdate
from pglogical_cdc.replication.session import Session
from tests import wire

_OID = 16384
_ONE = [(1, "id", 23, -1)]
_TWO = [*_ONE, (0, "v", 25, -1)]


def _session(until: int | None = None, **options: Any) -> Session:
    given: dict[str, Any] = {"confirmed_flush": LSN(0x100), "max_message_bytes": 1000, **options}
    session = Session(database="shop", loaders=PlainLoaders(), **given)
    session.until = None if until is None else LSN(until)
    return session


def _take(session: Session, payload: bytes, lsn: int = 0, sent: int = 0) -> list[Change]:
    taken = list(session.take(wire.xlog_data(payload, lsn, lsn, sent)))
    if session.undescribed is not None:
        assert taken == []
        taken = list(session.describe(None))
    for change in taken:
        session.deliver(change)
    return taken


def _has_ended(session: Session) -> bool:
    return session.ended


def _keepalive(session: Session, lsn: int, *, reply_requested: bool = False) -> None:
    data = wire.primary_keepalive(lsn, reply_requested=reply_requested)
    assert session.take(data) == ()


def _transaction(session: Session, commit_lsn: int, rows: int = 1) -> list[Change]:
    """Take a transaction until the session has ended."""
    parts = [wire.begin(commit_lsn), wire.relation(_OID, "public", "t", _ONE)]
    parts += [wire.insert(_OID, [str(row)]) for row in range(rows)]
    taken: list[Change] = []
    for payload in [*parts, wire.commit(commit_lsn, commit_lsn + 8)]:
        if not session.ended:
            taken += _take(session, payload, commit_lsn - 8)
    return taken


def test_changes_have_the_positions_of_their_transaction() -> None:
    session = _session()
    taken = _transaction(session, 0x200, 2)
    assert [str(change.position) for change in taken] == ["0/200:1", "0/200:2"]
    assert [change.lsn for change in taken] == [0x1F8, 0x1F8]
    assert all(
        isinstance(change, Insert) and change.relation.database == "shop" for change in taken
    )
    assert session.transactions == 1
    assert session.commit_lsn is None


def test_open_transaction_has_a_commit_lsn() -> None:
    session = _session()
    _take(session, wire.begin(0x200))
    assert session.commit_lsn == 0x200


@pytest.mark.parametrize("until", [0x201, 0x208])
def test_end_is_the_commit_that_reaches_it(until: int) -> None:
    session = _session(until)
    assert len(_transaction(session, 0x200)) == 1
    assert _has_ended(session)


def test_end_is_a_begin_at_or_past_it_and_nothing_of_that_is_delivered() -> None:
    session = _session(0x300)
    assert len(_transaction(session, 0x200)) == 1
    assert not _has_ended(session)
    assert _transaction(session, 0x300) == []
    assert _has_ended(session)
    session.acknowledge(_transaction(_session(), 0x200)[0])
    assert session.progress.flushed == 0x208


def test_end_is_a_keepalive_at_or_past_it() -> None:
    session = _session(0x300)
    _keepalive(session, 0x2FF)
    assert not _has_ended(session)
    _keepalive(session, 0x300)
    assert _has_ended(session)


def test_keepalive_inside_a_transaction_is_not_the_end() -> None:
    session = _session(0x300)
    _take(session, wire.begin(0x2F0))
    _keepalive(session, 0x300)
    assert not _has_ended(session)


@pytest.mark.parametrize(("lsn", "delivered"), [(0x300, 1), (0x301, 0)])
def test_message_outside_a_transaction_is_before_the_end_or_is_the_end(
    lsn: int, delivered: int
) -> None:
    session = _session(0x300)
    taken = _take(session, wire.logical_decoding_message("p", b"c", flags=0, lsn=lsn), lsn)
    assert len(taken) == delivered
    assert session.ended is (delivered == 0)


def test_keepalive_tells_where_the_server_stands() -> None:
    session = _session()
    assert session.keepalive_lsn == 0x100
    _keepalive(session, 0x400)
    assert (session.keepalive_lsn, session.progress.flushed) == (0x400, 0x400)
    assert not session.reply_requested
    _keepalive(session, 0x400, reply_requested=True)
    _keepalive(session, 0x400)
    assert session.reply_requested


def test_clock_is_the_servers() -> None:
    session = _session()
    _take(session, wire.begin(0x200), sent=1_000_000)
    assert session.server_time == 946_684_801_000_000


def test_acknowledged_transaction_is_flushed_at_its_commit() -> None:
    session = _session()
    first, last = _transaction(session, 0x200, 2)
    session.acknowledge(first)
    assert session.progress.flushed == 0x100
    session.acknowledge(last)
    assert session.progress.flushed == 0x208


def test_acknowledged_message_is_passed() -> None:
    session = _session()
    (change,) = _take(session, wire.logical_decoding_message("p", b"c", flags=0, lsn=0x200), 0x200)
    assert isinstance(change, LogicalMessage)
    _keepalive(session, 0x300)
    assert session.progress.flushed == 0x100
    session.acknowledge(change)
    assert session.progress.flushed == 0x300


def test_schema_change_does_not_take_the_row_behind_it_along() -> None:
    session = _session()
    (before,) = _transaction(session, 0x200)
    session.acknowledge(before)
    _take(session, wire.begin(0x300))
    (changed,) = _take(session, wire.relation(_OID, "public", "t", _TWO))
    assert isinstance(changed, SchemaChange)
    assert changed.added == ["v"]
    (row,) = _take(session, wire.insert(_OID, ["1", "x"]))
    assert changed.position == row.position
    _take(session, wire.commit(0x300, 0x308))
    session.acknowledge(changed)
    assert session.progress.flushed == 0x208
    session.acknowledge(row)
    assert session.progress.flushed == 0x308


def test_relation_waits_for_its_description() -> None:
    session = _session()
    _take(session, wire.begin(0x200))
    relation = wire.relation(_OID, "public", "t", _ONE)
    assert session.take(wire.xlog_data(relation)) == ()
    assert session.undescribed is not None
    assert session.undescribed.relation_id == _OID
    assert session.describe(None) == ()
    assert session.undescribed is None


def test_message_over_the_limit_is_refused_and_not_acknowledged() -> None:
    session = _session(max_message_bytes=100)
    _transaction(session, 0x200)
    _take(session, wire.begin(0x300))
    with pytest.raises(MessageTooLargeError, match="at most 100 bytes") as caught:
        _take(session, wire.insert(_OID, ["x" * 100]))
    assert "xxx" not in str(caught.value)
    assert session.progress.flushed == 0x100


def test_garbage_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        _session().take(b"?")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (wire.primary_keepalive(), True),
        (wire.xlog_data(wire.commit()), True),
        (wire.xlog_data(wire.begin()), False),
        (wire.xlog_data(wire.insert(_OID, ["1"])), False),
        (wire.xlog_data(b""), False),
    ],
)
def test_what_delivers_nothing_is_known_before_it_is_taken(data: bytes, expected: bool) -> None:
    assert Session.is_commit_or_keepalive(data) is expected


def test_status_update_reports_received_and_flushed() -> None:
    session = _session()
    _transaction(session, 0x200)
    update = session.status_update(946_684_800_000_007, reply_requested=True)
    assert update == StandbyStatusUpdate(0x208, 0x100, 0x100, 7, True).encode()
    assert update == wire.standby_status_update(0x208, 0x100, 0x100, 7, reply_requested=True)


# -- over reconnects


def _resumed(session: Session) -> Session:
    session.resume()
    return session


def _positions(changes: list[Change]) -> list[str]:
    return [str(change.position) for change in changes]


def test_cut_off_transaction_goes_on_where_it_was() -> None:
    session = _session()
    _transaction(session, 0x200)
    _take(session, wire.begin(0x300))
    _take(session, wire.relation(_OID, "public", "t", _ONE))
    first = [_take(session, wire.insert(_OID, [str(row)]))[0] for row in range(2)]
    assert session.read_end == 0x301
    session.resume()
    assert (session.commit_lsn, session.progress.delivered_end) == (None, 0x208)
    again = _transaction(session, 0x300, 4)
    assert _positions(again) == ["0/300:3", "0/300:4"]
    assert {id(change.transaction) for change in [*first, *again]} == {id(first[0].transaction)}
    assert first[0].transaction is not None
    assert first[0].transaction.end_lsn == 0x308
    assert (session.transactions, session.delivered_transactions) == (2, 2)
    assert session.read_end == 0x308
    # Between transactions nothing comes again, and nothing is left out.
    _resumed(_resumed(session))
    assert _positions(_transaction(session, 0x400, 2)) == ["0/400:1", "0/400:2"]


def test_acknowledging_goes_on_over_a_reconnect() -> None:
    session = _session()
    _take(session, wire.begin(0x300))
    _take(session, wire.relation(_OID, "public", "t", _ONE))
    (first,) = _take(session, wire.insert(_OID, ["0"]))
    session.acknowledge(first)
    _resumed(session)
    _keepalive(session, 0x300)
    assert session.progress.flushed == 0x300
    (second,) = _transaction(session, 0x300, 2)
    assert session.progress.flushed == 0x300
    session.acknowledge(second)
    assert session.progress.flushed == 0x308


def test_truncate_of_several_tables_goes_on_in_the_middle() -> None:
    session = _session()
    parts = [wire.begin(0x300)]
    parts += [wire.relation(oid, "public", f"t{oid}", _ONE) for oid in (1, 2, 3)]
    parts += [wire.truncate([1, 2, 3])]
    for payload in parts[:-1]:
        _take(session, payload)
    changes = list(session.take(wire.xlog_data(parts[-1], 0x2F8)))
    session.deliver(changes[0])
    _resumed(session)
    again: list[Change] = []
    for payload in [*parts, wire.commit(0x300, 0x308)]:
        again += _take(session, payload)
    assert [(str(change.position), change.table) for change in again] == [
        ("0/300:2", "t2"),
        ("0/300:3", "t3"),
    ]


def _altered(session: Session, commit_lsn: int, rows: int) -> list[Change]:
    """A transaction with a table of two columns."""
    parts = [wire.begin(commit_lsn), wire.relation(_OID, "public", "t", _TWO)]
    parts += [wire.insert(_OID, [str(row), "x"]) for row in range(rows)]
    taken: list[Change] = []
    for payload in [*parts, wire.commit(commit_lsn, commit_lsn + 8)]:
        taken += _take(session, payload, commit_lsn - 8)
    return taken


@pytest.mark.parametrize("delivered", [0, 1, 2, 3])
def test_schema_change_comes_once(delivered: int) -> None:
    session = _session()
    _transaction(session, 0x200)
    parts = [wire.begin(0x300), wire.relation(_OID, "public", "t", _TWO)]
    parts += [wire.insert(_OID, ["0", "x"]), wire.insert(_OID, ["1", "x"])]
    got: list[Change] = []
    for payload in parts[: 1 + delivered]:
        got += _take(session, payload)
    assert len(got) == delivered
    _resumed(session)
    got += _altered(session, 0x300, 2)
    assert [change.op for change in got] == ["schema", "insert", "insert"]
    _resumed(session)
    assert [change.op for change in _altered(session, 0x400, 1)] == ["insert"]


def test_schema_change_of_the_last_transaction_does_not_come_again_with_the_next() -> None:
    session = _session()
    _transaction(session, 0x200)
    assert [change.op for change in _altered(session, 0x300, 1)] == ["schema", "insert"]
    _resumed(session)
    # The new stream describes the table anew, in the shape that is known.
    assert [change.op for change in _altered(session, 0x400, 1)] == ["insert"]


def test_table_that_was_altered_during_the_outage_is_told() -> None:
    session = _session()
    _transaction(session, 0x200)
    _resumed(session)
    assert [change.op for change in _altered(session, 0x300, 1)] == ["schema", "insert"]


def test_schema_change_after_a_told_one_is_not_swallowed() -> None:
    session = _session()
    _transaction(session, 0x200)
    _take(session, wire.begin(0x300))
    assert len(_take(session, wire.relation(_OID, "public", "t", _TWO))) == 1
    _resumed(session)
    # While the transaction comes again, another one of before it alters the table otherwise.
    (change,) = _take_all(
        session, wire.begin(0x300), wire.relation(_OID, "public", "t", [*_TWO, (0, "w", 25, -1)])
    )
    assert isinstance(change, SchemaChange)


def _take_all(session: Session, *payloads: bytes) -> list[Change]:
    return [change for payload in payloads for change in _take(session, payload)]


def test_changes_in_hand_that_were_not_noted_count_as_delivered() -> None:
    session = _session()
    parts = [wire.begin(0x300), wire.relation(_OID, "public", "t", _ONE)]
    parts += [wire.insert(_OID, [str(row)]) for row in range(3)]
    _take_all(session, *parts[:3])
    # A signal came between the hand that took it and the session.
    (kept,) = session.take(wire.xlog_data(parts[3]))
    session.deliver_again([kept])
    session.deliver_again([kept])
    _resumed(session)
    again = _take_all(session, *parts, wire.commit(0x300, 0x308))
    assert _positions(again) == ["0/300:3"]


def test_messages_outside_of_transactions_do_not_come_again() -> None:
    session = _session()
    data = [wire.logical_decoding_message("p", b"c", flags=0, lsn=lsn) for lsn in (0x200, 0x210)]
    assert len(_take(session, data[0], 0x200)) == 1
    assert session.progress.delivered_end == session.read_end == 0x200
    _resumed(session)
    assert _take(session, data[0], 0x200) == []
    assert len(_take(session, data[1], 0x210)) == 1


def test_unfinished_description_is_given_up_with_its_connection() -> None:
    session = _session()
    _take(session, wire.begin(0x300))
    session.take(wire.xlog_data(wire.relation(_OID, "public", "t", _ONE)))
    assert session.undescribed is not None
    _resumed(session)
    undescribed: object = session.undescribed
    assert undescribed is None
    assert len(_transaction(session, 0x300)) == 1


def test_end_is_kept_over_a_reconnect_and_a_request_is_not() -> None:
    session = _session(0x300)
    _keepalive(session, 0x280, reply_requested=True)
    _resumed(session)
    assert not session.reply_requested
    assert (session.until, session.keepalive_lsn) == (0x300, 0)
    assert len(_transaction(session, 0x200)) == 1
    _keepalive(session, 0x300)
    assert _has_ended(session)


def test_start_over_takes_what_comes_whatever_was_delivered() -> None:
    session = _session()
    _transaction(session, 0x200, 2)
    _resumed(session)
    session.start_over(LSN(0x150))
    assert session.progress.flushed == session.progress.received == 0x150
    assert session.read_end == 0
    assert session.progress.is_acknowledged
    assert session.oldest_unacknowledged is None
    again = _transaction(session, 0x200, 2)
    assert _positions(again) == ["0/200:1", "0/200:2"]
    session.acknowledge(again[-1])
    assert session.progress.flushed == 0x208


# -- stores, relations, times


def test_only_what_is_stored_is_confirmed() -> None:
    session = _session()
    assert session.confirmed == 0x100
    session.stored = LSN(0)
    assert session.confirmed == 0
    session.stored = LSN(0x100)
    _keepalive(session, 0x400)
    assert (session.progress.flushed, session.confirmed) == (0x400, 0x100)
    update = session.status_update(0)
    assert update[:25] == wire.standby_status_update(0x400, 0x100, 0x100, 0)[:25]
    session.stored = LSN(0x500)
    assert session.confirmed == 0x400


def test_relations_that_were_given_up_are_named_once() -> None:
    session = _session()
    session.relation_limit = 2
    _take(session, wire.begin(0x200))
    for oid in (1, 2, 3, 4):
        _take(session, wire.relation(oid, "public", f"t{oid}", _ONE))
    assert session.relation_limit == 2
    assert list(session.evicted()) == [1, 2]
    assert list(session.evicted()) == []


def test_oldest_time_that_is_not_acknowledged() -> None:
    session = _session()
    epoch = 946_684_800_000_000
    _take(session, wire.begin(0x200, 5_000_000))
    before: object = session.oldest_unacknowledged
    assert before is None  # nothing of it was delivered
    _take(session, wire.relation(_OID, "public", "t", _ONE))
    (first,) = _take(session, wire.insert(_OID, ["1"]))
    assert session.oldest_unacknowledged == epoch + 5_000_000
    _take(session, wire.commit(0x200, 0x208, 5_000_000))
    (second,) = _take_all(session, wire.begin(0x300, 6_000_000), wire.insert(_OID, ["2"]))
    assert session.oldest_unacknowledged == epoch + 5_000_000
    session.acknowledge(first)
    assert session.oldest_unacknowledged == epoch + 6_000_000
    session.acknowledge(second)
    assert session.oldest_unacknowledged is None


def test_furthest_position_of_the_server() -> None:
    session = _session()
    assert session.server_lsn == 0x100
    _take(session, wire.begin(0x300), 0x2F0)
    assert session.server_lsn == 0x2F0
    _keepalive(session, 0x400)
    _resumed(session)
    _keepalive(session, 0x380)
    assert session.server_lsn == 0x400
