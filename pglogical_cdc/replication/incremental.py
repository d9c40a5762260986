"""Incremental: the incremental snapshots of a reader, and their place in its stream."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from attrs import evolve

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import CdcError, ConfigurationError
from pglogical_cdc.events import Change, RowChange
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import Flavour, Server, qualified_name
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.chunk_delivery import ChunkDelivery
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings, check_chunk_rows
from pglogical_cdc.snapshot import (
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
        self._unprepared: deque[IncrementalSnapshot] = deque()
        """Those whose changes cannot be noticed yet: nothing may be read before they can."""
        self._marks: deque[_Mark] = deque()
        """What will be stored when more is dealt with."""
        self._waiting: deque[IncrementalSnapshot] = deque()
        """The snapshots that are not over, in the order of their turns."""
        self._tables: dict[int, list[IncrementalSnapshot]] = {}
        """Those of them whose tables are known, by OID."""
        self._reader: ChunkReader | None = None
        self._delivery: ChunkDelivery | None = None
        """A chunk that was read, until the transaction of its watermark is over."""

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
            snapshot.go_on(table.after, table.again, table.rows, table.key_text)
            snapshot.progress, snapshot.counted = progress, selected
            self._waiting.append(snapshot)
            self._required.append(snapshot)
            self._recorded[snapshot] = table
            self._unprepared.append(snapshot)

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
        return self._delivery is not None or any(
            snapshot.state in ("waiting", "reading") for snapshot in list(self._waiting)
        )

    @property
    def stats(self) -> SnapshotStats | None:
        """How far the resumable snapshot, or the last one that was begun, has got."""
        return None if self._progress is None else self._progress.stats

    # -- between two transactions

    def is_due(self, session: Session) -> bool:
        """Tell whether a chunk may be read now."""
        if self._unprepared:
            return True
        if session.commit_lsn is not None or not (self._waiting or self._delivery):
            return False
        delivery = self._delivery
        if delivery is not None:
            if not delivery.is_over(session):
                return False
            self._delivery = None
        if self._reader is not None and self._reader.awaited is not None:
            return False
        now = time.monotonic()
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
        reader = self._reader
        if self._unprepared:
            await self._prepare(reader, self._unprepared[0])
            return
        snapshot = self._next()
        if snapshot is None:
            return
        chunk = await reader.read(snapshot)
        self._note(snapshot)
        if chunk is not None:
            known = session.relation(chunk.opened.message.relation_id)
            self._delivery = ChunkDelivery(chunk, reader, known)

    async def _prepare(self, reader: ChunkReader, snapshot: IncrementalSnapshot) -> None:
        await reader.prepare(snapshot)
        self._note(snapshot)
        if snapshot.table is not None or snapshot.is_over:
            self._unprepared.popleft()
        else:
            await self._flavour.rest(max(0.0, snapshot.retry_at - time.monotonic()))

    def _note(self, snapshot: IncrementalSnapshot) -> None:
        """Take notice of what was found out of a snapshot.

        Raises:
            CdcError: it has failed, and the reader cannot go on without it.
        """
        if snapshot.is_required and snapshot.error is not None:
            raise snapshot.error
        table = snapshot.table
        if table is not None:
            known = self._tables.setdefault(table.oid, [])
            if snapshot not in known:
                known.append(snapshot)
            if snapshot.progress is None:
                name = f"the snapshot of table {table}"
                self._progress = snapshot.progress = SnapshotProgress(name, [table])
                snapshot.counted = table
            if not snapshot.is_counted:
                self._count(snapshot)
        elif snapshot.is_required and snapshot.is_over:
            self._count(snapshot)
            self._end(snapshot)
            self._required.remove(snapshot)

    def _count(self, snapshot: IncrementalSnapshot) -> None:
        if not snapshot.is_counted and snapshot.progress and snapshot.counted:
            snapshot.is_counted = True
            snapshot.progress.begin(snapshot.counted)

    def _end(self, snapshot: IncrementalSnapshot) -> None:
        if snapshot.progress is not None and snapshot.counted is not None:
            snapshot.progress.end(snapshot.counted)
            if snapshot.progress.is_over:
                snapshot.progress.end_all()

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
        delivery = self._delivery
        chunk = None if delivery is None or delivery.commit_lsn is not None else delivery.chunk
        for change in changes:
            if isinstance(change, RowChange) and change.relation.oid in tables:
                for snapshot in tables[change.relation.oid]:
                    is_its = chunk is not None and chunk.snapshot is snapshot
                    snapshot.see(change, chunk.window if chunk is not None and is_its else None)

    async def rows(self, session: Session) -> list[Change]:
        """Return the next changes that come at the watermark in `session.watermark`.

        None come at a watermark of somebody else, or behind the last; the stream goes on then.

        Raises:
            CdcError: a snapshot has failed that the reader cannot go on without.
            Stopped: the flavour was stopped.
        """
        delivery = self._delivery
        if self._reader is not None and session.watermark == self._reader.awaited:
            self._reader.awaited = None
        if delivery is None or not delivery.is_at(session):
            return []
        snapshot = delivery.chunk.snapshot
        try:
            if not await delivery.place(session):
                snapshot.try_later()
                self._give_up(delivery)
                return []
            changes = await delivery.changes(session)
        except CdcError as error:
            # Of a table without key that was read in part: all of it comes again.
            if error.retryable:
                snapshot.try_later()
            else:
                snapshot.fail(error)
            if delivery.commit_lsn is None:
                self._give_up(delivery)
            else:
                delivery.is_handed_on = delivery.is_noted = True
            self._note(snapshot)
            return []
        if delivery.is_handed_on and not delivery.is_noted:
            self._hand_on(delivery, snapshot)
            delivery.is_noted = True
        return changes

    def _give_up(self, delivery: ChunkDelivery) -> None:
        self._delivery = None
        if delivery.chunk.is_in_one_piece:
            self.close()  # its transaction is still open

    def _hand_on(self, delivery: ChunkDelivery, snapshot: IncrementalSnapshot) -> None:
        """All rows of a chunk were handed on: note what is stored once they are dealt with."""
        ended = snapshot.has_nothing_left
        if delivery.chunk.is_in_one_piece and not ended:
            self.close()  # cancelled in the middle
        if ended and delivery.last is None:
            self._finish(snapshot)
        is_marked = self._marks and self._marks[-1].commit_lsn == delivery.commit_lsn
        if snapshot.is_required and delivery.commit_lsn is not None and not is_marked:
            again = delivery.chunk.read_again
            table = RemainingTable(
                snapshot.name, snapshot.key_text, snapshot.after, (), snapshot.rows
            )
            self._marks.append(_Mark(delivery.commit_lsn, snapshot, table, again, ended))

    def delivered(self, change: Change) -> None:
        """Note that a change was taken into the hand of the application."""
        delivery = self._delivery
        if delivery is not None and delivery.is_handed_on and delivery.last is change:
            snapshot = delivery.chunk.snapshot
            if snapshot.has_nothing_left:
                self._finish(snapshot)

    def _finish(self, snapshot: IncrementalSnapshot) -> None:
        if not snapshot.is_over:
            snapshot.finish()
            self._end(snapshot)

    # -- another connection

    def withdraw(self, *, anew: bool = False) -> None:
        """The stream comes again from an earlier point, over another connection.

        Args:
            anew: whether the watermark of a chunk that was handed on in part may not come again.
        """
        delivery = self._delivery
        if delivery is not None:
            if delivery.commit_lsn is None or anew:
                # What comes of the window may have been delivered before, and is not seen again.
                self._delivery = None
                if not delivery.chunk.snapshot.is_over:
                    delivery.take_back()
                    if self._marks and self._marks[-1].commit_lsn == delivery.commit_lsn:
                        self._marks.pop()
            else:
                delivery.withdraw()
                if delivery.chunk.is_in_one_piece and not delivery.is_handed_on:
                    return  # the rest of its rows is read over the connection that there is
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
