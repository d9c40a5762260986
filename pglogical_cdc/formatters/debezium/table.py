"""TableFormat: what the Debezium formats prepare once for each version of a table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Final

from attrs import evolve

from pglogical_cdc.events import Relation, ReplicaIdentity, Row
from pglogical_cdc.formatters.debezium.column_format import column_format
from pglogical_cdc.formatters.debezium.connect_schema import ConnectSchema
from pglogical_cdc.formatters.debezium.envelope import envelope_schema
from pglogical_cdc.formatters.debezium.names import (
    distinct,
    field_name_adjustment,
    schema_name_adjustment,
    topic_name,
)
from pglogical_cdc.formatters.debezium.options import TableOptions
from pglogical_cdc.formatters.debezium.row_format import Deviations, RowFormat
from pglogical_cdc.formatters.wire.column_writer import ColumnWriter
from pglogical_cdc.formatters.wire.json_text import json_text
from pglogical_cdc.formatters.wire.row_writer import Frame, WriteEvent

__all__ = ("EVENT", "TableFormat")


EVENT: Final = Frame(
    "head, before, lsn, middle, table, transaction_id, rest, time",
    "{head}",
    "{before}{lsn}{middle}{table}{transaction_id}{lsn}{rest}{time}",
)
"""An event around its row: ``source``, in which the LSN stands twice, and the time of the envelope.
What is that of the transaction and what is that of the table come apart."""

_HEADS: Final = 64
"""How many schemas of one table are kept."""


class TableFormat:
    """Makes the JSON of rows and keys of one version of a table.

    `row_format` and `key_format` are for what is written. There NULL may be replaced by the default
    of its column, by the converter at the very end. What comes before it sees otherwise: the
    connector compares `plain_rows` and `plain_keys`, in which NULL is NULL; a transform that copies
    a row, and the converter of headers, make `filled_rows` and `filled_keys`, in which it is
    replaced whatever the converter does.

    Args:
        relation: the version of the table.
        options: the formatter's options.
    """

    def __init__(self, relation: Relation, options: TableOptions) -> None:
        self.relation = relation
        self._options = options
        self.topic = topic_name(
            options.prefix, relation.schema, relation.name, delimiter=options.delimiter
        )
        self.source = (
            f',"schema":{json_text(relation.schema).decode()}'
            f',"table":{json_text(relation.name).decode()}'
        )
        self.collection = f"{relation.schema}.{relation.name}"
        """What Debezium calls the table in transaction metadata."""
        self.schema_name = schema_name_adjustment(options.schema_names)(self.topic)
        self._base = relation.base or relation
        adjust = field_name_adjustment(options.field_names)
        names = [column.name for column in self._base.columns]
        self._fields = dict(zip(names, distinct(map(adjust, names)), strict=True))
        self._key_positions = _key_positions(self._base, options)
        self.row_format = self._rows(options)
        self.key_format = self._keys(options)
        # Debezium leaves columns of types that it does not know out of a key until it is empty.
        key_parts = self.key_format.columns if options.types.faithful else self._key_positions
        self._has_key = bool(key_parts)
        self.is_skipped = not self._base.columns and not options.types.faithful
        """Whether Debezium skips its rows: they have no columns."""
        self._heads: dict[Hashable, str] = {}

    def _rows(self, options: TableOptions) -> RowFormat:
        columns = [
            column_format(self.relation, position, self._fields[column.name], options)
            for position, column in enumerate(self.relation.columns)
        ]
        return RowFormat(
            self.relation,
            [column for column in columns if column is not None],
            f"{self.schema_name}.Value",
            optional=True,
        )

    def _keys(self, options: TableOptions) -> RowFormat:
        columns = [
            column_format(
                self._base,
                position,
                self._fields[self._base.columns[position].name],
                options,
                in_key=True,
                # In the stream Debezium looks the columns up that it is told to read.
                described=options.snapshot
                or self._base.columns[position].name in self.relation.positions,
            )
            for position in self._key_positions
        ]
        return RowFormat(
            self._base,
            [column for column in columns if column is not None],
            f"{self.schema_name}.Key",
            optional=False,
        )

    @cached_property
    def plain_rows(self) -> RowFormat:
        """Makes rows in which NULL stays NULL."""
        return self._variant(self.row_format, self._rows, filled=False)

    @cached_property
    def filled_rows(self) -> RowFormat:
        """Makes rows in which a default stands for NULL."""
        return self._variant(self.row_format, self._rows, filled=True)

    @cached_property
    def plain_keys(self) -> RowFormat:
        """Makes keys in which NULL stays NULL."""
        return self._variant(self.key_format, self._keys, filled=False)

    @cached_property
    def filled_keys(self) -> RowFormat:
        """Makes keys in which a default stands for NULL."""
        return self._variant(self.key_format, self._keys, filled=True)

    def _variant(
        self, written: RowFormat, make: Callable[[TableOptions], RowFormat], *, filled: bool
    ) -> RowFormat:
        options = self._options
        if (
            filled == options.replace_null_with_default
            or options.types.faithful
            or not written.fills
        ):
            return written
        return make(evolve(options, replace_null_with_default=filled))

    def head(self, key: Hashable, schema: Callable[[], ConnectSchema]) -> str:
        """Return what stands before a payload: its schema, rendered once.

        Args:
            key: what the schema depends on.
            schema: makes it.
        """
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) >= _HEADS:
                # Rows that each deviate in other columns would fill the memory.
                self._heads.clear()
            head = self._heads[key] = schema().head().decode()
        return head

    # -- keys

    def key(self, row: Row) -> bytes | None:
        """Return the key of a row's records; None if the table has no key.

        That is a JSON object, beside its schema if asked for.

        Raises:
            ConfigurationError: a value is in the binary form of its type.
        """
        if not self._has_key:
            return None
        raw = row.base.raw
        if not self._options.schemas:
            return self.key_format.write(raw, "", "")
        deviations = self.key_format.deviations(raw)
        head = self.head(("key", deviations), lambda: self.key_format.schema(deviations))
        return self.key_format.write(raw, head, "}")

    def row_key(self, row: Row) -> bytes | None:
        """Return the key of a record of a row; None if it may be that of other rows as well."""
        found = self._base.key_positions
        if found is None or set(found) != {each.position for each in self.key_format.columns}:
            return None
        return self.key(row)

    def header_key(self, row: Row) -> bytes:
        """Return the JSON of a row's key as it is in the header of another record."""
        return self.filled_keys.payload(row.base.raw)

    def has_other_key(self, before: Row, after: Row) -> bool:
        """Tell whether two rows have keys and these differ."""
        old, new = before.base.raw, after.base.raw
        for position in self._key_positions:
            if old[position] != new[position]:
                return not self.plain_keys.is_same(old, new)
        return False

    @cached_property
    def write_event(self) -> WriteEvent | None:
        """Writes an event with one row, and its key, both without their schemas; see `EVENT`.

        None where the key is written otherwise than in the row, or there is none.
        """
        if not self.key_format.columns or self.relation.base is not None:
            return None
        return self.row_format.event(self.key_format, EVENT)

    @cached_property
    def column_writer(self) -> ColumnWriter | None:
        """Writes many rows and keys as `write_event` does; None where that is."""
        if self.write_event is None:
            return None
        return self.row_format.column_writer(self.key_format)

    # -- values

    def is_same(self, before: Row, after: Row) -> bool:
        """Tell whether two rows are one and the same as far as they are written."""
        return self.plain_rows.is_same(before.raw, after.raw)

    def value_head(self, before: Row | None, after: Row | None) -> str:
        """Return what stands before an envelope beside its schema."""
        old = None if before is None else self.row_format.deviations(before.raw)
        new = None if after is None else self.row_format.deviations(after.raw)
        # A row that is not there has the schema of the other.
        found = (new or () if old is None else old, old or () if new is None else new)
        return self.head(found, lambda: self._envelope(*found))

    def _envelope(self, before: Deviations, after: Deviations) -> ConnectSchema:
        rows = self.row_format.schema(before), self.row_format.schema(after)
        return envelope_schema(f"{self.schema_name}.Envelope", *rows)


