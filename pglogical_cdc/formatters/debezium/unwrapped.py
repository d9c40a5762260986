"""UnwrappedFormatter: the row alone, as Debezium's ExtractNewRecordState leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import evolve, field
from typing_extensions import Unpack

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    Relation,
    Row,
    RowChange,
    SnapshotRead,
    Update,
)
from pglogical_cdc.formatters.base import Record, place_of
from pglogical_cdc.formatters.debezium.added_fields import AddedField, read_added_fields
from pglogical_cdc.formatters.debezium.bare_frame import BareFrame
from pglogical_cdc.formatters.debezium.connect_schema import STRING, ConnectSchema
from pglogical_cdc.formatters.debezium.formatter import DebeziumFormatter, Headers
from pglogical_cdc.formatters.debezium.names import topic_name
from pglogical_cdc.formatters.debezium.options import DebeziumOptions
from pglogical_cdc.formatters.debezium.row_format import RowFormat
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock
from pglogical_cdc.formatters.option_check import check_option, check_text
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = ("DeleteTombstoneMode", "UnwrappedFormatter")

DeleteTombstoneMode: TypeAlias = Literal[
    "drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone"
]

_REWRITE: Final = ("rewrite", "rewrite-with-tombstone")
_DELETED: Final = "__deleted"


@record
class _Event:
    """A data change event that is being unwrapped."""

    change: RowChange
    table: TableFormat
    op: str
    before: Row | None
    after: Row | None
    now: int
    transaction: TransactionBlock | None


@record
class _Field:
    """A member of an unwrapped row."""

    name: str
    value: bytes = field(repr=False)
    schema: ConnectSchema


class UnwrappedFormatter(DebeziumFormatter):
    """Makes the records of `DebeziumFormatter` as ExtractNewRecordState passes them on.

    The value is the row after the change. Truncates are dropped; logical messages and transaction
    metadata pass as they are.

    Args:
        topic_prefix: as for `DebeziumFormatter`.
        delete_tombstone_handling_mode: what becomes of a delete and its tombstone:

            - ``drop``: nothing is sent;
            - ``tombstone``: one record whose value is the JSON ``null`` (4 bytes: the record keeps
              its schema, so that it is no tombstone to Kafka);
            - ``rewrite``: one record with the old row, and ``__deleted`` in every row;
            - ``rewrite-with-tombstone``: the same and then the tombstone;
            - ``delete-to-tombstone``: one record without a value.
        add_fields: fields of the envelope to add to the row: ``op``, ``ts_ms``, ``table`` or
            ``source.table``, ``transaction.id``, ``before.column``; with a new name behind a
            colon: ``op:OPERATION``. Several names, or as Debezium has it one string with commas.
        add_fields_prefix: what the names of added fields begin with.
        add_headers: the same as `add_fields`, to add as headers.
        add_headers_prefix: what the names of added headers begin with.
        route_by_field: name of a field of text that is the topic, with ``_`` for what Kafka does
            not allow; where it is NULL or empty, or the table does not have it, the topic stays.
        header_changed_name: name of a header with the names of the columns that an update changed,
            as the transform ExtractChangedRecordState adds it. The old row tells them (replica
            identity FULL); without an old row, and for all else, the list is empty.
        header_unchanged_name: the same, of the columns that did not change.
        drop_fields_header_name: one of the two; the columns that the header lists are dropped.
        drop_fields_from_key: drop them from the key as well.
        drop_fields_keep_schema_compatible: drop only columns that may be NULL.
        options: all other options of `DebeziumFormatter`.

    Raises:
        ConfigurationError: a value of an option that is not supported; from `format`, also a table
            with a column that is called like an added field.
    """

    _of_tables = DebeziumFormatter._of_tables | {"_bare_frame", "_bare_frames"}

    def __init__(
        self,
        *,
        topic_prefix: str,
        delete_tombstone_handling_mode: DeleteTombstoneMode = "tombstone",
        add_fields: str | Sequence[str] = (),
        add_fields_prefix: str = "__",
        add_headers: str | Sequence[str] = (),
        add_headers_prefix: str = "__",
        route_by_field: str | None = None,
        header_changed_name: str | None = None,
        header_unchanged_name: str | None = None,
        drop_fields_header_name: str | None = None,
        drop_fields_from_key: bool = False,
        drop_fields_keep_schema_compatible: bool = True,
        **options: Unpack[DebeziumOptions],
    ) -> None:
        check_option(
            "delete_tombstone_handling_mode",
            delete_tombstone_handling_mode,
            *get_args(DeleteTombstoneMode),
        )
        check_option("drop_fields_from_key", drop_fields_from_key, False, True)
        check_option(
            "drop_fields_keep_schema_compatible", drop_fields_keep_schema_compatible, False, True
        )
        if drop_fields_header_name and drop_fields_header_name not in (
            header_changed_name,
            header_unchanged_name,
        ):
            raise ConfigurationError(
                f"drop_fields_header_name={drop_fields_header_name!r}: no such header is made; it "
                "is what header_changed_name or header_unchanged_name says"
            )
        for name, text in (
            ("add_fields_prefix", add_fields_prefix),
            ("add_headers_prefix", add_headers_prefix),
            ("route_by_field", route_by_field or ""),
            ("header_changed_name", header_changed_name or ""),
            ("header_unchanged_name", header_unchanged_name or ""),
        ):
            check_text(name, text)
        super().__init__(topic_prefix=topic_prefix, **options)
        self._mode: DeleteTombstoneMode = delete_tombstone_handling_mode
        self._fields = read_added_fields("add_fields", add_fields, add_fields_prefix)
        self._headers = read_added_fields("add_headers", add_headers, add_headers_prefix)
        self._adds_columns = any(each.struct in ("before", "after") for each in self._fields)
        self._route = route_by_field or None
        self._changed_header = header_changed_name or None
        self._unchanged_header = header_unchanged_name or None
        self._drops = drop_fields_header_name or None
        self._drops_from_key = drop_fields_from_key
        self._drops_optional_only = drop_fields_keep_schema_compatible
        self._is_bare = not (
            self._mode in _REWRITE
            or self._fields
            or self._headers
            or self._route
            or self._changed_header
            or self._unchanged_header
            or self._options.schemas
        )
        """Whether a record has a row and a key, and nothing else."""
        self._has_frames = (
            self._is_bare
            and not self._metadata
            and not self._skip_unchanged
            and self._skipped.isdisjoint("cud")
        )
        """Whether nothing is counted or compared to make a record."""

    def _forget_tables(self) -> None:
        super()._forget_tables()
        self._bare_frame: BareFrame | None = None
        """That of the last change, if the next ones may have it, too."""
        self._bare_frames: dict[tuple[int, type[RowChange]], BareFrame] = {}

    def format(self, change: Change) -> Sequence[Record]:
        """Return the records of one change; a truncate or `SchemaChange` gives none.

        Raises:
            ConfigurationError: a value is in binary form, or a field is added under a name that
                a column has.
        """
        if not self._has_frames:
            return super().format(change)
        made: Any = change
        frame = self._bare_frame
        if (
            frame is None
            or change.__class__ is not frame.kind
            or made.relation is not frame.relation
        ):
            frame = self._bare_frame = self._frame_of(change)
        if frame is not None:
            if change.transaction is not None:
                self._sources.dated = change.transaction
            record = frame.record(made)
            if record is not None:
                return (record,)
        return super().format(change)

    def _frame_of(self, change: Change) -> BareFrame | None:
        if not isinstance(change, (Insert, Update, Delete, SnapshotRead)):
            return None
        if isinstance(change, Delete) and self._mode == "drop":
            return None
        relation, kind = change.relation, change.__class__
        frame = self._bare_frames.get((relation.oid, kind))
        if frame is None or frame.relation is not relation:
            is_read = isinstance(change, SnapshotRead)
            table = self._snapshot_table(relation) if is_read else self._table(relation)
            if table.is_skipped:
                return None
            row = change.before if isinstance(change, Delete) else change.after
            frame = self._bare_frames[relation.oid, kind] = BareFrame(
                table,
                kind,
                self._context,
                has_key=table.key(row) is not None,
                deleted=b"null" if self._mode == "tombstone" else None,
            )
        return frame

    def _new_table(self, relation: Relation) -> TableFormat:
        table = super()._new_table(relation)
        added = [_DELETED] if self._mode in _REWRITE else []
        added += [each.name for each in self._fields]
        names = [column.field for column in table.row_format.columns] + added
        doubled = next((name for name in added if names.count(name) > 1), None)
        if doubled is not None:
            # Debezium stops as well: with two members of one name a consumer sees one of them.
            raise ConfigurationError(
                f"a field is added under the name {doubled!r} to rows of {table.collection}, which "
                "have that name already: choose another add_fields_prefix, or a name behind a "
                "colon (op:OPERATION), or leave the column out"
            )
        return table

    # -- deletes

    def _removal(
        self,
        change: RowChange,
        table: TableFormat,
        key: bytes | None,
        before: Row,
        headers: Headers,
    ) -> Sequence[Record]:
        if self._mode == "drop":
            self._transaction_block(change, table)
            return ()
        records = self._data(change, table, "d", key, before, None, headers)
        if self._mode != "rewrite-with-tombstone" or not self._tombstones:
            return records
        # The headers of the delete are on its tombstone too; the transform then knows nothing of
        # the tombstone but its operation, and says so once more.
        operation = [(added.name, b'"d"') for added in self._headers if added.field == "op"]
        headers = (*records[0].headers, *operation)
        return (*records, Record(table.topic, key, None, headers, place_of(change)))

    # -- events

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
        block = self._transaction_block(change, table) if self._metadata else None
        if self._is_bare and after is not None:
            value: bytes | None = table.row_format.payload(after.raw)
            return (Record(table.topic, key, value, headers, place_of(change)),)
        event = _Event(change, table, op, before, after, 0, block)
        if op == "t":
            return ()
        if self._fields or self._headers:
            event = evolve(event, now=self._clock())
        changed, unchanged = self._differences(event)
        dropped = changed if self._drops == self._changed_header else unchanged
        headers = (
            *headers,
            *_listed(self._changed_header, changed),
            *_listed(self._unchanged_header, unchanged),
            *(
                (added.name, self._value(added, event))
                for added in self._headers
                if added.schema(table.row_format) is not None
            ),
        )
        if not self._drops:
            dropped = ()
        value = self._unwrapped(event, dropped)
        identified = before if after is None else after
        if identified is not None:
            key = self._key(event, key, identified, dropped)
        return (Record(self._topic(event, dropped), key, value, headers, place_of(change)),)

    def _unwrapped(self, event: _Event, dropped: Sequence[str]) -> bytes | None:
        table = event.table
        if event.op == "d" and self._mode not in _REWRITE:
            if self._mode == "delete-to-tombstone":
                return None
            if not self._options.schemas:
                return b"null"
            return table.head("no row", table.row_format.schema).encode() + b"null}"
        row = event.after if event.op != "d" else event.before
        assert row is not None
        added = self._added(event)
        if dropped:
            return self._without(event, row, added, dropped)
        rows = table.filled_rows if self._copies(dropped) else table.row_format
        payload = rows.payload(row.raw)
        if added:
            members = b",".join([b"%b:%b" % (json_text(each.name), each.value) for each in added])
            payload = b"%b%b%b}" % (payload[:-1], b"," if len(payload) > 2 else b"", members)
        if not self._options.schemas:
            return payload
        deviations = table.row_format.deviations(row.raw)
        found = deviations, tuple(each.schema for each in added) if self._adds_columns else ()
        head = table.head(
            found,
            lambda: _struct(
                table.row_format,
                *table.row_format.schema(deviations).fields,
                *((each.name, each.schema) for each in added),
            ),
        )
        return head.encode() + payload + b"}"

    def _added(self, event: _Event) -> list[_Field]:
        added: list[_Field] = []
        if self._mode in _REWRITE:
            deleted = b'"true"' if event.op == "d" else b'"false"'
            added.append(_Field(_DELETED, deleted, STRING.as_optional()))
        for each in self._fields:
            schema = _added_schema(each, event)
            if schema is not None:
                added.append(_Field(each.name, self._value(each, event), schema))
        return added

    def _without(
        self, event: _Event, row: Row, added: Sequence[_Field], dropped: Sequence[str]
    ) -> bytes:
        """Return the row without some columns, in a schema of its own."""
        row_format = event.table.filled_rows
        fields = [
            *self._kept(_fields(row_format, row), dropped),
            *(each for each in added if each.name not in dropped),
        ]
        return self._object(row_format, fields)

    def _object(self, row_format: RowFormat, fields: Sequence[_Field]) -> bytes:
        members = [b"%b:%b" % (json_text(each.name), each.value) for each in fields]
        schema = _struct(row_format, *((each.name, each.schema) for each in fields))
        payload = b"{%b}" % b",".join(members)
        return schema.head() + payload + b"}" if self._options.schemas else payload

    def _kept(self, fields: list[_Field], dropped: Sequence[str]) -> list[_Field]:
        return [
            field
            for field in fields
            if field.name not in dropped
            or (self._drops_optional_only and not field.schema.optional)
        ]

    def _key(
        self, event: _Event, key: bytes | None, row: Row, dropped: Sequence[str]
    ) -> bytes | None:
        if key is None or not self._drops_from_key or not dropped:
            return key
        key_format = event.table.filled_keys
        return self._object(key_format, self._kept(_fields(key_format, row.base), dropped))

    def _copies(self, dropped: Sequence[str]) -> bool:
        """Tell whether the row is copied, with defaults for NULL.

        The transform does that to add ``__deleted`` and to drop fields, but not to add others.
        """
        return self._mode in _REWRITE or bool(dropped)

    def _topic(self, event: _Event, dropped: Sequence[str]) -> str:
        row = event.after if event.op != "d" else event.before
        if self._route is None or row is None:
            return event.table.topic
        if self._options.types.faithful and self._route in row.missing:
            return event.table.topic
        rows = event.table.plain_rows
        if event.op != "d" and self._copies(dropped):
            rows = event.table.filled_rows
        topic = rows.text(self._route, row.raw)
        return topic_name(topic.strip()) if topic.strip() else event.table.topic

    def _differences(self, event: _Event) -> tuple[Sequence[str], Sequence[str]]:
        """Return the names of the fields that an update has changed, and of the others."""
        if (
            (self._changed_header is None and self._unchanged_header is None)
            or event.before is None
            or event.after is None
        ):
            return (), ()
        row_format = event.table.plain_rows
        old, new = row_format.values(event.before.raw), row_format.values(event.after.raw)
        changed: list[str] = []
        unchanged: list[str] = []
        for column, first, second in zip(row_format.columns, old, new, strict=True):
            if first is None or second is None:
                # Left out of a faithful row: nobody knows.
                continue
            # The transform compares the arrays of Java that bit strings are by their identity.
            same = first == second and (
                first == b"null"
                or column.schema.name != "io.debezium.data.Bits"
                or self._options.types.faithful
            )
            (unchanged if same else changed).append(column.field)
        return changed, unchanged

    def _value(self, added: AddedField, event: _Event) -> bytes:
        """Return the JSON of a field of the envelope."""
        change = event.change
        if added.struct == "source":
            source = self._sources.of(change)
            return source.field(added.field, change.schema, change.table, change.wal_start)
        if added.struct == "transaction":
            block = event.transaction
            return b"null" if block is None else block.field(added.field)
        if added.struct:
            row = event.before if added.struct == "before" else event.after
            rows = event.table.plain_rows
            return b"null" if row is None else rows.value(added.field, row.raw) or b"null"
        return json_text(event.op) if added.field == "op" else added.clock(event.now)


def _listed(header: str | None, names: Sequence[str]) -> Headers:
    if header is None:
        return ()
    return ((header, b"[%b]" % b",".join([json_text(name) for name in names])),)


def _struct(row_format: RowFormat, *fields: tuple[str, ConnectSchema]) -> ConnectSchema:
    return ConnectSchema("struct", name=row_format.name, fields=fields)


def _fields(row_format: RowFormat, row: Row) -> list[_Field]:
    deviations = dict(row_format.deviations(row.raw))
    values = row_format.values(row.raw)
    return [
        _Field(column.field, value, deviations.get(i, column.schema))
        for i, (column, value) in enumerate(zip(row_format.columns, values, strict=True))
        if value is not None
    ]


def _added_schema(added: AddedField, event: _Event) -> ConnectSchema | None:
    """Return the schema of a field of the envelope; None if the table has no such column."""
    row_format = event.table.row_format
    row = {"before": event.before, "after": event.after}.get(added.struct)
    if row is not None:
        for i, schema in row_format.deviations(row.raw):
            if row_format.columns[i].field == added.field:
                return evolve(schema, optional=True, default=None)
    return added.schema(row_format)
