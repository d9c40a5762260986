"""Conversations with the server, written once for blocking and asynchronous connections.

A conversation is a generator: it yields a statement, is sent the rows, and returns its result. It
does no I/O; `converse` is the blocking driver. An error of the server is thrown into it, at the
statement that caused it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.sql import SQL, Composed

__all__ = ("Conversation", "Rows", "converse")

T = TypeVar("T")

Rows: TypeAlias = list[tuple[Any, ...]]
Conversation: TypeAlias = Generator[SQL | Composed, Rows, T]


def converse(connection: psycopg.Connection[Any], conversation: Conversation[T]) -> T:
    """Carry a conversation on over a blocking connection and return its result."""
    try:
        statement = next(conversation)
        while True:
            try:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description is not None else []
            except psycopg.Error as error:
                statement = conversation.throw(error)
            else:
                statement = conversation.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result
