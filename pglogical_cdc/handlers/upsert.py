"""What a target that keeps rows by their key must do for each change.

All of it is idempotent: doing it once more changes nothing. So is a whole stretch of it that comes
again, because the last change of each key is what counts in the end. The exception is a row whose
key has changed and whose values were not all sent: they can be had only where the row was before,
and doing the same a second time finds them there no more. See `Upsert.forget`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import Absent
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Delete,
    Insert,
    RawValue,
    Relation,
    Row,
    RowChange,
    SnapshotRead,
    Tombstone,
    Truncate,
    Update,
)
from pglogical_cdc.handlers.base import ChangeHandler

__all__ = ("Upsert", "UpsertHandler", "key_of", "upsert_of")


@record(eq=False, repr=False)
class Upsert:
    """What to write for an insert, an update or a row of a snapshot."""

    key: Mapping[str, object]
    """What identifies the row: the key's columns in their own order."""
    row: Row
    """All that is known of the row: what was not sent again is taken from the old row, as far as
    that has it (under REPLICA IDENTITY FULL, all of it)."""
    forget: Mapping[str, object] | None
    """The key that the row had before, if it has changed. Remove that row, then write this one.

    If the row is not `complete`, it keeps values of the removed one. Read them first; and since the
    change may come again when they are gone, keep them somewhere until it cannot any more."""

    @property
    def complete(self) -> bool:
        """Whether the row replaces what is there; else merge it into that."""
        return self.row.is_complete

    @property
    def values(self) -> dict[str, object]:
        """The values that are known, in the order of the table."""
        return {name: value for name, value in self.row.items() if not isinstance(value, Absent)}

    def __repr__(self) -> str:
        return f"<Upsert of {self.row!r}>"


def upsert_of(change: Insert | Update | SnapshotRead) -> Upsert:
    """Return what to write for a change.

    An insert that Debezium made of a change of a key may be incomplete.

    Raises:
        ConfigurationError: nothing identifies the rows of the table, or the server did not send it.
    """
    key = key_of(change)
    if not isinstance(change, Update):
        return Upsert(key, change.after, None)
    # Nothing tells whether a column of the key has another value now if its old one is not sent.
    old = _checked(change.relation, change.old_key)
    return Upsert(key, _filled(change.after, change.before), old if change.key_changed else None)


def key_of(change: Insert | Update | SnapshotRead | Delete) -> Mapping[str, object]:
    """Return what identifies the row of a change: after an update, what does so from now on.

    Raises:
        ConfigurationError: nothing identifies the rows of the table, or the server did not send it.
    """
    return _checked(change.relation, change.key)


def _checked(relation: Relation, key: Mapping[str, object] | None) -> Mapping[str, object]:
    table = f"{relation.schema}.{relation.name}"
    if key is None:
        raise ConfigurationError(
            f"nothing identifies a row of {table}: give it a primary key, or a unique index with "
            "REPLICA IDENTITY USING INDEX, or leave it out; of records, hand in their keys too"
        )
    if any(isinstance(value, Absent) for value in key.values()):
        raise ConfigurationError(
            f"the server does not send the whole key of old rows of {table}: "
            f"ALTER TABLE {table} REPLICA IDENTITY DEFAULT, or FULL, or leave it out"
        )
    return key


def _filled(after: Row, before: Row | None) -> Row:
    """Take from the old row what was not sent again: it has not changed."""
    if before is None or before.relation is not after.relation or after.is_complete:
        return after
    raw: list[RawValue] = [
        new if isinstance(old, Absent) or not isinstance(new, Absent) else old
        for old, new in zip(before.raw, after.raw, strict=True)
    ]
    return Row(after.relation, raw)


class UpsertHandler(ChangeHandler):
    """Base of handlers for targets that keep rows by their key, as a database or a cache does.

    ::

        class Cache(UpsertHandler):
            def upsert(self, change, upsert):
                if upsert.forget is not None:
                    self.remove(change.schema, change.table, upsert.forget)
                self.entries[change.table, *upsert.key.values()].update(upsert.values)

            def remove(self, schema, table, key):
                self.entries.pop((table, *key.values()), None)

            def clear(self, schema, table):
                ...

    A `Tombstone` removes its row if it tells the table. Usually the delete before it has done that
    already, and nothing that comes between the two has the key. Of a DMS feed without before-images
    it is what tells the old key of a row that has another one now: it comes after the update, and
    before anything else that may have the old key again. Both hold as long as the order of the
    records is kept, which a topic does within a partition.
    """

    def insert(self, change: Insert) -> None:
        """Give the row to `upsert`."""
        self.upsert(change, upsert_of(change))

    def update(self, change: Update) -> None:
        """Give the row to `upsert`."""
        self.upsert(change, upsert_of(change))

    def delete(self, change: Delete) -> None:
        """Give the key to `remove`."""
        self.remove(change.schema, change.table, key_of(change))

    def truncate(self, change: Truncate) -> None:
        """Give the table to `clear`."""
        self.clear(change.schema, change.table)

    def tombstone(self, tombstone: Tombstone) -> None:
        """Give the key to `remove`, if the tombstone has one and tells its table."""
        schema, table, key = tombstone.schema, tombstone.table, tombstone.key
        if schema is not None and table is not None and key is not None:
            self.remove(schema, table, key)

    @abc.abstractmethod
    def upsert(self, change: RowChange, upsert: Upsert) -> None:
        """Write a row, whether or not there is one with its key.

        Args:
            change: where it comes from.
            upsert: what to write.
        """

    @abc.abstractmethod
    def remove(self, schema: str, table: str, key: Mapping[str, object]) -> None:
        """Remove the row that has a key, if there is one."""

    @abc.abstractmethod
    def clear(self, schema: str, table: str) -> None:
        """Remove all rows of a table."""
