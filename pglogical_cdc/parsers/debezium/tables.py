"""Tables: the relations of the rows that records hold, and the rows themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import UNCHANGED, Absent
from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.events import (
    AlteredRow,
    CatalogColumn,
    Column,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    TableCatalog,
    ValueLoaders,
)
from pglogical_cdc.parsers.debezium.connect_json import json_type
from pglogical_cdc.parsers.debezium.placeholder import Placeholder
from pglogical_cdc.parsers.debezium.shapes import Described, Shape

__all__ = ("Table", "TableName", "Tables")


@record(unsafe_hash=True)
class TableName:
    """What a table is called."""

    server: str
    """``source.name``, the connector's topic prefix."""
    database: str
    schema: str
    table: str


@record
class Table:
    """One version of a table, as records describe it."""

    relation: Relation
    shape: Shape
    key: Shape | None
    """The columns of the records' keys; None if they have none."""
    keyed: Relation
    """The relation whose columns of the key are as the key has them."""

    def row(self, raw: Sequence[RawValue], key: Sequence[RawValue]) -> Row:
        """Return a row.

        Args:
            raw: its values, in the order of `shape`.
            key: the values of the record's key, in the order of `Table.key`. They count where the
                row has others: a transform may have altered or left out a column of the key.
        """
        names = self.relation.positions
        identity = {column.name: value for column, value in zip(self.key or (), key, strict=True)}
        if all(name in names and raw[names[name]] == value for name, value in identity.items()):
            return Row(self.relation, raw)
        values = {**dict(zip(names, raw, strict=True)), **identity}
        base = Row(self.keyed, [values[name] for name in self.keyed.positions])
        return AlteredRow(self.relation, raw, base)


class Tables:
    """Gives each table's relation: the same object as long as the records describe it the same.

    Args:
        loaders: makes the Python values.
        placeholder: knows the values that the server did not send.
    """

    def __init__(self, loaders: ValueLoaders, placeholder: Placeholder) -> None:
        self._loaders = loaders
        self._placeholder = placeholder
        self._tables: dict[TableName, Table] = {}
        self._oids: dict[TableName, int] = {}

    def known(self, name: TableName) -> Table | None:
        """Return the last version of a table that was seen."""
        return self._tables.get(name)

    def table(self, name: TableName, shape: Shape, key: Shape | None) -> Table:
        """Return the version of a table that has these columns and this key."""
        table = self._tables.get(name)
        if table is None or table.shape is not shape or table.key is not key:
            table = self._tables[name] = self._made(name, shape, key)
        return table

    def key_row(self, shape: Shape, raw: Sequence[RawValue]) -> Row:
        """Return a row of nothing but a key, of a table that nobody names."""
        return Row(self._relation(TableName("", "", "", ""), 0, shape, shape), raw)

    def _made(self, name: TableName, shape: Shape, key: Shape | None) -> Table:
        oid = self._oids.setdefault(name, len(self._oids) + 1)
        identity = {column.name: column for column in key or ()}
        columns = {column.name: column for column in shape}
        keyed = tuple({**columns, **identity}.values())
        base = None
        if keyed != shape:
            base = self._relation(name, oid, keyed, key)
        relation = self._relation(name, oid, shape, key, base)
        return Table(relation, shape, key, relation if base is None else base)

    def _relation(
        self,
        name: TableName,
        oid: int,
        shape: Shape,
        key: Shape | None,
        base: Relation | None = None,
    ) -> Relation:
        names = None if key is None else tuple(column.name for column in key)
        return Relation(
            oid=oid,
            schema=name.schema,
            name=name.table,
            columns=tuple(_column(column, names) for column in shape),
            # Without a key nothing but the whole old row can identify one.
            replica_identity=ReplicaIdentity.FULL if names is None else ReplicaIdentity.DEFAULT,
            database=name.database,
            catalog=TableCatalog(
                database=name.database,
                oid=oid,
                schema=name.schema,
                table=name.table,
                columns=tuple(
                    _catalog_column(number, column) for number, column in enumerate(shape, start=1)
                ),
                primary_key=names,
            ),
            loaders=self._loaders,
            base=base,
        )

    def raw(
        self, what: str, shape: Shape, payload: Mapping[str, Any], absent: Absent
    ) -> list[RawValue]:
        """Return PostgreSQL's text of the members of a JSON object.

        Args:
            what: ``before``, ``after`` or ``key``, for errors.
            shape: the columns.
            payload: the object.
            absent: stands for a column that the object does not have.

        Raises:
            RecordFormatError: a value does not fit the type of its column.
        """
        return [
            self._value(what, column, payload[column.name]) if column.name in payload else absent
            for column in shape
        ]

    def _value(self, what: str, column: Described, value: Any) -> RawValue:
        if value is None:
            return None
        if what == "after" and self._placeholder.stands_for(value):
            return UNCHANGED
        try:
            return column.type.text(value).encode()
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            raise RecordFormatError(
                "Debezium JSON",
                f"a value of type {column.type.name} in {what}.{column.name}",
                f"{json_type(value)} that is none",
            ) from None


def _column(column: Described, key: Sequence[str] | None) -> Column:
    return Column(
        name=column.name,
        type_oid=column.type.oid,
        type_modifier=column.type.modifier,
        type_name=column.type.name,
        is_identity=key is None or column.name in key,
    )


def _catalog_column(number: int, column: Described) -> CatalogColumn:
    default = column.default
    return CatalogColumn(
        name=column.name,
        attnum=number,
        type_oid=column.type.oid,
        type_modifier=column.type.modifier,
        type_text=column.type.name,
        not_null=column.not_null,
        default=None if default is None else _literal(default, column.type.name),
        generated="",
        identity="",
    )


def _literal(text: str, type_name: str) -> str:
    if type_name == "bool":
        return "true" if text == "t" else "false"
    quoted = text.replace("'", "''")
    return f"'{quoted}'::{type_name}"
