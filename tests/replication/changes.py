"""Changes without a server, for tests of what hands them out and acknowledges them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from pglogical_cdc.events import Insert, LogicalMessage, Relation, ReplicaIdentity, Row, Transaction
from pglogical_cdc.events.relation import Column
from pglogical_cdc.lsn import LSN
from pglogical_cdc.replication.hand import Hand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pglogical_cdc.events import Change
    from pglogical_cdc.replication.source import Source

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
    """Gives changes as a `Source` does, by its members that iterators use.

    Args:
        items: changes; None is the end of a transaction, an exception is raised once.
        buffers: whether changes are here without waiting; else each has to be waited for.
        suspends: whether waiting suspends the coroutine, as it does with an event loop.
    """

    def __init__(
        self,
        items: Iterable[Change | BaseException | None],
        *,
        buffers: bool = True,
        suspends: bool = False,
    ) -> None:
        self.acknowledged: list[Change] = []
        self.hand = Hand(self.acknowledged.append)
        self.timeouts: list[float | None] = []
        """Of each change that was waited for."""
        self._items = list(items)
        self._buffers = buffers
        self._suspends = suspends
        self._open: Transaction | None = None
        self._committed = False

    @property
    def ended(self) -> bool:
        return not self._items

    @property
    def source(self) -> Source:
        """Itself, for who wants a `Source`."""
        return cast("Source", self)

    async def take(self, timeout: float | None = None, *, at_commit: bool = False) -> Change | None:
        change = self.buffered(at_commit=at_commit)
        if change is None:
            change = await self.next_change(timeout, at_commit=at_commit)
        return change

    def buffered(self, *, at_commit: bool = False) -> Change | None:
        while self._buffers and self._items:
            item = self._items[0]
            if isinstance(item, BaseException):
                break
            del self._items[0]
            if item is not None:
                return self._give(item)
            self._commit()
            if at_commit:
                self._committed = True
                break
        return None

    async def next_change(
        self, timeout: float | None = None, *, at_commit: bool = False
    ) -> Change | None:
        committed, self._committed = self._committed, False
        if committed and at_commit:
            return None
        self.timeouts.append(timeout)
        if self._suspends:
            await asyncio.sleep(0)
        while self._items:
            item = self._items.pop(0)
            if isinstance(item, BaseException):
                raise item
            if item is not None:
                return self._give(item)
            self._commit()
            if at_commit:
                return None
        return None

    def open_run(self) -> None:
        """Nothing was read ahead."""

    def take_run(self, count: int) -> int:
        return 0

    def _give(self, change: Change) -> Change:
        self._open = change.transaction
        self.hand.keep(change)
        return change

    def _commit(self) -> None:
        if self._open is not None:
            self._open.end_lsn = LSN(self._open.commit_lsn + 8)
