"""CopyBoth: the stream after START_REPLICATION, over libpq and without blocking.

The only place that reads and writes CopyData. Waiting is the caller's: in the binary psycopg
these libpq calls keep the GIL, so one that blocked would stop every thread and Ctrl-C.
"""

from __future__ import annotations

import threading
from typing import Final

import psycopg
from psycopg import pq, sql
from psycopg.errors import error_from_result
from typing_extensions import Self

from pglogical_cdc.postgres.conversation import execute
from pglogical_cdc.postgres.flavour import AnyConnection, Flavour

__all__ = ("CopyBoth", "CopyBothEnded")

_BATCH: Final = 1024
"""Messages after which a batch ends, so that a full socket cannot keep us for ever."""

_READS: Final = 16
"""Reads of the socket, at most, before libpq is asked for what they have brought."""


class CopyBothEnded(Exception):
    """The server ended the stream without an error, as it does at a fast shutdown."""


class CopyBoth:
    """The stream of one replication connection.

    One lock guards libpq: a thread may send while another reads.

    Args:
        connection: a replication connection that is in COPY BOTH; see `start`.
    """

    def __init__(self, connection: AnyConnection) -> None:
        self._lock = threading.Lock()
        self._pgconn = connection.pgconn
        # A write must never block while the server, itself blocked on a full socket, does not
        # read (libpq manual, "Asynchronous Command Processing").
        self._pgconn.nonblocking = 1
        self._filled: list[bytes] = []
        self._reading: list[bytes] = []
        """What is being read, and not yet returned."""
        self.is_half_read = False
        """Whether a read was left by an exception that is not the server's: what it had is lost."""
        self._good: int | None = None
        """How much of it is good, after `break_off`."""
        self._error: Exception | None = None
        self._ended = False

    @classmethod
    async def start(
        cls,
        connection: AnyConnection,
        command: sql.Composed,
        flavour: Flavour,
        patience: float | None = None,
    ) -> Self:
        """Start the stream with a START_REPLICATION command.

        Args:
            connection: a replication connection with nothing going on.
            command: the command.
            flavour: how to wait for the answer.
            patience: seconds for the answer.

        Raises:
            psycopg.Error: the server refused the command.
            Stopped: the flavour was stopped.
        """
        # Encoded here: psycopg would do it for the connection's client_encoding, which with an
        # SQL_ASCII database takes no name outside ASCII.
        await execute(connection, command.as_string(None).encode(), flavour, patience)
        return cls(connection)

    @property
    def socket(self) -> int:
        """File descriptor to wait on."""
        return self._pgconn.socket

    def fill(self) -> None:
        """Take what is here from the socket for the next `read`; errors wait for that too."""
        try:
            self._filled += self._read()
        except CopyBothEnded:
            pass  # it is raised again
        except Exception as error:
            self._error = self._error or error  # the first says why

    def read(self) -> list[bytes]:
        """Return the CopyData messages that are here, without waiting for more.

        Over TLS one read of the socket gives one record, usually one message: it is repeated
        until nothing comes, and several reads are made in a row while each brings one.

        Raises:
            CopyBothEnded: the server has ended the stream.
            psycopg.Error: it has ended with an error, or the connection broke.
            Exception: what `break_off` was given.
        """
        if self._filled:
            messages, self._filled = self._filled, []
            return messages
        if self._error is not None:
            raise self._error
        return self._read()

    def _read(self) -> list[bytes]:
        self.is_half_read = True
        messages = self._reading
        append = messages.append
        consume_input, get_copy_data = self._pgconn.consume_input, self._pgconn.get_copy_data
        reads = 1
        with self._lock:
            try:
                while len(messages) < _BATCH:
                    if self._ended:
                        if self._pgconn.is_busy():
                            consume_input()
                        self._raise_end()
                        break
                    broken = None
                    try:
                        for _ in range(reads):
                            consume_input()
                    except psycopg.Error as error:
                        broken = error  # what the reads before it brought is still in libpq
                    before = len(messages)
                    size, data = get_copy_data(1)
                    while size > 0:
                        # Copied, so that libpq's memory is free again, and because objects that
                        # hold no other cost the garbage collector nothing while they wait.
                        append(data.tobytes())
                        size, data = get_copy_data(1)
                    if size < 0:
                        self._ended = True
                        if messages and broken is None:
                            break
                        # The server's last word says more than that the connection is gone.
                        self._raise_end()
                    if broken is not None:
                        raise broken
                    came = len(messages) - before
                    if size < 0 or not came:
                        break
                    # More than one message at a read: then there is little to save, and libpq's
                    # buffer would grow.
                    reads = min(2 * reads, _READS) if came == reads else 1
            except (psycopg.Error, CopyBothEnded) as error:
                if not messages:
                    self.is_half_read = False
                    raise
                self._error = self._error or error  # what came before it is good
            finally:
                self._reading = []
            if self._good is not None:
                del messages[self._good :]
                self._good = 0
                if not messages and self._error is not None:
                    self.is_half_read = False
                    raise self._error
        self.is_half_read = False
        return messages

    def break_off(self, error: Exception) -> None:
        """Have what came until now read, and then this error in place of all that follows.

        For handlers of notices, which are called when a notice has its turn among the messages, in
        the middle of a `read` or a `send`.
        """
        if self._good is None:
            self._good, self._error = len(self._reading), error

    def _raise_end(self) -> None:
        # Not before the result is here: get_result would block (libpq manual, PQisBusy).
        if self._pgconn.is_busy():
            return
        result = self._pgconn.get_result()
        if result is not None and result.status in (
            pq.ExecStatus.FATAL_ERROR,
            pq.ExecStatus.BAD_RESPONSE,
        ):
            # Kept, because it is to be had once only, and must not look like an end later.
            error: psycopg.Error = error_from_result(result, encoding="utf-8")
            if error.sqlstate is None:  # libpq's own: the connection is gone
                error = psycopg.OperationalError(str(error))
            self._error = self._error or error
            raise error
        raise CopyBothEnded

    def send(self, data: bytes) -> None:
        """Send one CopyData message, or leave it in libpq's buffer if the socket is full.

        Raises:
            psycopg.Error: the connection broke.
        """
        with self._lock:
            self._pgconn.put_copy_data(data)
            self._pgconn.flush()

    def finish_sending(self) -> None:
        """Tell the server that nothing more comes; it then ends the stream and frees the slot.

        Raises:
            psycopg.Error: the connection broke.
        """
        with self._lock:
            self._pgconn.put_copy_end()
            self._pgconn.flush()
