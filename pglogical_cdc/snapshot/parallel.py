"""ParallelSnapshot: an initial snapshot whose tables are read in chunks, by an executor.

The connection that has opened a table keeps it locked until all its chunks were read, so that rows
stay where they are; the workers read them under the same snapshot. Changes come in the order of the
tables and chunks, whichever was read first, and so with the markers of any other snapshot.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any, Final

import psycopg
from attrs import define
from psycopg import sql

from pglogical_cdc.errors import CdcError, ConfigurationError, SnapshotError
from pglogical_cdc.events import Relation, SnapshotRead
from pglogical_cdc.postgres import Conversation, Parameters, parameters_beside
from pglogical_cdc.snapshot.initial import InitialSnapshot
from pglogical_cdc.snapshot.opening import OpenedTable
from pglogical_cdc.snapshot.table_connection import TableConnection
from pglogical_cdc.snapshot.tid_ranges import TidRange, measure, split
from pglogical_cdc.snapshot.worker import (
    RangeRows,
    RangeTask,
    RowKit,
    RowMessages,
    RowRecords,
    read_range,
)

__all__ = ("ParallelSnapshot",)

_CHUNK_BYTES: Final = 4 * 1024 * 1024
"""Of a table, on disk. As Debezium JSON it is five times as much, and waits in memory."""

_SMALL_BYTES: Final = 64 * 1024
"""A table that is not bigger has been read before a worker is connected."""

_BATCH: Final = 1024
"""Rows that are made changes at once."""

_LOCKED_PAUSE: Final = 0.1
"""Seconds until a table that somebody has locked is tried again."""


@define(eq=False)
class _Table:
    """A table that is opened."""

    opened: OpenedTable
    connection: TableConnection
    """In the transaction that keeps it locked."""
    relation: Relation
    is_small: bool
    ranges: deque[TidRange]
    """What nobody has been given to read."""
    kit: bytes | None = None


@define(eq=False)
class _Part:
    """What is read at once of a table."""

    table: _Table
    tids: TidRange
    is_last: bool
    """Whether it ends the table."""
    future: Future[RangeRows] | None = None
    """None if it is read over the connection of its table."""


class ParallelSnapshot(InitialSnapshot):
    """Reads the tables of some publications, in chunks, by any executor.

    Args:
        executor: reads chunks.
        workers: so many chunks are with it, or read and not taken, at most.
        arguments: those of `InitialSnapshot`.
    """

    def __init__(self, *arguments: Any, executor: Executor, workers: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._executor = executor
        self._workers = workers
        self._idle: list[TableConnection] = []
        self._opened = 0
        """How many tables were opened."""
        self._giving: _Table | None = None
        """The table that has something to give to a worker."""
        self._parts: deque[_Part] = deque()
        """What was given out and not taken as a whole, in the order in which it is taken."""
        self._steps: Iterator[list[SnapshotRead]] | None = None
        """Makes the changes of the first part, once it was read."""
        self._retry_at = 0.0
        self._where: Parameters | None = None

    @property
    def makes_records(self) -> bool:
        """Whether rows may come of which there are records only."""
        return self._maker is not None

    # -- giving out

    async def _give_out(self) -> None:
        """Give the executor to read what there is place for."""
        while len(self._parts) < self._workers:
            table = self._giving
            if table is None:
                if self._opened == len(self._tables) or not self._may_open:
                    return
                table = await self._open_next()
                if table is None:
                    return
            # A signal in here is as one while rows are read.
            self.is_half_read = True
            self._giving = table
            part = _Part(table, table.ranges.popleft(), is_last=not table.ranges)
            self._parts.append(part)
            if part.is_last:
                self._giving = None
            if not table.is_small:
                part.future = self._submit(part)
            self.is_half_read = False

    @property
    def _may_open(self) -> bool:
        # To try a table that is locked takes half a second.
        return not self._is_locked or (time.monotonic() >= self._retry_at and not self._is_ready)

    async def _open_next(self) -> _Table | None:
        """Open the next table; None if somebody has locked it."""
        table = self._tables[self._opened]
        connection = self._idle.pop() if self._idle else self._new_connection()
        try:
            opened = await self._open(connection, table)
            extent = None if opened is None else await connection.say(measure(table))
        except BaseException:
            connection.close()
            raise
        self._is_locked = opened is None
        if opened is None or extent is None:
            self._idle.append(connection)
            self._retry_at = time.monotonic() + _LOCKED_PAUSE
            self._progress.tell()
            return None
        relation = self._describe(opened.message, opened.catalog)
        self._opened += 1
        self._giving = made = _Table(
            opened,
            connection,
            relation,
            is_small=extent.bytes <= _SMALL_BYTES,
            ranges=deque(split(extent, _CHUNK_BYTES)),
        )
        return made

    def _submit(self, part: _Part) -> Future[RangeRows]:
        opened = part.table.opened
        if self._where is None:
            self._where = parameters_beside(self._given, self.replication)
        task = RangeTask(
            given=self._where,
            slot=self.slot.name,
            snapshot=self._snapshot,
            command=opened.copy_of(part.tids),
            columns=len(opened.message.columns),
            binary=self._binary,
            client_encoding=self._server.client_encoding,
            max_message_bytes=self._max_message_bytes,
            kit=self._kit(part.table),
        )
        try:
            future = self._executor.submit(read_range, task)
        except Exception as error:
            raise self._broken(error) from error
        future.add_done_callback(self._wake)
        return future

    def _wake(self, future: object) -> None:
        self._flavour.wake()

    def _kit(self, table: _Table) -> bytes | None:
        if self._maker is None:
            return None
        if table.kit is None:
            kit = RowKit(
                self._maker, self._run, table.relation, self.slot.consistent_point, self._point
            )
            try:
                table.kit = pickle.dumps(kit)
            except Exception as error:
                raise ConfigurationError(
                    "with snapshot_executor the formatter makes records in its workers, and it "
                    f"cannot be pickled ({error}): its options must be values and functions of "
                    "modules, and the reader must have no adapters of its own"
                ) from None
        return table.kit

    def _broken(self, error: BaseException) -> SnapshotError:
        table = self._table
        what = f"snapshot_executor has failed with {type(error).__name__}"
        if isinstance(error, BrokenExecutor):
            what += ": one of its workers has ended, maybe killed for want of memory"
        elif isinstance(error, CancelledError):
            what = "somebody has cancelled what snapshot_executor was to do"
        return SnapshotError(
            f"the snapshot has failed while table {table} was read: {what}. Open a new reader, "
            "with a new executor, which takes the snapshot anew",
            slot=self.slot.name,
        )

    # -- taking

    async def read(self) -> None:
        """Add the rows that are here to `rows`; see `InitialSnapshot.read`."""
        try:
            self.replication.pgconn.consume_input()
            if self._parts:
                await self._take_part(self._parts[0])
            # Behind it: a table that is locked must not keep back what is here.
            await self._give_out()
            if not self._parts and self._opened == len(self._tables):
                self._complete()
        except psycopg.Error as error:
            raise self._failure(error) from None

    async def _take_part(self, part: _Part) -> None:
        """Take what is here of the first part."""
        if self._copy is None and self._steps is None:
            if part.future is None:
                await self._read_here(part)
            elif part.future.done() and (found := self._result(part.future)) is not None:
                self._turn_to(part.table.opened, part.table.relation)
                self._steps = self._taken(part, found)
                self._begin_part(part)
            else:
                if part.future.done():
                    # Somebody waits for a lock that this connection has: it may read on.
                    part.future = None
                return
        self.is_half_read = True
        if self._copy is not None:
            self._take(self._copy)
            ended = self._copy.ended
        else:
            assert self._steps is not None
            changes = next(self._steps, None)
            self.rows += changes or ()
            ended = changes is None
        if ended:
            self._copy = self._steps = None
            self._parts.popleft()
            if part.is_last:
                self._end_table()
        self.is_half_read = False
        if ended and part.is_last:
            connection = part.table.connection
            await connection.end()
            self._idle.append(connection)

    async def _read_here(self, part: _Part) -> None:
        connection = part.table.connection
        await connection.say(_no_lock_timeout())
        copy = await connection.copy(part.table.opened.copy_of(part.tids))
        self._turn_to(part.table.opened, part.table.relation)
        self._begin_part(part)
        self._copy = copy

    def _begin_part(self, part: _Part) -> None:
        if part.tids.start is None:
            self._progress.begin(part.table.opened.table)

    def _result(self, future: Future[RangeRows]) -> RangeRows:
        try:
            error = future.exception(timeout=0)
        except CancelledError as cancelled:
            error = cancelled
        if error is None:
            return future.result(timeout=0)
        if not isinstance(error, CdcError):
            raise self._broken(error) from error
        if isinstance(error, SnapshotError):
            raise error
        raise self._failed(error) from None

    def _taken(self, part: _Part, found: RowMessages | RowRecords) -> Iterator[list[SnapshotRead]]:
        """Make the changes of a chunk, some at a time."""
        if isinstance(found, RowMessages):
            for start in range(0, len(found.messages), _BATCH):
                yield self._changes(found.messages[start : start + _BATCH])
            return
        assert self._maker is not None
        table, relation = part.table.opened.table, part.table.relation
        self._progress.add(table, 0, found.size)
        if found.first is not None:
            self._progress.add(table, 1, 0)
            yield self._marks.rows(relation, [found.first])
        for rows, packed in found.runs:
            self._progress.add(table, rows, 0)
            records = self._maker.unpack(packed)
            yield [*self._marks.release(), self._run_of(relation, rows, records)]
        if found.last is not None:
            self._progress.add(table, 1, 0)
            yield self._marks.rows(relation, [found.last])

    @property
    def _is_ready(self) -> bool:
        """Whether there is something to take."""
        if not self._parts:
            return False
        future = self._parts[0].future
        return future is None or future.done()

    async def wait(self, seconds: float) -> None:
        """Wait until rows are here."""
        if self._copy is not None:
            await self._flavour.wait(self._copy.socket, seconds)
        elif self._parts and not self._is_ready:
            await self._flavour.rest(seconds)
        elif self._is_locked and not self._parts:
            await self._flavour.rest(min(seconds, _LOCKED_PAUSE))

    def close(self) -> None:
        """Let go of the snapshot, of its connections but that of the slot, and of its chunks.

        Workers read on to the end of the chunks that they have begun with.
        """
        for part in self._parts:
            if part.future is not None:
                part.future.cancel()
            part.table.connection.close()
        if self._giving is not None:
            self._giving.connection.close()
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        super().close()


def _no_lock_timeout() -> Conversation[None]:
    yield sql.SQL("SET LOCAL lock_timeout = 0")
