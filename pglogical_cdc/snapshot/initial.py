"""InitialSnapshot: the rows of a slot's tables as they were at the point from which it streams.

PostgreSQL gives a new slot a snapshot of that very point (manual, "Streaming Replication Protocol",
CREATE_REPLICATION_SLOT). A connection of its own holds it; each table is read in a transaction of
its own under it, so that no table is locked for longer than it takes to read it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import psycopg
from psycopg import sql

from pglogical_cdc.errors import (
    CdcError,
    ConnectionLostError,
    SnapshotError,
    SourceError,
)
from pglogical_cdc.events import (
    Relation,
    Row,
    SnapshotMarker,
    SnapshotPoint,
    SnapshotRead,
    SnapshotRows,
    SnapshotRun,
    TableCatalog,
)
from pglogical_cdc.name_patterns import NamePatterns
from pglogical_cdc.postgres import (
    AnyConnection,
    Ask,
    Conversation,
    CopyOut,
    ExportedSlot,
    Flavour,
    Parameters,
    Server,
    connect_beside,
    diagnose,
    exchange,
)
from pglogical_cdc.protocol import CopyRowParser, RelationMessage, TupleData
from pglogical_cdc.snapshot.choice import choose_tables
from pglogical_cdc.snapshot.marks import Marks
from pglogical_cdc.snapshot.opening import (
    OpenedTable,
    begin_under,
)
from pglogical_cdc.snapshot.progress import SnapshotProgress
from pglogical_cdc.snapshot.selection import SelectedTable, select_tables
from pglogical_cdc.snapshot.stats import SnapshotStats
from pglogical_cdc.snapshot.table_connection import TableConnection
from pglogical_cdc.snapshot.worker import RecordMaking, check_size

__all__ = ("InitialSnapshot",)

_LOCKED_PAUSE: Final = 0.1
"""Seconds until a table that somebody has locked is tried again."""

_LONGEST_RUN: Final = 1024
"""Rows whose records come at once."""

_KEEPALIVE: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}
"""The connection that holds the snapshot is silent until all is read, and a firewall on the way
would forget it."""


class InitialSnapshot:
    """Reads the tables of some publications, one after the other.

    Args:
        slot: the slot that has exported the snapshot.
        replication: its connection, on which no command may be given before `open` has returned.
        given: where to connect.
        server: the server.
        publications: whose tables are read.
        include: those of them that are read; None for all.
        exclude: those that are not.
        binary: whether rows come in binary.
        max_message_bytes: bigger rows are an error.
        flavour: how to wait.
        describe: from what the stream would say of a table, and its catalog, to its version.
        ask: asks the server outside the snapshot.
    """

    def __init__(
        self,
        slot: ExportedSlot,
        replication: AnyConnection,
        *,
        given: Parameters,
        server: Server,
        publications: Sequence[str],
        include: NamePatterns | None,
        exclude: NamePatterns,
        binary: bool,
        max_message_bytes: int,
        flavour: Flavour,
        describe: Callable[[RelationMessage, TableCatalog | None], Relation],
        ask: Ask,
    ) -> None:
        self.slot = slot
        self.replication = replication
        self.rows: list[SnapshotRead] = []
        """The rows that were read; to be taken away from the left."""
        self.is_complete = False
        """Whether all rows were read."""
        self.is_half_read = False
        """Whether `read` was left in the middle by an exception, which may have lost rows."""
        self._given = Parameters({**_KEEPALIVE, **given})
        self._server = server
        self._publications = publications
        self._include = include
        self._exclude = exclude
        self._binary = binary
        self._flavour = flavour
        self._describe = describe
        self._ask = ask
        self._holder: AnyConnection | None = None
        self._worker: TableConnection | None = None
        self._point = SnapshotPoint(0, 0)
        self._tables: list[SelectedTable] = []
        self._tables_read = 0
        self._copy: CopyOut | None = None
        self._is_locked = False
        """Whether somebody has locked the table that is next."""
        self._max_message_bytes = max_message_bytes
        self._marks = Marks(self._change)
        self._maker: RecordMaking | None = None
        self._run = _LONGEST_RUN
        self._made = 0

    async def open(self) -> None:
        """Take over the snapshot, find the tables and see that each can be read.

        Raises:
            TableAlteredError: a table was altered since the slot was made; try with a new one.
            ConfigurationError: the role may not read a table.
            CdcError: the server cannot be reached, or refused.
            Stopped: the flavour was stopped.
        """
        try:
            holder = self._holder = await self._connect()
            flavour = self._flavour
            await exchange(holder, begin_under(self.slot.snapshot_name), flavour)
            self._snapshot, self._point = await exchange(holder, _hold(), flavour)
            published = await exchange(
                holder, select_tables(self._publications, self._server.version), flavour
            )
            self._tables = await exchange(
                holder, choose_tables(published, self._include, self._exclude), flavour
            )
            self._worker = self._new_connection()
            for table in self._tables:
                while await self._open(self._worker, table) is None:
                    pass
                await self._worker.end()
        except psycopg.Error as error:
            raise self._failure(error) from None
        self._progress = SnapshotProgress(f"snapshot of slot {self.slot.name!r}", self._tables)

    async def _connect(self) -> AnyConnection:
        return await connect_beside(self._given, self.replication, self._flavour)

    def _new_connection(self) -> TableConnection:
        return TableConnection(
            self._connect,
            self._snapshot,
            binary=self._binary,
            client_encoding=self._server.client_encoding,
            flavour=self._flavour,
            ask=self._ask,
        )

    async def _open(self, connection: TableConnection, table: SelectedTable) -> OpenedTable | None:
        """Open a table in a transaction of its own; None if somebody has locked it."""
        # The slot is gone with its connection, and the rest of the rows would be read for nothing.
        self.replication.pgconn.consume_input()
        return await connection.open(table)

    def make_records(self, maker: RecordMaking, run: int) -> None:
        """Have records be made of rows where they are read, if that is of use.

        Args:
            maker: makes them.
            run: of so many rows at once, at most.
        """
        self._maker, self._run = maker, min(run, _LONGEST_RUN)

    @property
    def makes_records(self) -> bool:
        """Whether rows may come of which there are records only."""
        return self._maker is not None and self._maker.takes_rows

    # -- reading

    async def read(self) -> None:
        """Add the rows that are here to `rows`; see `wait` and `is_complete` if there are none.

        Raises:
            SnapshotError: a table was altered before it was read, or cannot be read.
            MessageTooLargeError: a row is bigger than the limit.
            ConnectionLostError: a connection of the snapshot is lost.
            Stopped: the flavour was stopped.
        """
        try:
            if self._copy is None and not await self._begin():
                return
            assert self._copy is not None
            self.replication.pgconn.consume_input()
            self.is_half_read = True
            self._take(self._copy)
            self.is_half_read = False
            if self._copy.ended:
                self._copy = None
                self._end_table()
                assert self._worker is not None
                await self._worker.end()
        except psycopg.Error as error:
            raise self._failure(error) from None

    async def _begin(self) -> bool:
        """Begin with the next table; False if there is none, or somebody has locked it."""
        table, worker = self._table, self._worker
        if table is None:
            self._complete()
            return False
        assert worker is not None
        opened = await self._open(worker, table)
        self._is_locked = opened is None
        if opened is None:
            self._progress.tell()
            return False
        copy = await worker.copy(opened.copy)
        self._turn_to(opened, self._describe(opened.message, opened.catalog))
        self._progress.begin(table)
        self._copy = copy
        return True

    def _turn_to(self, opened: OpenedTable, relation: Relation) -> None:
        """Have the next messages be rows of a table."""
        self._relation = relation
        self._parser = CopyRowParser(len(opened.message.columns), binary=self._binary)

    def _end_table(self) -> None:
        self._tables_read += 1
        self._marks.end_table()
        self._progress.end(self._tables[self._tables_read - 1])

    def _complete(self) -> None:
        """All tables were read."""
        self.rows += self._marks.end()
        self.is_complete = True
        self._progress.end_all()
        self.close()

    def _take(self, copy: CopyOut) -> None:
        # Until there is a change, or nothing more: the end of the rows gives none, and would
        # else be waited for while it is here.
        while not self.rows and (messages := copy.read()):
            check_size(messages, self._max_message_bytes)
            self.rows += self._changes(messages)

    def _changes(self, messages: list[bytes]) -> list[SnapshotRead]:
        rows = self._parser.rows(messages)
        size = sum(map(len, messages))
        self._progress.add(self._tables[self._tables_read], len(rows), size)
        maker = self._maker
        if maker is None or not maker.takes_rows:
            return self._marks.rows(self._relation, list(rows))
        return self._with_records(maker, rows)

    def _with_records(self, maker: RecordMaking, rows: Sequence[TupleData]) -> list[SnapshotRead]:
        """Make changes of the first and the last of some rows, and records of all others."""
        relation, marks = self._relation, self._marks
        made = marks.rows(relation, rows[:1])
        end = len(rows) - 1
        if end > 0:
            made += marks.release()
            for start in range(1, end, self._run):
                run = rows[start : min(start + self._run, end)]
                packed = maker.pack(
                    SnapshotRows(relation, self.slot.consistent_point, self._point, run)
                )
                made.append(self._run_of(relation, len(run), maker.unpack(packed)))
            made += marks.rows(relation, rows[end:])
        return made

    def _run_of(self, relation: Relation, rows: int, records: Sequence[object]) -> SnapshotRun:
        self._made += rows
        return SnapshotRun(
            self.slot.consistent_point,
            None,
            0,
            relation,
            Row(relation, ()),
            "true",
            self._made,
            self._point,
            rows=rows,
            records=records,
        )

    async def wait(self, seconds: float) -> None:
        """Wait until rows are here."""
        if self._copy is not None:
            await self._flavour.wait(self._copy.socket, seconds)
        elif self._is_locked:
            await self._flavour.rest(min(seconds, _LOCKED_PAUSE))

    def _change(self, relation: Relation, row: TupleData, marker: SnapshotMarker) -> SnapshotRead:
        self._made += 1
        return SnapshotRead(
            self.slot.consistent_point,
            None,
            0,
            relation,
            Row(relation, row),
            marker,
            self._made,
            self._point,
        )

    def _failure(self, error: psycopg.Error) -> CdcError:
        return self._failed(diagnose(error, slot=self.slot.name))

    def _failed(self, found: CdcError) -> CdcError:
        table = self._table
        where = "" if table is None else f" while table {table} was read"
        what = f"the snapshot has failed{where}: {found}. Open a new reader, which takes it anew"
        if isinstance(found, ConnectionLostError):
            return ConnectionLostError(what, sqlstate=found.sqlstate, slot=found.slot)
        if isinstance(found, SourceError):
            return SnapshotError(what, sqlstate=found.sqlstate, slot=found.slot)
        return found

    # -- where it stands

    @property
    def _table(self) -> SelectedTable | None:
        if self._tables_read < len(self._tables):
            return self._tables[self._tables_read]
        return None

    @property
    def stats(self) -> SnapshotStats:
        """How far it has got."""
        return self._progress.stats

    def close(self) -> None:
        """Let go of the snapshot, and of its connections but that of the slot."""
        if self._worker is not None:
            self._worker.close()
        if self._holder is not None:
            self._holder.pgconn.finish()
        self._worker = self._holder = None


def _hold() -> Conversation[tuple[str, SnapshotPoint]]:
    """Export the transaction's snapshot for others, and tell when it was taken."""
    ((name, xid, now),) = yield sql.SQL(
        "SELECT pg_catalog.pg_export_snapshot(),"
        " pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text,"
        " (EXTRACT(EPOCH FROM pg_catalog.transaction_timestamp())"
        " OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8::pg_catalog.text"
    )
    return name, SnapshotPoint(int(xid), int(now))
