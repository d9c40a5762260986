"""Window: what the stream says of the rows of a chunk while they wait for their place in it. Pure.

The rows were read between two watermarks. What commits before the first was delivered before they
were read, and what commits after the second comes after them. A row that is changed in between is
left to the stream, which has it as it is at the second; every other row has not changed between the
two, so that it is there as it was read.

A commit is visible to others only after the stream may have had it. So the snapshot of the rows can
lack a transaction that committed before the first watermark; then they are read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from pglogical_cdc.absent import UNCHANGED, Absent
from pglogical_cdc.events import Delete, Insert, Row, RowChange, Update
from pglogical_cdc.postgres import RunningTransactions
from pglogical_cdc.protocol import TupleData

__all__ = ("Key", "Window", "changed_keys", "row_key_of")

Key: TypeAlias = "tuple[bytes, ...]"
"""The values of a key, as the server sent them."""

_ROOM: Final = 4
"""So many times as many changed keys as rows may wait to be compared."""


class Window:
    """The rows of a chunk, until the stream has got to its second watermark.

    Args:
        low: where the first watermark is.
        running: what the snapshot of the rows does not see.
        rows: the rows, by key; none where a table has no key, and is read later.
        is_plain: whether keys are equal exactly if their bytes are.
        has_key: whether the table has a key.
    """

    def __init__(
        self,
        low: int,
        running: RunningTransactions,
        rows: Mapping[Key, TupleData],
        *,
        is_plain: bool,
        has_key: bool,
    ) -> None:
        self.rows: dict[Key, TupleData] = dict(rows)
        """Those that the stream has not changed, as far as that is known."""
        self.again: set[Key] = set()
        """Keys of rows that the stream has changed without telling all of their values."""
        self.touched: dict[Key, bool] = {}
        """Keys that the server has to compare with those of the rows, and whether the change told
        all values."""
        self.is_spoiled = False
        """Whether the rows have to be read again."""
        self._low = low
        self._running = running
        self._is_plain = is_plain
        self._has_key = has_key
        self._room = max(1000, _ROOM * len(rows))

    def see(self, change: RowChange, keys: Sequence[Key] | None, *, is_whole: bool) -> None:
        """Take notice of a change of the table.

        Args:
            change: the change.
            keys: of the row before and after it; None if one is not known.
            is_whole: whether the change told all values of the row.
        """
        transaction = change.transaction
        if transaction is None or self.is_spoiled:
            return
        is_in = transaction.commit_lsn >= self._low
        if not self._has_key or not is_in:
            # One that the rows have is right as it is.
            self.is_spoiled = not self._running.sees(transaction.xid)
        elif keys is None:
            self.is_spoiled = True
        elif self._is_plain:
            for key in keys:
                if self.rows.pop(key, None) is not None and not is_whole:
                    self.again.add(key)
        else:
            for key in keys:
                self.touched[key] = self.touched.get(key, True) and is_whole
            self.is_spoiled = len(self.touched) > self._room

    def leave_out(self, keys: Iterable[Key], *, is_whole: bool) -> None:
        """Leave rows to the stream that were found to be among `touched`.

        Args:
            keys: their keys.
            is_whole: whether the stream told all of their values.
        """
        for key in keys:
            if self.rows.pop(key, None) is not None and not is_whole:
                self.again.add(key)


def row_key_of(row: Row, names: Sequence[str], other: Row | None = None) -> Key | None:
    """Return the values of a key; None if one was not sent.

    Args:
        row: the row.
        names: the columns of the key.
        other: where to look for what was not sent, because it had not changed.
    """
    key = []
    for name in names:
        position = row.relation.positions.get(name)
        value = UNCHANGED if position is None else row.raw[position]
        if isinstance(value, Absent) and other is not None and position is not None:
            value = other.raw[position]
        if not isinstance(value, bytes):
            return None
        key.append(value)
    return tuple(key)


def changed_keys(change: RowChange, names: Sequence[str]) -> tuple[list[Key] | None, bool]:
    """Return the keys of the row before and after a change, and whether all of its values came.

    The keys are None if one is not known.

    Args:
        change: the change.
        names: the columns of the key.
    """
    found: list[Key | None] = []
    is_whole = True
    match change:
        case Insert(after=after):
            found = [row_key_of(after, names)]
        case Update(before=before, after=after):
            is_whole = UNCHANGED not in after.raw
            found = [row_key_of(after, names, before)]
            if before is not None:
                found.append(row_key_of(before, names))
        case Delete(before=before):
            found = [row_key_of(before, names)]
        case _:
            # TRUNCATE: it was over before the table was locked to be read.
            pass
    keys = [key for key in dict.fromkeys(found) if key is not None]
    return (None if None in found else keys), is_whole
