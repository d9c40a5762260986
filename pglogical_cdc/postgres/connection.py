"""Connections to the server of a slot: for the stream, and an ordinary one beside it."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from pglogical_cdc.errors import CdcError, ConfigurationError
from pglogical_cdc.postgres.conversation import Conversation, exchange
from pglogical_cdc.postgres.diagnosis import diagnose_connect
from pglogical_cdc.postgres.flavour import AnyConnection, Flavour
from pglogical_cdc.postgres.parameters import Parameters

__all__ = ("connect", "connect_beside", "connect_plain", "parameters_beside")

_PATIENCE: Final = 60.0
"""Seconds."""


async def connect(
    given: Parameters, flavour: Flavour, patience: float = _PATIENCE
) -> AnyConnection:
    """Open a logical replication connection.

    It takes replication commands and plain SQL, both in the simple query protocol only, and never
    inside a transaction.

    Raises:
        CdcError: what `diagnose_connect` makes of the failure.
        Stopped: the flavour was stopped.
    """
    return await connect_plain(Parameters({**given, "replication": "database"}), flavour, patience)


async def connect_beside(
    given: Parameters,
    connection: AnyConnection,
    flavour: Flavour,
    patience: float = _PATIENCE,
) -> AnyConnection:
    """Open an ordinary connection to the very server that `connection` has reached.

    Raises:
        CdcError: what `diagnose_connect` makes of the failure.
        Stopped: the flavour was stopped.
    """
    return await connect_plain(parameters_beside(given, connection), flavour, patience)


def parameters_beside(given: Parameters, connection: AnyConnection) -> Parameters:
    """Return what an ordinary connection to the server that `connection` has reached takes."""
    info = connection.info
    same = Parameters(given, host=info.host, port=info.port, hostaddr=info.hostaddr)
    same.pop("target_session_attrs", None)
    if not info.hostaddr:
        del same["hostaddr"]
    return same


async def connect_plain(
    given: Parameters, flavour: Flavour, patience: float = _PATIENCE
) -> AnyConnection:
    """Open a connection as `given` says.

    Args:
        given: where to, and how; ``connect_timeout`` is among it.
        flavour: how to wait.
        patience: seconds for the answer to what is asked first.

    Raises:
        CdcError: what `diagnose_connect` makes of the failure.
        Stopped: the flavour was stopped.
    """
    failure: CdcError
    try:
        connection = await flavour.connect(given)
        if connection.info.server_version >= 170000:
            # It counts for the transactions that the walsender decodes, too. Older servers do not
            # start with a setting that they do not know.
            try:
                await exchange(connection, _no_transaction_timeout(), flavour, patience)
            except BaseException:
                connection.pgconn.finish()
                raise
    except psycopg.OperationalError as error:
        failure = diagnose_connect(error)
    except psycopg.Error as error:
        # psycopg's own check of a parameter, as connect_timeout.
        failure = ConfigurationError(f"conninfo: {error}")
    else:
        return connection
    # Not chained to psycopg's error: that has the parameters, and so the password, among its
    # attributes and the variables of its frames.
    raise failure


def _no_transaction_timeout() -> Conversation[None]:
    yield sql.SQL("SET transaction_timeout = 0")
