"""Tables: what control records and rows have told of each, and its relation.

A relation stays the same object as long as nothing new is told. Of a table without ``table-def``
the columns are those that rows have shown so far: they become more, and their types wider, but
never less, because a row does not show the columns that are NULL in it.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field

from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.events import (
    CatalogColumn,
    Column,
    Relation,
    ReplicaIdentity,
    Row,
    TableCatalog,
    ValueLoaders,
)
from pglogical_cdc.parsers.debezium.connect_json import is_text
from pglogical_cdc.parsers.dms.column_types import UNKNOWN, type_of_json, wider
from pglogical_cdc.parsers.dms.metadata import TableName
from pglogical_cdc.parsers.dms.strict_json import json_type, not_dms
from pglogical_cdc.parsers.dms.table_definition import TableColumn, TableDefinition

__all__ = ("Table", "Tables")


@define(eq=False)
class Table:
    """A table, as it is known by now."""

    name: TableName
    oid: int
    configured_key: tuple[str, ...] | None
    """The key that the caller has named."""
    loaders: ValueLoaders = field(repr=False)
    columns: tuple[TableColumn, ...] = ()
    defined_key: tuple[str, ...] | None = None
    """The primary key of a ``table-def``."""
    record_key: tuple[str, ...] | None = None
    """The columns that the key of a record has named."""
    deleted_key: tuple[str, ...] | None = None
    """The columns that all deleted rows had."""
    relation: Relation = field(init=False)
    """The latest version."""
    _version: tuple[object, ...] = field(init=False, repr=False)
    """What the relation was made of."""

    def __attrs_post_init__(self) -> None:
        self._version = ()
        self._renew()

    def see(self, images: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Take what rows tell.

        Args:
            images: ``data`` or the like, for errors, and the JSON values by column.

        Raises:
            RecordFormatError: a name or value is none that a column can have.
        """
        columns = {column.name: column for column in self.columns}
        for what, image in images:
            for name, value in image.items():
                columns[name] = _seen(columns.get(name), what, name, value)
        seen = tuple(columns.values())
        if len(seen) > len(self.columns) or not all(map(operator.is_, seen, self.columns)):
            self.columns = seen
            self._renew()

    def see_key(self, names: tuple[str, ...]) -> None:
        """Take which columns the key of a record has."""
        if names != self.record_key:
            self.record_key = names
            self._renew()

    def see_deleted(self, names: Sequence[str]) -> None:
        """Take which columns a deleted row had."""
        known = names if self.deleted_key is None else self.deleted_key
        common = tuple(name for name in known if name in names)
        if common != self.deleted_key:
            self.deleted_key = common
            self._renew()

    def define(self, definition: TableDefinition) -> None:
        """Take what a ``table-def`` tells."""
        self.columns, self.defined_key = definition.columns, definition.primary_key
        self._renew()

    def forget(self) -> None:
        """Forget all columns: they have changed, and nothing tells how."""
        self.columns = ()
        self.defined_key = self.record_key = self.deleted_key = None
        self._renew()

    def rename(self, name: TableName, configured_key: tuple[str, ...] | None) -> None:
        """Take another name."""
        self.name, self.configured_key = name, configured_key
        self._renew()

    def _renew(self) -> None:
        """Make a new version if it would be another one."""
        version = self.name, self.columns, self._key()
        if version != self._version:
            self._version = version
            self.relation = self._made()

    def _key(self) -> tuple[str, ...] | None:
        known = {column.name for column in self.columns}
        for key in (self.record_key, self.defined_key, self.configured_key, self.deleted_key):
            if key and known.issuperset(key):
                return key
        return None

    def _made(self) -> Relation:
        schema, name = self.name
        key = self._key()
        return Relation(
            oid=self.oid,
            schema=schema,
            name=name,
            columns=tuple(_column(column, key) for column in self.columns),
            # Without a key nothing but the whole old row can identify one.
            replica_identity=ReplicaIdentity.FULL if key is None else ReplicaIdentity.DEFAULT,
            catalog=TableCatalog(
                database="",
                oid=self.oid,
                schema=schema,
                table=name,
                columns=tuple(
                    _catalog_column(number, column)
                    for number, column in enumerate(self.columns, start=1)
                ),
                primary_key=key,
            ),
            loaders=self.loaders,
        )


