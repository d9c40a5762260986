"""ReaderStats: where a reader stands."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field
from typing_extensions import Self

from pglogical_cdc._attrs import record
from pglogical_cdc.lsn import LSN
from pglogical_cdc.replication.source import Source

if TYPE_CHECKING:
    from pglogical_cdc.snapshot import SnapshotStats

__all__ = ("ReaderStats",)


@record
class ReaderStats:
    """Where a reader stands. Positions are LSNs, their differences bytes of WAL."""

    changes: int = 0
    """Changes delivered."""
    rows: Mapping[str, int] = field(factory=dict)
    """Changes delivered by operation: ``insert``, ``update``, ``delete``, ``truncate``, ..."""
    transactions: int = 0
    """Transactions read to their end."""
    received_lsn: LSN = LSN(0)
    """How far the stream has been read."""
    acknowledged_lsn: LSN = LSN(0)
    """What the slot is, or soon will be, confirmed to."""
    server_lsn: LSN = LSN(0)
    """The furthest position that the server has named."""
    lag_seconds: float | None = None
    """Seconds from the commit to the server's sending it, of the last change, by the clock of the
    server; None before the first."""
    source_latency: float | None = None
    """Seconds from the commit to its arrival here, of the last change, by the clocks of server and
    client; None before the first. What Debezium calls ``MilliSecondsBehindSource``, DMS
    ``CDCLatencySource``."""
    target_latency: float = 0.0
    """Seconds since the commit of the oldest transaction that is not acknowledged, by the clocks of
    server and client: it is less than 0 where they differ so. 0 if there is none. DMS's
    ``CDCLatencyTarget``."""
    reconnects: int = 0
    """Times that a lost connection was made anew."""
    snapshot: SnapshotStats | None = None
    """How far the snapshot before the stream, a resumable one, or the last of a table has got, or
    had; None if there was none."""

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return where the reader of a source stands now."""
        session = source.session
        if session is None:
            return cls()
        if source.owner.is_mine:
            source.hand.settle()
        progress, delivered = session.progress, source.delivered
        oldest = session.oldest_unacknowledged
        return cls(
            changes=sum(delivered.rows.values()),
            rows=dict(delivered.rows),
            transactions=session.transactions,
            received_lsn=LSN(progress.received),
            acknowledged_lsn=LSN(progress.flushed),
            server_lsn=max(session.server_lsn, LSN(progress.received)),
            lag_seconds=None if delivered.lag is None else delivered.lag / 1e6,
            source_latency=None if delivered.latency is None else delivered.latency / 1e6,
            target_latency=0.0 if oldest is None else time.time() - oldest / 1e6,
            reconnects=source.reconnects,
            snapshot=source.snapshots.stats,
        )

    @property
    def lag_bytes(self) -> int:
        """WAL between what is acknowledged and what the server has named."""
        return max(0, self.server_lsn - self.acknowledged_lsn)
