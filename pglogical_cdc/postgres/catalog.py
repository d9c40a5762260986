"""The catalog: what pgoutput does not carry of a table, read in one statement.

The statement needs no privilege on the tables, only the catalog that everybody may read, and is
plain SQL without parameters, so that a replication connection takes it too. Each row of its
result is one JSON document, a table or a type, so that one round trip is enough for any number of
tables, and no loader that somebody registered can come in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg
from attrs import evolve
from psycopg import sql

from pglogical_cdc.events.builtin_types import BUILTIN_TYPES
from pglogical_cdc.events.catalog import CatalogColumn, CatalogType, TableCatalog, UniqueIndex
from pglogical_cdc.postgres.conversation import Conversation, Rows

__all__ = ("one_table", "published_tables", "tables_from_rows")

# With publish_via_partition_root the view has the root, without it the leaves; a slot that reads
# several publications may get both.
_PUBLISHED: Final = sql.SQL("""\
SELECT c.oid
FROM pg_catalog.pg_publication_tables p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
WHERE p.pubname IN ({})
GROUP BY c.oid""")

_DEFAULT: Final = sql.SQL("pg_catalog.pg_get_expr(d.adbin, d.adrelid)")

_LOCK_TIMEOUT: Final = sql.SQL("SET lock_timeout = '500ms'")
_NO_LOCK_TIMEOUT: Final = sql.SQL("SET lock_timeout = 0")

_ONE: Final = sql.SQL("SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = {}::pg_catalog.oid")

# The key is what JDBC's getPrimaryKeys (and so Debezium) takes, a deferrable one included. A
# unique index identifies a row only if it holds at every moment, for every row, and without NULL
# (PostgreSQL manual, "ALTER TABLE", REPLICA IDENTITY USING INDEX). All others are there as well, in
# the order of JDBC's getIndexInfo, because Debezium takes the first for a key. PostgreSQL 18 sets
# attnotnull for a NOT NULL constraint that is NOT VALID too; older rows may still have NULL there.
#
# A type's parts: element of a true array ("pg_type", typelem), type below a domain, bounds of a
# range, range of a multirange, attributes of a composite.
_CATALOG: Final = sql.SQL("""\
WITH RECURSIVE wanted AS MATERIALIZED ({wanted}),
cols AS MATERIALIZED (
  SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated, a.attidentity,
    a.attnotnull AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
        AND k.conkey = ARRAY[a.attnum]
    ) AS not_null
  FROM wanted JOIN pg_catalog.pg_attribute a ON a.attrelid = wanted.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped
),
keys AS MATERIALIZED (
  SELECT i.indrelid, i.indisprimary, i.indisclustered, x.relname,
    pg_catalog.json_agg(c.attname ORDER BY k.place) FILTER (WHERE k.place <= i.indnkeyatts)
      AS names,
    pg_catalog.json_agg(c.attname ORDER BY k.place) FILTER (WHERE k.place > i.indnkeyatts)
      AS included,
    i.indisvalid AND i.indimmediate AND i.indpred IS NULL
      AND pg_catalog.bool_and(c.not_null) FILTER (WHERE k.place <= i.indnkeyatts) AS identifies
  FROM wanted
  JOIN pg_catalog.pg_index i ON i.indrelid = wanted.oid
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY k(attnum, place)
  LEFT JOIN cols c ON c.attrelid = i.indrelid AND c.attnum = k.attnum
  WHERE i.indisprimary OR i.indisunique AND i.indexprs IS NULL
  GROUP BY i.indexrelid, x.relname
),
types(oid) AS (
  SELECT atttypid FROM cols WHERE atttypid NOT IN ({builtin})
  UNION
  SELECT part.oid
  FROM types
  JOIN pg_catalog.pg_type t ON t.oid = types.oid
  CROSS JOIN LATERAL (
    SELECT e.oid FROM pg_catalog.pg_type e WHERE e.typarray = t.oid
    UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
    UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) part
  WHERE part.oid NOT IN ({builtin})
)
SELECT pg_catalog.json_build_object(
  'row', 'table',
  'database', pg_catalog.current_database(),
  'oid', c.oid::pg_catalog.int8,
  'schema', n.nspname,
  'table', c.relname,
  'columns', (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', cols.attname,
      'attnum', cols.attnum,
      'type_oid', cols.atttypid::pg_catalog.int8,
      'type_modifier', cols.atttypmod,
      'type_text', pg_catalog.format_type(cols.atttypid, cols.atttypmod),
      'not_null', cols.not_null OR t.typtype = 'd' AND t.typnotnull,
      'default', {default},
      'generated', cols.attgenerated,
      'identity', cols.attidentity
    ) ORDER BY cols.attnum)
    FROM cols
    JOIN pg_catalog.pg_type t ON t.oid = cols.atttypid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = cols.attrelid AND d.adnum = cols.attnum
    WHERE cols.attrelid = c.oid
  ),
  'primary_key', (SELECT k.names FROM keys k WHERE k.indrelid = c.oid AND k.indisprimary),
  'unique_indexes', (
    SELECT pg_catalog.json_agg(
      pg_catalog.json_build_array(k.relname, k.names, k.included, k.identifies)
      ORDER BY k.indisclustered DESC, k.relname
    )
    FROM keys k WHERE k.indrelid = c.oid AND NOT k.indisprimary
  )
)::pg_catalog.text
FROM wanted
JOIN pg_catalog.pg_class c ON c.oid = wanted.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
UNION ALL
SELECT pg_catalog.json_build_object(
  'row', 'type',
  'oid', t.oid::pg_catalog.int8,
  'schema', n.nspname,
  'name', t.typname,
  'kind', t.typtype,
  'delimiter', t.typdelim,
  'array_oid', t.typarray::pg_catalog.int8,
  'element_oid', coalesce(e.oid, 0)::pg_catalog.int8,
  'base_oid', t.typbasetype::pg_catalog.int8,
  'base_modifier', t.typtypmod,
  'subtype_oid', coalesce(
    (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid),
    (SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid),
    0
  )::pg_catalog.int8,
  'labels', (
    SELECT pg_catalog.json_agg(l.enumlabel ORDER BY l.enumsortorder)
    FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid
  ),
  'fields', (
    SELECT pg_catalog.json_agg(
      pg_catalog.json_build_array(a.attname, a.atttypid::pg_catalog.int8) ORDER BY a.attnum
    )
    FROM pg_catalog.pg_attribute a
    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  )
)::pg_catalog.text
FROM types
JOIN pg_catalog.pg_type t ON t.oid = types.oid
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid
""")


def published_tables(publications: Sequence[str]) -> Conversation[dict[int, TableCatalog]]:
    """Read all tables of some publications, by OID.

    None of them if somebody keeps a lock on one: each can be read by itself when it is needed.
    A partitioned table comes as the publication has it: as its root, its leaves or both.
    """
    if not publications:
        return {}
    names = sql.SQL(", ").join(map(sql.Literal, publications))
    rows = yield from _without_waiting(_statement(_PUBLISHED.format(names)))
    return {} if rows is None else tables_from_rows(rows)


def one_table(oid: int, known: TableCatalog | None = None) -> Conversation[TableCatalog | None]:
    """Read one table; None if it is gone.

    While somebody keeps a lock on it, its defaults cannot be read: they are those of `known`, what
    was read of the table before, for the columns that are still the same.
    """
    wanted = _ONE.format(sql.Literal(str(oid)))
    rows = yield from _without_waiting(_statement(wanted))
    if rows is not None:
        return tables_from_rows(rows).get(oid)
    rows = yield _statement(wanted, defaults=False)
    found = tables_from_rows(rows).get(oid)
    if found is None or known is None:
        return found
    before = {(column.attnum, column.type_oid): column.default for column in known.columns}
    columns = tuple(
        evolve(column, default=before.get((column.attnum, column.type_oid)))
        for column in found.columns
    )
    return evolve(found, columns=columns)


def _without_waiting(statement: sql.Composed) -> Conversation[Rows | None]:
    """Return the rows, or None if somebody keeps a lock on a table.

    ``pg_get_expr`` and (from 16 on) ``pg_publication_tables`` open the table, and would wait for
    the end of a transaction that alters, truncates or locks it.
    """
    yield _LOCK_TIMEOUT
    rows: Rows | None
    try:
        rows = yield statement
    except psycopg.errors.LockNotAvailable:
        rows = None
    yield _NO_LOCK_TIMEOUT
    return rows


def _statement(wanted: sql.Composable, *, defaults: bool = True) -> sql.Composed:
    builtin = sql.SQL(", ").join(map(sql.Literal, sorted(BUILTIN_TYPES)))
    default = _DEFAULT if defaults else sql.SQL("NULL")
    return _CATALOG.format(wanted=wanted, builtin=builtin, default=default)


def tables_from_rows(rows: Rows) -> dict[int, TableCatalog]:
    """Build the tables of the statement's rows, each with the types that its columns need."""
    documents = [json.loads(text) for (text,) in rows]
    types = {
        document["oid"]: _type(document) for document in documents if document["row"] == "type"
    }
    return {
        document["oid"]: _table(document, types)
        for document in documents
        if document["row"] == "table"
    }


