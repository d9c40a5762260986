"""TruncateColumns: text and bytes that are cut off."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from pglogical_cdc._utf16 import utf16_cut
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Alteration, Column, RawValue, Relation, base_type
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.transforms.columns import Alter, ColumnTransform
from pglogical_cdc.transforms.text_columns import is_character, is_text, on_text

__all__ = ("TruncateColumns",)


class TruncateColumns(ColumnTransform):
    """Cuts text and bytes off (``column.truncate.to.<chars>.chars``).

    That goes for every type that is written as its text (character types, enums, JSON, XML,
    ``uuid``, network addresses, ranges and the like), in UTF-16 units as in Debezium but never in
    the middle of a character, and for ``bytea``, in bytes. Other types are left as they are; the
    Debezium formats cut their JSON where it is a string (a ``timestamptz``, or a ``numeric`` in
    mode ``string``), as Debezium does.

    Args:
        columns: regular expressions of ``schema.table.column``.
        chars: the length.

    Raises:
        ConfigurationError: an expression is none, or `chars` is not more than 0.
    """

    def __init__(self, columns: str | Sequence[str], *, chars: int) -> None:
        if chars < 1:
            raise ConfigurationError(f"chars must be 1 or more, not {chars}")
        super().__init__(columns)
        self._length = chars

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, Alter | None]:
        if not matches:
            return column, None
        alteration = Alteration(
            (("truncateLength", str(self._length)),), None, max_length=self._length
        )
        if base_type(relation, column)[0] == "bytea":
            return evolve(column, alteration=alteration), self._cut_bytes
        binary_is_text = is_character(relation, column)
        if not is_text(relation, column):
            return evolve(column, alteration=alteration), None

        def cut(text: str) -> str:
            return utf16_cut(text, self._length)

        cut_text = on_text(cut)

        def cut_value(value: RawValue) -> RawValue:
            # In binary form only character types are their text.
            is_other = isinstance(value, BinaryValue) and not binary_is_text
            return value if is_other else cut_text(value)

        return evolve(column, alteration=evolve(alteration, alter=cut)), cut_value

    def _cut_bytes(self, value: RawValue) -> RawValue:
        if not isinstance(value, bytes):
            return value
        if isinstance(value, BinaryValue):
            return BinaryValue(value[: self._length])
        return value[: 2 + 2 * self._length]  # \x and two digits each
