"""SourceBlock: Debezium's ``source``, rendered once for each transaction as far as it can be."""

from __future__ import annotations

from typing import Final

from pglogical_cdc.events import Transaction
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = ("SOURCE_FIELDS", "SourceBlock")

_VERSION: Final = b"3.6.3.Final"

SOURCE_FIELDS: Final = (
    *("version", "connector", "name", "ts_ms", "snapshot", "db", "sequence"),
    *("ts_us", "ts_ns", "schema", "table", "txId", "lsn", "xmin", "origin", "origin_lsn"),
)
"""The fields of ``source``, in their order."""


class SourceBlock:
    """``source`` of the changes of one transaction.

    Args:
        name: the topic prefix.
        database: name of the database.
        timestamp: commit time in microseconds since 1970-01-01 UTC.
        transaction: None for a message outside transactions.
        previous_end_lsn: first element of ``sequence``; None before the first commit.
        snapshot: ``source.snapshot``.
    """

    __slots__ = (
        "_after_lsn",
        "_before_lsn",
        "_end",
        "_fields",
        "_transaction_id",
        "snapshot",
        "transaction",
    )

    def __init__(
        self,
        *,
        name: str,
        database: str,
        timestamp: int,
        transaction: Transaction | None,
        previous_end_lsn: int | None,
        snapshot: str = "false",
    ) -> None:
        self.transaction = transaction
        self.snapshot = snapshot
        previous = b"null" if previous_end_lsn is None else b'\\"%d\\"' % previous_end_lsn
        xid = b"null" if transaction is None else b"%d" % transaction.xid
        origin = origin_lsn = b"null"
        if transaction is not None:
            if transaction.origin is not None:
                origin = json_text(transaction.origin)
            if transaction.origin_lsn is not None:
                origin_lsn = b"%d" % transaction.origin_lsn
        self._fields = {
            "version": b'"%b"' % _VERSION,
            "connector": b'"postgresql"',
            "name": json_text(name),
            "ts_ms": b"%d" % (timestamp // 1000),
            "snapshot": json_text(snapshot),
            "db": json_text(database),
            "sequence": b'"[%b,\\"' % previous,
            "ts_us": b"%d" % timestamp,
            "ts_ns": b"%d" % (timestamp * 1000),
            "txId": xid,
            "xmin": b"null",
            "origin": origin,
            "origin_lsn": origin_lsn,
        }
        fields = self._fields
        self._before_lsn = b"{%b" % b",".join(
            [b'"%b":%b' % (key.encode(), fields[key]) for key in SOURCE_FIELDS[:7]]
        )
        self._after_lsn = b'\\"]","ts_us":%b,"ts_ns":%b' % (fields["ts_us"], fields["ts_ns"])
        self._transaction_id = b',"txId":%b,"lsn":' % xid
        self._end = b',"xmin":null,"origin":%b,"origin_lsn":%b}' % (origin, origin_lsn)

    def render(self, table: bytes, lsn: int) -> bytes:
        """Return the JSON object.

        Args:
            table: ``,"schema":"...","table":"..."``.
            lsn: start of the change's message in the WAL.
        """
        text = b"%d" % lsn
        return b"".join(
            (
                self._before_lsn,
                text,
                self._after_lsn,
                table,
                self._transaction_id,
                text,
                self._end,
            )
        )

    def field(self, name: str, schema: str, table: str, lsn: int) -> bytes:
        """Return the JSON of one of `SOURCE_FIELDS`."""
        if name == "lsn":
            return b"%d" % lsn
        if name == "sequence":
            return b'%b%d\\"]"' % (self._fields[name], lsn)
        if name == "schema":
            return json_text(schema)
        return json_text(table) if name == "table" else self._fields[name]
