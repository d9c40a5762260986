"""DebeziumFormatter: what the Debezium PostgreSQL connector 3.6.3 writes through JsonConverter."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    Relation,
    Row,
    RowChange,
    SnapshotRead,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.clock import utc_nanoseconds
from pglogical_cdc.formatters.debezium.options import (
    DecimalMode,
    HstoreMode,
    IntervalMode,
    TimeMode,
    TypeOptions,
    skipped_letters,
)
from pglogical_cdc.formatters.debezium.source import SourceBlock
from pglogical_cdc.formatters.debezium.table import TableFormat, topic_name
from pglogical_cdc.formatters.option_check import check_option
from pglogical_cdc.formatters.wire.binary import BinaryMode, bytes_json
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = ("DebeziumFormatter",)

Headers: TypeAlias = tuple[tuple[str, bytes], ...]

_NO_TABLE: Final = b',"schema":"","table":""'


class DebeziumFormatter:
    """Makes the records that Debezium's PostgreSQL connector would send.

    Options carry Debezium's names, with underscores for its dots, and Debezium's defaults. The
    JSON is that of Kafka Connect's JsonConverter with ``schemas.enable=false`` and
    ``replace.null.with.default=true``. Nullability, defaults, the primary key and enums come from
    ``relation.catalog``; without it every column counts as nullable, the key is
    ``relation.key_columns``, and types that are not built in and have no well-known name are left
    out like those that Debezium does not know.

    A value that Debezium stops at gives a record all the same: NULL where it cannot be a number
    (``NaN`` in mode ``precise``), UTC for a ``timetz`` whose offset has seconds, and the text as a
    string where the form is not the expected one.

    One formatter serves one stream: a message outside transactions marks the ``source.sequence``
    of what follows it.

    Args:
        topic_prefix: logical name of the server, and the first part of every topic.
        database: name of the database; by default that of the change.
        tombstones_on_delete: add a record without value after a delete.
        skipped_operations: letters of `c`, `u`, `d`, `t` separated by commas, or ``none``.
        unavailable_value_placeholder: stands for a TOASTed value that the server did not send.
        decimal_handling_mode: ``numeric`` and ``money`` as base64, as double or as string.
        time_precision_mode: units of ``date``, ``time`` and ``timestamp``.
        interval_handling_mode: ``interval`` as microseconds or as ISO 8601 string.
        hstore_handling_mode: ``hstore`` as JSON in a string or as object.
        binary_handling_mode: text form of ``bytea``.
        message_key_columns: only None in this version.
        schemas_enable: only False in this version.
        provide_transaction_metadata: only False in this version.
        faithful: only False in this version.
        include_unknown_datatypes: keep columns of types that Debezium does not know, as base64
            of their text.
        connector_name: header ``__debezium.context.connectorName``.
        task_id: header ``__debezium.context.taskId``.
        run_id: header ``__debezium.context.runId``; by default a new random UUID.
        clock: gives the nanoseconds since 1970-01-01 UTC of the envelope.

    Raises:
        ConfigurationError: a value of an option that is not supported.
    """

    def __init__(
        self,
        *,
        topic_prefix: str,
        database: str | None = None,
        tombstones_on_delete: bool = True,
        skipped_operations: str = "t",
        unavailable_value_placeholder: str = "__debezium_unavailable_value",
        decimal_handling_mode: DecimalMode = "precise",
        time_precision_mode: TimeMode = "adaptive",
        interval_handling_mode: IntervalMode = "numeric",
        hstore_handling_mode: HstoreMode = "json",
        binary_handling_mode: BinaryMode = "bytes",
        message_key_columns: None = None,
        schemas_enable: Literal[False] = False,
        provide_transaction_metadata: Literal[False] = False,
        faithful: Literal[False] = False,
        include_unknown_datatypes: bool = False,
        connector_name: str = "postgresql",
        task_id: str = "0",
        run_id: str | None = None,
        clock: Callable[[], int] = utc_nanoseconds,
    ) -> None:
        check_option("decimal_handling_mode", decimal_handling_mode, *get_args(DecimalMode))
        check_option("time_precision_mode", time_precision_mode, *get_args(TimeMode))
        check_option("interval_handling_mode", interval_handling_mode, *get_args(IntervalMode))
        check_option("hstore_handling_mode", hstore_handling_mode, *get_args(HstoreMode))
        check_option("binary_handling_mode", binary_handling_mode, *get_args(BinaryMode))
        check_option("message_key_columns", message_key_columns, None)
        check_option("schemas_enable", schemas_enable, False)
        check_option("provide_transaction_metadata", provide_transaction_metadata, False)
        check_option("faithful", faithful, False)
        if unavailable_value_placeholder.startswith("hex:"):
            raise ConfigurationError(
                "unavailable_value_placeholder as 'hex:...' is not supported; it is plain text"
            )
        if not topic_prefix:
            raise ConfigurationError("topic_prefix is empty; every topic starts with it")
        self._prefix = topic_prefix
        self._database = database
        self._tombstones = tombstones_on_delete
        self._skipped = skipped_letters(skipped_operations)
        self._types = TypeOptions(
            decimal=decimal_handling_mode,
            time=time_precision_mode,
            interval=interval_handling_mode,
            hstore=hstore_handling_mode,
            binary=binary_handling_mode,
            placeholder=unavailable_value_placeholder,
            include_unknown=include_unknown_datatypes,
        )
        self._clock = clock
        self._context: Headers = (
            ("__debezium.context.connectorLogicalName", json_text(topic_prefix)),
            ("__debezium.context.taskId", json_text(task_id)),
            ("__debezium.context.connectorName", json_text(connector_name)),
            (
                "__debezium.context.runId",
                json_text(str(uuid.uuid4()) if run_id is None else run_id),
            ),
        )
        self._tables: dict[int, TableFormat] = {}
        self._source: SourceBlock | None = None
        self._begun: Transaction | None = None
        self._message_lsn: int | None = None
        # Any: each function takes the class of change that its operation names.
        self._by_operation: dict[str, Callable[[Any], Sequence[Record]]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
            "truncate": self._truncate,
            "read": self._read,
            "message": self._message,
            "schema": self._schema,
        }

    # -- the Formatter interface

    def format(self, change: Change) -> Sequence[Record]:
        """Return the records of one change; a `SchemaChange` gives none.

        Raises:
            ConfigurationError: a value is in binary form.
        """
        if change.transaction is not None:
            self._begun = change.transaction
        return self._by_operation[change.op](change)

    def begin(self, transaction: Transaction) -> Sequence[Record]:
        """Return nothing: Debezium tells of transactions only when asked for metadata."""
        return ()

    def commit(
        self, transaction: Transaction, counts: Mapping[tuple[str, str], int]
    ) -> Sequence[Record]:
        """Return nothing: Debezium tells of transactions only when asked for metadata."""
        return ()

    def heartbeat(self, time: int) -> Sequence[Record]:
        """Return Debezium's heartbeat record, to be sent as often as the caller likes."""
        return (
            Record(
                topic_name("__debezium-heartbeat", self._prefix),
                b'{"serverName":%b}' % json_text(self._prefix),
                b'{"ts_ms":%d}' % (time // 1_000_000),
            ),
        )

    # -- changes

    def _insert(self, change: Insert) -> Sequence[Record]:
        if "c" in self._skipped:
            return ()
        table = self._table(change.relation)
        key = table.key(change.after.raw)
        return self._data(change, table, "c", key, None, change.after, self._context)

    def _read(self, change: SnapshotRead) -> Sequence[Record]:
        source = self._source
        if (
            source is None
            or source.transaction is not change.transaction
            or source.snapshot != change.snapshot
        ):
            database = change.relation.database
            self._source = self._make_source(change, database, None, change.snapshot)
        table = self._table(change.relation)
        key = table.key(change.after.raw)
        return self._data(change, table, "r", key, None, change.after, self._context)

    def _update(self, change: Update) -> Sequence[Record]:
        if "u" in self._skipped:
            return ()
        table = self._table(change.relation)
        before, after = change.before, change.after
        key = table.key(after.raw)
        if before is not None and key is not None:
            # The keys are compared as they are written: where the replica identity is an index
            # beside the primary key, Debezium knows no old key and splits the update as well.
            old_key = table.key(before.raw)
            if old_key is not None and old_key != key:
                return self._key_change(change, table, old_key, key, before)
        return self._data(change, table, "u", key, before, after, self._context)

    def _key_change(
        self, change: Update, table: TableFormat, old_key: bytes, key: bytes, before: Row
    ) -> Sequence[Record]:
        gone: Headers = (("__debezium.newkey", key), *self._context)
        come: Headers = (("__debezium.oldkey", old_key), *self._context)
        return (
            *self._removal(change, table, old_key, before, gone),
            *self._data(change, table, "c", key, None, change.after, come),
        )

    def _delete(self, change: Delete) -> Sequence[Record]:
        if "d" in self._skipped:
            return ()
        table = self._table(change.relation)
        key = table.key(change.before.raw)
        return self._removal(change, table, key, change.before, self._context)

    def _removal(
        self,
        change: RowChange,
        table: TableFormat,
        key: bytes | None,
        before: Row,
        headers: Headers,
    ) -> Sequence[Record]:
        """Return the record of a delete, and the tombstone after it."""
        records = self._data(change, table, "d", key, before, None, headers)
        if not self._tombstones:
            return records
        return (*records, Record(table.topic, key, None, headers, change.position))

    def _truncate(self, change: Truncate) -> Sequence[Record]:
        if "t" in self._skipped:
            return ()
        table = self._table(change.relation)
        return self._data(change, table, "t", None, None, None, self._context)

    def _data(
        self,
        change: RowChange,
        table: TableFormat,
        op: str,
        key: bytes | None,
        before: Row | None,
        after: Row | None,
        headers: Headers,
    ) -> Sequence[Record]:
        """Return the record of one data change event."""
        now = self._clock()
        value = b"".join(
            (
                b'{"before":',
                b"null" if before is None else table.row(before.raw),
                b',"after":',
                b"null" if after is None else table.row(after.raw),
                b',"source":',
                self._source_of(change, change.relation.database).render(
                    table.source, change.wal_start
                ),
                b',"transaction":null,"op":"%b","ts_ms":%d,"ts_us":%d,"ts_ns":%d}'
                % (op.encode(), now // 1_000_000, now // 1000, now),
            )
        )
        return (Record(table.topic, key, value, headers, change.position),)

    def _message(self, change: LogicalMessage) -> Sequence[Record]:
        if change.transaction is None:
            # Until the next commit Debezium takes the message for the last one.
            self._message_lsn = change.wal_start
        source = self._source_of(change, change.database)
        value = (
            b'{"op":"m","ts_ms":%d,"source":%b,"transaction":null,'
            b'"message":{"prefix":%b,"content":%b}}'
        ) % (
            self._clock() // 1_000_000,
            source.render(_NO_TABLE, change.wal_start),
            json_text(change.prefix),
            bytes_json(change.content, self._types.binary),
        )
        key = b'{"prefix":%b}' % json_text(change.prefix)
        topic = topic_name(self._prefix, "message")
        return (Record(topic, key, value, (), change.position),)

    def _schema(self, change: Change) -> Sequence[Record]:
        return ()

    # -- what is prepared once

    def _table(self, relation: Relation) -> TableFormat:
        table = self._tables.get(relation.oid)
        if table is None or table.relation is not relation:
            table = TableFormat(relation, self._prefix, self._types)
            self._tables[relation.oid] = table
        return table

    def _source_of(self, change: Change, database: str) -> SourceBlock:
        transaction = change.transaction
        source = self._source
        if isinstance(change, SnapshotRead) and source is not None:
            return source
        if transaction is None:
            return self._make_source(change, database, change.wal_start)
        if source is None or source.transaction is not transaction or source.snapshot != "false":
            previous: int | None = transaction.previous_end_lsn
            message = self._message_lsn
            # The message came after that commit, and before this one.
            if message is not None and (previous or 0) < message <= transaction.commit_lsn:
                previous = message
            source = self._source = self._make_source(change, database, previous)
        return source

    def _make_source(
        self, change: Change, database: str, previous: int | None, snapshot: str = "false"
    ) -> SourceBlock:
        transaction = change.transaction
        # A message outside transactions has no time of its own: Debezium gives it that of the
        # last transaction; before the first one the clock is all there is.
        dated = self._begun if transaction is None else transaction
        return SourceBlock(
            name=self._prefix,
            database=database if self._database is None else self._database,
            timestamp=self._clock() // 1000 if dated is None else dated.commit_timestamp,
            transaction=transaction,
            previous_end_lsn=previous,
            snapshot=snapshot,
        )
