"""CopyOut: the rows after COPY TO STDOUT, over libpq and without blocking."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import pq, sql
from psycopg.errors import error_from_result
from typing_extensions import Self

from pglogical_cdc.postgres.conversation import execute
from pglogical_cdc.postgres.flavour import AnyConnection, Flavour

__all__ = ("CopyOut",)

_BATCH: Final = 256
"""Messages after which a batch ends. Of fewer it costs what each batch costs; what is made of more
of them, three objects for a row, is still alive when Python's garbage collector looks at it, and a
row costs a third more."""

_BATCH_BYTES: Final = 256 * 1024
"""Bytes after which no more of the socket is read for it."""


class CopyOut:
    """The rows of one COPY TO STDOUT.

    Args:
        connection: one that is in COPY OUT; see `start`.
    """

    def __init__(self, connection: AnyConnection) -> None:
        self._pgconn = connection.pgconn
        self._copied = False
        self.ended = False
        """Whether all rows were read, and the command has succeeded."""

    @classmethod
    async def start(
        cls, connection: AnyConnection, command: sql.Composed, flavour: Flavour
    ) -> Self:
        """Start a COPY TO STDOUT.

        Args:
            connection: one with nothing going on.
            command: the command.
            flavour: how to wait for the answer.

        Raises:
            psycopg.Error: the server refused the command.
            Stopped: the flavour was stopped.
        """
        await execute(connection, command.as_string(None).encode(), flavour)
        return cls(connection)

    @property
    def socket(self) -> int:
        """File descriptor to wait on."""
        return self._pgconn.socket

    def read(self) -> list[bytes]:
        """Return the CopyData messages that are here, without waiting for more; then see `ended`.

        Raises:
            psycopg.Error: the command failed, or the connection broke. What it returned before may
                not be all that there is.
        """
        messages: list[bytes] = []
        append = messages.append
        get_copy_data = self._pgconn.get_copy_data
        came, size_of_all = -1, 0
        # One read of the socket brings a part of what is here.
        while not self._copied and came < len(messages) < _BATCH and size_of_all < _BATCH_BYTES:
            came = len(messages)
            self._pgconn.consume_input()
            while len(messages) < _BATCH:
                size, data = get_copy_data(1)
                if size <= 0:
                    self._copied = size < 0
                    break
                append(bytes(data))
            size_of_all += sum(map(len, messages[came:]))
        if self._copied and not messages:
            self._end()
        return messages

    def _end(self) -> None:
        self._pgconn.consume_input()
        # Not before the result is here: get_result would block (libpq manual, PQisBusy).
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                self.ended = True
                return
            if result.status != pq.ExecStatus.COMMAND_OK:
                error: psycopg.Error = error_from_result(result, encoding="utf-8")
                if error.sqlstate is None:  # libpq's own: the connection is gone
                    error = psycopg.OperationalError(str(error))
                raise error
