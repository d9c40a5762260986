"""DmsFormatter: the JSON messages of AWS DMS for Kafka and Kinesis targets.

Envelope, order of the fields, layout and keys follow the DMS user guide ("Using Apache Kafka as a
target", "Using Amazon Kinesis Data Streams as a target") and captured messages of a PostgreSQL
source; the values are in `dms_values`. Not verified against AWS: what joins the parts of a
composite key (``.``), and what the parts of ``stream-position`` count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import Absent
from pglogical_cdc.clock import time_ns
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    RawValue,
    Relation,
    Row,
    RowChange,
    SnapshotRead,
    Transaction,
    Update,
)
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.dms.layout import LAYOUTS, timestamp
from pglogical_cdc.formatters.dms.values import Render, ValueOptions, quoted, renderer
from pglogical_cdc.formatters.option_check import check_option
from pglogical_cdc.formatters.wire.binary_form import binary_form_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ("DmsFormatter", "MessageFormat", "PartitionKey")

MessageFormat: TypeAlias = Literal["json", "json-unformatted"]
PartitionKey: TypeAlias = Literal["schema-table", "primary-key", "transaction-id"]

_OPERATIONS: Final[Mapping[type[Change], str]] = {
    Insert: "insert",
    Update: "update",
    Delete: "delete",
    SnapshotRead: "load",
}


@record
class _Table:
    """What is the same for all records of a relation version."""

    relation: Relation
    topic: str
    names: tuple[str, ...]
    """Each column's name as JSON, with its colon."""
    renders: tuple[Render, ...]
    schema_table: str
    """The partition key of that type."""
    metadata: tuple[str, str]
    """``schema-name`` and ``table-name``."""


