"""SnapshotProgress: counts what was read of each table, and tells the log of it."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from attrs import evolve

from pglogical_cdc.snapshot.selection import SelectedTable
from pglogical_cdc.snapshot.stats import SnapshotStats, TableProgress

__all__ = ("SnapshotProgress",)

_log = logging.getLogger("pglogical_cdc.snapshot")

_INTERVAL: Final = 10.0
"""Seconds after which the log is told how far it is."""

_MOMENTS: Final = 10
_MOMENT: Final = 1.0
"""The rate is measured over so many moments, of so many seconds at least."""


class _Reading:
    """A table that is being read."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.rows = 0
        self.bytes = 0


class SnapshotProgress:
    """What was read of each of some tables, one after the other or several at a time.

    Another thread may ask for `stats` meanwhile.

    Args:
        name: what the log calls it.
        tables: the tables, in the order of reading.
        clock: seconds, growing.
    """

    def __init__(
        self,
        name: str,
        tables: Sequence[SelectedTable],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._clock = clock
        self._each = [
            TableProgress(
                str(table), estimated_rows=table.estimated_rows, bytes_on_disk=table.bytes
            )
            for table in tables
        ]
        self._index = {table.oid: index for index, table in enumerate(tables)}
        self._reading: dict[int, _Reading] = {}
        """By their index; replaced as a whole, for other threads."""
        self._tables_read = 0
        self._rows = self._bytes = 0
        self._expected = sum(table.estimated_rows or 0 for table in tables)
        """Rows of the tables that are done, and estimates of the others."""
        self._unknown = sum(table.estimated_rows is None for table in tables)
        """Tables that are not done and have no estimate."""
        self._bytes_on_disk = sum(table.bytes for table in tables)
        self._began = self._told = clock()
        self._final: SnapshotStats | None = None
        self._moments = deque([(self._began, 0)], _MOMENTS)
        """When rows were taken, and how many there were by then."""

        about = "an unknown number of" if self._unknown else f"about {self._expected:,}"
        _log.info("%s begins: %d tables, %s rows", name, len(tables), about)

    def begin(self, table: SelectedTable) -> None:
        """Note that a table's turn has come."""
        self._reading = {**self._reading, self._index[table.oid]: _Reading(self._clock())}

    def add(self, table: SelectedTable, rows: int, size: int) -> None:
        """Note rows that were read of a table, and their size in bytes."""
        reading = self._reading[self._index[table.oid]]
        reading.rows += rows
        reading.bytes += size
        self._rows += rows
        self._bytes += size
        now = self._clock()
        if now - self._moments[-1][0] >= _MOMENT:
            self._moments.append((now, self._rows))
        self.tell(now)

    def end(self, table: SelectedTable) -> None:
        """Note that a table was read to its end."""
        index = self._index[table.oid]
        done = self._each[index] = evolve(self._now(index, self._reading), is_read=True)
        self._reading = {key: each for key, each in self._reading.items() if key != index}
        self._tables_read += 1
        self._expected += done.rows - (done.estimated_rows or 0)
        self._unknown -= done.estimated_rows is None
        seconds = done.seconds or 0.0
        _log.info(
            "%s: table %s is read (%d of %d): %s",
            self._name,
            table,
            self._tables_read,
            len(self._each),
            _rows_in(done.rows, seconds),
        )

    @property
    def is_over(self) -> bool:
        """Whether all tables were read."""
        return self._tables_read == len(self._each)

    def end_all(self) -> None:
        """Note that all tables were read."""
        self._moments = deque([(self._began, 0)])
        self._final = stats = self.stats
        _log.info("%s is read: %s", self._name, _rows_in(stats.rows, stats.seconds))

    def tell(self, now: float | None = None) -> None:
        """Tell the log how far it is, if it was not told lately."""
        now = self._clock() if now is None else now
        if now - self._told < _INTERVAL:
            return
        self._told = now
        stats = self.stats
        _log.info(
            "%s: %s%s rows, %s rows/s, table %s (%d of %d)%s",
            self._name,
            f"{stats.rows:,}",
            "" if stats.estimated_rows is None else f" of about {stats.estimated_rows:,}",
            f"{stats.rows_per_second:,.0f}",
            stats.table,
            stats.tables_read + 1,
            stats.tables,
            "" if stats.seconds_left is None else f", {_duration(stats.seconds_left)} left",
        )

    @property
    def stats(self) -> SnapshotStats:
        """How far it is."""
        if self._final is not None:
            return self._final
        reading = self._reading
        each = self._each.copy()
        beyond = 0
        for index in reading:
            each[index] = self._now(index, reading)
            beyond += max(0, each[index].rows - (each[index].estimated_rows or 0))
        now = self._clock()
        then, rows = self._moments[0]
        return SnapshotStats(
            tables=len(each),
            tables_read=self._tables_read,
            table=next((table.table for table in each if not table.is_read), None),
            rows=self._rows,
            bytes=self._bytes,
            estimated_rows=None if self._unknown else self._expected + beyond,
            bytes_on_disk=self._bytes_on_disk,
            seconds=now - self._began,
            rows_per_second=(self._rows - rows) / (now - then) if now > then else 0.0,
            each=tuple(each),
        )

    def _now(self, index: int, reading: dict[int, _Reading]) -> TableProgress:
        table = reading[index]
        return evolve(
            self._each[index],
            rows=table.rows,
            bytes=table.bytes,
            seconds=self._clock() - table.began,
        )


def _rows_in(rows: int, seconds: float) -> str:
    rate = f", {rows / seconds:,.0f} rows/s" if seconds > 0 else ""
    return f"{rows:,} rows in {seconds:.1f} s{rate}"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
