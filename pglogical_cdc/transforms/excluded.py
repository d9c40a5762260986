"""ExcludeColumns and IncludeColumns: columns that are left out."""

from __future__ import annotations

from pglogical_cdc.events import Column, Relation
from pglogical_cdc.transforms.columns import Alter, ColumnTransform

__all__ = ("ExcludeColumns", "IncludeColumns")


class ExcludeColumns(ColumnTransform):
    """Leaves columns out (``column.exclude.list``).

    Args:
        columns: regular expressions of ``schema.table.column``.

    Raises:
        ConfigurationError: one is no regular expression.
    """

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, Alter | None]:
        return None if matches else column, None


class IncludeColumns(ColumnTransform):
    """Leaves out all other columns, of every table (``column.include.list``).

    Args:
        columns: regular expressions of ``schema.table.column``.

    Raises:
        ConfigurationError: one is no regular expression.
    """

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, Alter | None]:
        return column if matches else None, None
