"""TableFormat: what the Debezium formats prepare once for each version of a table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final

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
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = ("TableFormat", "schema_head")


_HEADS: Final = 64
"""How many schemas of one table are kept."""


def schema_head(schema: ConnectSchema) -> bytes:
    """Return what JsonConverter writes before a payload; a brace comes after it."""
    return b'{"schema":%b,"payload":' % schema.json()


class TableFormat:
    """Makes the JSON of rows and keys of one version of a table.

    Args:
        relation: the version of the table.
        options: the formatter's options.
    """

    __slots__ = (
        "_heads",
        "_options",
        "collection",
        "key_format",
        "relation",
        "row_format",
        "schema_name",
        "source",
        "topic",
    )

    def __init__(self, relation: Relation, options: TableOptions) -> None:
        self.relation = relation
        self._options = options
        self.topic = topic_name(
            options.prefix, relation.schema, relation.name, delimiter=options.delimiter
        )
        self.source = b',"schema":%b,"table":%b' % (
            json_text(relation.schema),
            json_text(relation.name),
        )
        self.collection = f"{relation.schema}.{relation.name}"
        """What Debezium calls the table in transaction metadata."""
        self.schema_name = schema_name_adjustment(options.schema_names)(self.topic)
        base = relation.base or relation
        adjust = field_name_adjustment(options.field_names)
        names = [column.name for column in base.columns]
        fields = dict(zip(names, distinct(map(adjust, names)), strict=True))
        columns = [
            column_format(relation, position, fields[column.name], options)
            for position, column in enumerate(relation.columns)
        ]
        self.row_format = RowFormat(
            relation,
            [column for column in columns if column is not None],
            f"{self.schema_name}.Value",
            optional=True,
        )
        keys = [
            column_format(
                base,
                position,
                fields[base.columns[position].name],
                options,
                in_key=True,
                # Debezium looks the columns up that it is told to read.
                described=base.columns[position].name in relation.positions,
            )
            for position in _key_positions(base, options)
        ]
        self.key_format = RowFormat(
            base,
            [column for column in keys if column is not None],
            f"{self.schema_name}.Key",
            optional=False,
        )
        self._heads: dict[Hashable, bytes] = {}

    def head(self, key: Hashable, schema: Callable[[], ConnectSchema]) -> bytes:
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
            head = self._heads[key] = schema_head(schema())
        return head

    # -- keys

    def key(self, row: Row) -> bytes | None:
        """Return the JSON object of a row's key; None if the table has no key.

        Raises:
            ConfigurationError: a value is in the binary form of its type.
        """
        if not self.key_format.columns:
            return None
        return self.key_format.payload(row.base.raw)

    def key_record(self, key: bytes | None, row: Row) -> bytes | None:
        """Return the key of a record: a key as `key` made it, beside its schema if asked for."""
        if key is None or not self._options.schemas:
            return key
        deviations = self.key_format.deviations(row.base.raw)
        head = self.head(("key", deviations), lambda: self.key_format.schema(deviations))
        return head + key + b"}"

    # -- values

    def row(self, row: Row) -> bytes:
        """Return the JSON object of a row.

        Raises:
            ConfigurationError: a value is in the binary form of its type.
        """
        return self.row_format.payload(row.raw)

    def value_record(self, payload: bytes, before: Row | None, after: Row | None) -> bytes:
        """Return the value of a record: an envelope, beside its schema if asked for."""
        if not self._options.schemas:
            return payload
        old = None if before is None else self.row_format.deviations(before.raw)
        new = None if after is None else self.row_format.deviations(after.raw)
        # A row that is not there has the schema of the other.
        found = (new or () if old is None else old, old or () if new is None else new)
        head = self.head(found, lambda: self._envelope(*found))
        return head + payload + b"}"

    def _envelope(self, before: Deviations, after: Deviations) -> ConnectSchema:
        rows = self.row_format.schema(before), self.row_format.schema(after)
        return envelope_schema(f"{self.schema_name}.Envelope", *rows)


def _key_positions(relation: Relation, options: TableOptions) -> Sequence[int]:
    table = f"{relation.schema}.{relation.name}"
    chosen = [
        relation.positions[name]
        for pattern, name in options.message_keys
        if name in relation.positions and pattern.fullmatch(table)
    ]
    if chosen:
        return list(dict.fromkeys(chosen))
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
