"""What is the same for all records of one version of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Relation, ReplicaIdentity
from pglogical_cdc.formatters.dms.column_type import ColumnType, column_type
from pglogical_cdc.formatters.dms.layout import Layout, quoted
from pglogical_cdc.formatters.dms.members import Members
from pglogical_cdc.formatters.dms.settings import BeforeImage, BeforeImageColumns
from pglogical_cdc.formatters.dms.values import ValueOptions, renderer

__all__ = ("Table", "TableOptions", "Tables", "primary_key")


@record
class TableOptions:
    """The options that shape the description of a table."""

    topic: str | Callable[[str, str], str]
    values: ValueOptions
    nulls: bool
    """``IncludeNullAndEmpty``."""
    lobs_without_primary_key: bool
    before_image: BeforeImage | BeforeImageColumns | None


@record
class Table:
    """One version of a table, as the formatter writes it."""

    relation: Relation
    topic: str
    data: Members
    before: Members | None
    """The columns that a before image has; None if there is to be none."""
    schema_table: str
    """The partition key of that type."""
    name: str
    """The members ``schema-name`` and ``table-name``."""
    types: Sequence[tuple[str, ColumnType, bool]]
    """Name, type and nullability of the columns, for a ``table-def``."""
    primary_key: tuple[str, ...]


class Tables:
    """Describes versions of tables.

    Args:
        options: what shapes the descriptions.
        layout: where tabs and line ends go.
    """

    def __init__(self, options: TableOptions, layout: Layout) -> None:
        self._options: Final = options
        self._layout: Final = layout

    def describe(self, relation: Relation) -> Table:
        """Return the description of a version of a table."""
        options, colon = self._options, self._layout.colon
        boolean = options.values.map_boolean_as_boolean
        kinds = [column_type(relation, each, boolean=boolean) for each in relation.columns]
        key = primary_key(relation)
        shown = [
            position
            for position, kind in enumerate(kinds)
            if key or options.lobs_without_primary_key or not kind.is_lob
        ]
        schema, name = relation.schema, relation.name
        return Table(
            relation=relation,
            topic=options.topic if isinstance(options.topic, str) else options.topic(schema, name),
            data=self._members(relation, shown),
            before=self._before(relation, kinds, shown),
            schema_table=f"{schema}.{name}",
            name=(
                f'"schema-name"{colon}{quoted(schema)}{self._layout.separator}'
                f'"table-name"{colon}{quoted(name)}'
            ),
            types=self._types(relation, kinds, shown),
            primary_key=tuple(each for each in key if each in relation.positions),
        )

    def _members(
        self,
        relation: Relation,
        positions: Sequence[int],
        rename: Callable[[str], str] | None = None,
    ) -> Members:
        columns = []
        for position in positions:
            column = relation.columns[position]
            name = column.name if rename is None else rename(column.name)
            render = renderer(relation, column, self._options.values)
            columns.append((position, quoted(name) + self._layout.colon, render))
        return Members(
            relation, columns, nulls=self._options.nulls, separator=self._layout.separator
        )

    def _before(
        self, relation: Relation, kinds: Sequence[ColumnType], shown: Sequence[int]
    ) -> Members | None:
        wanted = self._options.before_image
        if wanted is None:
            return None
        rename = wanted.name if isinstance(wanted, BeforeImageColumns) else None
        positions = self._filtered(relation, kinds, shown)
        if rename is not None:
            _check_names(relation, [rename(relation.columns[each].name) for each in positions])
        return self._members(relation, positions, rename)

    def _filtered(
        self, relation: Relation, kinds: Sequence[ColumnType], shown: Sequence[int]
    ) -> Sequence[int]:
        wanted = self._options.before_image
        if wanted is None:
            return ()
        if wanted.column_filter == "pk-only":
            key = primary_key(relation)
            return [position for position in shown if relation.columns[position].name in key]
        if wanted.column_filter == "non-lob":
            return [position for position in shown if not kinds[position].is_lob]
        return shown

    def _types(
        self, relation: Relation, kinds: Sequence[ColumnType], shown: Sequence[int]
    ) -> Sequence[tuple[str, ColumnType, bool]]:
        known = () if relation.catalog is None else relation.catalog.columns
        not_null = {column.name for column in known if column.not_null}
        names = [column.name for column in relation.columns]
        types = [(names[each], kinds[each], names[each] not in not_null) for each in shown]
        wanted = self._options.before_image
        if isinstance(wanted, BeforeImageColumns):
            filtered = self._filtered(relation, kinds, shown)
            types += [(wanted.name(names[each]), kinds[each], True) for each in filtered]
        return types


def _check_names(relation: Relation, made: Sequence[str]) -> None:
    taken = [name for name in made if name in relation.positions]
    if taken:
        raise ConfigurationError(
            f"the before image's column {taken[0]!r} would be a second one of "
            f"{relation.schema}.{relation.name}: choose another column_prefix or column_suffix"
        )


def primary_key(relation: Relation) -> tuple[str, ...]:
    """Return the names of the primary key's columns; none if there is no primary key.

    Without a catalog, or with that of a later version that does not fit, the replica identity
    counts where it is that of the primary key.
    """
    relation = relation.base or relation
    if relation.catalog is not None:
        names = relation.catalog.primary_key or ()
        if all(name in relation.positions for name in names):
            return names
    if relation.replica_identity is ReplicaIdentity.DEFAULT:
        return tuple(column.name for column in relation.columns if column.is_identity)
    return ()
