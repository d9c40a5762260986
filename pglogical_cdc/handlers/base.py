"""ChangeHandler: one handler for every feed."""

from __future__ import annotations

import abc

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    SchemaChange,
    SnapshotRead,
    Tombstone,
    Truncate,
    Update,
)

__all__ = ("ChangeHandler",)


class ChangeHandler(abc.ABC):
    """Base of handlers of changes: subclass it, and say what each kind of change does.

    ::

        class Stock(ChangeHandler):
            def insert(self, change: Insert) -> None: ...
            def update(self, change: Update) -> None: ...
            def delete(self, change: Delete) -> None: ...
            def truncate(self, change: Truncate) -> None: ...

        stock = Stock()
        for change in reader:
            stock.handle(change)

    It takes what a reader yields, and what `parse_debezium` and the other parsers return. What
    every change of a table needs is abstract, so that a class that forgets one cannot be made;
    what is not about rows does nothing unless it is overridden.

    The feeds differ in this:

    - **A change of a key** is one `Update` from a reader, with the old key in `Update.old_key`.
      Debezium has three records for it: `Delete`, `Tombstone`, `Insert`. AWS DMS has one `Update`,
      which tells the old key only if it has a before-image; without, a `Tombstone` for the old key
      comes after it where `Tombstones` wrote the topic. `KeyChanges` makes the first of them all.
    - **A value may be** `UNCHANGED` in the new row: TOASTed, and not touched by the update. Then
      keep what the target has. Columns of an old row may be `NOT_SENT`. Neither is a NULL.
    - **All of it may come again** after an error, from any earlier point on.
    """

    def handle(self, event: Change | Tombstone) -> None:
        """Call the method for one event.

        Raises:
            ConfigurationError: `event` is neither a change nor a tombstone.
        """
        match event:
            case Insert():
                self.insert(event)
            case Update():
                self.update(event)
            case Delete():
                self.delete(event)
            case SnapshotRead():
                self.load(event)
            case Truncate():
                self.truncate(event)
            case Tombstone():
                self.tombstone(event)
            case SchemaChange():
                self.schema(event)
            case LogicalMessage():
                self.message(event)
            case _:
                raise ConfigurationError(
                    f"a handler takes changes and tombstones, not {type(event).__name__}: "
                    "parse records first"
                )

    def load(self, change: SnapshotRead) -> None:
        """Take a row of a snapshot (DMS: load, Debezium: read); by default, as an `insert`.

        The row may be in the target already: a snapshot can be taken again.
        """
        self.insert(
            Insert(
                change.wal_start,
                change.transaction,
                change.ordinal,
                change.relation,
                change.after,
            )
        )

    @abc.abstractmethod
    def insert(self, change: Insert) -> None:
        """Take a new row."""

    @abc.abstractmethod
    def update(self, change: Update) -> None:
        """Take the new version of a row; its key may have changed."""

    @abc.abstractmethod
    def delete(self, change: Delete) -> None:
        """Take the end of a row."""

    @abc.abstractmethod
    def truncate(self, change: Truncate) -> None:
        """Take the end of all rows of a table."""

    def tombstone(self, tombstone: Tombstone) -> None:  # noqa: B027 - optional
        """Take what tells a compacted topic to forget a key; by default, do nothing.

        The delete before it has told that already. Only of a feed whose updates do not tell the
        old key (DMS without a before-image) is it the one event that does: override it there.
        """

    def schema(self, change: SchemaChange) -> None:  # noqa: B027 - optional
        """Take the news that a table has another shape; by default, do nothing.

        Every change has the columns of its row in ``change.relation`` anyway.
        """

    def message(self, change: LogicalMessage) -> None:  # noqa: B027 - optional
        """Take a message of ``pg_logical_emit_message``; by default, do nothing.

        It is of no table: whoever writes messages knows what they are for.
        """
