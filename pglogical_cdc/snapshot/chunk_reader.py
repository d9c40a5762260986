"""ChunkReader: reads the chunks of incremental snapshots, each under a snapshot of its own."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeVar

import psycopg
from attrs import evolve
from psycopg import sql

from pglogical_cdc.errors import CdcError, ConfigurationError, SourceError, TableAlteredError
from pglogical_cdc.events import SnapshotPoint, TableCatalog
from pglogical_cdc.postgres import (
    AnyConnection,
    Ask,
    Conversation,
    CopyOut,
    Flavour,
    Server,
    diagnose,
    exchange,
    high_watermark,
    low_watermark,
    one_table,
    running_transactions,
    set_client_encoding,
    unfinished,
    who_runs,
)
from pglogical_cdc.protocol import CopyRowParser, TupleData
from pglogical_cdc.snapshot.chunk import Chunk, equal_keys, read_rows
from pglogical_cdc.snapshot.incremental import IncrementalSnapshot
from pglogical_cdc.snapshot.opening import open_table
from pglogical_cdc.snapshot.row_key import RowKey, row_key
from pglogical_cdc.snapshot.selection import SelectedTable, select_tables
from pglogical_cdc.snapshot.window import Key, Window

__all__ = ("ChunkReader",)

T = TypeVar("T")

_log = logging.getLogger(__name__)

_LOCKED: Final = "55P03"
"""A table is locked, and was not let go of in time."""

_WAIT: Final = 1.0
"""Seconds."""


class ChunkReader:
    """Reads chunks over a connection of its own, one after the other.

    Args:
        connect: opens the connection.
        ask: carries a conversation on over another one.
        server: the server.
        publications: whose tables may be read.
        slot: the slot that errors name.
        binary: whether values come in binary.
        flavour: how to wait.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[AnyConnection]],
        ask: Ask,
        *,
        server: Server,
        publications: Sequence[str],
        slot: str,
        binary: bool,
        flavour: Flavour,
    ) -> None:
        self._connect = connect
        self._ask = ask
        self._server = server
        self._publications = publications
        self._slot = slot
        self._binary = binary
        self._flavour = flavour
        self.awaited: str | None = None
        """The watermark that the stream has to get to before a table without key is read."""
        self._worker: AnyConnection | None = None
        self._copy: CopyOut | None = None
        self._parser = CopyRowParser(0)

    async def read(self, snapshot: IncrementalSnapshot) -> Chunk | None:
        """Read the next chunk of a table; None if that has to be tried later, or it has failed.

        Raises:
            Stopped: the flavour was stopped.
        """
        return await self._guarded(snapshot, self._read)

    async def prepare(self, snapshot: IncrementalSnapshot) -> None:
        """Find out what there is to know of a table, so that its changes can be noticed.

        Raises:
            Stopped: the flavour was stopped.
        """
        await self._guarded(snapshot, self._begin)

    async def _guarded(
        self,
        snapshot: IncrementalSnapshot,
        step: Callable[[IncrementalSnapshot], Awaitable[Chunk | None]],
    ) -> Chunk | None:
        failure: CdcError
        try:
            return await step(snapshot)
        except psycopg.Error as error:
            self.close()
            # Without the server's own error behind it: it quotes the statement, and so keys.
            failure = diagnose(error, slot=self._slot)
        except CdcError as error:
            if isinstance(error, SourceError) and error.sqlstate == _LOCKED:
                snapshot.try_later()
                return None
            self.close()
            failure = error
        except BaseException:
            self.close()
            raise
        if isinstance(failure, TableAlteredError):
            snapshot.table = None
        if failure.retryable:
            _log.info("%r: %s; trying again", snapshot, failure)
            snapshot.try_later()
        else:
            _log.error("%r cannot go on: %s", snapshot, failure)
            snapshot.fail(failure)
        return None

    async def _read(self, snapshot: IncrementalSnapshot) -> Chunk | None:
        if snapshot.table is None:
            await self._begin(snapshot)
        table, key = self._known(snapshot)
        if table is None:
            return None
        token = secrets.token_hex(8)
        if key is None and not snapshot.is_caught_up:
            # Its transaction lasts until the stream has got to it: that must not be long.
            await self._ask(lambda: high_watermark(token))
            snapshot.is_caught_up, self.awaited = True, token
            return None
        low = await self._ask(lambda: low_watermark(token))
        if self._worker is None:
            self._worker = await self._connect()
        # The lock before the snapshot: what others did to the table before it is visible then.
        await self._say(_begin())
        try:
            opened = await self._say(open_table(table, binary=self._binary))
        except psycopg.errors.LockNotAvailable:
            await self._say(_end())
            snapshot.try_later()
            return None
        if _columns(opened.catalog) != snapshot.columns or await self._say(row_key(table)) != key:
            raise TableAlteredError(f"table {table} was altered since it was looked at")
        running = await self._say(running_transactions())
        if not snapshot.may_read(running):
            await self._say(_end())
            if snapshot.try_later():
                _log.warning(
                    "%r waits for transactions that have written to end, or, if they have "
                    "committed, for the standby that they wait for: %s",
                    snapshot,
                    await self._ask(lambda: who_runs(snapshot.awaited)),
                )
            return None
        taken = await self._say(_now(running.xmax))
        # Right behind the snapshot, so that few changes come in between.
        await self._ask(lambda: high_watermark(token))
        if self._server.client_encoding != "UTF8":
            # For the rows alone: names are asked for, and said, in UTF-8.
            await self._say(set_client_encoding(self._server.client_encoding, local=True))
        rows: dict[Key, TupleData] = {}
        again = snapshot.next_again
        if key is not None:
            rows = await self._say(
                read_rows(
                    table,
                    opened.message,
                    key,
                    after=snapshot.after,
                    again=again,
                    limit=snapshot.chunk_rows,
                    binary=self._binary,
                )
            )
            await self._say(_end())
        return Chunk(
            snapshot=snapshot,
            token=token,
            opened=opened,
            taken=taken,
            window=Window(
                low, running, rows, is_plain=key is None or key.is_plain, has_key=key is not None
            ),
            read_again=again,
            last=next(reversed(rows), None),
            ended=not again and len(rows) < snapshot.chunk_rows,
        )

    @staticmethod
    def _known(snapshot: IncrementalSnapshot) -> tuple[SelectedTable | None, RowKey | None]:
        return snapshot.table, snapshot.key

    async def _begin(self, snapshot: IncrementalSnapshot) -> None:
        first = await self._selected(snapshot)
        if first is not None:
            # The columns before what of them is published: one that is added in between shows.
            snapshot.columns = _columns(await self._ask(lambda: one_table(first.oid)))
        table = await self._selected(snapshot)
        if table is None:
            if not snapshot.is_required:
                raise ConfigurationError(
                    f"{'.'.join(snapshot.name)} is not among the tables that the publications "
                    "publish: views, unlogged tables, and with publish_via_partition_root "
                    "partitions, never are"
                )
            _log.warning("%s is not published any more", ".".join(snapshot.name))
            snapshot.finish()
            return
        if snapshot.where is not None:
            # A condition may end with a comment.
            both = [f"({each}\n)" for each in (table.row_filter, snapshot.where) if each]
            table = evolve(table, row_filter=" AND ".join(both))
        selected: SelectedTable = table
        key = await self._ask(lambda: row_key(selected))
        snapshot.begin(selected, key)
        snapshot.suspect(await self._ask(unfinished))

    async def _selected(self, snapshot: IncrementalSnapshot) -> SelectedTable | None:
        version = self._server.version
        for table in await self._ask(lambda: _tables(self._publications, version)):
            if (table.schema, table.name) == snapshot.name:
                return table
        return None

    async def settle(self, chunk: Chunk) -> bool:
        """Compare the keys that only the server can compare; whether the rows are good.

        Raises:
            CdcError: the server cannot be asked.
            Stopped: the flavour was stopped.
        """
        window, key = chunk.window, chunk.snapshot.key
        if not window.is_spoiled and window.touched and key is not None:
            for is_whole in (True, False):
                touched = [each for each, whole in window.touched.items() if whole is is_whole]
                if touched and window.rows:
                    compare = partial(self._equal_keys, key, window.rows, touched)
                    window.leave_out(await self._ask(compare), is_whole=is_whole)
        return not window.is_spoiled

    def _equal_keys(
        self, key: RowKey, rows: Iterable[Key], touched: Iterable[Key]
    ) -> Conversation[list[Key]]:
        compare = equal_keys(key, rows, touched, binary=self._binary)
        if self._server.client_encoding == "UTF8":
            return (yield from compare)
        yield sql.SQL("BEGIN")
        try:
            yield from set_client_encoding(self._server.client_encoding, local=True)
            found = yield from compare
        except BaseException:
            yield sql.SQL("ROLLBACK")
            raise
        yield sql.SQL("COMMIT")
        return found

    async def next_rows(self, chunk: Chunk) -> Sequence[TupleData]:
        """Return the next rows of a chunk in one piece; none at its end.

        Raises:
            CdcError: they cannot be read.
            Stopped: the flavour was stopped.
        """
        try:
            return await self._next_rows(chunk)
        except psycopg.Error as error:
            self.close()
            raise diagnose(error, slot=self._slot) from None
        except BaseException:
            self.close()
            raise

    async def _next_rows(self, chunk: Chunk) -> Sequence[TupleData]:
        worker = self._worker
        if worker is None:
            raise psycopg.OperationalError("the connection that reads the rows was closed")
        if self._copy is None:
            self._copy = await CopyOut.start(worker, chunk.opened.copy, self._flavour)
            self._parser = CopyRowParser(len(chunk.opened.message.columns), binary=self._binary)
        copy = self._copy
        while not (messages := copy.read()):
            if copy.ended:
                self._copy = None
                await self._say(_end())
                return ()
            await self._flavour.wait(copy.socket, _WAIT)
        return [row for row in map(self._parser.parse, messages) if row is not None]

    async def _say(self, conversation: Conversation[T]) -> T:
        assert self._worker is not None
        # Without patience: a condition may take long to find rows.
        return await exchange(self._worker, conversation, self._flavour)

    def close(self) -> None:
        """Disconnect."""
        self._copy = None
        if self._worker is not None:
            self._worker.pgconn.finish()
            self._worker = None


def _begin() -> Conversation[None]:
    yield sql.SQL("SET row_security = off; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _tables(publications: Sequence[str], version: int) -> Conversation[list[SelectedTable]]:
    # From 16 on it opens every table, and would wait for one that somebody has locked.
    yield sql.SQL("SET lock_timeout = '500ms'")
    try:
        return (yield from select_tables(publications, version))
    finally:
        yield sql.SQL("SET lock_timeout = 0")


def _columns(catalog: TableCatalog | None) -> frozenset[tuple[int, str]]:
    columns = () if catalog is None else catalog.columns
    return frozenset((column.attnum, column.name) for column in columns)


def _now(xid: int) -> Conversation[SnapshotPoint]:
    ((now,),) = yield sql.SQL(
        "SELECT (EXTRACT(EPOCH FROM pg_catalog.statement_timestamp())"
        " OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8::pg_catalog.text"
    )
    return SnapshotPoint(xid, int(now))


def _end() -> Conversation[None]:
    yield sql.SQL("COMMIT")
