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
    taken = list(session.take(memoryview(wire.xlog_data(payload, lsn, lsn, sent))))
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
    assert session.take(memoryview(data)) == ()


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
    assert session.take(memoryview(wire.xlog_data(relation))) == ()
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
        _session().take(memoryview(b"?"))


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
    assert Session.is_commit_or_keepalive(memoryview(data)) is expected


def test_status_update_reports_received_and_flushed() -> None:
    session = _session()
    _transaction(session, 0x200)
    update = session.status_update(946_684_800_000_007, reply_requested=True)
    assert update == StandbyStatusUpdate(0x208, 0x100, 0x100, 7, True).encode()
    assert update == wire.standby_status_update(0x208, 0x100, 0x100, 7, reply_requested=True)
