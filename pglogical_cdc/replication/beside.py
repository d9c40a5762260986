"""Beside: the ordinary connection beside a stream, for what has to be asked of its server.

Nothing of it goes over the replication connection: what that session has in its caches of the
tables as they are now, the walsender would take for what they were when their changes were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import psycopg

from pglogical_cdc.events import Change, TableCatalog
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    AnyConnection,
    Conversation,
    Flavour,
    Parameters,
    connect_beside,
    current_lsn,
    diagnose,
    exchange,
    one_table,
    published_tables,
    reselected,
    unsent_values,
)

__all__ = ("Beside",)

T = TypeVar("T")

_PATIENCE: Final = 60.0
"""Seconds for an answer; what is asked sets shorter limits of its own where it may have to wait."""


class Beside:
    """Asks the server of a replication connection, and remembers what its catalog said.

    The connection is silent for long, and the first that an idle limit on the way or on the server
    finds; the stream is no worse for it. So it is made anew once when it is gone.

    Args:
        given: as for the replication connection.
        slot: the slot that errors name.
        flavour: how to wait.
    """

    def __init__(self, given: Parameters, slot: str, flavour: Flavour) -> None:
        self._parameters = given
        self._slot = slot
        self._flavour = flavour
        self._replication: AnyConnection | None = None
        self._connection: AnyConnection | None = None
        self._patience = _PATIENCE
        self._catalog: dict[int, TableCatalog] = {}
        self._catalog_lsn = LSN(0)

    def attach(self, replication: AnyConnection, patience: float = _PATIENCE) -> None:
        """Ask the server of this connection from now on.

        Args:
            replication: the replication connection.
            patience: seconds for each answer.
        """
        self.close()
        self._replication = replication
        self._patience = patience

    async def ask(self, conversation: Callable[[], Conversation[T]]) -> T:
        """Carry a conversation on; it must be one that can be repeated.

        Raises:
            CdcError: the server cannot be reached, or refused.
            Stopped: the flavour was stopped before there was an answer.
        """
        connection = self._connection
        try:
            if connection is not None and not connection.closed:
                try:
                    return await self._exchange(connection, conversation())
                except psycopg.Error:
                    if not connection.closed:
                        raise
            connection = self._connection = await self.connect()
            return await self._exchange(connection, conversation())
        except psycopg.Error as error:
            # Without the server's own error behind it: it quotes the statement, and so keys.
            raise diagnose(error, slot=self._slot) from None

    async def connect(self) -> AnyConnection:
        """Open another connection to the same server, which is the caller's.

        Raises:
            CdcError: the server cannot be reached.
            Stopped: the flavour was stopped.
        """
        assert self._replication is not None
        return await connect_beside(
            self._parameters, self._replication, self._flavour, self._patience
        )

    async def _exchange(self, connection: AnyConnection, conversation: Conversation[T]) -> T:
        return await exchange(connection, conversation, self._flavour, self._patience)

    async def current_lsn(self) -> LSN:
        """Return where the server's WAL ends.

        Raises:
            CdcError: the server cannot be reached.
        """
        return await self.ask(current_lsn)

    async def read_catalog(self, publications: tuple[str, ...]) -> None:
        """Read all published tables at once.

        Raises:
            CdcError: the server cannot be reached.
        """
        # The position first: what commits before it is in the catalog that is read after it.
        lsn = await self.current_lsn()
        found = await self.ask(lambda: published_tables(publications))
        if found:
            # Of a table that is gone by now, what was known of it holds on.
            self._catalog.update(found)
            self._catalog_lsn = lsn

    async def describe(self, oid: int, commit_lsn: LSN | None) -> TableCatalog | None:
        """Return what the catalog says, or said last, of a table; None if it never said a thing.

        Args:
            oid: the table.
            commit_lsn: commit of the transaction that describes the table.

        Raises:
            CdcError: the server cannot be reached.
        """
        known = self._catalog.get(oid)
        if known is not None and commit_lsn is not None and commit_lsn < self._catalog_lsn:
            return known
        found = await self.ask(lambda: one_table(oid, known))
        if found is None:
            return known
        self._catalog[oid] = found
        return found

    async def reselect(self, change: Change, encoding: str) -> Change:
        """Return a change with the values that were not sent, as far as they can be read.

        Args:
            change: any change.
            encoding: of the values, in PostgreSQL's name.

        Raises:
            CdcError: the server cannot be reached.
        """
        unsent = unsent_values(change)
        if unsent is None:
            return change
        return await self.ask(lambda: reselected(unsent, encoding))

    def forget(self, oids: Iterable[int]) -> None:
        """Drop what is known of some tables."""
        for oid in oids:
            self._catalog.pop(oid, None)

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None
