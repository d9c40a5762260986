"""MaskColumns: asterisks instead of values."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Alteration, Column, RawValue, Relation
from pglogical_cdc.transforms.columns import Alter, ColumnTransform
from pglogical_cdc.transforms.text_columns import is_character

__all__ = ("MaskColumns",)


class MaskColumns(ColumnTransform):
    """Writes asterisks instead of values (``column.mask.with.<chars>.chars``).

    As in Debezium, columns of character types, enums and domains over them are masked, NULL
    included, and **all others are left as they are**: leave those out with `ExcludeColumns`.

    Args:
        columns: regular expressions of ``schema.table.column``.
        chars: how many asterisks; 0 for an empty string.

    Raises:
        ConfigurationError: an expression is none, or `chars` is negative.
    """

    def __init__(self, columns: str | Sequence[str], *, chars: int) -> None:
        if chars < 0:
            raise ConfigurationError(f"chars must be 0 or more, not {chars}")
        super().__init__(columns)
        self._mask = "*" * chars

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, Alter | None]:
        if not matches:
            return column, None
        parameters = (("masked", "true"),)
        if not is_character(relation, column):
            return evolve(column, alteration=Alteration(parameters, None)), None
        mask = self._mask
        raw = mask.encode()

        def masked(value: RawValue) -> RawValue:
            if value is None:
                return raw
            return type(value)(raw) if isinstance(value, bytes) else value

        alteration = Alteration(parameters, lambda text: mask, mask)
        return evolve(column, alteration=alteration), masked
