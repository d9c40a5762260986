"""Tests of `pglogical_cdc.events.transaction`."""

from __future__ import annotations

from datetime import datetime, timezone

from pglogical_cdc.events.transaction import POSTGRES_EPOCH_US, Transaction
from pglogical_cdc.lsn import LSN


def test_commit_time_keeps_every_microsecond() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=timezone.utc)
    micros = 1_767_323_045_999_999
    assert Transaction(700, LSN(1), micros).commit_time == moment
    early = Transaction(700, LSN(1), -1).commit_time
    assert early == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)


def test_epoch_of_the_wire() -> None:
    epoch = Transaction(700, LSN(1), POSTGRES_EPOCH_US).commit_time
    assert epoch == datetime(2000, 1, 1, tzinfo=timezone.utc)


def test_what_the_stream_has_not_told() -> None:
    transaction = Transaction(xid=4294967295, commit_lsn=LSN(1), commit_timestamp=0)
    assert transaction.begin_lsn is None
    assert transaction.end_lsn is None
    assert transaction.previous_end_lsn is None
    assert (transaction.origin, transaction.origin_lsn, transaction.gid) == (None, None, None)


def test_a_transaction_is_itself_only() -> None:
    one, other = (Transaction(700, LSN(1), 0) for _ in "12")
    assert one != other
    assert len({one, other}) == 2
