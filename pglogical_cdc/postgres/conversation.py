"""Conversations with the server, written once for blocking and asynchronous connections.

A conversation is a generator: it yields a statement, is sent the rows, and returns its result. It
does no I/O; `exchange` does. An error of the server is thrown into it, at the statement that caused
it.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

import psycopg
from attrs import field
from psycopg import capabilities, pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq.abc import PGcancel, PGconn, PGresult
from psycopg.sql import SQL, Composed

from pglogical_cdc._attrs import record
from pglogical_cdc.postgres.flavour import AnyConnection, Flavour, Stopped

__all__ = (
    "Ask",
    "Conversation",
    "Field",
    "NoAnswer",
    "Parametrised",
    "Rows",
    "Verbatim",
    "exchange",
    "execute",
)

T = TypeVar("T")

_LAST_MOMENT: Final = 0.3
"""Seconds that an answer may still take after `Flavour.stop`, and a request to cancel."""

_FULL: Final = 0.01
"""Seconds until the rest of a statement is tried again that did not fit into the socket."""


@record
class Field:
    """A value as the server sent it, and what RowDescription tells of its column."""

    value: bytes | None = field(repr=False)
    """What the output function of the type wrote, as in pgoutput's text format; None for NULL."""
    table_oid: int
    """The table that has the column; 0 if it is none of a table."""
    type_oid: int
    """Of a domain, the type below it."""
    type_modifier: int


@record
class Verbatim:
    """A statement, or several, of which the last gives rows of `Field`, past psycopg's loaders."""

    statement: SQL | Composed = field(repr=False)


@record
class Parametrised:
    """One statement with parameters, which gives rows of `bytes`, past psycopg's loaders.

    Values go and come as the wire has them, so that one that was read can be asked for again.
    """

    statement: SQL | Composed = field(repr=False)
    """With ``$1`` and so on."""
    values: Sequence[bytes | None] = field(repr=False)
    types: Sequence[int]
    """OIDs of the parameters' types."""
    binary: bool
    """Whether parameters and rows are in the binary forms of their types."""


Rows: TypeAlias = list[tuple[Any, ...]]
Conversation: TypeAlias = Generator[SQL | Composed | Verbatim | Parametrised, Rows, T]


class Ask(Protocol):
    """Carries a conversation on over some connection, more than once if need be."""

    def __call__(self, conversation: Callable[[], Conversation[T]]) -> Awaitable[T]:
        """Return its result."""
        ...


async def exchange(
    connection: AnyConnection,
    conversation: Conversation[T],
    flavour: Flavour,
    patience: float | None = None,
) -> T:
    """Carry a conversation on over a connection and return its result.

    Args:
        connection: one with nothing going on.
        conversation: what to say, and what to make of the answers.
        flavour: how to wait.
        patience: seconds for each answer; None for as long as it takes.

    Raises:
        psycopg.Error: the server refused and the conversation let it pass, the connection broke, or
            the answer did not come in time. The connection is closed in the last two cases.
        Stopped: the flavour was stopped and the answer did not come. The connection is closed.
    """
    try:
        statement = next(conversation)
        while True:
            try:
                rows = await _ask(connection, statement, flavour, patience)
            except psycopg.Error as error:
                statement = conversation.throw(error)
            else:
                statement = conversation.send(rows)
    except StopIteration as end:
        return cast("T", end.value)


async def _ask(
    connection: AnyConnection,
    statement: SQL | Composed | Verbatim | Parametrised,
    flavour: Flavour,
    patience: float | None,
) -> Rows:
    bare = isinstance(statement, (Verbatim, Parametrised))
    text = statement.statement if isinstance(statement, (Verbatim, Parametrised)) else statement
    given = statement if isinstance(statement, Parametrised) else None
    result = await execute(connection, text.as_bytes(connection), flavour, patience, given)
    if result.status != pq.ExecStatus.TUPLES_OK:
        return []
    if bare:
        return _fields(result) if given is None else _values(result)
    values = Transformer(connection)
    values.set_pgresult(result)
    return values.load_rows(0, result.ntuples, tuple)


