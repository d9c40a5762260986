"""Tests of `pglogical_cdc.protocol.fixed_size`: what the plain parser reads, and no other data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.protocol import (
    BeginMessage,
    CommitMessage,
    PgoutputParser,
    PrimaryKeepalive,
    XLogData,
    fixed_size,
    parse_walsender_message,
)
from tests import wire

__all__ = ()

_UINT32 = st.integers(0, 2**32 - 1)
_UINT64 = st.integers(0, 2**64 - 1)
_INT64 = st.integers(-(2**63), 2**63 - 1)


def _plain(data: bytes) -> tuple[XLogData, object]:
    envelope = parse_walsender_message(data)
    assert isinstance(envelope, XLogData)
    return envelope, PgoutputParser().parse(envelope.payload)


@given(st.binary(min_size=fixed_size.KEEPALIVE_SIZE - 1, max_size=fixed_size.KEEPALIVE_SIZE - 1))
def test_keepalive(rest: bytes) -> None:
    data = b"k" + rest
    assert data[0] == fixed_size.KEEPALIVE
    end_lsn, send_time, reply_requested = fixed_size.keepalive_fields(data)
    plain = parse_walsender_message(data)
    assert plain == PrimaryKeepalive(end_lsn, send_time, bool(reply_requested))


@given(_UINT64, _UINT64, _INT64, _UINT64, _INT64, _UINT32)
def test_begin(start: int, end: int, sent: int, final_lsn: int, time: int, xid: int) -> None:
    data = wire.xlog_data(wire.begin(final_lsn, time, xid), start, end, sent)
    assert len(data) == fixed_size.BEGIN_SIZE
    assert (data[0], data[fixed_size.PAYLOAD]) == (fixed_size.XLOG_DATA, fixed_size.BEGIN)
    envelope, message = _plain(data)
    fields = fixed_size.begin_fields(data)
    assert fields[:3] == (envelope.start_lsn, envelope.end_lsn, envelope.send_time)
    assert BeginMessage(*fields[3:]) == message


@given(_UINT64, _UINT64, _INT64, st.integers(0, 255), _UINT64, _UINT64, _INT64)
def test_commit(
    start: int, end: int, sent: int, flags: int, commit_lsn: int, end_lsn: int, time: int
) -> None:
    data = wire.xlog_data(wire.commit(commit_lsn, end_lsn, time, flags=flags), start, end, sent)
    assert len(data) == fixed_size.COMMIT_SIZE
    assert (data[0], data[fixed_size.PAYLOAD]) == (fixed_size.XLOG_DATA, fixed_size.COMMIT)
    envelope, message = _plain(data)
    fields = fixed_size.commit_fields(data)
    assert fields[:3] == (envelope.start_lsn, envelope.end_lsn, envelope.send_time)
    assert CommitMessage(flags, *fields[3:]) == message
