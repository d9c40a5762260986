"""Connections: how the user's connection string becomes a session that can be relied on."""

from __future__ import annotations

import os
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pglogical_cdc.errors import CdcError, ConfigurationError
from pglogical_cdc.postgres.diagnosis import diagnose_connect

__all__ = ("SESSION_SETTINGS", "Parameters", "connect", "connect_beside", "parameters")

Parameters: TypeAlias = dict[str, Any]
"""Keywords of libpq, with the password in clear: never to be shown."""

SESSION_SETTINGS: Final = {
    # The walsender prints values with its session's settings, and a role or a database may have
    # others than these. PostgreSQL's own apply worker pins the first three likewise.
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "timezone": "UTC",
    "lc_monetary": "C",
    # PostgreSQL 18 tells of a missing publication only by a warning.
    "client_min_messages": "warning",
    # Nothing of ours is to be cut off while a reader waits.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""What is set at the start of each of our sessions, whatever role and database say."""


def parameters(conninfo: str) -> Parameters:
    """Read a libpq connection string or URI and add what our sessions need.

    The settings go behind the user's own ``options``, so that they win. With several hosts and no
    ``target_session_attrs``, ``read-write`` is asked for: a slot lives on one server.

    Raises:
        ConfigurationError: it is neither. The text is not repeated, it may hold a password.
    """
    try:
        given = conninfo_to_dict(conninfo)
    except (psycopg.Error, TypeError, AttributeError, UnicodeError):
        raise ConfigurationError(
            "conninfo is neither a libpq connection string (host=... dbname=...) nor a URI "
            "(postgresql://...)"
        ) from None
    options = str(given.get("options") or os.environ.get("PGOPTIONS", ""))
    pinned = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    given["options"] = f"{options} {pinned}".strip()
    given["client_encoding"] = "UTF8"
    given.pop("replication", None)  # each of our connections chooses for itself
    given.setdefault("fallback_application_name", "pglogical_cdc")
    hosts = str(given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", ""))
    if "@" in hosts[1:]:
        # Only first may it stand, for an abstract socket. Else it comes from a URI whose password
        # has an @ in it, and libpq would name the rest of that password as the host.
        raise ConfigurationError(
            "the host in conninfo holds an '@': write an '@' of user or password in a URI as %40"
        )
    if (
        "," in hosts
        and "target_session_attrs" not in given
        and "PGTARGETSESSIONATTRS" not in os.environ
    ):
        given["target_session_attrs"] = "read-write"
    return given


def connect(given: Parameters) -> psycopg.Connection[Any]:
    """Open a logical replication connection.

    It takes replication commands and plain SQL, both in the simple query protocol only, and never
    inside a transaction.

    Raises:
        CdcError: what `diagnose_connect` makes of the failure.
    """
    return _connect({**given, "replication": "database"})


def connect_beside(
    given: Parameters, connection: psycopg.Connection[Any]
) -> psycopg.Connection[Any]:
    """Open an ordinary connection to the very server that `connection` has reached.

    Raises:
        CdcError: what `diagnose_connect` makes of the failure.
    """
    info = connection.info
    same = {**given, "host": info.host, "port": info.port, "hostaddr": info.hostaddr}
    same.pop("target_session_attrs", None)
    if not info.hostaddr:
        del same["hostaddr"]
    return _connect(same)


def _connect(given: Parameters) -> psycopg.Connection[Any]:
    try:
        connection = psycopg.connect(**given, autocommit=True, cursor_factory=psycopg.ClientCursor)
    except psycopg.Error as error:
        raise _diagnosed(error) from error
    try:
        if connection.info.server_version >= 170000:
            # It counts for the transactions that the walsender decodes, too. Older servers do not
            # start with a setting that they do not know.
            connection.execute("SET transaction_timeout = 0")
    except psycopg.Error as error:
        connection.close()
        raise _diagnosed(error) from error
    return connection


def _diagnosed(error: psycopg.Error) -> CdcError:
    if isinstance(error, psycopg.OperationalError):
        return diagnose_connect(error)
    # psycopg's own check of a parameter, as connect_timeout.
    return ConfigurationError(f"conninfo: {error}")
