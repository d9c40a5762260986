"""Snapshots: the rows that are there, read so that the stream goes on exactly where they end."""

from pglogical_cdc.snapshot.choice import choose_tables
from pglogical_cdc.snapshot.chunk import Chunk
from pglogical_cdc.snapshot.chunk_reader import ChunkReader
from pglogical_cdc.snapshot.incremental import IncrementalSnapshot, IncrementalState
from pglogical_cdc.snapshot.initial import InitialSnapshot
from pglogical_cdc.snapshot.marks import Make, Marks
from pglogical_cdc.snapshot.opening import (
    OpenedTable,
    begin_under,
    check_unaltered,
    definition,
    open_table,
)
from pglogical_cdc.snapshot.parallel import ParallelSnapshot
from pglogical_cdc.snapshot.progress import SnapshotProgress
from pglogical_cdc.snapshot.remaining import (
    RemainingTable,
    parse_remaining,
    remaining_text,
)
from pglogical_cdc.snapshot.row_key import KeyColumn, RowKey, row_key
from pglogical_cdc.snapshot.selection import SelectedTable, select_tables
from pglogical_cdc.snapshot.stats import SnapshotStats, TableProgress
from pglogical_cdc.snapshot.tid_ranges import Extent, TidRange, measure, split
from pglogical_cdc.snapshot.window import Key, Window
from pglogical_cdc.snapshot.worker import RecordMaking

__all__ = (
    "Chunk",
    "ChunkReader",
    "Extent",
    "IncrementalSnapshot",
    "IncrementalState",
    "InitialSnapshot",
    "Key",
    "KeyColumn",
    "Make",
    "Marks",
    "OpenedTable",
    "ParallelSnapshot",
    "RecordMaking",
    "RemainingTable",
    "RowKey",
    "SelectedTable",
    "SnapshotProgress",
    "SnapshotStats",
    "TableProgress",
    "TidRange",
    "Window",
    "begin_under",
    "check_unaltered",
    "choose_tables",
    "definition",
    "measure",
    "open_table",
    "parse_remaining",
    "remaining_text",
    "row_key",
    "select_tables",
    "split",
)
