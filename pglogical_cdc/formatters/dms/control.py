"""Control records: what happens to tables, derived from one version of a table to the next.

``create-table``, ``drop-table`` and their bodies are those of captured records. Not verified
against AWS, because no sample of them is public: the bodies of all others. They have the
``table-def`` of the new version, and beside it the names that an operation is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from attrs import define, evolve, field

from pglogical_cdc.events import Position, Relation, RowChange, SchemaChange
from pglogical_cdc.formatters.dms.alterations import Alteration, AlterOperation, alterations
from pglogical_cdc.formatters.dms.column_type import ColumnType
from pglogical_cdc.formatters.dms.layout import Json
from pglogical_cdc.formatters.dms.table import Table

__all__ = ("Control", "ControlOperation", "Controls")

ControlOperation: TypeAlias = (
    AlterOperation | Literal["create-table", "drop-table", "truncate-table"]
)

Control: TypeAlias = tuple[ControlOperation, str, str, Mapping[str, Json]]
"""Operation, schema, table, and the body that ``IncludeControlDetails`` shows."""


_Place: TypeAlias = tuple[Position, bool]
"""Of a change: its position, and whether it is a SchemaChange, which shares that of the next."""


@define
class _Told:
    """What consumers have been told of a table."""

    table: Table
    """Its latest version."""
    at: Position | None = None
    """Where that has begun; None in a snapshot, whose rows have one position."""
    controls: dict[_Place, list[Control]] = field(factory=dict)
    """What was told where. A table is not altered so often that this could grow large."""


_Key: TypeAlias = tuple[str, int]
"""Database and OID of a table."""


class Controls:
    """Tells what has become of tables since they were last described.

    Args:
        create: whether a table that is seen for the first time gives ``create-table``.
        alter: whether changes of tables are told.
    """

    def __init__(self, *, create: bool, alter: bool) -> None:
        self._create: Final = create
        self._alter: Final = alter
        self._told: dict[_Key, _Told] = {}
        self._names: dict[tuple[str, str, str], _Key] = {}
        self._lost: set[_Key] = set()
        """Tables whose name another has taken: consumers take them to be dropped."""

    def describe(self, table: Table, previous: Table | None, change: RowChange) -> list[Control]:
        """Take a version of a table and return what has happened to bring it about.

        What comes again after an error is told again where it was told, and nowhere else: the
        table was altered but once.

        Args:
            table: the version.
            previous: the version before it in the stream, if that is known.
            change: the first change of the version.
        """
        if not (self._create or self._alter):
            return []
        relation = table.relation
        key = relation.database, relation.oid
        told = self._told.get(key)
        position = None if change.transaction is None else change.position
        if position is None:
            controls = self._new_controls(key, table, previous if told is None else told.table)
            self._told.setdefault(key, _Told(table)).table = table
            return controls
        place = position, isinstance(change, SchemaChange)
        if told is not None and told.at is not None:
            again = place in told.controls and relation.has_shape_of(told.table.relation)
            if position < told.at or (position == told.at and again):
                return told.controls.get(place, [])
        controls = self._new_controls(key, table, previous if told is None else told.table)
        told = self._told.setdefault(key, _Told(table))
        told.table, told.at = table, position
        if controls:
            told.controls[place] = controls
        return controls

    def _new_controls(self, key: _Key, table: Table, previous: Table | None) -> list[Control]:
        schema, name = table.relation.schema, table.relation.name
        controls: list[Control] = []
        taken = self._take_name(key, table.relation)
        if taken and self._alter:
            controls.append(("drop-table", schema, name, {}))
        is_new = key not in self._told
        is_back = key in self._lost
        self._lost.discard(key)
        if (is_new and self._create) or ((is_back or (is_new and taken)) and self._alter):
            controls.append(("create-table", schema, name, {"table-def": _definition(table)}))
        elif previous is not None and self._alter:
            controls += [
                (step.operation, schema, name, _body(step, table, previous.relation))
                for step in alterations(_shown(previous), _shown(table))
            ]
        return controls

    def _take_name(self, key: _Key, relation: Relation) -> bool:
        """Give a table its name, and tell whether another had it until now.

        Two tables cannot have one name at a time: that one is gone, or has another name by now.
        """
        told = self._told.get(key)
        if told is not None:
            old = relation.database, told.table.relation.schema, told.table.relation.name
            if self._names.get(old) == key:
                del self._names[old]
        name = relation.database, relation.schema, relation.name
        owner = self._names.get(name)
        self._names[name] = key
        if owner is None:
            return False
        self._lost.add(owner)
        return True


def _shown(table: Table) -> Relation:
    """Return a version of a table with the columns that its records have."""
    relation = table.relation
    names = {name for name, _, _ in table.types}
    columns = tuple(column for column in relation.columns if column.name in names)
    return relation if columns == relation.columns else evolve(relation, columns=columns)


def _definition(table: Table) -> Json:
    definition: dict[str, Json] = {
        "columns": {name: _column(kind, nullable) for name, kind, nullable in table.types}
    }
    if table.primary_key:
        definition["primary-key"] = list(table.primary_key)
    return definition


def _column(kind: ColumnType, nullable: bool) -> Json:
    numbers = {"length": kind.length, "precision": kind.precision, "scale": kind.scale}
    return {
        "type": kind.name,
        **{name: number for name, number in numbers.items() if number is not None},
        "nullable": nullable,
    }


def _body(step: Alteration, table: Table, previous: Relation) -> Mapping[str, Json]:
    body: dict[str, Json] = {"table-def": _definition(table)}
    if step.operation == "rename-table":
        body["old-schema-name"] = previous.schema
        body["old-table-name"] = previous.name
    if step.column is not None:
        body["column-name"] = step.column
    if step.old_column is not None:
        body["old-column-name"] = step.old_column
    return body
