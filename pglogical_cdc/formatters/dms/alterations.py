"""What has become of a table: the differences of two of its versions, in an order that holds.

Applied one after the other to the first version they give the second. A rename of a column is
told only where the catalog proves it, by a number in ``pg_attribute`` that has stayed; else it is a
column that was dropped and another that was added.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pglogical_cdc._attrs import record
from pglogical_cdc.events import Column, Relation

__all__ = ("AlterOperation", "Alteration", "alterations")

AlterOperation: TypeAlias = Literal[
    "rename-table", "drop-column", "rename-column", "column-type-change", "add-column"
]


@record
class Alteration:
    """One step from one version of a table to the next."""

    operation: AlterOperation
    column: str | None = None
    """Name of the column, after the step."""
    old_column: str | None = None
    """Of a renamed column, its name before."""


def alterations(previous: Relation, relation: Relation) -> list[Alteration]:
    """Return what has to be done to make of a version of a table the next.

    Args:
        previous: the earlier version.
        relation: the later version of the same table.
    """
    steps: list[Alteration] = []
    if (previous.schema, previous.name) != (relation.schema, relation.name):
        steps.append(Alteration("rename-table"))
    kept = _kept(previous, relation)
    renames = {old: new for old, new in kept.items() if old != new}
    dropped = [column.name for column in previous.columns if column.name not in kept]
    steps += [Alteration("drop-column", name) for name in dropped]
    here = set(kept)
    while renames:
        free = next((old for old, new in renames.items() if new not in here), None)
        if free is None:
            # They have swapped their names: one has to make room, and comes back as a new column.
            name = next(iter(renames))
            del renames[name], kept[name]
            steps.append(Alteration("drop-column", name))
        else:
            name = free
            new = renames.pop(name)
            here.add(new)
            steps.append(Alteration("rename-column", new, name))
        here.remove(name)
    steps += [
        Alteration("column-type-change", new)
        for old, new in kept.items()
        if _type(previous, old) != _type(relation, new)
    ]
    present = set(kept.values())
    steps += [
        Alteration("add-column", column.name)
        for column in relation.columns
        if column.name not in present
    ]
    return steps


def _kept(previous: Relation, relation: Relation) -> dict[str, str]:
    """Return the names of the columns that are still there, from old to new."""
    before, after = _numbers(previous), _numbers(relation)
    if before is None or after is None:
        return {name: name for name in previous.positions if name in relation.positions}
    names = {number: name for name, number in after.items()}
    return {name: names[number] for name, number in before.items() if number in names}


def _numbers(relation: Relation) -> dict[str, int] | None:
    """Return the numbers of the columns by name; None if the catalog is of another version."""
    catalog = relation.catalog
    if catalog is None:
        return None
    known = {column.name: column.attnum for column in catalog.columns}
    if not all(name in known for name in relation.positions):
        return None
    return {name: known[name] for name in relation.positions}


def _type(relation: Relation, name: str) -> tuple[int, int]:
    column: Column = relation.columns[relation.positions[name]]
    return column.type_oid, column.type_modifier
