"""TID ranges: chunks of a table's blocks, which several workers read at once.

A range is one of row addresses (``ctid``), for which PostgreSQL 14 and later read just the blocks
in it (``TidRangeScan``); on a partitioned table it holds for each of its partitions. Rows stay
where they are as long as the table is locked against being written anew.
"""

from __future__ import annotations

import itertools
import json
from typing import Final

from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.postgres import Conversation
from pglogical_cdc.snapshot.selection import SelectedTable

__all__ = ("ALL", "Extent", "TidRange", "measure", "split")


@record
class Extent:
    """How much there is of a table."""

    blocks: int
    """Of the table, or of the biggest of its partitions; TOAST tables do not count."""
    bytes: int
    """Of all of them, with their TOAST tables."""
    is_heap: bool
    """Whether rows of all of them have addresses by block."""


@record
class TidRange:
    """The rows of some blocks."""

    start: int | None
    """Number of the first block; None for the beginning."""
    stop: int | None
    """Number of the block behind the last one; None for the end, wherever that is."""

    @property
    def is_all(self) -> bool:
        """Whether it is the whole table."""
        return self.start is None and self.stop is None

    @property
    def condition(self) -> sql.Composed:
        """The expression in SQL, which is true for these rows."""
        bounds = ((">=", self.start), ("<", self.stop))
        return sql.SQL(" AND ").join(
            sql.SQL("ctid OPERATOR(pg_catalog.{}) {}::pg_catalog.tid").format(
                sql.SQL(operator), sql.Literal(f"({block},0)")
            )
            for operator, block in bounds
            if block is not None
        )


ALL: Final = TidRange(None, None)
"""All rows."""

# Only leaves have blocks. A leaf may also be a foreign table, or of another access method.
_EXTENT: Final = """\
WITH RECURSIVE tree(oid) AS (
  SELECT {oid}::pg_catalog.oid
  UNION ALL
  SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
  WHERE {is_partitioned}
)
SELECT pg_catalog.json_build_array(
  coalesce(pg_catalog.max(pg_catalog.pg_relation_size(c.oid)), 0)
    / pg_catalog.current_setting('block_size')::pg_catalog.int8,
  coalesce(pg_catalog.sum(pg_catalog.pg_table_size(c.oid)), 0),
  coalesce(pg_catalog.bool_and(m.amname = 'heap'), true)
)::pg_catalog.text
FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid
LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE c.relkind <> 'p'"""


def measure(table: SelectedTable) -> Conversation[Extent]:
    """Return how much there is of a table, which is locked."""
    ((text,),) = yield sql.SQL(_EXTENT).format(
        oid=sql.Literal(table.oid), is_partitioned=sql.Literal(table.is_partitioned)
    )
    blocks, size, is_heap = json.loads(text)
    return Extent(blocks, int(size), bool(is_heap))


def split(extent: Extent, chunk_bytes: int) -> list[TidRange]:
    """Split a table into ranges of blocks, none of them empty by the table's size.

    Args:
        extent: how much there is of the table.
        chunk_bytes: so much of it, on the average, makes a range.
    """
    if not extent.is_heap or extent.bytes <= chunk_bytes or extent.blocks < 2:
        return [ALL]
    # What a block stands for: in all partitions, and with what of its rows is in TOAST tables.
    blocks = max(1, chunk_bytes * extent.blocks // extent.bytes)
    starts = range(blocks, extent.blocks, blocks)
    bounds = [None, *starts, None]
    return [TidRange(*pair) for pair in itertools.pairwise(bounds)]
