"""ColumnTransform: the base of what Debezium's ``column.*`` options do to a change.

Columns are named by regular expressions of ``schema.table.column`` that have to match as a whole,
in either case of ASCII letters, several with commas between them or one by one.

Keys stay as the server sent them, as in Debezium: a key of a masked or missing column would make
different rows one. Nobody should put into a key what nobody may read.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import TypeAlias

from attrs import evolve

from pglogical_cdc._attrs import record
from pglogical_cdc.events import (
    Alteration,
    AlteredRow,
    Change,
    Column,
    Delete,
    Insert,
    RawValue,
    Relation,
    Row,
    RowChange,
    SchemaChange,
    SnapshotRead,
    Update,
)
from pglogical_cdc.name_patterns import NamePatterns

__all__ = ("Alter", "ColumnTransform")

Alter: TypeAlias = Callable[[RawValue], RawValue]
"""From a wire value to the one that stands in its place."""


@record
class _Plan:
    """What becomes of the rows of one version of a table."""

    source: Relation
    relation: Relation
    positions: tuple[int, ...]
    """Indexes in the source's columns of those that stay."""
    alters: tuple[tuple[int, Alter], ...]
    """Index in the new columns, and what becomes of the values."""


class ColumnTransform(abc.ABC):
    """Base of the transforms of columns: a function from a change to the changed change.

    Args:
        columns: regular expressions of ``schema.table.column``.

    Raises:
        ConfigurationError: one is no regular expression.
    """

    def __init__(self, columns: str | Sequence[str]) -> None:
        self._patterns = NamePatterns.read("columns", columns)
        self._plans: dict[int, _Plan] = {}

    def __call__(self, change: Change) -> Change:
        """Return the change with its columns as they shall be."""
        if not isinstance(change, RowChange):
            return change
        if isinstance(change, SchemaChange):
            return self._schema_change(change)
        plan = self._plan(change.relation)
        if plan.relation is change.relation:
            return change
        relation = plan.relation
        if isinstance(change, (Insert, SnapshotRead)):
            return evolve(change, relation=relation, after=_altered(plan, change.after))
        if isinstance(change, Update):
            before = None if change.before is None else _altered(plan, change.before)
            return evolve(
                change, relation=relation, before=before, after=_altered(plan, change.after)
            )
        if isinstance(change, Delete):
            return evolve(change, relation=relation, before=_altered(plan, change.before))
        return evolve(change, relation=relation)

    def _schema_change(self, change: SchemaChange) -> Change:
        # In this order the previous version is the one that its rows had.
        previous = self._plan(change.previous).relation
        relation = self._plan(change.relation).relation
        if previous is change.previous and relation is change.relation:
            return change
        return evolve(change, relation=relation, previous=previous)

    def _plan(self, relation: Relation) -> _Plan:
        plan = self._plans.get(relation.oid)
        if plan is None or plan.source is not relation:
            plan = self._plans[relation.oid] = self._make_plan(relation)
        return plan

    def _make_plan(self, relation: Relation) -> _Plan:
        positions: list[int] = []
        columns: list[Column] = []
        alters: list[tuple[int, Alter]] = []
        for position, column in enumerate(relation.columns):
            matches = self._patterns.match(f"{relation.schema}.{relation.name}.{column.name}")
            made, alter = self._column(relation, column, matches=matches)
            if made is None:
                continue
            if made.alteration is not column.alteration:
                made = evolve(made, alteration=_both(column.alteration, made.alteration))
            if alter is not None:
                alters.append((len(columns), alter))
            positions.append(position)
            columns.append(made)
        if tuple(columns) != relation.columns:
            base = relation.base or relation
            relation_made = evolve(relation, columns=tuple(columns), base=base)
        else:
            relation_made = relation
        return _Plan(relation, relation_made, tuple(positions), tuple(alters))

    @abc.abstractmethod
    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, Alter | None]:
        """Return what becomes of a column, None if it is left out, and of its values."""


def _both(first: Alteration | None, second: Alteration | None) -> Alteration | None:
    """Return what two transforms do, one after the other."""
    if first is None or second is None:
        return first or second
    if first.alter is None or second.alter is None:
        alter = first.alter or second.alter
    else:
        alter = _one_after_the_other(first.alter, second.alter)
    after = second.alter or _same
    instead = second.instead
    if instead is None and first.instead is not None:
        instead = after(first.instead)
    return Alteration(
        parameters=tuple({**dict(first.parameters), **dict(second.parameters)}.items()),
        alter=alter,
        instead=instead,
        max_length=min(
            (each.max_length for each in (first, second) if each.max_length is not None),
            default=None,
        ),
    )


def _one_after_the_other(
    first: Callable[[str], str], second: Callable[[str], str]
) -> Callable[[str], str]:
    return lambda text: second(first(text))


def _same(text: str) -> str:
    return text


def _altered(plan: _Plan, row: Row) -> Row:
    raw = [row.raw[position] for position in plan.positions]
    for position, alter in plan.alters:
        raw[position] = alter(raw[position])
    return AlteredRow(plan.relation, raw, row)
