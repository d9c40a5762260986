"""Beside: the ordinary connection beside a stream, for what has to be asked of its server.

Nothing of it goes over the replication connection: what that session has in its caches of the
tables as they are now, the walsender would take for what they were when their changes were made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from pglogical_cdc.events import TableCatalog
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    Conversation,
    Parameters,
    connect_beside,
    converse,
    current_lsn,
    diagnose,
    one_table,
    published_tables,
)

__all__ = ("Beside",)

T = TypeVar("T")


class Beside:
    """Asks the server of a replication connection, and remembers what its catalog said.

    The connection is silent for long, and the first that an idle limit on the way or on the server
    finds; the stream is no worse for it. So it is made anew once when it is gone.

    Args:
        given: as for the replication connection.
        connection: the replication connection.
        slot: the slot that errors name.
    """

    def __init__(self, given: Parameters, connection: psycopg.Connection[Any], slot: str) -> None:
        self._parameters = given
        self._replication = connection
        self._slot = slot
        self._connection: psycopg.Connection[Any] | None = None
        self._catalog: dict[int, TableCatalog] = {}
        self._catalog_lsn = LSN(0)

    def ask(self, conversation: Callable[[], Conversation[T]]) -> T:
        """Carry a conversation on; it must be one that can be repeated.

        Raises:
            CdcError: the server cannot be reached, or refused.
        """
        connection = self._connection
        try:
            if connection is not None and not connection.closed:
                try:
                    return converse(connection, conversation())
                except psycopg.Error:
                    if not connection.closed:
                        raise
            connection = self._connection = connect_beside(self._parameters, self._replication)
            return converse(connection, conversation())
        except psycopg.Error as error:
            # Without the server's own error behind it: it quotes the statement, and so keys.
            raise diagnose(error, slot=self._slot) from None

    def current_lsn(self) -> LSN:
        """Return where the server's WAL ends.

        Raises:
            CdcError: the server cannot be reached.
        """
        return self.ask(current_lsn)

    def read_catalog(self, publications: tuple[str, ...]) -> None:
        """Read all published tables at once.

        Raises:
            CdcError: the server cannot be reached.
        """
        # The position first: what commits before it is in the catalog that is read after it.
        self._catalog_lsn = self.current_lsn()
        self._catalog = self.ask(lambda: published_tables(publications))

    def describe(self, oid: int, commit_lsn: LSN | None) -> TableCatalog | None:
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
        found = self.ask(lambda: one_table(oid, known))
        if found is None:
            return known
        self._catalog[oid] = found
        return found

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