class Tables:
    """All tables that are known by now.

    Args:
        loaders: makes the Python values.
        primary_keys: columns by ``schema.table``.
    """

    def __init__(self, loaders: ValueLoaders, primary_keys: Mapping[str, tuple[str, ...]]) -> None:
        self._loaders: Final = loaders
        self._primary_keys: Final = primary_keys
        self._tables: dict[TableName, Table] = {}
        self._last_oid = 0

    def get(self, name: TableName) -> Table | None:
        """Return a table, if it is known."""
        return self._tables.get(name)

    def at(self, name: TableName) -> Table:
        """Return a table; one that is not known yet has no columns."""
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = self._new(name)
        return table

    def drop(self, name: TableName) -> tuple[Relation, Relation]:
        """Forget a table, and return its last version and one without columns."""
        table = self._tables.pop(name, None) or self._new(name)
        last = table.relation
        table.forget()
        return last, table.relation

    def rename(self, old: TableName, new: TableName) -> Table:
        """Return the table that has had the old name until now, which may be the new one."""
        table = self.at(old)
        if old != new:
            self._tables[new] = self._tables.pop(old)
            table.rename(new, self._configured(new))
        return table

    def key_values(self, name: TableName, key: Mapping[str, Any]) -> dict[str, object]:
        """Return the Python values of a key that has come without its row.

        Args:
            name: whose key it is.
            key: a JSON value by column, in which a string is PostgreSQL's text.

        Raises:
            RecordFormatError: a value is none that a column can have.
        """
        table = self._tables.get(name)
        if table is None or not table.relation.positions.keys() >= key.keys():
            table = Table(name, 0, None, self._loaders)
            table.see([("key", key)])
        relation = table.relation
        row = Row(
            relation,
            [_key_text(key[each]) if each in key else NOT_SENT for each in relation.positions],
        )
        return {each: row[each] for each in key}

    def _new(self, name: TableName) -> Table:
        self._last_oid += 1
        return Table(name, self._last_oid, self._configured(name), self._loaders)

    def _configured(self, name: TableName) -> tuple[str, ...] | None:
        return self._primary_keys.get(f"{name.schema}.{name.table}")


def _seen(column: TableColumn | None, what: str, name: str, value: object) -> TableColumn:
    """Return the column that a value belongs to: the same if it tells nothing new."""
    if column is None:
        if not is_text(name):
            raise not_dms(f"text as name of a member of {what}", "half a character")
        column = TableColumn(name, UNKNOWN)
    if value is None or column.is_defined:
        return column
    try:
        found = wider(column.type, type_of_json(value))
    except (TypeError, ValueError):
        raise not_dms(
            f"the value of a column as {what}.{name}", f"{json_type(value)} that is none"
        ) from None
    return column if found is column.type else TableColumn(name, found)


def _key_text(value: str | bool) -> bytes:
    if isinstance(value, bool):
        return b"t" if value else b"f"
    return value.encode()


def _column(column: TableColumn, key: tuple[str, ...] | None) -> Column:
    return Column(
        name=column.name,
        type_oid=column.type.oid,
        type_modifier=column.type.modifier,
        type_name=column.type.name,
        is_identity=key is None or column.name in key,
    )


def _catalog_column(number: int, column: TableColumn) -> CatalogColumn:
    return CatalogColumn(
        name=column.name,
        attnum=number,
        type_oid=column.type.oid,
        type_modifier=column.type.modifier,
        type_text=column.type.name,
        not_null=column.not_null,
        default=None,
        generated="",
        identity="",
    )
