"""Marks: where in its snapshot a row stands, in Debezium's words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from pglogical_cdc.events import Relation, SnapshotMarker, SnapshotRead
from pglogical_cdc.protocol import TupleData

__all__ = ("Make", "Marks")

Make: TypeAlias = Callable[[Relation, TupleData, SnapshotMarker], SnapshotRead]
"""From the table's version, the values of a row and its marker to its change."""


class Marks:
    """Makes the changes of the rows of a snapshot, each as soon as its marker is known.

    That is one row later: the last of all is marked, in whichever table it is. The first of all is
    marked if it is in the first table, as Debezium does it: none is if that is empty.

    Args:
        make: makes them.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._relation: Relation | None = None
        """The table of the last row."""
        self._held: TupleData | None = None
        """The row whose marker is not known yet."""
        self._begins_all = True
        self._begins_table = True

    def rows(self, relation: Relation, rows: Sequence[TupleData]) -> list[SnapshotRead]:
        """Take the next rows, in a table that is another one than before if `relation` is.

        Returns:
            The changes of the rows whose markers are known by now.
        """
        if not rows:
            return []
        made: list[SnapshotRead] = []
        is_other = self._relation is not relation
        if self._held is not None:
            made.append(self._release(ends_table=is_other))
        self._relation, self._held, self._begins_table = relation, rows[0], is_other
        if len(rows) > 1:
            made.append(self._release(ends_table=False))
            make = self._make
            made += [make(relation, values, "true") for values in rows[1:-1]]
            self._held, self._begins_table = rows[-1], False
        return made

    def release(self) -> list[SnapshotRead]:
        """Return the change of the last row that came, if it is due.

        More rows of its table follow, the markers of which are not made here: they are "true".
        """
        return [] if self._held is None else [self._release(ends_table=False)]

    def end_table(self) -> None:
        """Note that a table has no more rows, if it had any."""
        if self._held is None:
            self._begins_all = False

    def end(self) -> list[SnapshotRead]:
        """Return the change of the last row of all, if there was any."""
        return [] if self._held is None else [self._release(ends_table=True, ends_all=True)]

    def _release(self, *, ends_table: bool, ends_all: bool = False) -> SnapshotRead:
        assert self._relation is not None
        assert self._held is not None
        values = self._held
        marker: SnapshotMarker = "true"
        if ends_all:
            marker = "last"
        elif self._begins_all:
            marker = "first"
        elif ends_table:
            marker = "last_in_data_collection"
        elif self._begins_table:
            marker = "first_in_data_collection"
        self._held, self._begins_all = None, False
        return self._make(self._relation, values, marker)
