"""SnapshotRun: rows of a snapshot of which there are records."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.events.change import SnapshotRead

__all__ = ("SnapshotRun",)


@record(eq=False, repr=False, kw_only=True)
class SnapshotRun(SnapshotRead):
    """Rows of a table that follow each other, and the records of them.

    Only a pipeline that has asked for it gets one. It has place and number of the last of its rows,
    so that to acknowledge it is to acknowledge them all; `after` has no values.
    """

    rows: int = 0
    """How many rows it stands for."""
    records: Sequence[object] = field(default=(), repr=False)
    """What the formatter has made of them."""
