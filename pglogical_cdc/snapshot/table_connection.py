"""TableConnection: opens tables under a snapshot, one after the other, and reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import psycopg
from psycopg import sql

from pglogical_cdc.postgres import (
    AnyConnection,
    Ask,
    Conversation,
    CopyOut,
    Flavour,
    exchange,
    set_client_encoding,
)
from pglogical_cdc.snapshot.opening import (
    OpenedTable,
    begin_under,
    check_unaltered,
    definition,
    open_table,
)
from pglogical_cdc.snapshot.selection import SelectedTable

__all__ = ("TableConnection", "prepare")

T = TypeVar("T")


class TableConnection:
    """A connection on which tables are opened, each in a transaction of its own.

    Whatever goes wrong in the middle of something, it is let go of, and the next table gets a new
    one: nothing has been read then, and it can be done again.

    Args:
        connect: opens a connection.
        snapshot: name of the snapshot.
        binary: whether rows come in binary.
        client_encoding: in which rows come.
        flavour: how to wait.
        ask: asks the server outside the snapshot.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[AnyConnection]],
        snapshot: str,
        *,
        binary: bool,
        client_encoding: str,
        flavour: Flavour,
        ask: Ask,
    ) -> None:
        self._connect = connect
        self._snapshot = snapshot
        self._binary = binary
        self._client_encoding = client_encoding
        self._flavour = flavour
        self._ask = ask
        self._connection: AnyConnection | None = None

    @contextlib.contextmanager
    def _or_let_go(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    async def open(self, table: SelectedTable) -> OpenedTable | None:
        """Begin a transaction in which a table is locked; None if somebody has locked it.

        Raises:
            TableAlteredError: the table cannot be read as the snapshot has it.
            ConfigurationError: the role may not read it.
            CdcError, psycopg.Error: the server cannot be reached, or refused.
            Stopped: the flavour was stopped.
        """
        with self._or_let_go():
            if self._connection is None:
                self._connection = await self._connect()
                await self._exchange(prepare())
            await self._exchange(begin_under(self._snapshot))
            try:
                opened = await self._exchange(open_table(table, binary=self._binary))
            except psycopg.errors.LockNotAvailable:
                await self._exchange(_commit())
                return None
            now = await self._ask(lambda: definition(table))
        check_unaltered(table, opened.definition, now)
        return opened

    async def say(self, conversation: Conversation[T]) -> T:
        """Carry a conversation on inside the transaction; see `exchange`."""
        with self._or_let_go():
            return await self._exchange(conversation)

    async def _exchange(self, conversation: Conversation[T]) -> T:
        assert self._connection is not None
        # Without patience: a big table may take long to begin with.
        return await exchange(self._connection, conversation, self._flavour)

    async def copy(self, command: sql.Composed) -> CopyOut:
        """Start to read; see `CopyOut.start`."""
        assert self._connection is not None
        with self._or_let_go():
            if self._client_encoding != "UTF8":
                # For the rows alone: names are asked for, and said, in UTF-8.
                await self._exchange(set_client_encoding(self._client_encoding, local=True))
            return await CopyOut.start(self._connection, command, self._flavour)

    async def end(self) -> None:
        """End the transaction."""
        await self.say(_commit())

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None


def prepare() -> Conversation[None]:
    """Have a session read tables as a snapshot wants them."""
    # A policy that hides rows is an error, as in pg_dump.
    yield sql.SQL("SET row_security = off")
    # The rows of big tables too come in the order in which they lie.
    yield sql.SQL("SET synchronize_seqscans = off")


def _commit() -> Conversation[None]:
    yield sql.SQL("COMMIT")