class DmsFormatter:
    """Writes data records: ``load`` for rows of a snapshot, ``insert``, ``update``, ``delete``.

    The options have the names and the meaning of AWS's endpoint settings, with these defaults that
    are not AWS's, so that values stay exact: `use_large_integer_value` and
    `map_boolean_as_boolean`. As with AWS a truncate, a logical message and a changed table give no
    record.

    ``data`` of an insert, load or update is the new row, of a delete what the server sent of the
    old row. NULL columns are left out, or written as null with `include_null_and_empty`. So is what
    a delete's old row does not have; a TOASTed value that an update did not touch is always left
    out, because it is not NULL. (AWS reads it from the table.) Empty strings are always written.
    NaN and infinite numbers become null. Bytes that are not UTF-8 become U+FFFD.

    Values must come as text: of a reader with ``binary=False``.

    Args:
        message_format: ``"json"`` with a tab before each name and value and a line for each member,
            or ``"json-unformatted"`` on one line.
        include_transaction_details: write ``transaction-record-id``, ``prev-transaction-id``,
            ``prev-transaction-record-id``, ``commit-timestamp`` and ``stream-position``. The
            ``prev-`` fields tell the record before, and are absent in the first that the formatter
            writes.
        include_partition_value: write ``partition-key-value`` for keys that are not schema-table.
        partition_include_schema_table: put schema and table before the primary key's value.
        include_null_and_empty: write NULL columns.
        no_hex_prefix: write bytea without ``0x``.
        use_large_integer_value: write int8 exactly; else above 16 digits as a double.
        map_boolean_as_boolean: write booleans as such; else as the strings of DMS's CHAR(5).
        partition_key: the record's key. ``"schema-table"`` for changes, with the primary key's
            value for ``load`` as AWS has it; ``"primary-key"`` for all; ``"transaction-id"`` for
            changes. A row without primary key falls back to schema-table. A primary key's value is
            PostgreSQL's text, the parts of a composite one joined with ``.``.
        topic: the topic of all records, or a function of schema and table.
        on_truncate: ``"skip"``.
        before_image: None.
        include_table_alter_operations: False.
        include_control_details: False.
        clock: nanoseconds since 1970-01-01 UTC, for ``timestamp``.

    Raises:
        ConfigurationError: an option has another value than these.
    """

    def __init__(
        self,
        *,
        message_format: MessageFormat = "json",
        include_transaction_details: bool = False,
        include_partition_value: bool = False,
        partition_include_schema_table: bool = False,
        include_table_alter_operations: Literal[False] = False,
        include_control_details: Literal[False] = False,
        include_null_and_empty: bool = False,
        no_hex_prefix: bool = False,
        use_large_integer_value: bool = True,
        map_boolean_as_boolean: bool = True,
        before_image: None = None,
        partition_key: PartitionKey = "schema-table",
        topic: str | Callable[[str, str], str] = "kafka-default-topic",
        on_truncate: Literal["skip"] = "skip",
        clock: Callable[[], int] = time_ns,
    ) -> None:
        check_option("message_format", message_format, *get_args(MessageFormat))
        check_option("include_table_alter_operations", include_table_alter_operations, False)
        check_option("include_control_details", include_control_details, False)
        check_option("before_image", before_image, None)
        check_option("partition_key", partition_key, *get_args(PartitionKey))
        check_option("on_truncate", on_truncate, "skip")
        if not topic or not (isinstance(topic, str) or callable(topic)):
            raise ConfigurationError(
                f"topic must be a name, or a function of schema and table, not {topic!r}"
            )
        self._layout = LAYOUTS[message_format]
        self._details = include_transaction_details
        self._partition_value = include_partition_value
        self._partition_schema_table = partition_include_schema_table
        self._null = include_null_and_empty
        self._values = ValueOptions(use_large_integer_value, map_boolean_as_boolean, no_hex_prefix)
        self._partition_key = partition_key
        self._topic = topic
        self._clock = clock
        self._tables: dict[int, _Table] = {}
        self._previous: tuple[int, int] | None = None
        self._transaction: Transaction | None = None
        self._first_lsn = 0
        self._messages_before = 0

    @property
    def identifies_rows(self) -> bool:
        """Whether topic and key together can tell any two rows apart, for log compaction."""
        return self._partition_key == "primary-key" and (
            self._partition_schema_table or callable(self._topic)
        )

    def row_key(self, relation: Relation, raw: Sequence[RawValue]) -> bytes | None:
        """Return the key of a row's records, or None if it could be another row's as well."""
        parts = _key_parts(relation, raw)
        if parts is None or (len(parts) > 1 and any("." in part for part in parts)):
            return None
        if self._partition_schema_table and "." in relation.schema + relation.name:
            return None
        return self._row_key(relation, parts).encode()

    def format(self, change: Change) -> Sequence[Record]:
        """Return the record of a row's change; nothing for any other.

        Raises:
            ConfigurationError: a value is in binary form.
        """
        operation = _OPERATIONS.get(type(change))
        if operation is None:
            return ()
        assert isinstance(change, RowChange)
        row = change.before if operation == "delete" else change.after
        assert row is not None
        if change.transaction is not self._transaction:
            self._transaction = change.transaction
            self._first_lsn = change.wal_start
            self._messages_before = 1  # Begin
        relation = change.relation
        table = self._tables.get(relation.oid)
        if table is None or table.relation is not relation:
            table = self._tables[relation.oid] = self._describe(relation)
            self._messages_before += 1  # its Relation message
        key_type, key = self._partition(table, change)
        metadata = self._metadata(table, change, operation, key_type, key)
        layout = self._layout
        data = self._data(table, row, null_for_absent=operation == "delete")
        value = layout.message([layout.member("data", data), layout.member("metadata", metadata)])
        return (Record(table.topic, key.encode(), value, (), change.position),)

    def begin(self, transaction: Transaction) -> Sequence[Record]:
        """Return nothing: DMS does not mark the start of a transaction."""
        return ()

    def commit(
        self, transaction: Transaction, counts: Mapping[tuple[str, str], int]
    ) -> Sequence[Record]:
        """Return nothing: DMS does not mark the end of a transaction."""
        return ()

    def heartbeat(self, time: int) -> Sequence[Record]:
        """Return nothing: DMS sends no sign of life to its target."""
        return ()

    def _describe(self, relation: Relation) -> _Table:
        schema, name, colon = relation.schema, relation.name, self._layout.colon
        return _Table(
            relation=relation,
            topic=self._topic if isinstance(self._topic, str) else self._topic(schema, name),
            names=tuple(quoted(column.name) + colon for column in relation.columns),
            renders=tuple(renderer(relation, column, self._values) for column in relation.columns),
            schema_table=f"{schema}.{name}",
            metadata=(
                f'"schema-name"{colon}{quoted(schema)}',
                f'"table-name"{colon}{quoted(name)}',
            ),
        )

    def _data(self, table: _Table, row: Row, *, null_for_absent: bool) -> list[str]:
        members: list[str] = []
        null, null_for_absent = self._null, self._null and null_for_absent
        for name, render, value in zip(table.names, table.renders, row.raw, strict=True):
            if type(value) is bytes:
                members.append(name + render(value))
            elif value is None:
                if null:
                    members.append(name + "null")
            elif isinstance(value, Absent):
                if null_for_absent:
                    members.append(name + "null")
            else:
                raise binary_form_error(table.relation)
        return members

    def _partition(self, table: _Table, change: RowChange) -> tuple[PartitionKey, str]:
        wanted = self._partition_key
        if wanted == "transaction-id" and change.transaction is not None:
            return "transaction-id", str(change.transaction.xid)
        if wanted == "primary-key" or isinstance(change, SnapshotRead):
            # The key of the row that the server sent, whatever a transform made of it.
            relation = table.relation.base or table.relation
            rows = [row.base.raw for row in (change.after, change.before) if row is not None]
            parts = _key_parts(relation, *rows)
            if parts is not None:
                return "primary-key", self._row_key(relation, parts)
        return "schema-table", table.schema_table

    def _row_key(self, relation: Relation, parts: Sequence[str]) -> str:
        if self._partition_schema_table:
            return ".".join((relation.schema, relation.name, *parts))
        return ".".join(parts)

    def _metadata(
        self, table: _Table, change: RowChange, operation: str, key_type: str, key: str
    ) -> list[str]:
        colon = self._layout.colon
        members = [
            f'"timestamp"{colon}"{timestamp(self._clock() // 1000)}"',
            f'"record-type"{colon}"data"',
            f'"operation"{colon}"{operation}"',
            f'"partition-key-type"{colon}"{key_type}"',
        ]
        if self._partition_value and key_type != "schema-table":
            members.append(f'"partition-key-value"{colon}{quoted(key)}')
        members += table.metadata
        if change.transaction is not None:
            members.append(f'"transaction-id"{colon}{change.transaction.xid}')
            if self._details:
                self._add_details(members, change.transaction, change)
        return members

    def _add_details(self, members: list[str], transaction: Transaction, change: RowChange) -> None:
        colon = self._layout.colon
        members.append(f'"transaction-record-id"{colon}{change.ordinal}')
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


def _key_parts(relation: Relation, *rows: Sequence[RawValue]) -> list[str] | None:
    """Return the text of each key column from the first row that has it; None if one is missing."""
    parts: list[str] = []
    for position in relation.key_positions or ():
        for raw in rows:
            value = raw[position]
            if type(value) is bytes:
                parts.append(value.decode("utf-8", "backslashreplace"))
                break
            if isinstance(value, bytes):
                raise binary_form_error(relation)
        else:
            return None
    return parts or None


def _padded(lsn: int) -> str:
    return f"{lsn >> 32:08X}/{lsn & 0xFFFFFFFF:08X}"
