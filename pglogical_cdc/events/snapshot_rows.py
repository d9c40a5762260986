"""SnapshotRows: rows of a snapshot that are not changes yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.events.change import SnapshotPoint, SnapshotRead
from pglogical_cdc.events.relation import Relation
from pglogical_cdc.events.row import Row
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import TextColumns, TextRows, TupleData

__all__ = ("SnapshotRows",)


@record(eq=False)
class SnapshotRows:
    """Rows of one table that follow each other, and have the marker ``true``.

    A formatter that can makes their records at once, and needs no change of each.
    """

    relation: Relation
    lsn: LSN
    taken: SnapshotPoint
    values: Sequence[TupleData] = field(repr=False)
    """The values of each row."""

    def __len__(self) -> int:
        return len(self.values)

    def changes(self) -> Iterator[SnapshotRead]:
        """Return the rows as changes, by whose records those of all at once are measured."""
        lsn, relation, taken = self.lsn, self.relation, self.taken
        return (
            SnapshotRead(lsn, None, 0, relation, Row(relation, row), "true", 0, taken)
            for row in self.values
        )

    def columns(self) -> TextColumns | None:
        """Return the values of each column, in text.

        Returns:
            None if they are not to be had so: they came in binary, were taken apart already, or
            are not UTF-8.
        """
        return self.values.columns() if isinstance(self.values, TextRows) else None
