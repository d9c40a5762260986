"""Snapshots: the rows that are there, read so that the stream goes on exactly where they end."""

from pglogical_cdc.snapshot.initial import InitialSnapshot
from pglogical_cdc.snapshot.marks import Make, Marks
from pglogical_cdc.snapshot.opening import (
    OpenedTable,
    begin_under,
    open_table,
    shape_now,
    was_altered,
)
from pglogical_cdc.snapshot.selection import SelectedTable, select_tables
from pglogical_cdc.snapshot.stats import SnapshotStats

__all__ = (
    "InitialSnapshot",
    "Make",
    "Marks",
    "OpenedTable",
    "SelectedTable",
    "SnapshotStats",
    "begin_under",
    "open_table",
    "select_tables",
    "shape_now",
    "was_altered",
)
