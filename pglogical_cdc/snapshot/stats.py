"""SnapshotStats: how far a snapshot has got."""

from __future__ import annotations

from pglogical_cdc._attrs import record

__all__ = ("SnapshotStats", "TableProgress")


@record
class TableProgress:
    """How far the reading of one table has got."""

    table: str
    """``schema.table``."""
    rows: int = 0
    """Rows that were read."""
    bytes: int = 0
    """Bytes of rows, as the server sent them."""
    estimated_rows: int | None = None
    """Rows that it has, about: the server's estimate (``pg_class.reltuples``), which knows nothing
    of a row filter. None if it has none, because the table was never vacuumed or analyzed."""
    bytes_on_disk: int = 0
    """The table's size on the server (``pg_table_size``: with TOAST and with dead rows, without
    indexes). `bytes` may become less or more: values are compressed there, and sent as text."""
    seconds: float | None = None
    """Seconds from its first to its last moment, or until now; None before its turn."""
    is_read: bool = False
    """Whether it was read to its end."""

    @property
    def is_being_read(self) -> bool:
        """Whether its turn has come, and its end has not."""
        return self.seconds is not None and not self.is_read


@record
class SnapshotStats:
    """How far a snapshot has got."""

    tables: int
    """Tables that it reads."""
    tables_read: int
    """Those of them that were read to their end."""
    table: str | None
    """``schema.table`` that is being read, or comes next; None after the last."""
    rows: int
    """Rows that were read."""
    bytes: int
    """Bytes of rows, as the server sent them."""
    estimated_rows: int | None
    """Rows that it will have read, about: what was read of the tables that are done, and the
    server's estimates of the others, see `TableProgress`. None if there is none of one of them."""
    bytes_on_disk: int
    """The size of all its tables on the server, see `TableProgress`."""
    seconds: float
    """Seconds since it began."""
    rows_per_second: float
    """Rows that are read in a second at present, measured over ten seconds, or over the last ten
    times that rows were taken if these are further apart: it is the rate of whoever is slower, the
    server or the application. When all is read, that of the whole."""
    each: tuple[TableProgress, ...] = ()
    """The tables, in the order of reading."""

    @property
    def seconds_left(self) -> float | None:
        """Seconds that it will take, at the present rate; None if nothing says it."""
        if self.estimated_rows is None:
            return None
        left = max(0, self.estimated_rows - self.rows)
        if not left:
            return 0.0
        return left / self.rows_per_second if self.rows_per_second else None
