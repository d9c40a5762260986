"""Parameters: what the user's connection string becomes, so that our sessions can be relied on."""

from __future__ import annotations

import os
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pglogical_cdc.errors import ConfigurationError

__all__ = ("SESSION_SETTINGS", "Conninfo", "Parameters", "parameters")


class Parameters(dict[str, Any]):
    """Keywords of libpq, with the password in clear, which `repr` does not show.

    Nor is it then in a traceback that somebody prints with its variables.
    """

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.items() if name in _HARMLESS}
        return f"<Parameters {shown!r} and {len(self) - len(shown)} more>"


_HARMLESS: Final = ("host", "hostaddr", "port", "dbname", "user", "application_name")

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

_CONNECT_TIMEOUT: Final = 10
"""Seconds for each host."""


class Conninfo:
    """A connection string that is read later. It may hold a password, which `repr` does not show.

    Args:
        text: libpq connection string or URI.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "<Conninfo>"

    def read(self) -> Parameters:
        """Read it; see `parameters`.

        Raises:
            ConfigurationError: it is no connection string.
        """
        return parameters(self._text)


def parameters(conninfo: str) -> Parameters:
    """Read a libpq connection string or URI and add what our sessions need.

    The settings go behind the user's own ``options``, so that they win. With several hosts and no
    ``target_session_attrs``, ``read-write`` is asked for: a slot lives on one server.

    Raises:
        ConfigurationError: it is neither. The text is not repeated, it may hold a password.
    """
    try:
        given = Parameters(conninfo_to_dict(conninfo))
    except (psycopg.Error, TypeError, AttributeError, UnicodeError):
        conninfo = ""  # what it was is in no traceback
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
    if "PGCONNECT_TIMEOUT" not in os.environ:
        # libpq's own default is to wait for ever, also for the first of several hosts.
        given.setdefault("connect_timeout", _CONNECT_TIMEOUT)
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
