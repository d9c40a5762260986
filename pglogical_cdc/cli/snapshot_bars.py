"""The progress bars of a snapshot: a table's that is being read, the last that were, and of all."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from rich.filesize import decimal
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from pglogical_cdc.snapshot import SnapshotStats, TableProgress

__all__ = ("snapshot_bars", "snapshot_summary")

_MOST_READ: Final = 2
_MOST_BEING_READ: Final = 6
"""Tables that have a bar at a time: there may be thousands."""

_BAR_WIDTH: Final = 24
"""Characters."""


def snapshot_bars(stats: SnapshotStats) -> Table:
    """Return a line with a bar for the tables that are being read, and one for all."""
    read = [table for table in stats.each if table.is_read][-_MOST_READ:]
    being_read = [table for table in stats.each if table.is_being_read][:_MOST_BEING_READ]
    grid = Table.grid(
        Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        Column(width=_BAR_WIDTH),
        Column(no_wrap=True, justify="right", min_width=4),
        Column(no_wrap=True),
        Column(no_wrap=True, style="bold green"),
        padding=(0, 1),
        expand=True,
    )
    for table in read + being_read:
        _add(grid, table)
    left = stats.seconds_left
    grid.add_row(
        Text(f"{stats.tables_read:,} of {stats.tables:,} tables", "bold"),
        _bar(stats.rows, stats.estimated_rows),
        _percent(stats.rows, stats.estimated_rows),
        _rows(stats.rows, stats.estimated_rows),
        f"{stats.rows_per_second:,.0f}/s"
        + ("" if left is None else f", {timedelta(seconds=round(left))} left"),
    )
    return grid


def snapshot_summary(stats: SnapshotStats) -> str:
    """Return what was read, in a line."""
    return (
        f"{stats.tables_read:,} of {stats.tables:,} tables, {stats.rows:,} rows, "
        f"{decimal(stats.bytes)} in {stats.seconds:,.1f} s"
    )


def _add(grid: Table, table: TableProgress) -> None:
    estimate = table.rows if table.is_read else table.estimated_rows
    # A name may hold what a terminal takes for a command.
    name = "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in table.table
    )
    if table.is_read:
        bar, percent = ProgressBar(1, 1), "100%"
        rows = f"{table.rows:,} rows, {decimal(table.bytes)}"
    else:
        bar, percent = _bar(table.rows, estimate), _percent(table.rows, estimate)
        rows = _rows(table.rows, estimate)
    grid.add_row(Text(name), bar, percent, rows, f"{table.seconds or 0:,.1f} s")


def _bar(rows: int, estimate: int | None) -> ProgressBar:
    # Without an estimate, or with one of no rows at all, it moves and tells nothing.
    return ProgressBar(estimate or None, rows, pulse=not estimate)


def _percent(rows: int, estimate: int | None) -> str:
    # The end is where no row comes any more, wherever the estimate has it.
    return f"{min(99, rows * 100 // estimate)}%" if estimate else ""


def _rows(rows: int, estimate: int | None) -> str:
    return f"{rows:,} rows" if estimate is None else f"{rows:,} of ~{estimate:,} rows"
