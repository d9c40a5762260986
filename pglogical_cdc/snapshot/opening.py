"""Opening: from a selected table to the command that reads it, in a transaction of its own.

The table is locked against being altered (ACCESS SHARE, which nothing but that waits for), and only
until it has been read. What happened to it between the snapshot and the lock is found out then.
"""

from __future__ import annotations

import json
from typing import Final, Literal, TypeAlias

import psycopg
from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError, SnapshotError, TableAlteredError
from pglogical_cdc.events import TableCatalog
from pglogical_cdc.postgres import Conversation, one_table
from pglogical_cdc.protocol import RelationColumn, RelationMessage
from pglogical_cdc.snapshot.selection import SelectedTable

__all__ = (
    "OpenedTable",
    "begin_under",
    "open_table",
    "shape_now",
    "was_altered",
)

_Identity: TypeAlias = Literal["d", "n", "f", "i"]


@record
class OpenedTable:
    """A table whose rows are read next."""

    message: RelationMessage
    """What the stream would say of the table."""
    catalog: TableCatalog | None
    copy: sql.Composed
    """The command."""
    rewritten: str | None
    """If the table has other files than in the snapshot: its shape there, see `was_altered`."""


def begin_under(snapshot_name: str) -> Conversation[None]:
    """Begin a transaction that sees what the snapshot saw.

    Raises:
        SnapshotError: the snapshot is gone, with the connection that held it.
    """
    yield sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot_name))
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedObject) as error:
        raise SnapshotError(
            f"the exported snapshot is gone: {error.diag.message_primary}", sqlstate=error.sqlstate
        ) from error


# The identity is what the walsender takes: of an index that is valid, immediate and not partial.
_IDENTITY: Final = """\
SELECT pg_catalog.json_build_array(
  c.relreplident,
  ARRAY(
    SELECT a.attname::pg_catalog.text
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate AND i.indisunique
      AND i.indpred IS NULL
      AND a.attnum = ANY (i.indkey[0 : i.indnkeyatts - 1])
      AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END
  ),
  EXISTS (
    SELECT FROM pg_catalog.pg_class f
    WHERE f.relkind = 'r'
      AND (f.oid = c.oid OR f.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)))
      AND f.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(f.oid)
  )
)::pg_catalog.text
FROM pg_catalog.pg_class c WHERE c.oid = {}"""

_SHAPE: Final = """\
SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
  c.oid::pg_catalog.int8, c.relpersistence, c.relam::pg_catalog.int8,
  ARRAY(SELECT a.attnum::pg_catalog.text || ':' || a.xmin::pg_catalog.text
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum)
) ORDER BY c.oid)::pg_catalog.text
FROM pg_catalog.pg_class c
WHERE c.oid = {oid} OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree({oid}))"""


def open_table(table: SelectedTable, *, binary: bool) -> Conversation[OpenedTable]:
    """Lock a table and find out how it is read; inside a transaction of `begin_under`.

    Args:
        table: the table.
        binary: whether its rows are to come in binary.

    Raises:
        TableAlteredError: it has been dropped, renamed, or altered so that it cannot be read.
        ConfigurationError: the role may not read it.
    """
    try:
        yield sql.SQL("LOCK TABLE {}{} IN ACCESS SHARE MODE").format(
            sql.SQL("" if table.is_partitioned else "ONLY "), table.quoted
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"the snapshot has to read {table}, and the server refused: "
            f"{error.diag.message_primary}; grant the role SELECT on the table and USAGE on its "
            "schema (SQLSTATE 42501)"
        ) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise _changed(table, "dropped or renamed", error.sqlstate) from error
    oid = sql.Literal(table.oid)
    rows = yield sql.SQL(_IDENTITY).format(oid)
    catalog = yield from one_table(table.oid)
    if catalog is None or not rows:
        raise _changed(table, "dropped or renamed")
    identity, key, has_other_files = json.loads(rows[0][0])
    message = _message(table, catalog, identity, key)
    rewritten = (yield from shape_now(table)) if has_other_files else None
    return OpenedTable(message, catalog, _copy(table, message, binary=binary), rewritten)


def _changed(table: SelectedTable, how: str, sqlstate: str | None = None) -> TableAlteredError:
    return TableAlteredError(
        f"table {table} was {how} after the snapshot was taken, and before it was read: its rows "
        "cannot be had as they were. Open a new reader, which takes the snapshot anew",
        sqlstate=sqlstate,
    )


def _message(
    table: SelectedTable, catalog: TableCatalog, identity: _Identity, key: list[str]
) -> RelationMessage:
    columns = [column for column in catalog.columns if column.name in table.columns]
    if len(columns) < len(table.columns):
        raise _changed(table, "altered")
    return RelationMessage(
        relation_id=table.oid,
        namespace=table.schema,
        relation_name=table.name,
        replica_identity=identity,
        columns=tuple(
            RelationColumn(
                flags=int(identity == "f" or column.name in key),
                name=column.name,
                type_oid=column.type_oid,
                type_modifier=column.type_modifier,
            )
            for column in columns
        ),
    )


def _copy(table: SelectedTable, message: RelationMessage, *, binary: bool) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in message.columns)
    what: sql.Composable
    if table.row_filter is None and not table.is_partitioned and message.columns:
        what = sql.SQL("{} ({})").format(table.quoted, columns)
    else:
        what = sql.SQL("(SELECT {} FROM {}{}{})").format(
            columns,
            sql.SQL("" if table.is_partitioned else "ONLY "),
            table.quoted,
            # The server's own text of the expression.
            sql.SQL("" if table.row_filter is None else f" WHERE {table.row_filter}"),
        )
    form = sql.SQL(" WITH (FORMAT binary)" if binary else "")
    return sql.SQL("COPY {} TO STDOUT{}").format(what, form)


def shape_now(table: SelectedTable) -> Conversation[str]:
    """Return a text that is another one after the table, or a partition of it, was altered.

    TRUNCATE, CLUSTER and VACUUM FULL give a table new files as well, and leave this as it is.
    """
    ((found,),) = yield sql.SQL(_SHAPE).format(oid=sql.Literal(table.oid))
    return str(found)


def was_altered(table: SelectedTable, before: str) -> Conversation[None]:
    """Check, outside the snapshot, why a table has other files than in the snapshot.

    After ALTER TABLE has rewritten it, it looks empty to older snapshots (PostgreSQL manual,
    "Caveats" of concurrency control). After TRUNCATE it does so too, which is right: the stream
    has the TRUNCATE.

    Args:
        table: the table, which is locked.
        before: `shape_now` in the snapshot.

    Raises:
        TableAlteredError: it was altered.
    """
    now = yield from shape_now(table)
    if now != before:
        raise _changed(table, "rewritten by ALTER TABLE")
