"""CopyBoth: the stream after START_REPLICATION, over libpq and without blocking.

The only place that reads and writes CopyData. Waiting is the caller's: in the binary psycopg
these libpq calls keep the GIL, so one that blocked would stop every thread and Ctrl-C.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import pq, sql
from psycopg.errors import error_from_result

__all__ = ("CopyBoth", "CopyBothEnded")

_ROUNDS: Final = 64
"""Reads from the socket in one batch at most, so that a full socket cannot keep us for ever."""


class CopyBothEnded(Exception):
    """The server ended the stream without an error, as it does at a fast shutdown."""


class CopyBoth:
    """The stream of one replication connection.

    One lock guards libpq: a thread may send while another reads.

    Args:
        connection: a replication connection with nothing going on.
        command: the START_REPLICATION command.
        on_notice: called with each notice and warning of the server.

    Raises:
        psycopg.Error: the server refused the command.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        command: sql.Composed,
        on_notice: Callable[[psycopg.errors.Diagnostic], None],
    ) -> None:
        self._lock = threading.Lock()
        connection.add_notice_handler(on_notice)
        # As bytes: psycopg would encode it for the connection's client_encoding, which with an
        # SQL_ASCII database takes no name outside ASCII.
        connection.execute(command.as_string(None).encode())
        self._pgconn = connection.pgconn
        # A write must never block while the server, itself blocked on a full socket, does not
        # read (libpq manual, "Asynchronous Command Processing").
        self._pgconn.nonblocking = 1
        self._ended = False

    @property
    def socket(self) -> int:
        """File descriptor to wait on."""
        return self._pgconn.socket

    def read(self) -> list[memoryview]:
        """Return the CopyData messages that are here, without waiting for more.

        Over TLS one read of the socket gives one record, usually one message: it is repeated
        until nothing comes.

        Raises:
            CopyBothEnded: the server has ended the stream.
            psycopg.Error: it has ended with an error, or the connection broke.
        """
        messages: list[memoryview] = []
        append = messages.append
        get_copy_data = self._pgconn.get_copy_data
        with self._lock:
            if self._ended:
                self._raise_end()
            for _ in range(_ROUNDS):
                self._pgconn.consume_input()
                size, data = get_copy_data(1)
                if size == 0:
                    break
                while size > 0:
                    append(data)
                    size, data = get_copy_data(1)
                if size < 0:
                    self._ended = True
                    if not messages:
                        self._raise_end()
                    break
        return messages

    def _raise_end(self) -> None:
        # Not before the result is here: get_result would block (libpq, PQisBusy).
        poll = select.poll()
        poll.register(self._pgconn.socket, select.POLLIN)
        while self._pgconn.is_busy():
            poll.poll(1000)
            self._pgconn.consume_input()
        result = self._pgconn.get_result()
        if result is not None and result.status in (
            pq.ExecStatus.FATAL_ERROR,
            pq.ExecStatus.BAD_RESPONSE,
        ):
            raise error_from_result(result, encoding="utf-8")
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
