"""StreamRecords: the records that belong to no row.

Logical decoding messages, the marks of ``provide.transaction.metadata``, and heartbeats.
"""

from __future__ import annotations

from typing import Final

from pglogical_cdc.events import LogicalMessage
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.debezium.connect_schema import ConnectSchema
from pglogical_cdc.formatters.debezium.envelope import (
    HEARTBEAT_KEY_SCHEMA,
    HEARTBEAT_SCHEMA,
    MESSAGE_KEY_SCHEMA,
    TRANSACTION_KEY_SCHEMA,
    TRANSACTION_SCHEMA,
    message_schema,
)
from pglogical_cdc.formatters.debezium.names import topic_name
from pglogical_cdc.formatters.debezium.source import SourceBlock
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock
from pglogical_cdc.formatters.wire.binary import BinaryMode, bytes_json
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = ("StreamRecords",)

_NO_TABLE: Final = ',"schema":"","table":""'


class StreamRecords:
    """Makes the records that belong to no row.

    Args:
        prefix: the topic prefix.
        delimiter: between the parts of a topic, but that of messages.
        topic_transaction: last part of the topic of transaction marks.
        topic_heartbeat_prefix: first part of the topic of heartbeats.
        schemas: whether key and value stand beside their schemas.
        binary: text form of the content of messages.
    """

    def __init__(
        self,
        *,
        prefix: str,
        delimiter: str,
        topic_transaction: str,
        topic_heartbeat_prefix: str,
        schemas: bool,
        binary: BinaryMode,
    ) -> None:
        self._server = json_text(prefix)
        self._schemas = schemas
        self._binary: BinaryMode = binary
        self.message_topic = topic_name(prefix, "message")
        """That of messages, which has a dot whatever the delimiter is."""
        self._transaction_topic = topic_name(prefix, topic_transaction, delimiter=delimiter)
        self._heartbeat_topic = topic_name(topic_heartbeat_prefix, prefix, delimiter=delimiter)
        self._message_schema = message_schema(binary)
        self._heads: dict[int, bytes] = {}

    def transaction_mark(self, key: bytes, value: bytes) -> Record:
        """Return the record that marks the begin or the end of a transaction.

        Args:
            key: its JSON, without schema.
            value: its JSON, without schema.
        """
        return Record(
            self._transaction_topic,
            self._beside(TRANSACTION_KEY_SCHEMA, key),
            self._beside(TRANSACTION_SCHEMA, value),
        )

    def heartbeat(self, time: int) -> Record:
        """Return a heartbeat.

        Args:
            time: nanoseconds since 1970-01-01 UTC.
        """
        return Record(
            self._heartbeat_topic,
            self._beside(HEARTBEAT_KEY_SCHEMA, b'{"serverName":%b}' % self._server),
            self._beside(HEARTBEAT_SCHEMA, b'{"ts_ms":%d}' % (time // 1_000_000)),
        )

    def message(
        self,
        change: LogicalMessage,
        source: SourceBlock,
        block: TransactionBlock | None,
        now: int,
    ) -> Record:
        """Return the record of a logical decoding message.

        Args:
            change: the message.
            source: its ``source``.
            block: its ``transaction``, if that is asked for.
            now: nanoseconds since 1970-01-01 UTC.
        """
        prefix = json_text(change.prefix)
        value = (
            b'{"op":"m","ts_ms":%d,"source":%b,"transaction":%b,'
            b'"message":{"prefix":%b,"content":%b}}'
        ) % (
            now // 1_000_000,
            source.json(_NO_TABLE, change.wal_start).encode(),
            b"null" if block is None else block.json(),
            prefix,
            bytes_json(change.content, self._binary),
        )
        return Record(
            self.message_topic,
            self._beside(MESSAGE_KEY_SCHEMA, b'{"prefix":%b}' % prefix),
            self._beside(self._message_schema, value),
            (),
            change.position,
        )

    def _beside(self, schema: ConnectSchema, payload: bytes) -> bytes:
        if not self._schemas:
            return payload
        # These few schemas live as long as the object, so that an id is that of one of them.
        head = self._heads.get(id(schema))
        if head is None:
            head = self._heads[id(schema)] = schema.head()
        return head + payload + b"}"
