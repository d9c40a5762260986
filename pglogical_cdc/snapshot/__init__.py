"""Snapshots: the rows that are there, read so that the stream goes on exactly where they end."""

from pglogical_cdc.snapshot.initial import InitialSnapshot
from pglogical_cdc.snapshot.marks import Make, Marks
from pglogical_cdc.snapshot.opening import (
    OpenedTable,
    begin_under,
    check_unaltered,
    definition,
    open_table,
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
    "check_unaltered",
    "definition",
    "open_table",
    "select_tables",
)
