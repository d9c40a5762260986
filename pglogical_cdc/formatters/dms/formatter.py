"""DmsFormatter: the JSON messages of AWS DMS for Kafka and Kinesis targets.

Envelope, order of the fields, layout and keys follow the DMS user guide ("Using Apache Kafka as a
target", "Using Amazon Kinesis Data Streams as a target") and captured messages of a PostgreSQL
source. What neither of them tells is named in the docstring of `DmsFormatter`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from pglogical_cdc.clock import time_ns
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Operation,
    RawValue,
    Relation,
    Row,
    RowChange,
    SchemaChange,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters.base import ControlRecord, Record, place_of
from pglogical_cdc.formatters.dms.control import Control, Controls
from pglogical_cdc.formatters.dms.frame import Frame, Frames
from pglogical_cdc.formatters.dms.layout import LAYOUTS, Json, quoted, timestamps
from pglogical_cdc.formatters.dms.metadata import Metadata
from pglogical_cdc.formatters.dms.partition import PartitionKey, PartitionKeys
from pglogical_cdc.formatters.dms.settings import BeforeImage, BeforeImageColumns
from pglogical_cdc.formatters.dms.table import Table, TableOptions, Tables
from pglogical_cdc.formatters.dms.transaction_details import TransactionDetails
from pglogical_cdc.formatters.dms.values import ValueOptions
from pglogical_cdc.formatters.option_check import check_option, check_text

__all__ = ("DmsFormatter", "MessageFormat", "OnTruncate", "PartitionKey")

MessageFormat: TypeAlias = Literal["json", "json-unformatted"]
OnTruncate: TypeAlias = Literal["skip", "control"]

_OPERATIONS: Final[Mapping[Operation, str]] = {
    "insert": "insert",
    "update": "update",
    "delete": "delete",
    "read": "load",
}

_OF_TABLES: Final = frozenset(
    {"_timestamp", "_tables", "_controls", "_known", "_brought", "_frames", "_frame"}
)
"""The attributes that `DmsFormatter._forget_tables` sets."""


class DmsFormatter:
    """Writes data records (``load``, ``insert``, ``update``, ``delete``) and control records.

    The options have the names and the meaning of AWS's endpoint and task settings.

    ``data`` of an insert, load or update is the new row, of a delete what the server sent of the
    old row. NULL columns are left out, or written as null with `include_null_and_empty`; so is what
    a delete's old row does not have. Empty strings are always written. **A TOASTed value that an
    update did not touch is always left out**, because it is not NULL and the server does not send
    it. AWS reads it from the table; so does a reader with ``reselect=True``.

    Exact by default where AWS is not; each can be switched to AWS's way:

    - `use_large_integer_value`, `map_boolean_as_boolean`, `exact_numeric` are True;
    - `lobs_without_primary_key` is True: AWS leaves LOB columns out of tables without primary key.

    What the format cannot carry: NaN and infinite numbers become null; bytes that are not UTF-8
    become U+FFFD; whether a column that an update leaves out is NULL or was not sent, unless
    `include_null_and_empty` writes NULL.

    **Control records** come before the record of the change that shows what they tell.
    ``create-table`` comes with `include_control_details` when a table is seen for the first time.
    With `include_table_alter_operations` come ``rename-table``, ``drop-column``, ``rename-column``
    (where the number of the column in the catalog proves it; else one was dropped and another
    added), ``column-type-change`` and ``add-column``. Logical decoding does not tell that a table
    was dropped: ``drop-table`` and ``create-table`` come when **another table has taken its name**,
    also if it was but renamed; it is then created anew under its other name. DMS's tables of its
    own (``awsdms_status`` and others) are not imitated.

    A formatter remembers what it has told, by position: use one for one slot, and the same one
    after the reader was restarted. What comes again then is told again where it was told, and a
    table is not taken back to what it was.

    Not verified against AWS, because neither documentation nor public samples tell: the bodies of
    control records other than ``create-table`` and ``drop-table`` (here the ``table-def`` of the
    new version, with ``column-name``, ``old-column-name``, ``old-schema-name`` and
    ``old-table-name`` beside it); the names TIME, BYTES and NUMERIC in a ``table-def``, and the
    length of an interval (captures vary from 15 to 25; here 128, as the guide has it); what the
    parts of ``stream-position`` count (here the messages of pgoutput); ``prev-`` fields inside a
    transaction (here those of the record before); what a ``BI_`` column has in other operations
    than updates (here NULL); values that `dms.values` names; and what these options switch:
    `primary_key_separator`, `upper_hex`, `numeric_as_string`, `non_finite_as_string`.

    Not here: object mapping beyond partition keys (``map-record-to-document``, attribute mapping);
    leave columns out with a transform. The source settings ``MapJsonbAsClob`` and
    ``MapLongVarcharAs`` choose among types that look alike in JSON.

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
        include_table_alter_operations: write control records for changes of tables.
        include_control_details: write ``create-table`` records, and ``control`` in all control
            records.
        include_null_and_empty: write NULL columns.
        no_hex_prefix: write bytea without ``0x``.
        use_large_integer_value: write int8 exactly; else above 16 digits as a double.
        map_boolean_as_boolean: write booleans as such; else as the strings of DMS's CHAR(5).
        before_image: a `BeforeImage` for a member of its own in updates, or `BeforeImageColumns`
            for columns in ``data``. It has what the server sent of the old row: nothing under
            REPLICA IDENTITY DEFAULT while the key stays, the old key if it changed, all columns
            that the filter wants under FULL.
        partition_key: the record's key. ``"schema-table"`` for changes, with the primary key's
            value for ``load`` as AWS has it; ``"primary-key"`` for all; ``"transaction-id"`` for
            changes; ``"constant"``; ``"attribute-name"``. A row that has nothing to make it of (no
            primary key, the attribute NULL or not sent, as for deletes whose replica identity is
            another index) falls back to schema-table, and so to another partition. Values are
            PostgreSQL's text. Control records have the key ``<task_id>.<schema>.<table>``.
        partition_key_name: the column of ``"attribute-name"``.
        partition_key_value: the value of ``"constant"``.
        task_id: stands for the resource ID of a DMS task in control records.
        topic: the topic of all records, or a function of schema and table.
        on_truncate: ``"skip"`` as AWS does, or ``"control"`` for a control record
            ``truncate-table``, which AWS does not have.
        exact_numeric: keep all digits of a numeric without precision; else round it to six digits
            after the point, as DMS's NUMERIC(28,6).
        lobs_without_primary_key: write LOB columns (text, json, bytea, arrays, ...) also of tables
            without primary key.
        primary_key_separator: joins the parts of a composite primary key.
        upper_hex: write bytea in upper case.
        numeric_as_string: write numeric as strings.
        non_finite_as_string: write NaN and infinite numbers as PostgreSQL's text; else null.
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
        include_table_alter_operations: bool = False,
        include_control_details: bool = False,
        include_null_and_empty: bool = False,
        no_hex_prefix: bool = False,
        use_large_integer_value: bool = True,
        map_boolean_as_boolean: bool = True,
        before_image: BeforeImage | BeforeImageColumns | None = None,
        partition_key: PartitionKey = "schema-table",
        partition_key_name: str | None = None,
        partition_key_value: str | None = None,
        task_id: str = "pglogical-cdc",
        topic: str | Callable[[str, str], str] = "kafka-default-topic",
        on_truncate: OnTruncate = "skip",
        exact_numeric: bool = True,
        lobs_without_primary_key: bool = True,
        primary_key_separator: str = ".",
        upper_hex: bool = False,
        numeric_as_string: bool = False,
        non_finite_as_string: bool = False,
        clock: Callable[[], int] = time_ns,
    ) -> None:
        for name, value in {
            "include_transaction_details": include_transaction_details,
            "include_partition_value": include_partition_value,
            "partition_include_schema_table": partition_include_schema_table,
            "include_table_alter_operations": include_table_alter_operations,
            "include_control_details": include_control_details,
            "include_null_and_empty": include_null_and_empty,
            "no_hex_prefix": no_hex_prefix,
            "use_large_integer_value": use_large_integer_value,
            "map_boolean_as_boolean": map_boolean_as_boolean,
            "exact_numeric": exact_numeric,
            "lobs_without_primary_key": lobs_without_primary_key,
            "upper_hex": upper_hex,
            "numeric_as_string": numeric_as_string,
            "non_finite_as_string": non_finite_as_string,
        }.items():
            check_option(name, value, True, False)
        check_option("message_format", message_format, *get_args(MessageFormat))
        check_option("on_truncate", on_truncate, *get_args(OnTruncate))
        check_text("task_id", task_id)
        if before_image is not None and not isinstance(
            before_image, (BeforeImage, BeforeImageColumns)
        ):
            raise ConfigurationError(
                "before_image must be a BeforeImage, a BeforeImageColumns or None, not "
                f"{before_image!r}"
            )
        if not topic or not (isinstance(topic, str) or callable(topic)):
            raise ConfigurationError(
                f"topic must be a name, or a function of schema and table, not {topic!r}"
            )
        self._layout: Final = LAYOUTS[message_format]
        self._details: Final = include_control_details
        self._alterations: Final = include_table_alter_operations
        self._on_truncate: Final = on_truncate
        self._task_id: Final = task_id
        self._nulls: Final = include_null_and_empty
        self._lobs: Final = lobs_without_primary_key
        self._topic: Final = topic
        self._clock: Final = clock
        self._before_image: Final = before_image
        self._keys: Final = PartitionKeys(
            partition_key,
            name=partition_key_name,
            value=partition_key_value,
            include_schema_table=partition_include_schema_table,
            separator=primary_key_separator,
        )
        self._values: Final = ValueOptions(
            use_large_integer_value=use_large_integer_value,
            map_boolean_as_boolean=map_boolean_as_boolean,
            no_hex_prefix=no_hex_prefix,
            exact_numeric=exact_numeric,
            upper_hex=upper_hex,
            numeric_as_string=numeric_as_string,
            non_finite_as_string=non_finite_as_string,
        )
        self._transaction = TransactionDetails() if include_transaction_details else None
        # In the topic of its table a row's key could be that of a control record.
        tells = include_control_details or include_table_alter_operations
        self._topic_of_table: Final = callable(topic) and not tells and on_truncate == "skip"
        self._metadata: Final = Metadata(self._layout, "data", key_values=include_partition_value)
        self._control_metadata: Final = Metadata(
            self._layout, "control", key_values=include_partition_value
        )
        self._has_frames: Final = (
            before_image is None and not include_transaction_details and not tells
        )
        """Whether records have a row in a frame and nothing else, and come alone."""
        self._forget_tables()

    def _forget_tables(self) -> None:
        """Have nothing yet that is made of tables."""
        self._timestamp = timestamps(self._clock)
        self._tables = Tables(
            TableOptions(self._topic, self._values, self._nulls, self._lobs, self._before_image),
            self._layout,
        )
        self._controls = Controls(create=self._details, alter=self._alterations)
        self._known: dict[int, Table] = {}
        self._brought: tuple[Change | None, Sequence[Control]] = None, ()
        """The last change that has shown a new version of a table, and what that tells."""
        self._frames = Frames(self._layout, self._metadata, self._keys, self._timestamp)
        self._frame: Frame | None = None
        """That of the last change, if the next ones may have it, too."""

    def __getstate__(self) -> dict[str, object]:
        # What is made of tables has functions that are compiled for them.
        return {name: of for name, of in self.__dict__.items() if name not in _OF_TABLES}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._forget_tables()

    @property
    def identifies_rows(self) -> bool:
        """Whether topic and key together can tell any two rows apart, for log compaction."""
        return self._keys.identifies_rows(topic_of_table=self._topic_of_table)

    def row_key(self, relation: Relation, raw: Sequence[RawValue]) -> bytes | None:
        """Return the key of a row's records, or None if it could be another row's as well."""
        key = self._keys.of_row(relation, raw)
        return None if key is None else key.encode()

    def format(self, change: Change) -> Sequence[Record]:
        """Return the record of a row's change, after the control records that are due.

        Raises:
            ConfigurationError: a value is in binary form, or a column of a `BeforeImageColumns`
                would have the name of another.
        """
        made: Any = change
        frame = self._frame
        if (
            frame is None
            or change.transaction is not frame.transaction
            or change.__class__ is not frame.kind
            or made.relation is not frame.relation
        ):
            if not isinstance(change, RowChange):
                return ()
            frame = self._frame = self._frames.of(change)
        record = None if frame is None else frame.record(made)
        return self._told_records(made) if record is None else (record,)

    def _told_records(self, change: RowChange) -> Sequence[Record]:
        relation = change.relation
        table = self._known.get(relation.oid)
        is_new = table is None or table.relation is not relation
        operation = _OPERATIONS.get(change.op)
        last, controls = self._brought
        if table is not None and not is_new and operation is not None and change is not last:
            return (self._data_record(table, change, operation),)
        if table is None or is_new:
            table = self._tables.describe(relation)
            if self._transaction is not None:
                self._transaction.relation_described(change.transaction)
        data = None if operation is None else self._data_record(table, change, operation)
        # Only now: a change that fails has told nothing.
        self._known[relation.oid] = table
        if is_new:
            previous = None
            if isinstance(change, SchemaChange):
                previous = self._tables.describe(change.previous)
            self._brought = change, self._controls.describe(table, previous, change)
        last, controls = self._brought
        if change is not last:  # which it also is if it comes again
            controls = ()
        if isinstance(change, Truncate) and self._on_truncate == "control":
            truncate: Control = ("truncate-table", relation.schema, relation.name, {})
            controls = (*controls, truncate)
        if not controls:
            return () if data is None else (data,)
        told = self._control_records(controls, change)
        return told if data is None else (*told, data)

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

    # -- data

    def _data_record(self, table: Table, change: RowChange, operation: str) -> Record:
        row = change.before if operation == "delete" else change.after
        assert row is not None
        layout = self._layout
        added = ""
        members = []
        if table.before is not None:
            old = change.before if isinstance(change, Update) else None
            if isinstance(self._before_image, BeforeImageColumns):
                added = _before_columns(table, old)
            elif isinstance(self._before_image, BeforeImage) and isinstance(change, Update):
                image = "" if old is None else _separated(table.before.write(old.raw, "", ""))
                members.append(layout.object(quoted(self._before_image.field_name), image))
        key_type, key = self._keys.of(table, change)
        transaction = change.transaction
        xid = None if transaction is None else transaction.xid
        metadata = self._metadata.members(
            self._timestamp(), operation, key_type, key, table.name, xid
        )
        if transaction is not None and self._transaction is not None:
            details = self._transaction.members(transaction, change, layout.colon)
            metadata += "".join([layout.separator + each for each in details])
        rest = added + layout.rest([*members, layout.object('"metadata"', metadata)])
        write = table.data.write_deleted if operation == "delete" else table.data.write
        value = write(row.raw, layout.data, rest)
        if self._has_frames and self._frame is None:
            self._frames.add(table, change, operation)
        return Record(table.topic, key.encode(), value, (), place_of(change))

    # -- control

    def _control_records(
        self, controls: Iterable[Control], change: RowChange
    ) -> Sequence[ControlRecord]:
        return tuple(self._control_record(*control, change) for control in controls)

    def _control_record(
        self, operation: str, schema: str, table: str, body: Mapping[str, Json], change: RowChange
    ) -> ControlRecord:
        layout, topic = self._layout, self._topic
        name = (
            f'"schema-name"{layout.colon}{quoted(schema)}{layout.separator}'
            f'"table-name"{layout.colon}{quoted(table)}'
        )
        metadata = self._control_metadata.members(
            self._timestamp(), operation, "task-id", self._task_id, name
        )
        members = [layout.object('"metadata"', metadata)]
        if self._details:
            members.insert(0, layout.member('"control"', layout.members(body)))
        return ControlRecord(
            topic if isinstance(topic, str) else topic(schema, table),
            f"{self._task_id}.{schema}.{table}".encode(),
            layout.message(members),
            (),
            change.position,
        )


def _before_columns(table: Table, old: Row | None) -> str:
    assert table.before is not None
    raw: Sequence[RawValue] = old.raw if old is not None else [None] * len(table.relation.columns)
    return _separated(table.before.write_deleted(raw, "", ""))


def _separated(members: bytes) -> str:
    """Give the first of some members the comma that it lacks."""
    return f",{members.decode()}" if members else ""
