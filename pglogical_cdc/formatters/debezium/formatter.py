"""DebeziumFormatter: what the Debezium PostgreSQL connector 3.6.3 writes through JsonConverter."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias, get_args

from attrs import evolve

from pglogical_cdc.clock import time_ns
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    RawValue,
    Relation,
    Row,
    RowChange,
    SnapshotRead,
    SnapshotRows,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters.base import Record, place_of
from pglogical_cdc.formatters.debezium.event_frame import (
    OPERATIONS,
    EventFrame,
    FramedTable,
    after_rows,
)
from pglogical_cdc.formatters.debezium.names import AdjustmentMode
from pglogical_cdc.formatters.debezium.options import (
    DecimalMode,
    HstoreMode,
    IntervalMode,
    TableOptions,
    TimeMode,
    TypeOptions,
    message_keys,
    placeholder_bytes,
    skipped_letters,
)
from pglogical_cdc.formatters.debezium.snapshot_rules import differs_in_snapshots
from pglogical_cdc.formatters.debezium.source import Sources
from pglogical_cdc.formatters.debezium.stream_records import StreamRecords
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock, TransactionOrder
from pglogical_cdc.formatters.option_check import check_option, check_text
from pglogical_cdc.formatters.packed_records import PackedRecords
from pglogical_cdc.formatters.wire.binary import BinaryMode
from pglogical_cdc.formatters.wire.json_text import json_text
from pglogical_cdc.formatters.wire.numbers import DecimalFormat
from pglogical_cdc.name_patterns import NamePatterns

__all__ = ("DebeziumFormatter",)

_FEW: Final = 5
"""Rows that take less one by one than at once."""

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class DebeziumFormatter:
    """Makes the records that Debezium's PostgreSQL connector 3.6.3 would send.

    Options carry Debezium's names, with underscores for its dots, and Debezium's defaults. The
    JSON is that of Kafka Connect's JsonConverter. Nullability, defaults, the primary key and enums
    come from ``relation.catalog``; a table without a primary key has the key of its first unique
    index, or with `faithful` of the first that identifies rows. Without a catalog every column
    counts as nullable, the key is ``relation.key_columns``, and types that are not built in and
    have no well-known name are left out like those that Debezium does not know.

    A value that Debezium stops at gives a record all the same; where it does not fit the schema of
    its column, the schema in that record says so. The page "Debezium's quirks" lists what Debezium
    loses or bends, what is written here, and what `faithful` changes.

    One formatter serves one stream: a message outside transactions marks the ``source.sequence``
    of what follows it.

    Args:
        topic_prefix: logical name of the server, and the first part of every topic.
        database: name of the database; by default that of the change.
        schemas_enable: write key and value as ``{"schema":...,"payload":...}`` (both converters'
            ``schemas.enable``).
        decimal_handling_mode: ``numeric`` and ``money`` as base64, as double or as string.
        decimal_format: what ``precise`` is in JSON: base64, or a number (the converter's
            ``decimal.format``); ``numeric`` without a scale stays base64.
        time_precision_mode: units of ``date``, ``time`` and ``timestamp``.
        interval_handling_mode: ``interval`` as microseconds or as ISO 8601 string.
        hstore_handling_mode: ``hstore`` as JSON in a string or as object.
        binary_handling_mode: text form of ``bytea`` and of the content of messages.
        money_fraction_digits: digits behind the point of ``money`` in mode ``precise``.
        include_unknown_datatypes: keep columns of types that Debezium does not know, as base64
            of their text.
        unavailable_value_placeholder: stands for a TOASTed value that the server did not send:
            text, or ``hex:`` and hexadecimal digits.
        replace_null_with_default: write NULL in a column that has a default as that default (the
            converter's ``replace.null.with.default``).
        tombstones_on_delete: add a record without value after a delete.
        skipped_operations: letters of `c`, `u`, `d`, `t` separated by commas, or ``none``: records
            that are not written. A change of the key is not ``u`` but a ``d`` and a ``c``.
        skip_messages_without_change: leave out updates in which no column that is written changed,
            as far as the old row tells (replica identity FULL; from the old key alone it is
            guessed, as in Debezium, that all else was NULL).
        provide_transaction_metadata: write where in its transaction each event stands, and, in
            `begin` and `commit`, records that mark the transaction.
        message_key_columns: keys other than the primary key:
            ``schema.table:column,column;schema.(.*):column``. Tables and columns are regular
            expressions.
        column_propagate_source_type: regular expressions of ``schema.table.column``, of the columns
            whose schema has the parameters ``__debezium.source.column.*``.
        datatype_propagate_source_type: the same, of ``schema.table.type``.
        schema_name_adjustment_mode: what names of schemas may be made of.
        field_name_adjustment_mode: what names of fields may be made of.
        topic_delimiter: between the parts of a topic.
        topic_transaction: last part of the topic of transaction metadata.
        topic_heartbeat_prefix: first part of the topic of heartbeats.
        extended_headers_enabled: write the headers ``__debezium.context.*``.
        connector_name: header ``__debezium.context.connectorName``.
        task_id: header ``__debezium.context.taskId``.
        run_id: header ``__debezium.context.runId``; by default a new random UUID.
        faithful: write the true value where Debezium loses or bends it, keep NULL, and leave out
            what the server did not send.
        clock: gives the nanoseconds since 1970-01-01 UTC of the envelope.

    Raises:
        ConfigurationError: a value of an option that is not supported.
    """

    _of_tables: ClassVar[frozenset[str]] = frozenset(
        {
            "_tables",
            "_snapshot_tables",
            "_framed",
            "_frames",
            "_framed_in_snapshot",
            "_snapshot_frame",
        }
    )
    """The attributes that `_forget_tables` sets."""

    def __init__(
        self,
        *,
        topic_prefix: str,
        database: str | None = None,
        schemas_enable: bool = False,
        decimal_handling_mode: DecimalMode = "precise",
        decimal_format: DecimalFormat = "BASE64",
        time_precision_mode: TimeMode = "adaptive",
        interval_handling_mode: IntervalMode = "numeric",
        hstore_handling_mode: HstoreMode = "json",
        binary_handling_mode: BinaryMode = "bytes",
        money_fraction_digits: int = 2,
        include_unknown_datatypes: bool = False,
        unavailable_value_placeholder: str = "__debezium_unavailable_value",
        replace_null_with_default: bool = True,
        tombstones_on_delete: bool = True,
        skipped_operations: str = "t",
        skip_messages_without_change: bool = False,
        provide_transaction_metadata: bool = False,
        message_key_columns: str | None = None,
        column_propagate_source_type: str | Sequence[str] = (),
        datatype_propagate_source_type: str | Sequence[str] = (),
        schema_name_adjustment_mode: AdjustmentMode = "none",
        field_name_adjustment_mode: AdjustmentMode = "none",
        topic_delimiter: str = ".",
        topic_transaction: str = "transaction",
        topic_heartbeat_prefix: str = "__debezium-heartbeat",
        extended_headers_enabled: bool = True,
        connector_name: str = "postgresql",
        task_id: str = "0",
        run_id: str | None = None,
        faithful: bool = False,
        clock: Callable[[], int] = time_ns,
    ) -> None:
        for name, value, choices in (
            ("decimal_handling_mode", decimal_handling_mode, get_args(DecimalMode)),
            ("decimal_format", decimal_format, get_args(DecimalFormat)),
            ("time_precision_mode", time_precision_mode, get_args(TimeMode)),
            ("interval_handling_mode", interval_handling_mode, get_args(IntervalMode)),
            ("hstore_handling_mode", hstore_handling_mode, get_args(HstoreMode)),
            ("binary_handling_mode", binary_handling_mode, get_args(BinaryMode)),
            ("schema_name_adjustment_mode", schema_name_adjustment_mode, get_args(AdjustmentMode)),
            ("field_name_adjustment_mode", field_name_adjustment_mode, get_args(AdjustmentMode)),
        ):
            check_option(name, value, *choices)
        for name, flag in (
            ("schemas_enable", schemas_enable),
            ("include_unknown_datatypes", include_unknown_datatypes),
            ("replace_null_with_default", replace_null_with_default),
            ("tombstones_on_delete", tombstones_on_delete),
            ("skip_messages_without_change", skip_messages_without_change),
            ("provide_transaction_metadata", provide_transaction_metadata),
            ("extended_headers_enabled", extended_headers_enabled),
            ("faithful", faithful),
        ):
            check_option(name, flag, False, True)
        for name, text in (
            ("topic_prefix", topic_prefix),
            ("database", "" if database is None else database),
            ("topic_delimiter", topic_delimiter),
            ("topic_transaction", topic_transaction),
            ("topic_heartbeat_prefix", topic_heartbeat_prefix),
            ("connector_name", connector_name),
            ("task_id", task_id),
            ("run_id", "" if run_id is None else run_id),
        ):
            check_text(name, text)
        if type(money_fraction_digits) is not int or money_fraction_digits < 0:
            raise ConfigurationError(
                f"money_fraction_digits must be a number from 0 on, not {money_fraction_digits!r}"
            )
        if not topic_prefix:
            raise ConfigurationError("topic_prefix is empty; every topic starts with it")
        self._options = TableOptions(
            types=TypeOptions(
                decimal=decimal_handling_mode,
                decimal_format=decimal_format,
                time=time_precision_mode,
                interval=interval_handling_mode,
                hstore=hstore_handling_mode,
                binary=binary_handling_mode,
                placeholder=placeholder_bytes(unavailable_value_placeholder),
                include_unknown=include_unknown_datatypes,
                money_fraction_digits=money_fraction_digits,
                faithful=faithful,
            ),
            schemas=schemas_enable,
            replace_null_with_default=replace_null_with_default and not faithful,
            message_keys=message_keys(message_key_columns),
            propagate_columns=NamePatterns.read(
                "column_propagate_source_type", column_propagate_source_type
            ),
            propagate_types=NamePatterns.read(
                "datatype_propagate_source_type", datatype_propagate_source_type
            ),
            schema_names=schema_name_adjustment_mode,
            field_names=field_name_adjustment_mode,
            prefix=topic_prefix,
            delimiter=topic_delimiter,
        )
        self._tombstones = tombstones_on_delete
        self._skipped = skipped_letters(skipped_operations)
        self._skip_unchanged = skip_messages_without_change
        self._clock = clock
        context: Headers = (
            ("__debezium.context.connectorLogicalName", json_text(topic_prefix)),
            ("__debezium.context.taskId", json_text(task_id)),
            ("__debezium.context.connectorName", json_text(connector_name)),
            (
                "__debezium.context.runId",
                json_text(str(uuid.uuid4()) if run_id is None else run_id),
            ),
        )
        self._context = context if extended_headers_enabled else ()
        self._stream_records = StreamRecords(
            prefix=topic_prefix,
            delimiter=topic_delimiter,
            topic_transaction=topic_transaction,
            topic_heartbeat_prefix=topic_heartbeat_prefix,
            schemas=schemas_enable,
            binary=binary_handling_mode,
        )
        self._metadata = provide_transaction_metadata
        self._order = self._new_order(None)
        self._sources = Sources(
            topic_prefix, database, clock, marks_stream=replace_null_with_default or faithful
        )
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
        self._forget_tables()

    def _forget_tables(self) -> None:
        """Have nothing yet that is made of tables."""
        self._tables: dict[int, TableFormat] = {}
        self._snapshot_tables: dict[int, TableFormat] = {}
        self._framed: dict[int, FramedTable] = {}
        """By OID, the tables that the frames can take."""
        self._frames: dict[type, EventFrame] = {
            kind: EventFrame(kind, self._framed, self._context, tombstone=self._tombstones)
            for kind, op in OPERATIONS.items()
            if op not in self._skipped and kind is not SnapshotRead
        }
        self._framed_in_snapshot: dict[int, FramedTable] = {}
        self._snapshot_frame = EventFrame(
            SnapshotRead, self._framed_in_snapshot, self._context, tombstone=False
        )

    def __getstate__(self) -> dict[str, object]:
        # What is made of tables has functions that are compiled for them.
        return {name: of for name, of in self.__dict__.items() if name not in self._of_tables}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._forget_tables()

    # -- the Formatter interface

    def format(self, change: Change) -> Sequence[Record]:
        """Return the records of one change; a `SchemaChange` gives none.

        Raises:
            ConfigurationError: a value is in binary form.
        """
        source = self._sources.stream_block
        if source is not None and change.transaction is source.transaction:
            made: Any = change
            frame = self._frames.get(change.__class__)
            if frame is not None and (
                made.relation is frame.relation or frame.turn_to(made.relation)
            ):
                records = frame.records(source, made, self._clock())
                if records is not None:
                    return records
        if change.transaction is not None:
            self._sources.dated = change.transaction
        return self._by_operation[change.op](change)

    def format_rows(self, rows: SnapshotRows) -> PackedRecords | None:
        """Return the records of rows of a snapshot at once, with one time in all envelopes.

        Returns:
            None if `format` has to look at each, or is faster.
        """
        if self._options.schemas or len(rows) < _FEW:
            return None
        frame, table = self._snapshot_frame, self._snapshot_table(rows.relation)
        writer = table.column_writer
        if writer is None or table.is_skipped:
            return None
        self._frame(table, self._framed_in_snapshot)
        frame.turn_to(rows.relation)
        source = self._sources.of(next(rows.changes()))
        return frame.rows(source, rows, writer, self._clock())

    def begin(self, transaction: Transaction) -> Sequence[Record]:
        """Return the BEGIN record of transaction metadata, if it is asked for."""
        self._sources.dated = transaction
        if not self._metadata:
            return ()
        order = self._order_of(transaction)
        lsn = transaction.commit_lsn if transaction.begin_lsn is None else transaction.begin_lsn
        return (self._stream_records.transaction_mark(*order.begin(lsn)),)

    def commit(
        self, transaction: Transaction, counts: Mapping[tuple[str, str], int]
    ) -> Sequence[Record]:
        """Return the END record of transaction metadata, if it is asked for.

        Its counts are those of the events that `format` made, not `counts`: Debezium counts
        events, and a change of a key is two.
        """
        if not self._metadata:
            return ()
        order = self._order_of(transaction)
        lsn = transaction.commit_lsn if transaction.end_lsn is None else transaction.end_lsn
        return (self._stream_records.transaction_mark(*order.end(lsn)),)

    def heartbeat(self, time: int) -> Sequence[Record]:
        """Return Debezium's heartbeat record, to be sent as often as the caller likes."""
        return (self._stream_records.heartbeat(time),)

    def row_key(self, relation: Relation, raw: Sequence[RawValue]) -> bytes | None:
        """Return the key of the records of a row, for `Tombstones`.

        Args:
            relation: the version of the table that the server sent.
            raw: the row's wire values.

        Returns:
            None if the key may be that of other rows as well.
        """
        table = self._tables.get(relation.oid)
        if table is None or (table.relation.base or table.relation) is not relation:
            table = self._new_table(relation)
        return table.row_key(Row(relation, raw))

    def _new_order(self, transaction: Transaction | None) -> TransactionOrder:
        return TransactionOrder(
            transaction, self._stream_records.message_topic, faithful=self._options.types.faithful
        )

    def _order_of(self, transaction: Transaction) -> TransactionOrder:
        if self._order.transaction is not transaction:
            self._order = self._new_order(transaction)
        return self._order

    # -- changes

    def _insert(self, change: Insert) -> Sequence[Record]:
        table = self._table(change.relation)
        if "c" in self._skipped or table.is_skipped:
            return ()
        key = table.key(change.after)
        return self._data(change, table, "c", key, None, change.after, self._context)

    def _read(self, change: SnapshotRead) -> Sequence[Record]:
        frame, relation = self._snapshot_frame, change.relation
        if relation is frame.relation or frame.turn_to(relation):
            records = frame.records(self._sources.of(change), change, self._clock())
            if records is not None:
                return records
        table = self._snapshot_table(relation)
        if table.is_skipped:
            return ()
        key = table.key(change.after)
        return self._data(change, table, "r", key, None, change.after, self._context)

    def _update(self, change: Update) -> Sequence[Record]:
        table = self._table(change.relation)
        before, after = change.before, change.after
        if table.is_skipped:
            return ()
        if before is not None:
            # Where the replica identity is an index beside the primary key, Debezium knows no old
            # key and splits the update as well.
            moves = table.has_other_key(before, after)
            if self._skip_unchanged and self._is_same(table, before, after, moves=moves):
                return ()
            if moves:
                return self._key_change(change, table, before)
        if "u" in self._skipped:
            return ()
        return self._data(change, table, "u", table.key(after), before, after, self._context)

    def _is_same(self, table: TableFormat, before: Row, after: Row, *, moves: bool) -> bool:
        # What is written of the rows is compared, a key that is left out not. In a faithful stream
        # no row may keep its old key for ever, nor may what was not sent count as NULL.
        if self._options.types.faithful and (moves or not before.is_complete):
            return False
        return table.is_same(before, after)

    def _key_change(self, change: Update, table: TableFormat, before: Row) -> Sequence[Record]:
        after = change.after
        gone: Headers = (("__debezium.newkey", table.header_key(after)), *self._context)
        come: Headers = (("__debezium.oldkey", table.header_key(before)), *self._context)
        records: list[Record] = []
        # What is skipped are records, whatever change they are of.
        if "d" not in self._skipped:
            records += self._removal(change, table, table.key(before), before, gone)
        if "c" not in self._skipped:
            records += self._data(change, table, "c", table.key(after), None, after, come)
        return records

    def _delete(self, change: Delete) -> Sequence[Record]:
        table = self._table(change.relation)
        if "d" in self._skipped or table.is_skipped:
            return ()
        key = table.key(change.before)
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
        return (*records, Record(table.topic, key, None, headers, place_of(change)))

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
        block = self._transaction_block(change, table) if self._metadata else None
        source = self._sources.of(change)
        tail = after_rows(source, table.source, change.wal_start, block, op, self._clock())
        head = ""
        if self._options.schemas:
            head, tail = table.value_head(before, after), tail + "}"
        write = table.row_format.write
        if after is None:
            tail = f',"after":null{tail}'
            if before is None:
                value = f'{head}{{"before":null{tail}'.encode()
            else:
                value = write(before.raw, f'{head}{{"before":', tail)
        elif before is None:
            value = write(after.raw, f'{head}{{"before":null,"after":', tail)
        else:
            value = write(before.raw, f'{head}{{"before":', ',"after":')
            value += write(after.raw, "", tail)
        if not (self._metadata or self._options.schemas):
            self._frame(table, self._framed_in_snapshot if op == "r" else self._framed)
        return (Record(table.topic, key, value, headers, place_of(change)),)

    def _frame(self, table: TableFormat, framed: dict[int, FramedTable]) -> None:
        """Let later changes of a version of a table be made the short way, if they can be."""
        relation, write = table.relation, table.write_event
        if write is not None:
            framed[relation.oid] = relation, write, table.topic, table.source

    def _transaction_block(self, change: RowChange, table: TableFormat) -> TransactionBlock | None:
        """Count an event, and return where in its transaction it stands, if that is asked for."""
        transaction = change.transaction
        if not self._metadata or transaction is None or change.op == "read":
            return None
        return self._order_of(transaction).next_of(table.collection, change.wal_start)

    def _message(self, change: LogicalMessage) -> Sequence[Record]:
        transaction, block = change.transaction, None
        if self._metadata and transaction is not None:
            block = self._order_of(transaction).next_message(change.wal_start)
        source = self._sources.of_message(change)
        return (self._stream_records.message(change, source, block, self._clock()),)

    def _schema(self, change: Change) -> Sequence[Record]:
        return ()

    def _table(self, relation: Relation) -> TableFormat:
        table = self._tables.get(relation.oid)
        if table is None or table.relation is not relation:
            table = self._tables[relation.oid] = self._new_table(relation)
        return table

    def _snapshot_table(self, relation: Relation) -> TableFormat:
        table = self._snapshot_tables.get(relation.oid)
        if table is None or table.relation is not relation:
            table = self._table(relation)
            if differs_in_snapshots(relation, self._options):
                table = TableFormat(relation, evolve(self._options, snapshot=True))
            self._snapshot_tables[relation.oid] = table
        return table

    def _new_table(self, relation: Relation) -> TableFormat:
        return TableFormat(relation, self._options)
