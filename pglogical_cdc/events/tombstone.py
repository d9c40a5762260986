"""Tombstone: a record without value, which tells a compacted topic to forget a key."""

from __future__ import annotations

from collections.abc import Mapping

from pglogical_cdc._attrs import record

__all__ = ("Tombstone",)


@record(eq=False, repr=False)
class Tombstone:
    """What comes after a delete, as a consumer reads it from a topic.

    It is no change: the delete before it has told that already.
    """

    key: Mapping[str, object] | None
    """What identified the row, by column; None if the record has no key."""
    schema: str | None = None
    """Schema of the table, where the record's key tells it."""
    table: str | None = None
    """Name of the table, where the record's key tells it."""

    def __repr__(self) -> str:
        name = "" if self.table is None else f" {self.schema}.{self.table}"
        names = "no key" if self.key is None else ", ".join(self.key)
        return f"<Tombstone{name}: {names}>"
