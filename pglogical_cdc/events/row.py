"""Row: the columns of one row version, decoded when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from pglogical_cdc.absent import NOT_SENT, Absent

if TYPE_CHECKING:
    from pglogical_cdc.events.relation import Relation

__all__ = ("AlteredRow", "RawValue", "Row", "key_image")

RawValue: TypeAlias = "bytes | Absent | None"
"""A value as it came: `bytes` (text format), `BinaryValue`, None for NULL, UNCHANGED, NOT_SENT."""


class _NotLoaded:
    """Marks a value that nobody has asked for yet."""


_NOT_LOADED = _NotLoaded()


class Row(Mapping[str, object]):
    """A read-only mapping from column name to Python value.

    Columns come in the order of the table. A value is decoded at its first use and kept. NULL is
    None; a value that the server did not send is `UNCHANGED` or `NOT_SENT`, never None.

    Two rows are equal if their names and values are; the repr shows names only, no values.
    """

    __slots__ = ("_loaded", "raw", "relation")

    def __init__(self, relation: Relation, raw: Sequence[RawValue]) -> None:
        self.relation: Final = relation
        """The version of the table that the row belongs to."""
        self.raw: Final = raw
        """The wire values, one for each of ``relation.columns``."""
        self._loaded: list[object] | None = None

    @property
    def base(self) -> Row:
        """The row that the server sent, where a transform made this one of it; keys come from it.

        Else the row itself.
        """
        return self

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the columns that the server did not send."""
        return tuple(
            column.name
            for column, value in zip(self.relation.columns, self.raw, strict=True)
            if isinstance(value, Absent)
        )

    @property
    def is_complete(self) -> bool:
        """Whether the server sent every column."""
        return not any(isinstance(value, Absent) for value in self.raw)

    def __getitem__(self, name: str) -> object:
        position = self.relation.positions[name]
        value = self.raw[position]
        if not isinstance(value, bytes):
            return value
        loaded = self._loaded
        if loaded is None:
            loaded = self._loaded = [_NOT_LOADED] * len(self.raw)
        result = loaded[position]
        if result is _NOT_LOADED:
            result = loaded[position] = self.relation.to_python(position, value)
        return result

    def __iter__(self) -> Iterator[str]:
        return iter(self.relation.positions)

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, name: object) -> bool:
        return name in self.relation.positions

    def __repr__(self) -> str:
        relation = self.relation
        names = ", ".join(
            f"{column.name}={value!r}" if isinstance(value, Absent) else column.name
            for column, value in zip(relation.columns, self.raw, strict=True)
        )
        return f"<Row of {relation.schema}.{relation.name}: {names}>"


class AlteredRow(Row):
    """A row that a transform made of another; it remembers that one for its key.

    Args:
        relation: the version of the table that the new row belongs to.
        raw: its wire values.
        base: the row that it was made of.
    """

    __slots__ = ("_base",)

    def __init__(self, relation: Relation, raw: Sequence[RawValue], base: Row) -> None:
        super().__init__(relation, raw)
        self._base = base.base

    @property
    def base(self) -> Row:
        """The row that the server sent."""
        return self._base


def key_image(relation: Relation, values: Sequence[RawValue]) -> list[RawValue]:
    """Return the values of an old key, with `NOT_SENT` for the columns outside it.

    TupleData of kind ``K`` has NULL for those columns (PostgreSQL manual, "Logical Replication
    Message Formats", Update), which must not be taken for a NULL of the row. Values it has where
    a partition with REPLICA IDENTITY FULL is published as its root, which has another identity.

    Args:
        relation: the version of the table.
        values: one for each of its columns.
    """
    image = list(values)
    for i in relation.outside_identity:
        if image[i] is None:
            image[i] = NOT_SENT
    return image