async def execute(
    connection: AnyConnection,
    statement: bytes,
    flavour: Flavour,
    patience: float | None = None,
    given: Parametrised | None = None,
) -> PGresult:
    """Execute a statement, or a command of the replication protocol, and return its last result.

    Not by psycopg's own ``execute``, which on Ctrl-C or cancellation first waits for the server.

    Raises:
        psycopg.Error: see `exchange`.
        Stopped: see `exchange`.
    """
    pgconn = connection.pgconn
    answers: list[PGresult] = []
    try:
        if given is None:
            pgconn.send_query(statement)
        else:
            form = int(given.binary)
            forms = [form] * len(given.values)
            pgconn.send_query_params(statement, given.values, given.types, forms, form)
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            # Never get_result before that: it would block (libpq manual, PQisBusy).
            while pgconn.is_busy():
                if flavour.stopped:
                    last = time.monotonic() + _LAST_MOMENT
                    deadline = last if deadline is None else min(deadline, last)
                left = 1.0 if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    if flavour.stopped:
                        raise Stopped
                    _cancel(pgconn)
                    raise _silent(patience)
                # To send on, too: a flavour waits for what is to be read only.
                unsent = pgconn.flush()
                await flavour.wait(pgconn.socket, min(left, _FULL if unsent else 1.0))
                pgconn.consume_input()
            answer = pgconn.get_result()
            if answer is None:
                break
            answers.append(answer)
            if answer.status in (pq.ExecStatus.COPY_BOTH, pq.ExecStatus.COPY_OUT):
                break
    except psycopg.Error:
        pgconn.finish()  # an answer that nobody waits for would be taken for the next one
        raise
    except BaseException:
        _cancel(pgconn)
        pgconn.finish()
        raise
    for answer in answers:
        if answer.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(answer, encoding="utf-8")
    return answers[-1]


def _cancel(pgconn: PGconn) -> None:
    """Have the server give up what it is doing for a connection, if it hears of it soon.

    Left alone it would go on to its end, and a slot whose creation had been waiting for somebody
    else's transaction would be there then, with nobody to read it.
    """
    with contextlib.suppress(psycopg.Error):
        if not capabilities.has_cancel_safe():
            # It waits for a server that does not answer as long as TCP does.
            cancelling = threading.Thread(
                target=_cancel_blocking, args=(pgconn.get_cancel(),), daemon=True
            )
            cancelling.start()
            cancelling.join(_LAST_MOMENT)
            return
        cancel = pgconn.cancel_conn()
        cancel.start()
        deadline = time.monotonic() + _LAST_MOMENT
        while (left := deadline - time.monotonic()) > 0:
            status = cancel.poll()
            if status in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
                break
            reading = status == pq.PollingStatus.READING
            poll = select.poll()
            poll.register(cancel.socket, select.POLLIN if reading else select.POLLOUT)
            poll.poll(left * 1000)
        cancel.finish()


def _cancel_blocking(cancel: PGcancel) -> None:
    with contextlib.suppress(psycopg.Error):
        cancel.cancel()


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time."""


def _silent(patience: float | None) -> NoAnswer:
    return NoAnswer(f"no answer of the server within {patience:g} s")


def _fields(result: PGresult) -> Rows:
    columns = range(result.nfields)
    return [
        tuple(
            Field(
                result.get_value(row, column),
                result.ftable(column),
                result.ftype(column),
                result.fmod(column),
            )
            for column in columns
        )
        for row in range(result.ntuples)
    ]


def _values(result: PGresult) -> Rows:
    get, columns = result.get_value, range(result.nfields)
    return [tuple([get(row, column) for column in columns]) for row in range(result.ntuples)]
