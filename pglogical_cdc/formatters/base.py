"""Formatter and Record: what every format gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.events import Change, Position, Transaction
from pglogical_cdc.lsn import LSN

__all__ = ("ControlRecord", "Formatter", "Record", "place_of")


@record
class Record:
    """One message for a topic, stream, queue or file."""

    topic: str
    key: bytes | None
    value: bytes | None
    """None is a tombstone: for a compacted topic, the order to forget the key."""
    headers: Sequence[tuple[str, bytes]] = ()
    _place: tuple[LSN, int] | None = field(default=None, alias="position")

    __match_args__ = ("topic", "key", "value", "headers", "position")

    @property
    def position(self) -> Position | None:
        """Position of the change that it was made of; None for heartbeats and the like."""
        # Few ask for it, and the bare pair, which is equal to it, is made in a third of the time.
        place = self._place
        return place if place is None or isinstance(place, Position) else Position(*place)

    def __repr__(self) -> str:
        kind = "tombstone" if self.value is None else f"{len(self.value)} bytes"
        return f"<Record for {self.topic} at {self.position}: {kind}>"


@record(repr=False)
class ControlRecord(Record):
    """A record that tells of a table, not of a row of it.

    It may come before the record of a row, out of the same change. In a compacted topic its key
    must not be that of a row.
    """


def place_of(change: Change) -> tuple[LSN, int]:
    """Return what a change's position is made of, for `Record`."""
    transaction = change.transaction
    return change.position if transaction is None else (transaction.commit_lsn, change.ordinal)


@runtime_checkable
class Formatter(Protocol):
    """Makes records of changes. Pure: the clock is handed in, nothing is looked up.

    Each method returns the records in the order in which they must be sent. A loop that wants only
    the records of rows calls `format`; a `Pipeline` calls all four.
    """

    def format(self, change: Change) -> Sequence[Record]:
        """Return the records of one change, possibly none."""
        ...

    def begin(self, transaction: Transaction) -> Sequence[Record]:
        """Return what opens a transaction; called before its first change."""
        ...

    def commit(
        self, transaction: Transaction, counts: Mapping[tuple[str, str], int]
    ) -> Sequence[Record]:
        """Return what closes a transaction; called after its last change.

        Args:
            transaction: the transaction, with its `end_lsn`.
            counts: number of row changes by (schema, table), in order of first appearance.
        """
        ...

    def heartbeat(self, time: int) -> Sequence[Record]:
        """Return the sign of life of an idle stream.

        Args:
            time: nanoseconds since 1970-01-01 UTC.
        """
        ...
