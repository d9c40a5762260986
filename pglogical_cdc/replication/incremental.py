"""Incremental: the incremental snapshots of a reader, and their place in its stream."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from attrs import evolve

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import CdcError, ConfigurationError
from pglogical_cdc.events import Change, Relation, Row, RowChange, SnapshotRead
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import Flavour, Server, qualified_name
from pglogical_cdc.protocol import TupleData
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings, check_chunk_rows
from pglogical_cdc.snapshot import (
    Chunk,
    ChunkReader,
    IncrementalSnapshot,
    Key,
    RemainingTable,
    SelectedTable,
    SnapshotProgress,
    SnapshotStats,
    remaining_text,
)

__all__ = ("Incremental",)

_LONGEST_WAIT: Final = 1.0
"""Seconds."""


@record
class _Mark:
    """What is to be stored of a resumable snapshot when a chunk is dealt with."""

    commit_lsn: LSN
    snapshot: IncrementalSnapshot
    table: RemainingTable
    read_again: Sequence[Key]
    """Keys that the chunk was read for."""
    ended: bool


class Incremental:
    """Reads chunks of tables between two transactions, and hands them on at their watermark.

    The rows of a chunk are changes of the transaction that writes its second watermark, so that
    they are delivered, acknowledged and given again as all others are.

    Args:
        settings: the reader's arguments.
        flavour: how to wait.
    """

    def __init__(self, settings: Settings, flavour: Flavour) -> None:
        self._settings = settings
        self._flavour = flavour
        self._progress: SnapshotProgress | None = None
        """Of the resumable snapshot, or of the last one that was begun."""
        self._required: list[IncrementalSnapshot] = []
        """Those of a resumable snapshot of which it is not stored yet that they are over."""
        self._recorded: dict[IncrementalSnapshot, RemainingTable] = {}
        """What is stored of each of them."""
        self._marks: deque[_Mark] = deque()
        """What will be stored when more is dealt with."""
        self._waiting: deque[IncrementalSnapshot] = deque()
        """The snapshots that are not over, in the order of their turns."""
        self._tables: dict[int, list[IncrementalSnapshot]] = {}
        """Those of them whose tables are known, by OID."""
        self._reader: ChunkReader | None = None
        self._chunk: Chunk | None = None
        self._known: Relation | None = None
        """What the stream had described the chunk's table as when it was read."""
        self._relation: Relation | None = None
        """What its rows are of."""
        self._described: Sequence[Change] = ()
        """The changes of the table that come before them."""
        self._commit_lsn: LSN | None = None
        """Where the transaction of its second watermark commits; None before that has come."""
        self._batch: list[Change] = []
        """What was handed on of it last."""
        self._ordinal = 0
        """The ordinal of the last of them."""
        self._repeats = False
        """Whether that has to be handed on again."""
        self._is_over = True
        """Whether all of the chunk was handed on."""

    def begin(self, table: str, *, where: str | None, chunk_rows: int) -> IncrementalSnapshot:
        """Begin a snapshot of a table; from any thread.

        Raises:
            ConfigurationError: an argument is wrong.
        """
        if not isinstance(table, str):
            raise ConfigurationError(f"table is {table!r}; expected 'schema.table'")
        if where is not None and not (isinstance(where, str) and where.strip()):
            raise ConfigurationError("where: expected an SQL condition, or None for all rows")
        wake = self._flavour.wake
        snapshot = IncrementalSnapshot(
            qualified_name(table),
            where=where,
            chunk_rows=check_chunk_rows("chunk_rows", chunk_rows),
            wake=wake,
        )
        self._waiting.append(snapshot)
        wake()
        return snapshot

    def load(self, remaining: Sequence[tuple[RemainingTable, SelectedTable]]) -> None:
        """Begin, or go on with, a resumable snapshot."""
        wake = self._flavour.wake
        name = f"the snapshot of slot {self._settings.slot}"
        self._progress = progress = SnapshotProgress(name, [table for _, table in remaining])
        for table, selected in remaining:
            snapshot = IncrementalSnapshot(
                table.name,
                chunk_rows=self._settings.snapshot_chunk_rows,
                wake=wake,
                is_required=True,
            )
            snapshot.go_on(table.after, table.again, table.rows)
            snapshot.progress, snapshot.counted = progress, selected
            self._waiting.append(snapshot)
            self._required.append(snapshot)
            self._recorded[snapshot] = table

    def remaining_at(self, position: LSN) -> str:
        """Return what a resumable snapshot has still to read when a position is dealt with."""
        marks = self._marks
        while marks and marks[0].commit_lsn < position:
            mark = marks.popleft()
            if mark.ended:
                self._required.remove(mark.snapshot)
            else:
                self._recorded[mark.snapshot] = mark.table
        read_again: dict[IncrementalSnapshot, list[Key]] = {}
        for mark in marks:
            read_again.setdefault(mark.snapshot, []).extend(mark.read_again)
        return remaining_text(
            [
                evolve(
                    self._recorded[snapshot],
                    again=tuple(dict.fromkeys([*snapshot.again, *read_again.get(snapshot, ())])),
                )
                for snapshot in self._required
            ],
            binary=self._settings.binary,
        )

    @property
    def is_busy(self) -> bool:
        """Whether rows are still to come, from snapshots that are not paused."""
        return not self._is_over or any(
            snapshot.state in ("waiting", "reading") for snapshot in list(self._waiting)
        )

    @property
    def stats(self) -> SnapshotStats | None:
        """How far the resumable snapshot, or the last one that was begun, has got."""
        return None if self._progress is None else self._progress.stats

    # -- between two transactions

    def is_due(self, session: Session) -> bool:
        """Tell whether a chunk may be read now."""
        if not (self._is_over and self._waiting) or session.commit_lsn is not None:
            return False
        now = time.monotonic()
        if self._reader is not None and self._reader.awaited is not None:
            return False
        return any(snapshot.is_over or snapshot.is_due(now) for snapshot in list(self._waiting))

    def seconds(self) -> float:
        """Return how long the reader may wait for its socket."""
        now = time.monotonic()
        rests = [
            snapshot.retry_at - now
            for snapshot in list(self._waiting)
            if snapshot.state in ("waiting", "reading") and snapshot.retry_at > now
        ]
        return min(rests, default=_LONGEST_WAIT)

    async def read(self, session: Session, server: Server, beside: Beside) -> None:
        """Read the next chunk of the snapshot whose turn it is.

        Args:
            session: what is known of the stream.
            server: its server.
            beside: asks that.

        Raises:
            Stopped: the flavour was stopped.
        """
        snapshot = self._next()
        if snapshot is None:
            return
        if self._reader is None:
            self._reader = ChunkReader(
                beside.connect,
                beside.ask,
                server=server,
                publications=self._settings.publications,
                slot=self._settings.slot,
                binary=self._settings.binary,
                flavour=self._flavour,
            )
        chunk = await self._reader.read(snapshot)
        if snapshot.is_required and snapshot.error is not None:
            raise snapshot.error
        if snapshot.table is not None and not snapshot.is_over:
            known = self._tables.setdefault(snapshot.table.oid, [])
            if snapshot not in known:
                known.append(snapshot)
                if snapshot.progress is None:
                    self._progress = snapshot.progress = SnapshotProgress(
                        f"the snapshot of table {snapshot.table}", [snapshot.table]
                    )
                    snapshot.counted = snapshot.table
                assert snapshot.counted is not None
                snapshot.progress.begin(snapshot.counted)
        if chunk is not None:
            self._chunk, self._commit_lsn = chunk, None
            self._batch, self._is_over, self._repeats = [], False, False
            self._known = session.relation(chunk.opened.message.relation_id)

    def _next(self) -> IncrementalSnapshot | None:
        now = time.monotonic()
        for _ in range(len(self._waiting)):
            snapshot = self._waiting.popleft()
            if snapshot.is_over:
                for known in self._tables.values():
                    if snapshot in known:
                        known.remove(snapshot)
                continue
            self._waiting.append(snapshot)
            if snapshot.is_due(now):
                return snapshot
        return None

    # -- in the stream

    def see(self, changes: Sequence[Change]) -> None:
        """Take notice of changes that were read from the stream."""
        tables = self._tables
        if not tables:
            return
        chunk = None if self._commit_lsn is not None else self._chunk
        for change in changes:
            if isinstance(change, RowChange) and change.relation.oid in tables:
                for snapshot in tables[change.relation.oid]:
                    is_its = chunk is not None and chunk.snapshot is snapshot
                    snapshot.see(change, chunk.window if chunk is not None and is_its else None)

    async def rows(self, session: Session) -> list[Change]:
        """Return the next changes that come at the watermark in `session.watermark`.

        None come at a watermark of somebody else, or behind the last; the stream goes on then.

        Raises:
            CdcError: they cannot be read.
            Stopped: the flavour was stopped.
        """
        chunk, reader = self._chunk, self._reader
        if reader is not None and session.watermark == reader.awaited:
            reader.awaited = None
        if (
            chunk is None
            or reader is None
            or session.watermark != chunk.token
            or self._commit_lsn not in (None, session.commit_lsn)
        ):
            return []
        if self._commit_lsn is None:
            if not await self._place(chunk, reader, session):
                self._chunk, self._is_over = None, True
                chunk.snapshot.try_later()
                if chunk.is_in_one_piece:
                    self.close()  # its transaction is still open
                return []
        elif self._repeats:
            self._repeats = False
            session.count(self._ordinal)
            relation, described = session.describe_rows(
                chunk.opened.message, chunk.opened.catalog, self._known
            )
            self._relation = relation or self._relation
            if unseen := session.unseen([*described, *self._batch]):
                return list(unseen)
        return await self._next_rows(chunk, reader, session)

    async def _place(self, chunk: Chunk, reader: ChunkReader, session: Session) -> bool:
        """Find the chunk's place; False if it has to be read again."""
        if not await reader.settle(chunk):
            return False
        relation, described = session.describe_rows(
            chunk.opened.message, chunk.opened.catalog, self._known
        )
        if relation is None:
            return False
        self._relation, self._described = relation, described
        self._commit_lsn, self._ordinal = session.commit_lsn, 0
        return True

    async def _next_rows(self, chunk: Chunk, reader: ChunkReader, session: Session) -> list[Change]:
        if self._is_over:
            return []
        snapshot, commit_lsn = chunk.snapshot, self._commit_lsn
        relation, taken = self._relation, chunk.taken
        assert commit_lsn is not None
        assert relation is not None
        if snapshot.is_over and chunk.is_in_one_piece:
            self._is_over = True
            self.close()
            return []
        try:
            rows = await reader.next_rows(chunk)
        except CdcError as error:
            # Of a table without key that was read in part: all of it comes again.
            self._is_over = True
            if error.retryable:
                snapshot.try_later()
            else:
                snapshot.fail(error)
            return []
        changes: list[Change] = [
            evolve(change, wal_start=commit_lsn, transaction=None) for change in self._described
        ]
        self._described = ()
        number, ordinal = snapshot.rows, self._ordinal
        changes += [
            SnapshotRead(
                commit_lsn,
                None,
                ordinal + i,
                relation,
                Row(relation, values),
                "incremental",
                number + i,
                taken,
            )
            for i, values in enumerate(rows, 1)
        ]
        snapshot.rows += len(rows)
        assert snapshot.progress is not None
        assert snapshot.counted is not None
        snapshot.progress.add(snapshot.counted, len(rows), _size(rows))
        self._ordinal += len(rows)
        session.count(self._ordinal)
        if not rows or not chunk.is_in_one_piece:
            self._is_over = True
            snapshot.advance(chunk.read_again, chunk.window.again, chunk.last, ended=chunk.ended)
            if snapshot.state == "complete":
                snapshot.progress.end(snapshot.counted)
                if snapshot.progress.is_over:
                    snapshot.progress.end_all()
            if snapshot.is_required:
                table = RemainingTable(snapshot.name, snapshot.after, (), snapshot.rows)
                ended = snapshot.state == "complete"
                self._marks.append(_Mark(commit_lsn, snapshot, table, chunk.read_again, ended))
        self._batch = changes
        return changes

    # -- another connection

    def withdraw(self, *, anew: bool = False) -> None:
        """The stream comes again from an earlier point, over another connection.

        Args:
            anew: whether the watermark of a chunk that was handed on in part may not come again.
        """
        if self._commit_lsn is None or anew:
            # What comes of the window may have been delivered before, and is not seen again.
            self._chunk, self._is_over = None, True
        self._repeats = self._chunk is not None
        if self._is_over or self._chunk is None or not self._chunk.is_in_one_piece:
            self.close()  # it may be another server

    def close(self) -> None:
        """Disconnect."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def cancel(self) -> None:
        """Give up what is not over."""
        for snapshot in list(self._waiting):
            snapshot.cancel()
        self.close()


def _size(rows: Sequence[TupleData]) -> int:
    return sum([len(value) for row in rows for value in row if isinstance(value, bytes)])
