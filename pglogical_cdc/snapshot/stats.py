"""SnapshotStats: how far a snapshot has got."""

from __future__ import annotations

from pglogical_cdc._attrs import record

__all__ = ("SnapshotStats",)


@record
class SnapshotStats:
    """How far a snapshot has got."""

    tables: int
    """Tables that it reads."""
    tables_read: int
    """Those of them that were read to their end."""
    table: str | None
    """``schema.table`` that is being read."""
    rows: int
    """Rows that were read."""
    bytes: int
    """Bytes of rows, as the server sent them."""
    estimated_rows: int | None
    """Rows that it will read, about: the server's estimates (``pg_class.reltuples``) for the tables
    that were not read yet. Of row filters they know nothing. None if there is no estimate of one.
    """
    seconds: float
    """Seconds since it began."""

    @property
    def rows_per_second(self) -> float:
        """Rows read in a second, on the average."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds that it will take, at that rate; None without an estimate."""
        if self.estimated_rows is None or not self.rows:
            return None
        return max(0, self.estimated_rows - self.rows) / self.rows_per_second
