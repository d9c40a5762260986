"""Conversations with the server, written once for blocking and asynchronous connections.

A conversation is a generator: it yields a statement, is sent the rows, and returns its result. It
does no I/O; `converse` is the blocking driver. An error of the server is thrown into it, at the
statement that caused it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

import psycopg
from attrs import field
from psycopg.pq.abc import PGresult
from psycopg.sql import SQL, Composed

from pglogical_cdc._attrs import record

__all__ = ("Conversation", "Field", "Rows", "Verbatim", "converse")

T = TypeVar("T")


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


Rows: TypeAlias = list[tuple[Any, ...]]
Conversation: TypeAlias = Generator[SQL | Composed | Verbatim, Rows, T]


def converse(connection: psycopg.Connection[Any], conversation: Conversation[T]) -> T:
    """Carry a conversation on over a blocking connection and return its result."""
    try:
        statement = next(conversation)
        while True:
            try:
                rows = _execute(connection, statement)
            except psycopg.Error as error:
                statement = conversation.throw(error)
            else:
                statement = conversation.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result


def _execute(connection: psycopg.Connection[Any], statement: SQL | Composed | Verbatim) -> Rows:
    if not isinstance(statement, Verbatim):
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description is not None else []
    cursor = connection.execute(statement.statement)
    while cursor.nextset():
        pass
    return [] if cursor.pgresult is None else _fields(cursor.pgresult)


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
