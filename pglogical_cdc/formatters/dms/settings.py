"""Settings of DMS that are more than a word: before images."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from attrs import frozen

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters.option_check import check_option, check_text

__all__ = ("BeforeImage", "BeforeImageColumns", "ColumnFilter")

ColumnFilter: TypeAlias = Literal["pk-only", "non-lob", "all"]
"""Which columns a before image has: those of the primary key, all but LOBs, all."""


@frozen
class BeforeImage:
    """``BeforeImageSettings`` of a task: a member of its own beside ``data``, in updates.

    Raises:
        ConfigurationError: `field_name` is empty or taken, or `column_filter` is none of AWS's.
    """

    field_name: str = "before-image"
    """``FieldName``: what the member is called."""
    column_filter: ColumnFilter = "pk-only"
    """``ColumnFilter``."""

    def __attrs_post_init__(self) -> None:
        check_text("field_name", self.field_name)
        if self.field_name in ("", "data", "metadata", "control"):
            raise ConfigurationError(
                f"field_name must be a name that no other member has, not {self.field_name!r}"
            )
        check_option("column_filter", self.column_filter, *get_args(ColumnFilter))


@frozen
class BeforeImageColumns:
    """The transformation rule ``add-before-image-columns``: more columns in ``data``.

    Raises:
        ConfigurationError: prefix and suffix are both empty, or `column_filter` is none of AWS's.
    """

    column_prefix: str = "BI_"
    """``column-prefix``: stands before the column's name."""
    column_suffix: str = ""
    """``column-suffix``: stands after it."""
    column_filter: ColumnFilter = "pk-only"
    """``column-filter``."""

    def __attrs_post_init__(self) -> None:
        check_text("column_prefix", self.column_prefix)
        check_text("column_suffix", self.column_suffix)
        if not self.column_prefix + self.column_suffix:
            raise ConfigurationError("column_prefix and column_suffix must not both be empty")
        check_option("column_filter", self.column_filter, *get_args(ColumnFilter))

    def name(self, column: str) -> str:
        """Return the name of the column that has the old value of a column."""
        return f"{self.column_prefix}{column}{self.column_suffix}"
