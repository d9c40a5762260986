"""Changes without a server, for tests of what hands them out and acknowledges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pglogical_cdc.events import Insert, LogicalMessage, Relation, ReplicaIdentity, Row, Transaction
from pglogical_cdc.events.relation import Column
from pglogical_cdc.lsn import LSN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pglogical_cdc.events import Change

__all__ = ("RELATION", "Feed", "insert", "message", "transaction")

RELATION = Relation(
    oid=16384,
    schema="public",
    name="t",
    columns=(Column("id", 23, -1, "int4", True),),
    replica_identity=ReplicaIdentity.DEFAULT,
)


def transaction(commit_lsn: int, *, ended: bool = False) -> Transaction:
    made = Transaction(xid=7, commit_lsn=LSN(commit_lsn), commit_timestamp=0)
    if ended:
        made.end_lsn = LSN(commit_lsn + 8)
    return made


def insert(of: Transaction, ordinal: int) -> Insert:
    return Insert(of.commit_lsn - 8, of, ordinal, RELATION, Row(RELATION, [b"%d" % ordinal]))


def message(lsn: int) -> LogicalMessage:
    return LogicalMessage(lsn, None, 0, "p", b"c")


class Feed:
    """Gives changes as a stream does; None in the list is the end of a transaction."""

    def __init__(self, items: Iterable[Change | None]) -> None:
        self._items = list(items)
        self._open: Transaction | None = None
        self.timeouts: list[float | None] = []

    @property
    def ended(self) -> bool:
        return not self._items

    def __call__(
        self,
        timeout: float | None = None,
        *,
        at_commit: bool = False,
        give: Callable[[Change], None] | None = None,
    ) -> Change | None:
        self.timeouts.append(timeout)
        while self._items:
            item = self._items.pop(0)
            if item is not None:
                self._open = item.transaction
                if give is not None:
                    give(item)
                return item
            if self._open is not None:
                self._open.end_lsn = LSN(self._open.commit_lsn + 8)
            if at_commit:
                return None
        return None