def _key_positions(relation: Relation, options: TableOptions) -> Sequence[int]:
    table = f"{relation.schema}.{relation.name}"
    chosen = [
        position
        for pattern in options.message_keys
        for position, column in enumerate(relation.columns)
        if pattern.fullmatch(f"{table}.{column.name}")
    ]
    if chosen:
        return list(dict.fromkeys(chosen))
    if not options.types.faithful:
        found = _debezium_key(relation)
        if found is not None:
            return found
    positions = relation.key_positions
    if positions is None:
        return ()
    if options.types.faithful and relation.replica_identity is ReplicaIdentity.INDEX:
        # The server sends no other columns of a deleted row, and the records of a row need equal
        # keys from its first to its last.
        identity = [i for i, column in enumerate(relation.columns) if column.is_identity]
        if not set(positions) <= set(identity):
            return identity
    return positions


def _debezium_key(relation: Relation) -> Sequence[int] | None:
    """Return the key that Debezium takes; None if the catalog is not that of the relation.

    Without a primary key that is the first unique index, may it identify a row or not, with the
    columns that it includes. Generated columns that are not published drop out.
    """
    catalog = relation.catalog
    if catalog is None:
        return None
    names = catalog.primary_key
    if names is None and catalog.unique_indexes:
        index = catalog.unique_indexes[0]
        names = index.columns + index.included
    if names is None:
        return None
    missing = [name for name in names if name not in relation.positions]
    if any((column := catalog.column(name)) is None or not column.generated for name in missing):
        return None
    return [relation.positions[name] for name in names if name in relation.positions]
