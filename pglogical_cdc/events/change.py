"""Changes: what happened, one class for each kind, so that ``match`` can tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, TypeAlias

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import NOT_SENT, Absent
from pglogical_cdc.events.position import Position
from pglogical_cdc.events.relation import Relation
from pglogical_cdc.events.row import RawValue, Row
from pglogical_cdc.events.transaction import Transaction
from pglogical_cdc.lsn import LSN

__all__ = (
    "Change",
    "Delete",
    "Insert",
    "LogicalMessage",
    "Operation",
    "RowChange",
    "SchemaChange",
    "SnapshotMarker",
    "SnapshotPoint",
    "SnapshotRead",
    "Truncate",
    "Update",
)

Operation: TypeAlias = Literal[
    "insert", "update", "delete", "truncate", "read", "message", "schema"
]

SnapshotMarker: TypeAlias = Literal[
    "true",
    "first",
    "first_in_data_collection",
    "last_in_data_collection",
    "last",
    "incremental",
]
"""Where in its snapshot a row stands, in the words of Debezium's ``source.snapshot``."""


@record(eq=False)
class Change:
    """Base of everything that a reader yields."""

    op: ClassVar[Operation]

    wal_start: int = field(repr=False)
    transaction: Transaction | None
    ordinal: int

    @property
    def lsn(self) -> LSN:
        """Start of the message in the WAL. Rows of one COPY share it; `position` is unique."""
        return LSN(self.wal_start)

    @property
    def position(self) -> Position:
        """The identity of the change: the same on every replay."""
        transaction = self.transaction
        commit_lsn = self.lsn if transaction is None else transaction.commit_lsn
        return Position(commit_lsn, self.ordinal)

    @property
    def schema(self) -> str | None:
        """Schema of the table; None for a message."""
        return None

    @property
    def table(self) -> str | None:
        """Name of the table; None for a message."""
        return None

    @property
    def before(self) -> Row | None:
        """The row before the change, as far as the replica identity gives it."""
        return None

    @property
    def after(self) -> Row | None:
        """The row after the change."""
        return None

    @property
    def key(self) -> Mapping[str, object] | None:
        """What identifies the row, or None."""
        return None

    def __repr__(self) -> str:
        name = "" if self.table is None else f" {self.schema}.{self.table}"
        return f"<{type(self).__name__}{name} at {self.position}>"


@record(eq=False, repr=False)
class RowChange(Change):
    """Base of the changes that belong to a table."""

    relation: Relation

    @property
    def schema(self) -> str:
        """Schema of the table."""
        return self.relation.schema

    @property
    def table(self) -> str:
        """Name of the table."""
        return self.relation.name


def _key(row: Row) -> dict[str, object] | None:
    row = row.base
    names = row.relation.key_columns
    return None if names is None else {name: row[name] for name in names}


@record(eq=False, repr=False)
class Insert(RowChange):
    """A row was inserted."""

    op: ClassVar[Operation] = "insert"

    after: Row

    @property
    def key(self) -> Mapping[str, object] | None:
        """What identifies the row."""
        return _key(self.after)


@record(eq=False, repr=False)
class Update(RowChange):
    """A row was updated."""

    op: ClassVar[Operation] = "update"

    before: Row | None
    """None, the old key (other columns `NOT_SENT`), or under FULL the whole old row."""
    after: Row

    @property
    def key(self) -> Mapping[str, object] | None:
        """What identifies the row after the update."""
        key = _key(self.after)
        if key is not None and self.before is not None:
            for name, value in key.items():
                old = self.before.base[name] if isinstance(value, Absent) else value
                if not isinstance(old, Absent):
                    key[name] = old
        return key

    @property
    def old_key(self) -> Mapping[str, object] | None:
        """What identified the row before the update; equal to `key` if that did not change.

        A key column outside the replica identity is `NOT_SENT`: the server tells its old value
        neither if it changed nor if it did not.
        """
        if self.before is not None:
            return _key(self.before)
        # No old key comes with an update that left the replica identity as it was.
        key = _key(self.after)
        if key is not None:
            relation = self.after.base.relation
            for name in key:
                if not relation.columns[relation.positions[name]].is_identity:
                    key[name] = NOT_SENT
        return key

    @property
    def key_changed(self) -> bool:
        """Whether a key column has another value than before.

        Found by comparing the values: the server also sends the old key when only another column
        of the replica identity changed.
        """
        if self.before is None:
            return False
        before, after = self.before.base, self.after.base
        positions = after.relation.key_positions
        if positions is None:
            return False
        old, new = before.raw, after.raw
        return any(_differ(old[i], new[i]) for i in positions)


def _differ(old: RawValue, new: RawValue) -> bool:
    return not isinstance(old, Absent) and not isinstance(new, Absent) and old != new


@record(eq=False, repr=False)
class Delete(RowChange):
    """A row was deleted."""

    op: ClassVar[Operation] = "delete"

    before: Row
    """The old key (other columns `NOT_SENT`), or under FULL the whole old row."""

    @property
    def key(self) -> Mapping[str, object] | None:
        """What identified the row."""
        return _key(self.before)


@record(eq=False, repr=False)
class Truncate(RowChange):
    """A table was truncated. TRUNCATE of several tables gives one of these for each."""

    op: ClassVar[Operation] = "truncate"

    cascade: bool
    restart_identity: bool


@record
class SnapshotPoint:
    """When a snapshot was taken."""

    xid: int
    """All transactions that the snapshot sees have lower IDs."""
    timestamp: int
    """Microseconds since 1970-01-01 UTC, by the server's clock."""


@record(eq=False, repr=False)
class SnapshotRead(RowChange):
    """A row that was there when the snapshot was taken (DMS: load, Debezium: read).

    All rows of a snapshot before the stream have the same position: what commits before it is in
    them, and what commits later is streamed. Those of an incremental snapshot have positions of
    their own, in the stream.
    """

    op: ClassVar[Operation] = "read"

    after: Row
    snapshot: SnapshotMarker = "true"
    number: int = 0
    """Of the row in its snapshot, counted from 1; 0 if that is not known."""
    taken: SnapshotPoint | None = None
    """When the snapshot was taken; None if that is not known."""

    @property
    def key(self) -> Mapping[str, object] | None:
        """What identifies the row."""
        return _key(self.after)


@record(eq=False, repr=False)
class LogicalMessage(Change):
    """A message written with ``pg_logical_emit_message``."""

    op: ClassVar[Operation] = "message"

    prefix: str
    content: bytes
    database: str = ""

    @property
    def transactional(self) -> bool:
        """Whether the message belongs to a transaction."""
        return self.transaction is not None


@record(eq=False, repr=False)
class SchemaChange(RowChange):
    """A table has another shape than when the stream last described it.

    Its position is that of the change that follows; it is not unique and never acknowledges
    anything by itself.
    """

    op: ClassVar[Operation] = "schema"

    previous: Relation

    @property
    def added(self) -> Sequence[str]:
        """Names of the columns that the previous version did not have."""
        return [name for name in self.relation.positions if name not in self.previous.positions]

    @property
    def dropped(self) -> Sequence[str]:
        """Names of the columns that this version does not have."""
        return [name for name in self.previous.positions if name not in self.relation.positions]
