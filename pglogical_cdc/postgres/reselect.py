"""Reselecting: the values that pgoutput leaves out of a row, read from its table by key.

An update that does not touch a TOASTed value does not log it, so that the server has nothing to
send. The value is read from the row as it is by then, as the text that pgoutput would have sent. It
may be newer than the change, never older.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from attrs import evolve, field
from psycopg import errors, sql

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    BUILTIN_TYPES,
    Change,
    Insert,
    RawValue,
    Relation,
    Row,
    Update,
    below_domains,
)
from pglogical_cdc.postgres.conversation import Conversation, Field, Verbatim

__all__ = ("UnsentValues", "reselected", "snapshot_sees", "unsent_values")

_log = logging.getLogger(__name__)

# One query string is one transaction (PostgreSQL manual, "Multiple Statements in a Simple Query"),
# so that SET LOCAL ends with it and takes no round trip of its own.
#
# Operators are named with their schema: search_path may lead to anybody's, and cannot be another
# one than the walsender's, because the output functions of regclass and its like go by it.
#
# Children that inherit from a table, unlike partitions, may have rows with the same key.
_STATEMENT: Final = sql.SQL("""\
SET LOCAL lock_timeout = '500ms';
SET LOCAL statement_timeout = '30s';
SET LOCAL client_encoding = {encoding};
SELECT pg_catalog.pg_current_snapshot(), t.tableoid, {columns}
FROM (SELECT) AS here LEFT JOIN {table} AS t ON {key} AND (
  t.tableoid OPERATOR(pg_catalog.=) {oid} OR EXISTS (
    SELECT FROM pg_catalog.pg_class c
    WHERE c.oid OPERATOR(pg_catalog.=) {oid} AND c.relkind OPERATOR(pg_catalog.=) 'p'
  )
)""")

_PAUSE: Final = sql.SQL("SELECT pg_catalog.pg_sleep(0.01)")
_ATTEMPTS: Final = 50

_XIDS: Final = 1 << 32
"""Transaction IDs before they begin anew."""

_UNREADABLE: Final = (
    # Locked, or too slow.
    errors.LockNotAvailable,
    errors.QueryCanceled,
    # The table, a column or a type is gone, or is another one.
    errors.UndefinedTable,
    errors.InvalidSchemaName,
    errors.WrongObjectType,
    errors.UndefinedColumn,
    errors.UndefinedObject,
    errors.UndefinedFunction,
    # The key is no value of its type any more, as after the label of an enum was renamed.
    errors.DataError,
)


@record
class UnsentValues:
    """The values of a row that the server did not send, and what finds the row."""

    change: Insert | Update
    xid: int
    """The transaction of the change."""
    positions: tuple[int, ...]
    """Indexes of the values in ``relation.columns``."""
    key: sql.Composed = field(repr=False)
    """The condition that only this row meets."""


def unsent_values(change: Change) -> UnsentValues | None:
    """Return what `reselected` can look for; None if a change lacks nothing, or has no key.

    An insert lacks values where a row filter of the publication made it of an update.
    """
    if not isinstance(change, (Insert, Update)) or change.transaction is None:
        return None
    relation, raw = change.relation, change.after.raw
    if UNCHANGED not in raw or relation.key_positions is None:
        return None
    key = [_equals(relation, position, raw[position]) for position in relation.key_positions]
    known = [condition for condition in key if condition is not None]
    if len(known) < len(key):
        return None
    return UnsentValues(
        change,
        change.transaction.xid,
        tuple(i for i, value in enumerate(raw) if value is UNCHANGED),
        sql.SQL(" AND ").join(known),
    )


def _equals(relation: Relation, position: int, value: RawValue) -> sql.Composed | None:
    """Return the condition that a column has a value; None if that cannot be told."""
    if not isinstance(value, bytes):
        return None
    column = relation.columns[position]
    # The type below domains, whose constraints are functions of others that need not run here.
    oid, _, found = below_domains(column, relation.catalog)
    operators = "pg_catalog"
    if oid in BUILTIN_TYPES:
        schema, name = operators, BUILTIN_TYPES[oid]
    elif found is not None:
        schema, name = found.schema, found.name
        if found.kind == "b" and not found.element_oid:
            # As citext: a base type has its operators beside it. Those of arrays, enums, ranges
            # and composites are the server's own.
            operators = schema
    else:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None  # in SQL_ASCII; it cannot be said in UTF-8
    return sql.SQL("t.{} OPERATOR({}.=) {}::{}").format(
        sql.Identifier(column.name),
        sql.Identifier(operators),
        sql.Literal(text),
        sql.Identifier(schema, name),
    )


def reselected(unsent: UnsentValues, client_encoding: str) -> Conversation[Change]:
    """Read the values and return the change with them.

    It is returned as it is if they cannot be had: the row is gone; the table, a column or its type
    is gone or another one; somebody keeps a lock on the table; the change is not visible yet, as
    while its commit waits for a synchronous standby.

    Args:
        unsent: what to read.
        client_encoding: the encoding that the text of the stream has.

    Raises:
        ConfigurationError: the role may not read the table.
    """
    relation = unsent.change.relation
    try:
        fields = yield from _read(unsent, client_encoding)
    except errors.InsufficientPrivilege as error:
        # Not chained, nor is the other one logged: they quote the statement, and so the key.
        raise ConfigurationError(
            f"reselect=True has to read {relation.schema}.{relation.name}, and the server refused: "
            f"{error.diag.message_primary}; grant the role of the reader SELECT on the table and "
            "USAGE on its schema, or leave reselect out (SQLSTATE 42501)"
        ) from None
    except _UNREADABLE as error:
        _log.info(
            "unchanged values of %s.%s could not be read: %s (SQLSTATE %s)",
            relation.schema,
            relation.name,
            type(error).__name__,
            error.sqlstate,
        )
        return unsent.change
    return unsent.change if fields is None else _filled(unsent, fields)


def _read(unsent: UnsentValues, client_encoding: str) -> Conversation[Sequence[Field] | None]:
    relation = unsent.change.relation
    columns = [relation.columns[position] for position in unsent.positions]
    statement = Verbatim(
        _STATEMENT.format(
            encoding=sql.Literal(client_encoding),
            columns=sql.SQL(", ").join(sql.Identifier("t", column.name) for column in columns),
            table=sql.Identifier(relation.schema, relation.name),
            key=unsent.key,
            oid=sql.SQL("{}::pg_catalog.oid").format(sql.Literal(str(relation.oid))),
        )
    )
    for _ in range(_ATTEMPTS):
        rows = yield statement
        if snapshot_sees(rows[0][0].value.decode(), unsent.xid):
            break
        yield _PAUSE
    else:
        return None
    ((_, table, *fields), *others) = rows
    # Others there are where the key is no longer unique.
    if others or table.value is None:
        return None
    for column, found in zip(columns, fields, strict=True):
        oid, modifier, _ = below_domains(column, relation.catalog)
        # Not that of a new table of the old name, and not of another type than the change has.
        if (found.table_oid, found.type_oid, found.type_modifier) != (relation.oid, oid, modifier):
            return None
    return fields


def snapshot_sees(snapshot: str, xid: int) -> bool:
    """Tell whether a snapshot sees what a transaction has committed.

    A commit is in the stream as soon as it is on disk, and can be seen only when also synchronous
    standbys have it. Before that the row may lack what the transaction itself did to it.

    Args:
        snapshot: ``xmin:xmax:xip_list`` (PostgreSQL manual, "Transaction ID and Snapshot
            Information Functions").
        xid: a transaction that is not aborted, by its ID without the epoch.
    """
    _, xmax, running = snapshot.split(":")
    behind = (int(xmax) - xid) % _XIDS
    if not 0 < behind < _XIDS // 2:
        return False
    return xid not in (int(other) % _XIDS for other in running.split(",") if other)


def _filled(unsent: UnsentValues, fields: Sequence[Field]) -> Change:
    raw = list(unsent.change.after.raw)
    for position, found in zip(unsent.positions, fields, strict=True):
        raw[position] = found.value
    return evolve(unsent.change, after=Row(unsent.change.relation, tuple(raw)))
