"""Selection: which tables a snapshot reads, and what of them: what the publications publish.

As PostgreSQL's own initial synchronisation has it (manual, "Logical Replication", Row Filters and
Column Lists): a table that several publications have is read once, the rows that any of them lets
through, and what a publication says of operations does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc._utf16 import utf16_key
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.postgres import Conversation

__all__ = ("SelectedTable", "select_tables")


@record
class SelectedTable:
    """A table, and what of it is read."""

    oid: int
    schema: str
    name: str
    is_partitioned: bool
    """Whether it has its rows in partitions, and is published as their root."""
    columns: frozenset[str]
    """Names of the published columns."""
    row_filter: str | None
    """An SQL expression that is true for the published rows; None for all."""
    estimated_rows: int | None
    """By the last VACUUM or ANALYZE, of all partitions; None if there was none of one of them."""
    bytes: int
    """On the server's disk, of all partitions: with TOAST, without indexes."""

    @property
    def quoted(self) -> sql.Identifier:
        """The name, for a statement."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


# One JSON document for each: no loader that somebody registered can come in between.
# pg_partition_tree would lock the partitions for as long as the snapshot is held.
_TABLES: Final = """\
SELECT pg_catalog.json_build_array(
  c.oid::pg_catalog.int8, n.nspname, c.relname, c.relkind = 'p', {columns}, {filter},
  size.rows, size.bytes,
  ARRAY(SELECT a::pg_catalog.oid::pg_catalog.int8 FROM pg_catalog.pg_partition_ancestors(c.oid) a)
)::pg_catalog.text
FROM pg_catalog.pg_publication_tables p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
CROSS JOIN LATERAL (
  SELECT
    CASE WHEN pg_catalog.bool_and(leaf.rows IS NOT NULL)
      THEN pg_catalog.sum(leaf.rows)::pg_catalog.int8 END AS rows,
    pg_catalog.sum(pg_catalog.pg_table_size(leaf.oid))::pg_catalog.int8 AS bytes
  FROM (
    SELECT f.oid, CASE WHEN f.reltuples >= 0 THEN f.reltuples
      WHEN pg_catalog.pg_relation_size(f.oid) = 0 THEN 0 END AS rows
    FROM (
      WITH RECURSIVE tree(oid) AS (
        SELECT c.oid UNION ALL
        SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
        WHERE c.relkind = 'p'
      )
      SELECT oid FROM tree
    ) tree
    JOIN pg_catalog.pg_class f ON f.oid = tree.oid WHERE f.relkind <> 'p'
  ) leaf
) size
WHERE p.pubname IN ({names})"""

# Up to PostgreSQL 15 the view names generated columns too, and up to 17 none is ever published.
_COLUMNS: Final = """\
ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped{published})"""


def select_tables(publications: Sequence[str], version: int) -> Conversation[list[SelectedTable]]:
    """Return the tables that some publications publish, in the order in which they are read.

    Debezium's order: by the name with its schema, as Java compares text.

    Args:
        publications: their names.
        version: ``server_version_num``.

    Raises:
        ConfigurationError: two publications have other columns of the same table.
    """
    published = ""
    if version < 180000:
        published += " AND a.attgenerated = ''"
    if version >= 150000:
        published += " AND a.attname = ANY (p.attnames)"
    rows = yield sql.SQL(_TABLES).format(
        columns=sql.SQL(_COLUMNS).format(published=sql.SQL(published)),
        filter=sql.SQL("p.rowfilter" if version >= 150000 else "NULL::pg_catalog.text"),
        names=sql.SQL(", ").join(map(sql.Literal, publications)),
    )
    documents = [json.loads(text) for (text,) in rows]
    there = {oid for oid, *_ in documents}
    found: dict[int, SelectedTable] = {}
    for *values, ancestors in documents:
        # What one publication has as partitions and another as their root is streamed as the root.
        if there.isdisjoint(set(ancestors) - {values[0]}):
            table = _table(*values)
            other = found.get(table.oid)
            found[table.oid] = table if other is None else _joined(table, other)
    return sorted(found.values(), key=lambda table: utf16_key(str(table)))


def _table(
    oid: int,
    schema: str,
    name: str,
    is_partitioned: bool,
    columns: Sequence[str],
    row_filter: str | None,
    rows: int | None,
    size: int | None,
) -> SelectedTable:
    return SelectedTable(
        oid=oid,
        schema=schema,
        name=name,
        is_partitioned=is_partitioned,
        columns=frozenset(columns),
        row_filter=row_filter,
        estimated_rows=rows,
        bytes=size or 0,
    )


def _joined(one: SelectedTable, other: SelectedTable) -> SelectedTable:
    if one.columns != other.columns:
        raise ConfigurationError(
            f"the publications have different columns of table {one}; the server refuses to "
            "stream that: give the table the same column list in all of them"
        )
    both: Any = (one.row_filter, other.row_filter)
    row_filter = None if None in both else " OR ".join(f"({each})" for each in dict.fromkeys(both))
    return SelectedTable(
        oid=one.oid,
        schema=one.schema,
        name=one.name,
        is_partitioned=one.is_partitioned,
        columns=one.columns,
        row_filter=row_filter,
        estimated_rows=one.estimated_rows,
        bytes=one.bytes,
    )
