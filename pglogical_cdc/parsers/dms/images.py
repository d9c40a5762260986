"""Images: rows of JSON values, and the wire values of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pglogical_cdc.absent import NOT_SENT, UNCHANGED, Absent
from pglogical_cdc.events import RawValue
from pglogical_cdc.parsers.dms.column_types import NEVER_TOASTED
from pglogical_cdc.parsers.dms.strict_json import json_type, not_dms
from pglogical_cdc.parsers.dms.table_definition import TableColumn, TableDefinition

__all__ = ("BeforeColumns", "Image", "deleted_raw", "inserted_raw", "old_raw", "updated_raw")

Image: TypeAlias = Mapping[str, Any]
"""JSON values by column."""


class BeforeColumns:
    """Takes apart what ``add-before-image-columns`` has put into ``data``.

    Args:
        prefix: what stands before the names of the old values' columns.
        suffix: what stands after them; if both are empty there are no such columns.
    """

    def __init__(self, prefix: str, suffix: str) -> None:
        self._prefix: Final = prefix
        self._suffix: Final = suffix

    def column(self, name: str) -> str | None:
        """Return the column whose old value a member has; None if it has that of its own."""
        prefix, suffix = self._prefix, self._suffix
        if not prefix + suffix or len(name) <= len(prefix + suffix):
            return None
        if not (name.startswith(prefix) and name.endswith(suffix)):
            return None
        return name[len(prefix) : len(name) - len(suffix)]

    def divided(self, data: Image) -> tuple[Image, Image]:
        """Return the row, and the before image.

        An image of nothing but NULL is none: so it is where nothing was to be told.
        """
        if not self._prefix + self._suffix:
            return data, {}
        row: dict[str, Any] = {}
        before: dict[str, Any] = {}
        for name, value in data.items():
            column = self.column(name)
            if column is None:
                row[name] = value
            else:
                before[column] = value
        return row, before if any(value is not None for value in before.values()) else {}

    def sent(self, before: Image, key: Sequence[str] | None) -> Image:
        """Return what the server has sent of a before image.

        In columns, null also stands for what it did not send. So it does in all of them if only
        the key has values, or if nothing tells the key.

        Args:
            before: the before image.
            key: the columns that identify a row, if they are known.
        """
        if key is not None and any(before[name] is not None for name in before if name not in key):
            return before
        return {name: value for name, value in before.items() if value is not None}

    def left_out(self, definition: TableDefinition) -> TableDefinition:
        """Return the definition of a table without such columns."""
        columns = [each for each in definition.columns if self.column(each.name) is None]
        return TableDefinition(tuple(columns), definition.primary_key)


def inserted_raw(columns: Sequence[TableColumn], data: Image) -> list[RawValue]:
    """Return the values of a new row: what it does not show is NULL."""
    return _raw("data", columns, data, lambda _: None)


def updated_raw(
    columns: Sequence[TableColumn], data: Image, before: Image, *, null_for_absent: bool
) -> list[RawValue]:
    """Return the values of a row after an update.

    What it does not show is NULL, or a TOASTed value that did not change. It is NULL for sure if
    the type is never TOASTed; or if the before image has the column, because then the server has
    sent the value even if it did not change.

    Args:
        columns: the columns of the table.
        data: the row after the update.
        before: the row before the update.
        null_for_absent: whether it is always NULL.
    """

    def absent(column: TableColumn) -> Absent | None:
        fixed = column.is_defined and column.type.name in NEVER_TOASTED
        return None if null_for_absent or fixed or column.name in before else UNCHANGED

    return _raw("data", columns, data, absent)


def old_raw(what: str, columns: Sequence[TableColumn], before: Image) -> list[RawValue]:
    """Return the values of a row before an update.

    Args:
        what: name of the member, for errors.
        columns: the columns of the table.
        before: the before image.
    """
    return _raw(what, columns, before, lambda _: NOT_SENT)


def deleted_raw(
    columns: Sequence[TableColumn], key: Sequence[str] | None, data: Image
) -> list[RawValue]:
    """Return the values of a deleted row.

    One of which only the key has values is the image of a key: ``IncludeNullAndEmpty`` shows what
    the server did not send as null.

    Args:
        columns: the columns of the table.
        key: the columns that identify a row, if they are known.
        data: the row.
    """
    raw = _raw("data", columns, data, lambda _: NOT_SENT)
    if key is None or any(data[name] is not None for name in data if name not in key):
        return raw
    return [
        value if column.name in key else NOT_SENT
        for column, value in zip(columns, raw, strict=True)
    ]


def _raw(
    what: str,
    columns: Sequence[TableColumn],
    image: Image,
    absent: Callable[[TableColumn], RawValue],
) -> list[RawValue]:
    return [
        _value(what, column, image[column.name]) if column.name in image else absent(column)
        for column in columns
    ]


def _value(what: str, column: TableColumn, value: Any) -> RawValue:
    if value is None:
        return None
    try:
        return column.type.text(value).encode()
    except (ValueError, TypeError, LookupError, ArithmeticError):
        raise not_dms(
            f"a value of type {column.type.name} as {what}.{column.name}",
            f"{json_type(value)} that is none",
        ) from None
