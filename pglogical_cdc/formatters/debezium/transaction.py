"""``provide.transaction.metadata``: the place of each event in its transaction, BEGIN and END."""

from __future__ import annotations

from typing import NamedTuple

from pglogical_cdc.events import Transaction
from pglogical_cdc.formatters.wire.java_text import hash_map_order
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = ("TransactionBlock", "TransactionOrder")


class TransactionBlock(NamedTuple):
    """The ``transaction`` of an event."""

    id: str
    total_order: int
    data_collection_order: int

    def json(self) -> bytes:
        """Return the JSON object."""
        return b'{"id":"%b","total_order":%d,"data_collection_order":%d}' % (
            self.id.encode(),
            self.total_order,
            self.data_collection_order,
        )

    def field(self, name: str) -> bytes:
        """Return the JSON of one of its members."""
        value = getattr(self, name)
        return b'"%b"' % value.encode() if name == "id" else b"%d" % value


class TransactionOrder:
    """Counts the events of one transaction.

    An event is what becomes a record: a change of a key counts as two, what is skipped does not
    count. The identity of a transaction has the LSN of the very message in it, so that no two
    records of a transaction have the same: that is Debezium's way.

    Args:
        transaction: the transaction.
        messages: name of the data collection of logical decoding messages. Debezium writes an
            identity of a Java object there, another for each message.
        faithful: write one collection for all messages instead of one for each.
    """

    __slots__ = ("_collections", "_faithful", "_messages", "_name", "_total", "transaction")

    def __init__(self, transaction: Transaction | None, messages: str, *, faithful: bool) -> None:
        self.transaction = transaction
        self._name = messages
        self._faithful = faithful
        self._total = 0
        self._messages = 0
        self._collections: dict[str, int] = {}

    def next_of(self, collection: str, lsn: int) -> TransactionBlock:
        """Count an event of a table, and return its ``transaction`` block.

        Args:
            collection: ``schema.table``.
            lsn: start of its message in the WAL.
        """
        order = self._collections[collection] = self._collections.get(collection, 0) + 1
        return self._block(order, lsn)

    def next_message(self, lsn: int) -> TransactionBlock:
        """Count a logical decoding message, and return its ``transaction`` block."""
        self._messages += 1
        return self._block(self._messages if self._faithful else 1, lsn)

    def _block(self, order: int, lsn: int) -> TransactionBlock:
        self._total += 1
        assert self.transaction is not None
        return TransactionBlock(f"{self.transaction.xid}:{lsn:d}", self._total, order)

    def begin(self, lsn: int) -> tuple[bytes, bytes]:
        """Return key and value of the record that opens the transaction.

        Args:
            lsn: start of its Begin message in the WAL.
        """
        return self._mark(b"BEGIN", lsn, b"null", b"null")

    def end(self, lsn: int) -> tuple[bytes, bytes]:
        """Return key and value of the record that closes the transaction.

        Args:
            lsn: the position after the transaction.
        """
        entries = [
            b'{"data_collection":%b,"event_count":%d}' % (json_text(collection), count)
            for collection, count in hash_map_order(self._collections.items())
        ]
        if self._messages:
            name = json_text(self._name)
            times, each = (1, self._messages) if self._faithful else (self._messages, 1)
            entries += [b'{"data_collection":%b,"event_count":%d}' % (name, each)] * times
        return self._mark(b"END", lsn, b"%d" % self._total, b"[%b]" % b",".join(entries))

    def _mark(
        self, status: bytes, lsn: int, event_count: bytes, collections: bytes
    ) -> tuple[bytes, bytes]:
        transaction = self.transaction
        assert transaction is not None
        identity = b'"%d:%d"' % (transaction.xid, lsn)
        value = (b'{"status":"%b","id":%b,"event_count":%b,"data_collections":%b,"ts_ms":%d}') % (
            status,
            identity,
            event_count,
            collections,
            transaction.commit_timestamp // 1000,
        )
        return b'{"id":%b}' % identity, value
