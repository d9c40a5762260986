"""Transaction: what all changes of one transaction share."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

from attrs import define

from pglogical_cdc.lsn import LSN

__all__ = ("POSTGRES_EPOCH_US", "Transaction")

POSTGRES_EPOCH_US: Final = 946_684_800_000_000
"""Microseconds from 1970-01-01 to 2000-01-01 UTC, from which the wire counts its timestamps."""

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


@define(eq=False)
class Transaction:
    """One transaction of the source; all its changes hold the same object."""

    xid: int
    """Transaction ID (32 bits, unsigned)."""
    commit_lsn: LSN
    """LSN of the commit record: the first half of every position in the transaction."""
    commit_timestamp: int
    """Time of the commit in microseconds since 1970-01-01 UTC."""
    begin_lsn: LSN | None = None
    """Start of its Begin message in the WAL; from PostgreSQL 15 on that of its first change."""
    previous_end_lsn: LSN | None = None
    """`end_lsn` of the transaction before it in this stream; None for the first."""
    end_lsn: LSN | None = None
    """The position after the transaction; None until its Commit message has been read."""
    origin: str | None = None
    """Name of the replication origin, if the transaction was replayed from another server."""
    origin_lsn: LSN | None = None
    """LSN of the commit on the origin."""
    gid: str | None = None
    """Global identifier of a prepared transaction."""

    @property
    def commit_time(self) -> datetime:
        """Time of the commit, UTC."""
        return _UNIX_EPOCH + timedelta(microseconds=self.commit_timestamp)
