"""Frame: all of a data record but its row, rendered once for each operation of a transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pglogical_cdc.events import RowChange, Transaction
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.dms.layout import Layout
from pglogical_cdc.formatters.dms.metadata import Metadata
from pglogical_cdc.formatters.dms.partition import KeyOfRow, PartitionKeys
from pglogical_cdc.formatters.dms.table import Table

__all__ = ("Frame", "Frames")

_GAP = "\0"
"""Stands for the time and for the transaction ID; JSON has no such character."""


class Frame:
    """What the records of one operation on one table have around their rows, in one transaction.

    Args:
        table: version of the table.
        change: one that the operation has made.
        operation: what DMS calls it.
        head: what a message begins with.
        timestamp: writes the present time.
    """

    __slots__ = (
        "_after_time",
        "_after_xid",
        "_before_time",
        "_before_xid",
        "_commit_lsn",
        "_head",
        "_is_delete",
        "_key",
        "_key_of",
        "_timestamp",
        "_topic",
        "_write",
        "kind",
        "operation",
        "relation",
        "table",
        "transaction",
    )

    def __init__(
        self,
        table: Table,
        change: RowChange,
        operation: str,
        *,
        head: str,
        timestamp: Callable[[], str],
    ) -> None:
        self.table = table
        self.relation = table.relation
        self.kind = change.__class__
        self.operation = operation
        self._topic = table.topic
        self._head = head
        self._timestamp = timestamp
        self._is_delete = operation == "delete"
        self._write = table.data.write_deleted if self._is_delete else table.data.write

    def render(self, rest: str, key: bytes | None, key_of: KeyOfRow | None) -> None:
        """Take what the records share.

        Args:
            rest: what comes after the rows, with a NUL where the time belongs, and another where
                the transaction ID does if there is one.
            key: the key of all records; None if each row has its own.
            key_of: makes the key of a row, or returns None if it is to be asked for elsewhere.
        """
        self._before_time, self._before_xid, *after_xid = rest.split(_GAP)
        self._after_xid = "".join(after_xid)
        self._key = key
        self._key_of = key_of

    def enter(self, transaction: Transaction | None) -> None:
        """Go on with the changes of a transaction, or with those that belong to none."""
        self.transaction = transaction
        self._commit_lsn = None if transaction is None else transaction.commit_lsn
        xid = "" if transaction is None else transaction.xid
        self._after_time = f"{self._before_xid}{xid}{self._after_xid}"

    def record(self, change: Any) -> Record | None:
        """Return the record of a change; None if its key is to be asked for elsewhere.

        Args:
            change: of the relation, class and transaction of the frame.

        Raises:
            ConfigurationError: a value is in binary form.
        """
        row = change.before if self._is_delete else change.after
        key = self._key
        if key is None and (self._key_of is None or (key := self._key_of(row)) is None):
            return None
        lsn = self._commit_lsn
        rest = f"{self._before_time}{self._timestamp()}{self._after_time}"
        return Record(
            self._topic,
            key,
            self._write(row.raw, self._head, rest),
            (),
            change.position if lsn is None else (lsn, change.ordinal),
        )


class Frames:
    """Keeps the frames of the operations and tables that a stream has had so far.

    Args:
        layout: where tabs and line ends go.
        metadata: writes the metadata of data records.
        keys: finds the partition keys.
        timestamp: writes the present time.
    """

    def __init__(
        self,
        layout: Layout,
        metadata: Metadata,
        keys: PartitionKeys,
        timestamp: Callable[[], str],
    ) -> None:
        self._layout = layout
        self._metadata = metadata
        self._keys = keys
        self._timestamp = timestamp
        self._known: dict[tuple[int, type[RowChange]], Frame] = {}

    def of(self, change: RowChange) -> Frame | None:
        """Return the frame of a change; None if the operation on its relation was not added."""
        frame = self._known.get((change.relation.oid, change.__class__))
        if frame is None or frame.relation is not change.relation:
            return None
        transaction = change.transaction
        if frame.transaction is not transaction:
            if transaction is None or frame.transaction is None or self._keys.name_transactions:
                self._render(frame, change)
            frame.enter(transaction)
        return frame

    def add(self, table: Table, change: RowChange, operation: str) -> None:
        """Take in an operation on a version of a table.

        Args:
            table: description of the version.
            change: one that the operation has made.
            operation: what DMS calls it.
        """
        head = self._layout.data
        frame = Frame(table, change, operation, head=head, timestamp=self._timestamp)
        self._render(frame, change)
        frame.enter(change.transaction)
        self._known[change.relation.oid, frame.kind] = frame

    def _render(self, frame: Frame, change: RowChange) -> None:
        table, fixed, of_rows = frame.table, None, self._keys.of_rows(frame.table, change)
        if of_rows is None:
            key_type, key = self._keys.of(table, change)
            fixed, key_of = key.encode(), None
        else:
            (key_type, key_of), key = of_rows, ""
            if self._metadata.key_values:
                key_of = None
        xid = None if change.transaction is None else _GAP
        members = self._metadata.members(_GAP, frame.operation, key_type, key, table.name, xid)
        rest = self._layout.rest([self._layout.object('"metadata"', members)])
        frame.render(rest, fixed, key_of)