def _table(document: dict[str, Any], types: Mapping[int, CatalogType]) -> TableCatalog:
    columns = tuple(CatalogColumn(**column) for column in document["columns"] or ())
    key = document["primary_key"]
    return TableCatalog(
        database=document["database"],
        oid=document["oid"],
        schema=document["schema"],
        table=document["table"],
        columns=columns,
        primary_key=None if key is None else tuple(key),
        unique_indexes=tuple(
            UniqueIndex(name, tuple(names), tuple(included or ()), identifies)
            for name, names, included, identifies in document["unique_indexes"] or ()
        ),
        types=_reachable((column.type_oid for column in columns), types),
    )


def _type(document: dict[str, Any]) -> CatalogType:
    document["labels"] = tuple(document["labels"] or ())
    document["fields"] = tuple((name, oid) for name, oid in document["fields"] or ())
    return CatalogType(**{name: value for name, value in document.items() if name != "row"})


def _reachable(oids: Iterable[int], types: Mapping[int, CatalogType]) -> Mapping[int, CatalogType]:
    found: dict[int, CatalogType] = {}
    waiting = list(oids)
    while waiting:
        oid = waiting.pop()
        if oid in types and oid not in found:
            made_of = found[oid] = types[oid]
            waiting += [made_of.element_oid, made_of.base_oid, made_of.subtype_oid]
            waiting += [field_oid for _, field_oid in made_of.fields]
    return found
