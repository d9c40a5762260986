"""Partition keys: the keys of DMS's records on Kafka, ``PartitionKey`` on Kinesis.

Types and their forms are those of the DMS user guide ("Using Apache Kafka as a target", object
mapping) and of captured records. Not verified against AWS: what joins the parts of a composite
primary key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias, get_args

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Delete, RawValue, Relation, Row, RowChange, SnapshotRead
from pglogical_cdc.formatters.dms.table import Table, primary_key
from pglogical_cdc.formatters.option_check import check_option, check_text
from pglogical_cdc.formatters.wire.binary_form import binary_form_error

__all__ = ("KeyOfRow", "PartitionKey", "PartitionKeys")

PartitionKey: TypeAlias = Literal[
    "schema-table", "primary-key", "transaction-id", "constant", "attribute-name"
]

KeyOfRow: TypeAlias = Callable[[Row], "bytes | None"]
"""From a row to the key of its record; None if that takes a closer look."""


class PartitionKeys:
    """Finds type and value of the partition key of a row's record.

    Args:
        kind: the type that is wanted.
        name: of ``attribute-name``, the column.
        value: of ``constant``, the value.
        include_schema_table: whether schema and table stand before the primary key's value.
        separator: what joins the parts of a composite primary key.

    Raises:
        ConfigurationError: no such type, or `name` or `value` is missing, or there for another.
    """

    def __init__(
        self,
        kind: PartitionKey,
        *,
        name: str | None,
        value: str | None,
        include_schema_table: bool,
        separator: str,
    ) -> None:
        check_option("partition_key", kind, *get_args(PartitionKey))
        check_text("primary_key_separator", separator)
        _check_companion("partition_key_name", name, kind, "attribute-name")
        _check_companion("partition_key_value", value, kind, "constant")
        self._kind: Final = kind
        self._name: Final = name
        self._value: Final = value
        self._include_schema_table: Final = include_schema_table
        self._separator: Final = separator

    @property
    def name_transactions(self) -> bool:
        """Whether the changes of two transactions have different keys for that alone."""
        return self._kind == "transaction-id"

    def of(self, table: Table, change: RowChange) -> tuple[PartitionKey, str]:
        """Return type and value of the key of a record.

        A row that has nothing to make the wanted key of has the key of its table.
        """
        wanted = self._kind
        if wanted == "schema-table" and not isinstance(change, SnapshotRead):
            return "schema-table", table.schema_table
        if wanted == "constant" and self._value is not None:
            return "constant", self._value
        if wanted == "transaction-id" and change.transaction is not None:
            return "transaction-id", str(change.transaction.xid)
        if wanted == "attribute-name" and self._name is not None:
            row = change.before if isinstance(change, Delete) else change.after
            attribute = None if row is None else _attribute(row, self._name)
            if attribute is not None:
                return "attribute-name", attribute
        elif wanted == "primary-key" or isinstance(change, SnapshotRead):
            # The key of the row that the server sent, whatever a transform made of it.
            relation = table.relation.base or table.relation
            rows = [row.base.raw for row in (change.after, change.before) if row is not None]
            parts = _key_parts(relation, *rows)
            if parts is not None:
                return "primary-key", self._join(relation, parts)
        return "schema-table", table.schema_table

    def of_rows(self, table: Table, change: RowChange) -> tuple[PartitionKey, KeyOfRow] | None:
        """Return the type that most keys have, and what makes such a key of a row.

        Args:
            table: the version of the table.
            change: one of a transaction's changes of one kind.

        Returns:
            None if all these changes have the key of this one.
        """
        wanted = self._kind
        if wanted == "attribute-name" and self._name is not None:
            position = table.relation.positions.get(self._name)
            if position is None:
                return None
            return "attribute-name", _attribute_key(table.relation, position)
        if wanted == "constant" or (wanted == "transaction-id" and change.transaction is not None):
            return None
        relation = table.relation.base or table.relation
        names = primary_key(relation)
        if not names or not (wanted == "primary-key" or isinstance(change, SnapshotRead)):
            return None
        start = f"{relation.schema}.{relation.name}." if self._include_schema_table else ""
        positions = [relation.positions[name] for name in names]
        separator = self._separator.encode()
        return "primary-key", _joined_key(positions, start.encode(), separator)

    def identifies_rows(self, *, topic_of_table: bool) -> bool:
        """Tell whether the keys can tell any two rows apart, together with the topic."""
        return self._kind == "primary-key" and (self._include_schema_table or topic_of_table)

    def of_row(self, relation: Relation, raw: Sequence[RawValue]) -> str | None:
        """Return the primary key of a row; None if it could be another row's as well."""
        parts = _key_parts(relation, raw)
        if parts is None:
            return None
        if len(parts) > 1 and not self._separates(parts):
            return None
        if self._include_schema_table and "." in relation.schema + relation.name:
            return None
        return self._join(relation, parts)

    def _separates(self, parts: Sequence[str]) -> bool:
        # One character is enough to shift a separator of several.
        characters = set(self._separator)
        return bool(characters) and all(characters.isdisjoint(part) for part in parts)

    def _join(self, relation: Relation, parts: Sequence[str]) -> str:
        key = self._separator.join(parts)
        if self._include_schema_table:
            return f"{relation.schema}.{relation.name}.{key}"
        return key


def _check_companion(name: str, value: str | None, kind: PartitionKey, wanted: str) -> None:
    if (kind == wanted) is not (isinstance(value, str) and value != ""):
        raise ConfigurationError(
            f"{name} must be a string with partition_key={wanted!r}, and None with any other"
        )


def _attribute(row: Row, name: str) -> str | None:
    position = row.relation.positions.get(name)
    value = None if position is None else row.raw[position]
    return _text(row.relation, value)


def _key_parts(relation: Relation, *rows: Sequence[RawValue]) -> list[str] | None:
    """Return the text of each key column from the first row that has it; None if one is missing."""
    parts: list[str] = []
    for name in primary_key(relation):
        position = relation.positions[name]
        texts = (_text(relation, raw[position]) for raw in rows)
        part = next((text for text in texts if text is not None), None)
        if part is None:
            return None
        parts.append(part)
    return parts or None


# Of what is ASCII, the bytes that came are those of the key.


def _attribute_key(relation: Relation, position: int) -> KeyOfRow:
    def key(row: Row) -> bytes | None:
        value = row.raw[position] if row.relation is relation else None
        return value if type(value) is bytes and value.isascii() else None

    return key


def _joined_key(positions: Sequence[int], start: bytes, separator: bytes) -> KeyOfRow:
    def key(row: Row) -> bytes | None:
        raw = row.base.raw
        parts = []
        for position in positions:
            part = raw[position]
            if type(part) is not bytes or not part.isascii():
                return None
            parts.append(part)
        return start + separator.join(parts)

    return key


def _text(relation: Relation, value: RawValue) -> str | None:
    if type(value) is bytes:
        # U+FFFD for what is no UTF-8 would make different keys equal.
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bytes):
        raise binary_form_error(relation)
    return None
