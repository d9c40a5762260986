"""Delivered: what a reader has handed out, and how late that was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pglogical_cdc.events import Change, SnapshotRun
from pglogical_cdc.replication.link import Link

__all__ = ("Delivered",)


class Delivered:
    """Notes the changes that are taken into the hand, for its figures and for whoever needs it.

    Args:
        link: has the stream and the snapshots that they come from.
    """

    def __init__(self, link: Link) -> None:
        self.rows: Counter[str] = Counter()
        """Changes delivered, by operation."""
        self.lag: int | None = None
        """Microseconds from the last change's commit to the server's sending it."""
        self.latency: int | None = None
        """Microseconds from the last change's commit to its arrival here."""
        self.received_at = 0
        """When something was received last, microseconds since 1970-01-01 UTC."""
        self._link = link
        self._snapshots = link.snapshots

    def note(self, changes: Sequence[Change]) -> None:
        """Note that changes were taken into the hand."""
        session, last = self._link.session, changes[-1]
        assert session is not None
        session.deliver(last)
        if len(changes) == 1:
            self.rows[last.op] += 1  # Counter.update costs as much as all the rest of it
        else:
            self.rows.update([change.op for change in changes])
        if last.transaction is not None:
            committed_at = last.transaction.commit_timestamp
            self.lag = session.server_time - committed_at
            self.latency = self.received_at - committed_at
            return
        snapshots = self._snapshots
        if snapshots.incremental is not None:
            snapshots.incremental.delivered(last)
        if snapshots.handoff is not None:
            runs = [change for change in changes if isinstance(change, SnapshotRun)]
            self.rows["read"] += sum(run.rows - 1 for run in runs)
