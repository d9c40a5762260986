"""What ``IncludeTransactionDetails`` adds to the metadata of a change."""

from __future__ import annotations

from pglogical_cdc.events import RowChange, Transaction
from pglogical_cdc.formatters.dms.layout import timestamp

__all__ = ("TransactionDetails",)


class TransactionDetails:
    """Writes the details of one change after the other, each with those of the one before."""

    def __init__(self) -> None:
        self._transaction: Transaction | None = None
        self._previous: tuple[int, int] | None = None
        self._first_lsn: int | None = None
        self._messages_before = 0

    def relation_described(self, transaction: Transaction | None) -> None:
        """Count the Relation message of a table's new version."""
        self._enter(transaction)
        self._messages_before += 1

    def members(self, transaction: Transaction, change: RowChange, colon: str) -> list[str]:
        """Return the members of ``metadata`` after ``transaction-id``, in their order."""
        self._enter(transaction)
        if self._first_lsn is None:
            self._first_lsn = change.wal_start
        members = [f'"transaction-record-id"{colon}{change.ordinal}']
        if self._previous is not None:
            xid, ordinal = self._previous
            members.append(f'"prev-transaction-id"{colon}{xid}')
            members.append(f'"prev-transaction-record-id"{colon}{ordinal}')
        self._previous = transaction.xid, change.ordinal
        members.append(f'"commit-timestamp"{colon}"{timestamp(transaction.commit_timestamp)}"')
        # Captures have 2 for the first change of a transaction and 3 where a Relation message
        # comes before it: the number of the protocol message, counted from Begin.
        number = self._messages_before + change.ordinal
        first, this = _padded(self._first_lsn), _padded(change.wal_start)
        members.append(f'"stream-position"{colon}"{first}.{number}.{this}"')
        return members

    def _enter(self, transaction: Transaction | None) -> None:
        if transaction is not self._transaction:
            self._transaction = transaction
            self._first_lsn = None
            self._messages_before = 1  # Begin


def _padded(lsn: int) -> str:
    return f"{lsn >> 32:08X}/{lsn & 0xFFFFFFFF:08X}"
