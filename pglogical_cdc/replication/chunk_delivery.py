"""ChunkDelivery: the rows of a chunk on their way into the stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from pglogical_cdc.events import Change, Relation, Row, SnapshotRead
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import TupleData
from pglogical_cdc.replication.session import Session
from pglogical_cdc.snapshot import Chunk, ChunkReader

__all__ = ("ChunkDelivery",)


class ChunkDelivery:
    """Hands the rows of a chunk on as changes of the transaction of its second watermark.

    That transaction may be cut off by the end of a connection, and come again: what was handed on
    of it and not delivered is handed on again then.

    Args:
        chunk: the chunk.
        reader: has read it, and reads the rest of it.
        known: what the stream had described its table as when it was read.
    """

    def __init__(self, chunk: Chunk, reader: ChunkReader, known: Relation | None) -> None:
        self.chunk = chunk
        self.commit_lsn: LSN | None = None
        """Where the transaction commits; None before it has come."""
        self.is_handed_on = False
        """Whether all rows were handed on."""
        self._reader = reader
        self._known = known
        self._relation: Relation | None = None
        self._described: Sequence[Change] = ()
        """The changes of the table that come before its rows."""
        self.is_noted = False
        """Whether that was taken notice of."""
        self._rows: Sequence[TupleData] = ()
        """All rows of a chunk that is not in one piece."""
        self._rows_before = chunk.snapshot.rows
        """Rows of the snapshot that were handed on before."""
        self._batch: list[Change] = []
        """What was handed on last."""
        self._ordinal = 0
        """The ordinal of the last row that was handed on."""
        self._repeats = False
        self._take_back: Callable[[], None] | None = None

    def is_at(self, session: Session) -> bool:
        """Tell whether the stream is at the watermark of the chunk."""
        return session.watermark == self.chunk.token and self.commit_lsn in (
            None,
            session.commit_lsn,
        )

    def is_over(self, session: Session) -> bool:
        """Tell whether the transaction has come to its end, with all rows in it."""
        commit_lsn = self.commit_lsn
        return (
            self.is_handed_on
            and commit_lsn is not None
            and session.commit_lsn is None
            and session.committed >= commit_lsn
        )

    @property
    def last(self) -> Change | None:
        """The last change that was handed on; None if nothing was left to hand on then."""
        return self._batch[-1] if self._batch else None

    async def place(self, session: Session) -> bool:
        """Find the place of the rows, the first time; False if they have to be read again.

        Raises:
            CdcError: the server cannot be asked.
            Stopped: the flavour was stopped.
        """
        if self.commit_lsn is not None:
            return True
        if not await self._reader.settle(self.chunk) or not self._describe(session):
            return False
        self._rows = list(self.chunk.window.rows.values())
        self.commit_lsn = session.commit_lsn
        return True

    def _describe(self, session: Session) -> bool:
        opened = self.chunk.opened
        relation, described = session.describe_rows(opened.message, opened.catalog, self._known)
        if relation is None:
            return False
        commit_lsn = session.commit_lsn
        assert commit_lsn is not None
        self._relation = relation
        self._described = [
            evolve(change, wal_start=commit_lsn, transaction=None) for change in described
        ]
        return True

    async def changes(self, session: Session) -> list[Change]:
        """Return what comes next; nothing behind the last row.

        Raises:
            CdcError: the rest of the rows cannot be read.
            Stopped: the flavour was stopped.
        """
        if self._repeats:
            self._repeats = False
            self._describe(session)
            described, self._described = self._described, ()
            session.count(self._ordinal)
            if unseen := session.unseen([*described, *self._batch]):
                return list(unseen)
        if self._described:
            # By itself, so that it is not lost if the rows cannot be read.
            self._batch, self._described = list(self._described), ()
            return self._batch
        if self.is_handed_on:
            return []
        chunk, snapshot = self.chunk, self.chunk.snapshot
        try:
            rows = await self._next_rows()
            made = self._made(rows)
            # In one step, as a signal may come anywhere: before it the rows are made again, behind
            # it they are brought again.
            self._batch, self._ordinal = made, self._ordinal + len(rows)
        except BaseException:
            if chunk.is_in_one_piece:
                self._reader.close()  # what it has given, it does not give again
            raise
        snapshot.count(rows, self._rows_before + self._ordinal - len(rows))
        session.count(self._ordinal)
        if not rows or (not chunk.is_in_one_piece and self._ordinal == len(self._rows)):
            self._end()
        return made

    async def _next_rows(self) -> Sequence[TupleData]:
        chunk, snapshot = self.chunk, self.chunk.snapshot
        if chunk.is_in_one_piece:
            return () if snapshot.is_over else await self._reader.next_rows(chunk)
        rows = self._rows[self._ordinal :]
        if len(rows) > 1 and snapshot.ends_with(
            chunk.read_again, chunk.window.again, ended=chunk.ended
        ):
            # The last one by itself: once it is given the snapshot is complete, and somebody may
            # stop.
            return rows[:-1]
        return rows

    def _end(self) -> None:
        """All rows were handed on."""
        chunk, snapshot = self.chunk, self.chunk.snapshot
        if not (snapshot.is_over and chunk.is_in_one_piece):
            if self._take_back is None:
                self._take_back = snapshot.before_chunk(chunk.read_again)
            snapshot.advance(chunk.read_again, chunk.window.again, chunk.last, ended=chunk.ended)
        self.is_handed_on = True

    def _made(self, rows: Sequence[TupleData]) -> list[Change]:
        relation, taken = self._relation, self.chunk.taken
        commit_lsn, ordinal = self.commit_lsn, self._ordinal
        assert relation is not None
        assert commit_lsn is not None
        first = self._rows_before + ordinal
        return [
            SnapshotRead(
                commit_lsn,
                None,
                ordinal + i,
                relation,
                Row(relation, values),
                "incremental",
                first + i,
                taken,
            )
            for i, values in enumerate(rows, 1)
        ]

    def withdraw(self) -> None:
        """The transaction comes again."""
        self._repeats = True

    def take_back(self) -> None:
        """The transaction does not come again: what was handed on counts for nothing."""
        if self._take_back is not None:
            self._take_back()
