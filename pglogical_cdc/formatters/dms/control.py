"""Control records: what happens to tables, derived from one version of a table to the next.

``create-table``, ``drop-table`` and their bodies are those of captured records. Not verified
against AWS, because no sample of them is public: the bodies of all others. They have the
``table-def`` of the new version, and beside it the names that an operation is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from pglogical_cdc.events import Relation
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


class Controls:
    """Tells what has become of tables since they were last described.

    Args:
        create: whether a table that is seen for the first time gives ``create-table``.
        alter: whether changes of tables are told.
    """

    def __init__(self, *, create: bool, alter: bool) -> None:
        self._create: Final = create
        self._alter: Final = alter
        self._tables: dict[int, Table] = {}
        self._oids: dict[tuple[str, str], int] = {}

    def describe(self, table: Table, previous: Relation | None) -> list[Control]:
        """Take a version of a table and return what has happened to bring it about.

        Args:
            table: the version.
            previous: the version before it in the stream, if that is known.
        """
        relation = table.relation
        schema, name = relation.schema, relation.name
        known = self._tables.get(relation.oid)
        dropped = self._forget_namesake(relation)
        self._tables[relation.oid] = table
        if known is not None:
            old = known.relation.schema, known.relation.name
            if self._oids.get(old) == relation.oid:
                del self._oids[old]
            previous = known.relation
        self._oids[schema, name] = relation.oid
        controls: list[Control] = []
        if dropped and self._alter:
            controls.append(("drop-table", schema, name, {}))
        if known is None and (self._create or (dropped and self._alter)):
            controls.append(("create-table", schema, name, {"table-def": _definition(table)}))
        elif previous is not None and self._alter:
            shown = _shown(table) if known is None else _shown(table) | _shown(known)
            controls += [
                (step.operation, schema, name, _body(step, table, previous))
                for step in alterations(previous, relation)
                if step.column is None or step.column in shown
            ]
        return controls

    def _forget_namesake(self, relation: Relation) -> bool:
        """Forget the other table that had this name, and tell whether there was one.

        Two tables cannot have one name at a time: that one is gone, or has another name now.
        """
        oid = self._oids.get((relation.schema, relation.name))
        if oid is None or oid == relation.oid:
            return False
        del self._tables[oid]
        return True


def _shown(table: Table) -> set[str]:
    return {name for name, _, _ in table.types}


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
