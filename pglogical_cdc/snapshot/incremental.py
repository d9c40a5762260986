"""IncrementalSnapshot: the rows of one table, read chunk by chunk while the stream goes on.

The idea is that of DBLog (Andreakis and Papapanagiotou, 2020), which Debezium's incremental
snapshots follow too: see `Window` for how rows and stream are merged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from pglogical_cdc.errors import CdcError
from pglogical_cdc.events import RowChange, Update
from pglogical_cdc.postgres import RunningTransactions
from pglogical_cdc.protocol import TupleData
from pglogical_cdc.snapshot.progress import SnapshotProgress
from pglogical_cdc.snapshot.row_key import RowKey
from pglogical_cdc.snapshot.selection import SelectedTable
from pglogical_cdc.snapshot.stats import SnapshotStats
from pglogical_cdc.snapshot.window import Key, Window, changed_keys

__all__ = ("IncrementalSnapshot", "IncrementalState")

IncrementalState: TypeAlias = Literal[
    "waiting", "reading", "paused", "complete", "cancelled", "failed"
]

_MOST_AGAIN: Final = 500
"""Rows that are read again at once."""

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 1.0
"""Seconds until something is tried again that somebody else was in the way of."""


class IncrementalSnapshot:
    """A snapshot of one table beside the stream, as `ReplicationReader.snapshot_table` begins it.

    Its methods may be called from any thread; the rows come from the reader, whoever reads it.

    Args:
        name: schema and name of the table.
        where: an SQL condition that the rows fulfil; None for all.
        chunk_rows: rows that are read at once.
        wake: called when there is something to do for the reader.
        is_required: whether the reader cannot go on without its rows.
    """

    def __init__(
        self,
        name: tuple[str, str],
        *,
        where: str | None = None,
        chunk_rows: int,
        wake: Callable[[], None],
        is_required: bool = False,
    ) -> None:
        self.name = name
        """Schema and name of the table."""
        self.is_required = is_required
        self.where = where
        self.chunk_rows = chunk_rows
        self.state: IncrementalState = "waiting"
        """Where it stands; ``"complete"`` once the last of its rows was delivered."""
        self.error: CdcError | None = None
        """Why it has failed."""
        self.rows = 0
        """Rows that were read and handed on."""
        self.progress: SnapshotProgress | None = None
        """Counts its rows, once it has begun."""
        self.is_counted = False
        """Whether `progress` knows that its turn has come."""
        self.counted: SelectedTable | None = None
        """What `progress` knows the table as."""
        self.table: SelectedTable | None = None
        """What is read of the table; None until it was looked for."""
        self.columns: frozenset[tuple[int, str]] = frozenset()
        """Numbers and names of all of its columns then, published or not."""
        self.is_caught_up = False
        """Whether the stream has lately been where the server was, for a table without a key."""
        self.key_text: str | None = None
        """What `after` and `again` are keys of, as `RowKey.text`; None if they are none yet."""
        self.key: RowKey | None = None
        """By what its rows are told apart; None if it has no key."""
        self.after: Key | None = None
        """The key up to which rows were read; None before the first."""
        self.again: dict[Key, None] = {}
        """Keys of rows that have to be read again, or as well."""
        self.has_read_all = False
        """Whether the last chunk was the last one, but for what has to be read again."""
        self.retry_at = 0.0
        """When the next attempt is due, by the monotonic clock."""
        self.awaited: frozenset[int] = frozenset()
        """Transactions that the snapshot of the last attempt did not see."""
        self._wake = wake
        self._resumes: IncrementalState = "waiting"
        self._pause = _FIRST_PAUSE
        self._delivered: set[int] = set()
        """Transactions that changed the table and were read in the stream."""
        self._suspects: frozenset[int] | None = None
        """Transactions that the stream may have had before that was noted."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {'.'.join(self.name)}: {self.state}>"

    # -- for everybody

    @property
    def is_over(self) -> bool:
        """Whether no more rows come."""
        return self.state in ("complete", "cancelled", "failed")

    @property
    def stats(self) -> SnapshotStats | None:
        """How far it has got; None before it has begun."""
        return None if self.progress is None else self.progress.stats

    def pause(self) -> None:
        """Read no further chunk until `resume`. One that is being read still comes."""
        if not self.is_over and self.state != "paused":
            self._resumes, self.state = self.state, "paused"

    def resume(self) -> None:
        """Go on after `pause`."""
        if self.state == "paused":
            self.state = self._resumes
            self._wake()

    def cancel(self) -> None:
        """Read no further chunk ever. One that is being read still comes."""
        if not self.is_over:
            self.state = "cancelled"
            self._wake()

    # -- for who reads

    def is_due(self, now: float) -> bool:
        """Tell whether the next chunk may be read.

        Args:
            now: by the monotonic clock.
        """
        return self.state in ("waiting", "reading") and now >= self.retry_at

    def begin(self, table: SelectedTable, key: RowKey | None) -> None:
        """Note what was found out of the table, from now on `see` has its changes.

        Args:
            table: what is read.
            key: by what its rows are told apart.
        """
        text = None if key is None else key.text
        if self.key_text not in (None, text):
            # What was read is known by keys that mean something else now.
            self.after, self.has_read_all = None, False
            self.again.clear()
        self.table, self.key, self.key_text = table, key, text
        if self.state == "waiting":
            self.state = "reading"

    def go_on(
        self, after: Key | None, again: Sequence[Key], rows: int, key_text: str | None
    ) -> None:
        """Go on where another process has got to.

        Args:
            after: the key up to which rows were read.
            again: keys of rows that have to be read again.
            rows: rows that were read.
            key_text: what those are keys of.
        """
        self.after, self.rows, self.key_text = after, rows, key_text
        self.again.update(dict.fromkeys(again))

    def finish(self) -> None:
        """Note that there is nothing to read, or that the last of its rows was delivered."""
        if not self.is_over:
            self.state = "complete"

    def suspect(self, suspects: frozenset[int]) -> None:
        """Note running transactions that the stream may have had before `begin`."""
        self._suspects = suspects

    def fail(self, error: CdcError) -> None:
        """Note that it cannot go on."""
        if not self.is_over:
            self.state, self.error = "failed", error

    def try_later(self) -> bool:
        """Note that something was in the way: a lock, or a transaction.

        Returns:
            Whether that has been so for about a second now; True only once.
        """
        pause = self._pause
        self.retry_at = time.monotonic() + pause
        self._pause = min(2 * pause, _LONGEST_PAUSE)
        return pause < self._pause == _LONGEST_PAUSE

    def may_read(self, running: RunningTransactions) -> bool:
        """Tell whether what a snapshot sees is no older than what the stream has had.

        Args:
            running: what it does not see.
        """
        assert self._suspects is not None
        self._suspects = frozenset(xid for xid in self._suspects if not running.sees(xid))
        self._delivered = {xid for xid in self._delivered if not running.is_before(xid)}
        self.awaited = self._suspects.union(xid for xid in self._delivered if not running.sees(xid))
        return not self.awaited

    def see(self, change: RowChange, window: Window | None) -> None:
        """Take notice of a change of the table.

        Args:
            change: the change, which was read from the stream.
            window: the rows that were read and are not handed on yet, if they are of this table.
        """
        transaction = change.transaction
        if transaction is None:
            return
        if self.state == "paused" and window is None:
            # It may be for long: what was delivered meanwhile is found out when it goes on.
            self.table = None
        else:
            self._delivered.add(transaction.xid)
        if self.key is None:
            keys, is_whole = None, True
        else:
            keys, is_whole = changed_keys(change, [column.name for column in self.key.columns])
        if window is not None:
            window.see(change, keys, is_whole=is_whole)
        if (
            not is_whole
            and isinstance(change, Update)
            and change.before is not None
            and keys is not None
            and len(keys) > 1
        ):
            # It may have moved from where nothing was read yet to where nothing is read any more.
            self.again[keys[0]] = None

    def count(self, rows: Sequence[TupleData], before: int) -> None:
        """Count rows that are handed on, before which there were so many."""
        self.rows = before + len(rows)
        if self.progress is not None and self.counted is not None:
            size = sum([len(each) for row in rows for each in row if isinstance(each, bytes)])
            self.progress.add(self.counted, len(rows), size)

    @property
    def next_again(self) -> Sequence[Key]:
        """The keys of rows that are read again next, before the rest of the table."""
        return list(self.again)[: min(_MOST_AGAIN, self.chunk_rows)]

    def ends_with(self, read: Sequence[Key], again: set[Key], *, ended: bool) -> bool:
        """Tell whether nothing is left behind a chunk; see `advance`."""
        has_read_all = self.has_read_all if read else ended
        return has_read_all and not again and self.again.keys() <= set(read)

    def before_chunk(self, read: Sequence[Key]) -> Callable[[], None]:
        """Return what takes back what `advance` notes of a chunk."""
        before = self.after, self.has_read_all

        def take_back() -> None:
            self.after, self.has_read_all = before
            self.again.update(dict.fromkeys(read))

        return take_back

    def advance(
        self, read: Sequence[Key], again: set[Key], last: Key | None, *, ended: bool
    ) -> None:
        """Note that a chunk was handed on; to do so twice is to do it once.

        Args:
            read: the keys of `next_again` that it was of; none if it was of what is next.
            again: keys of rows that have to be read once more.
            last: the key of its last row.
            ended: whether there is nothing behind it.
        """
        self._pause, self.is_caught_up = _FIRST_PAUSE, False
        for key in read:
            self.again.pop(key, None)
        self.again.update(dict.fromkeys(again))
        if not read:
            self.after, self.has_read_all = last or self.after, ended

    @property
    def has_nothing_left(self) -> bool:
        """Whether all rows were handed on."""
        return self.has_read_all and not self.again
