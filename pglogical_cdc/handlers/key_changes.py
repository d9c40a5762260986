"""KeyChanges: a change of a key in one piece, as the reader gives it, from any feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from pglogical_cdc.events import Change, Delete, Insert, Tombstone, Update

__all__ = ("KeyChanges",)

_Event: TypeAlias = Change | Tombstone


class KeyChanges:
    """Puts together again what Debezium writes apart: delete, tombstone and insert of one update.

    ::

        whole = KeyChanges()
        for value, key in records:
            for event in whole.take(parse_debezium(value, key)):
                handler.handle(event)
        for event in whole.rest():
            handler.handle(event)

    This matters where the row has values that the server did not send, because the update did not
    touch them: the insert lacks them, and who has deleted the old row by then has lost them.

    A delete is kept back until the next event shows whether it is the first part of such an update:
    an insert into the same table with the same LSN, which no other two changes share. All other
    events go through as they are, in their order. Records of one table must come in that order,
    too, as those of one partition do.
    """

    def __init__(self) -> None:
        self._delete: Delete | None = None
        self._tombstone: Tombstone | None = None

    def take(self, event: Change | Tombstone) -> Sequence[Change | Tombstone]:
        """Return the events that are whole now; none while a delete is kept back."""
        delete = self._delete
        if delete is not None and isinstance(event, Tombstone) and event.key == delete.key:
            self._tombstone = event
            return ()
        if delete is not None and isinstance(event, Insert) and _is_of_one_update(delete, event):
            self._delete = self._tombstone = None
            return (_update(delete, event),)
        ready = self.rest()
        if isinstance(event, Delete):
            self._delete = event
        else:
            ready.append(event)
        return ready

    def rest(self) -> list[Change | Tombstone]:
        """Return what is kept back. Call it before anything is acknowledged."""
        kept: list[_Event | None] = [self._delete, self._tombstone]
        self._delete = self._tombstone = None
        return [event for event in kept if event is not None]


def _is_of_one_update(delete: Delete, insert: Insert) -> bool:
    # 0 is no LSN: records that do not tell theirs have it.
    return delete.wal_start == insert.wal_start != 0 and (delete.schema, delete.table) == (
        insert.schema,
        insert.table,
    )


def _update(delete: Delete, insert: Insert) -> Update:
    return Update(
        insert.wal_start,
        insert.transaction,
        insert.ordinal,
        insert.relation,
        delete.before,
        insert.after,
    )
