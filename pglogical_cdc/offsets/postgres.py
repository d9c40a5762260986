"""PostgresOffsets: offsets in a table of a PostgreSQL database, which need not be the source."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic
from typing_extensions import Self

from pglogical_cdc.errors import OffsetStoreError, OffsetStoreUnavailableError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets.base import Offset, check_key
from pglogical_cdc.postgres import (
    diagnose_connect,
    parameters,
    qualified_name,
    quote_identifier,
    slot_name,
)

__all__ = ("PostgresOffsets",)

# What is not set here can be set otherwise for the role or the database:
#
# - on is the least for which a commit survives a crash; remote_apply waits for more than that.
# - A policy that hides rows from the role must be an error, not the answer that there are none.
# - At a higher level an upsert could fail because of another slot's.
_SESSION: Final = sql.SQL(
    "SELECT pg_catalog.set_config('search_path', '', false),"
    " pg_catalog.set_config('row_security', 'off', false),"
    " pg_catalog.set_config('default_transaction_isolation', 'read committed', false),"
    " pg_catalog.set_config('synchronous_commit',"
    " CASE pg_catalog.current_setting('synchronous_commit')"
    " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)"
)
_EXISTS: Final = sql.SQL("SELECT pg_catalog.to_regclass(%s) IS NOT NULL")
_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS {} (slot text PRIMARY KEY, system_identifier text NOT NULL,"
    " timeline bigint NOT NULL, position pg_lsn NOT NULL, transaction_end pg_lsn NOT NULL,"
    " snapshot text NOT NULL DEFAULT '')"
)
_SELECT: Final = (
    "SELECT system_identifier, timeline, position::text, transaction_end::text, snapshot"
    " FROM {} WHERE slot = %s"
)
_UPSERT: Final = (
    "INSERT INTO {} (slot, system_identifier, timeline, position, transaction_end, snapshot)"
    " VALUES (%s, %s, %s, %s::pg_lsn, %s::pg_lsn, %s)"
    " ON CONFLICT (slot) DO UPDATE SET (system_identifier, timeline, position, transaction_end,"
    " snapshot) = (EXCLUDED.system_identifier, EXCLUDED.timeline, EXCLUDED.position,"
    " EXCLUDED.transaction_end, EXCLUDED.snapshot)"
)

_MADE_MEANWHILE: Final = ("23505", "42P07", "42710")
"""CREATE TABLE IF NOT EXISTS of two sessions at once: the later one finds the name taken, in an
index of the catalog, or as a table or its type."""
_LOST: Final = ("57P01", "57P02", "57P03", "57P05", "25006")
"""Shut down, crashed, starting, idle for too long, and not the primary any more."""


class PostgresOffsets:
    """Keeps offsets in a table, one row for each slot.

    The database may be that of the source or another one. The table is made at the first use if it
    is missing; a role that may not do that needs SELECT, INSERT and UPDATE on one that somebody
    else has made::

        CREATE TABLE public.pglogical_cdc_offsets (
            slot text PRIMARY KEY,
            system_identifier text NOT NULL,
            timeline bigint NOT NULL,
            position pg_lsn NOT NULL,
            transaction_end pg_lsn NOT NULL,
            snapshot text NOT NULL DEFAULT ''
        )

    The connection is opened at the first use, and once more when it turns out to be lost. It has
    the time limits of `conninfo` (``connect_timeout``, ``tcp_user_timeout``) and no others. Any
    number of threads may use one object.

    Args:
        conninfo: libpq connection string or URI.
        table: ``schema.table``, names with a dot in double quotes.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(self, conninfo: str, *, table: str = "public.pglogical_cdc_offsets") -> None:
        self._names = qualified_name(table)
        self._table = ".".join(map(quote_identifier, self._names))
        self._parameters = parameters(conninfo)
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._closed = False
        self._not_replicated = False

    def __repr__(self) -> str:
        return f"<PostgresOffsets {self._table}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def load(self, key: str) -> Offset | None:
        """Return the offset in the row of `key`; None if there is no such row.

        Raises:
            ConfigurationError: `key` is no name of a slot.
            OffsetStoreUnavailableError: the database cannot be reached or does not answer.
            OffsetStoreError: the table cannot be made or read, or the row is no offset.
        """
        slot_name(key)
        what = f"read the offset of slot {key!r}"
        rows = self._execute(what, _SELECT, [key]).fetchall()
        if not rows:
            return None
        try:
            ((system, timeline, position, end, snapshot),) = rows
            return Offset(system, timeline, key, LSN.parse(position), LSN.parse(end), snapshot)
        except (ValueError, TypeError):
            raise OffsetStoreError(
                f"cannot {what} in {self._table}: expected one row with an offset, found "
                f"{len(rows)} of which none is one; correct it, or delete it to start where the "
                "server has the slot (confirmed_flush_lsn)"
            ) from None

    def save(self, key: str, offset: Offset) -> None:
        """Write the row of `key`; return when that is committed, as safe as the server can.

        Raises:
            ConfigurationError: `key` is not the slot of `offset`.
            OffsetStoreUnavailableError: the database cannot be reached or does not answer.
            OffsetStoreError: it may not be committed, or not be safe.
        """
        check_key(key, offset)
        what = f"save the offset of slot {key!r}"
        cursor = self._execute(
            what,
            _UPSERT,
            [
                key,
                offset.system_identifier,
                offset.timeline,
                str(offset.position),
                str(offset.transaction_end),
                offset.snapshot,
            ],
        )
        if cursor.rowcount != 1:
            raise OffsetStoreError(
                f"cannot {what} in {self._table}: the server has written {cursor.rowcount} rows; "
                "look for triggers and rules of the table"
            )

    def close(self) -> None:
        """Close the connection. The object cannot be used again."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _execute(
        self, what: str, statement: str, values: Sequence[object]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        with self._lock:
            if self._closed:
                raise OffsetStoreError(f"cannot {what} in {self._table}: the store is closed")
            was_open = self._connection is not None
            try:
                return self._attempt(what, statement, values)
            except psycopg.Error as error:
                if not was_open or not _is_lost(error):
                    raise self._error(what, error) from None
            # It may have been lost long before. Doing the same twice does no harm.
            try:
                return self._attempt(what, statement, values)
            except psycopg.Error as error:
                raise self._error(what, error) from None

    def _attempt(
        self, what: str, statement: str, values: Sequence[object]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        try:
            connection = self._connected()
            self._not_replicated = False
            cursor = connection.execute(self._statement(statement, values), values)
        except BaseException:
            # Whatever it was, also an interrupt: the next one shall not begin in the middle of it.
            self._disconnect()
            raise
        if self._not_replicated:
            raise OffsetStoreError(
                f"cannot {what} in {self._table}: somebody has cancelled the wait for the standby, "
                "which may not have it"
            )
        return cursor

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = connection = psycopg.connect(
                **self._parameters,
                autocommit=True,
                # A pooler may give each statement another session.
                prepare_threshold=None,
            )
            connection.add_notice_handler(self._notice)
            connection.execute(_SESSION)
            self._make_table(connection)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _make_table(self, connection: psycopg.Connection[Any]) -> None:
        # CREATE TABLE IF NOT EXISTS asks for the privilege to create even if the table is there.
        if connection.execute(_EXISTS, [self._table]).fetchall() == [(True,)]:
            return
        create = self._statement(_CREATE)
        try:
            connection.execute(create)
        except psycopg.Error as error:
            if error.sqlstate not in _MADE_MEANWHILE:
                raise
            connection.execute(create)

    def _statement(self, text: str, values: Sequence[object] = ()) -> sql.Composed:
        # Beside values, psycopg takes a % in a name for the start of a placeholder.
        names = [name.replace("%", "%%") if values else name for name in self._names]
        return sql.SQL(text).format(sql.Identifier(*names))

    def _notice(self, diag: Diagnostic) -> None:
        # The server only warns that a commit that it was to replicate first was not replicated.
        if diag.source_function == "SyncRepWaitForLSN":
            self._not_replicated = True

    def _error(self, what: str, error: psycopg.Error) -> OffsetStoreError:
        hint = ""
        if error.sqlstate == "42501":
            hint = (
                "; the role needs SELECT, INSERT and UPDATE on the table, USAGE on its schema and, "
                "if the table is not there yet, CREATE on the schema"
            )
        kind = OffsetStoreUnavailableError if _passes(error) else OffsetStoreError
        return kind(f"cannot {what} in {self._table}: {_reason(error)}{hint}")


def _is_lost(error: psycopg.Error) -> bool:
    code = error.sqlstate
    if code is None:
        return isinstance(error, psycopg.OperationalError)
    return code.startswith("08") or code in _LOST


def _passes(error: psycopg.Error) -> bool:
    """Tell whether the same can succeed later without anybody changing anything."""
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        return diagnose_connect(error).retryable
    return _is_lost(error) or (error.sqlstate or "").startswith("53")


def _reason(error: psycopg.Error) -> str:
    code = error.sqlstate
    if code is None:
        return str(error).strip() or type(error).__name__
    if code.startswith(("22", "23")):
        # Data exceptions and integrity violations name the value in their primary message, too.
        return f"{type(error).__name__} (SQLSTATE {code})"
    return f"{error.diag.message_primary} (SQLSTATE {code})"
