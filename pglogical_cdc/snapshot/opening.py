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
from pglogical_cdc.snapshot.tid_ranges import ALL, TidRange

__all__ = (
    "OpenedTable",
    "begin_under",
    "check_unaltered",
    "definition",
    "open_table",
)

_Identity: TypeAlias = Literal["d", "n", "f", "i"]


@record
class OpenedTable:
    """A table whose rows are read next."""

    message: RelationMessage
    """What the stream would say of the table."""
    catalog: TableCatalog | None
    definition: str
    """Of the table in the snapshot, for `check_unaltered`."""
    needs_query: bool
    """Whether its rows come out of a query: COPY of the table itself would not do."""
    binary: bool
    """Whether they come in binary."""
    table: SelectedTable

    @property
    def copy(self) -> sql.Composed:
        """The command that reads the rows."""
        return self.copy_of(ALL)

    def copy_of(self, tids: TidRange) -> sql.Composed:
        """Return the command that reads the rows of a range."""
        table = self.table
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in self.message.columns)
        if tids.is_all and not self.needs_query:
            what = sql.SQL("{} ({})").format(table.quoted, columns)
        else:
            only = sql.SQL("" if table.is_partitioned else "ONLY ")
            what = sql.SQL("(SELECT {} FROM {}{}{})").format(
                columns, only, table.quoted, self._where(tids)
            )
        form = sql.SQL(" WITH (FORMAT binary)" if self.binary else "")
        return sql.SQL("COPY {} TO STDOUT{}").format(what, form)

    def _where(self, tids: TidRange) -> sql.Composable:
        # The server's own text of the expression.
        row_filter = self.table.row_filter
        if tids.is_all:
            return sql.SQL("" if row_filter is None else f" WHERE {row_filter}")
        filtered = sql.SQL("" if row_filter is None else f"({row_filter}) AND ")
        return sql.SQL(" WHERE {}{}").format(filtered, tids.condition)


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
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid
    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate AND i.indisunique
      AND i.indpred IS NULL
      AND a.attnum = ANY (i.indkey[0 : i.indnkeyatts - 1])
      AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END
  ),
  pg_catalog.row_security_active(c.oid)
)::pg_catalog.text
FROM pg_catalog.pg_class c WHERE c.oid = {}"""

# reltoastrelid stays the same in TRUNCATE, CLUSTER and VACUUM FULL, and not in ALTER TABLE.
_DEFINITION: Final = """\
SELECT pg_catalog.json_build_array(
  n.nspname, c.relname,
  (SELECT pg_catalog.json_object_agg(a.attname, a.attnum) FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT pg_catalog.json_object_agg(f.oid, pg_catalog.json_build_array(
      f.relfilenode::pg_catalog.int8,
      f.relpersistence, f.relam::pg_catalog.int8, f.reltoastrelid::pg_catalog.int8,
      ARRAY(SELECT a.attnum::pg_catalog.text || ':' || a.xmin::pg_catalog.text
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = f.oid AND a.attnum > 0
        ORDER BY a.attnum)))
    FROM pg_catalog.pg_class f
    WHERE f.oid = c.oid OR f.oid IN (
      WITH RECURSIVE tree(oid) AS (
        SELECT c.oid UNION ALL
        SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
      )
      SELECT oid FROM tree WHERE c.relkind = 'p'
    ))
)::pg_catalog.text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = {}"""


def open_table(table: SelectedTable, *, binary: bool) -> Conversation[OpenedTable]:
    """Lock a table and find out how it is read; inside a transaction of `begin_under`.

    Args:
        table: the table.
        binary: whether its rows are to come in binary.

    Raises:
        psycopg.errors.LockNotAvailable: somebody has locked it, and has not let go for half a
            second.
        TableAlteredError: it has been dropped, renamed, or altered so that it cannot be read.
        ConfigurationError: the role may not read it, or not all of its rows.
    """
    yield sql.SQL("SET LOCAL lock_timeout = '500ms'")
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
        raise _altered(table, "dropped or renamed", error.sqlstate) from error
    oid = sql.Literal(table.oid)
    rows = yield sql.SQL(_IDENTITY).format(oid)
    catalog = yield from one_table(table.oid)
    if catalog is None or not rows:
        raise _altered(table, "dropped or renamed")
    identity, key, hides_rows = json.loads(rows[0][0])
    if hides_rows:
        raise ConfigurationError(
            f"row-level security would hide rows of {table} from the snapshot: let a role read "
            "that owns the table or has BYPASSRLS"
        )
    message = _message(table, catalog, identity, key)
    is_generated = {column.name: bool(column.generated) for column in catalog.columns}
    # COPY of a table itself refuses generated columns.
    needs_query = (
        table.row_filter is not None
        or table.is_partitioned
        or not message.columns
        or any(is_generated[column.name] for column in message.columns)
    )
    return OpenedTable(
        message=message,
        catalog=catalog,
        definition=(yield from definition(table)),
        needs_query=needs_query,
        binary=binary,
        table=table,
    )


def _altered(table: SelectedTable, how: str, sqlstate: str | None = None) -> TableAlteredError:
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
        raise _altered(table, "altered")
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


def definition(table: SelectedTable) -> Conversation[str]:
    """Return what the catalog says of a table by its OID, as text for `check_unaltered`."""
    rows = yield sql.SQL(_DEFINITION).format(sql.Literal(table.oid))
    return rows[0][0] if rows else ""


def check_unaltered(table: SelectedTable, then: str, now: str) -> None:
    """Check that a table, which is locked, can be read as the snapshot has it.

    The server reads it by its present name, with its present columns and files. After ALTER TABLE
    has written it anew it looks empty to older snapshots (PostgreSQL manual, "Caveats" of
    concurrency control). After TRUNCATE it does so too, which is right: the stream has the
    TRUNCATE.

    Args:
        table: the table.
        then: `definition` in the snapshot.
        now: `definition` outside of it, with the lock.

    Raises:
        TableAlteredError: it cannot.
    """
    if then == now:
        return
    if not then or not now:
        raise _altered(table, "dropped")
    *old_name, old_columns, old_files = json.loads(then)
    *new_name, new_columns, new_files = json.loads(now)
    if new_name != old_name:
        raise _altered(table, "renamed")
    for column in table.columns:
        if old_columns[column] != (new_columns or {}).get(column):
            raise _altered(table, "altered")
    for oid, (old_file, *old_shape) in old_files.items():
        if oid not in new_files:
            raise _altered(table, "robbed of a partition")
        new_file, *new_shape = new_files[oid]
        if new_file != old_file and new_shape != old_shape:
            raise _altered(table, "written anew by ALTER TABLE")
