"""RowFormat: what is prepared once to write the rows, or the keys, of one version of a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.events import RawValue, Relation
from pglogical_cdc.formatters.debezium.column_format import ColumnFormat
from pglogical_cdc.formatters.debezium.connect_schema import ConnectSchema
from pglogical_cdc.formatters.wire.binary_form import binary_form_error
from pglogical_cdc.formatters.wire.column_writer import ColumnWriter, column_writer
from pglogical_cdc.formatters.wire.json_text import json_string
from pglogical_cdc.formatters.wire.row_writer import (
    Frame,
    Member,
    WriteEvent,
    WriteRow,
    compile_event,
    compile_row,
)
from pglogical_cdc.formatters.wire.usual_form import AS_IT_IS

__all__ = ("Deviations", "RowFormat", "row_members")

Deviations: TypeAlias = "tuple[tuple[int, ConnectSchema], ...]"
"""Index of a column, and the schema that a value of it needs instead of the column's own."""


def row_members(columns: Sequence[ColumnFormat]) -> list[Member]:
    """Return the columns of a row as `compile_row` wants them."""
    members = []
    for i, column in enumerate(columns):
        failed = "failed[#](v)" if callable(column.failed) else "failed[#]"
        members.append(
            Member(
                position=column.position,
                name=f"{',' if i else '{'}{column.name.decode()}:",
                form=AS_IT_IS if column.convert is None else column.form,
                call=f"(convert[#](v) or {failed}).decode()",
                names={"convert": column.convert, "failed": column.failed},
                null=column.null.decode(),
                not_sent=None if column.not_sent is None else column.not_sent.decode(),
            )
        )
    return members


class RowFormat:
    """Makes the JSON objects of rows, and their schemas.

    Args:
        relation: the version of the table.
        columns: those that are written, in their order.
        name: of the struct's schema.
        optional: whether a row may be absent.
    """

    __slots__ = (
        "_deviations",
        "_indexes",
        "columns",
        "fills",
        "name",
        "optional",
        "relation",
        "write",
    )

    def __init__(
        self, relation: Relation, columns: Sequence[ColumnFormat], name: str, *, optional: bool
    ) -> None:
        self.relation = relation
        self.columns = tuple(columns)
        self.name = name
        self.optional = optional
        self.fills = any(
            column.schema.optional and column.schema.default is not None for column in columns
        )
        """Whether NULL may be replaced by a default."""
        self.write: WriteRow = compile_row(
            row_members(self.columns),
            end="}" if columns else "{}",
            other=self._absent,
            plain=self.plain_payload,
        )
        """Writes the JSON object of a row, and what stands around it."""
        self._indexes = {column.field: i for i, column in enumerate(self.columns)}
        self._deviations = [
            (i, column.position, column.deviation)
            for i, column in enumerate(self.columns)
            if column.deviation is not None
        ]

    def event(self, key: RowFormat, frame: Frame) -> WriteEvent | None:
        """Return what writes a row within its event, and the key, as `compile_event` does."""
        return compile_event(
            row_members(self.columns),
            row_members(key.columns),
            frame,
            end="}",
            other=self._absent,
            plain=self.plain_payload,
            plain_key=key.payload,
        )

    def column_writer(self, key: RowFormat) -> ColumnWriter | None:
        """Return what writes many rows and their keys, as `column_writer` of the module does."""
        return column_writer(row_members(self.columns), row_members(key.columns), end="}")

    def payload(self, raw: Sequence[RawValue]) -> bytes:
        """Return the JSON object of a row, given its wire values.

        Raises:
            ConfigurationError: a value is in the binary form of its type.
        """
        return self.write(raw, "", "")

    def plain_payload(self, raw: Sequence[RawValue]) -> bytes:
        """Return what `payload` does, column by column.

        Raises:
            ConfigurationError: a value is in the binary form of its type.
        """
        return b"{%b}" % b",".join(
            [
                b"%b:%b" % (column.name, value)
                for column, value in zip(self.columns, self.values(raw), strict=True)
                if value is not None
            ]
        )

    def _absent(self, index: int, value: RawValue) -> str:
        absent = self._otherwise(index, value)
        if absent is None:
            raise LookupError("the member is left out")
        return absent.decode()

    def value(self, field: str, raw: Sequence[RawValue]) -> bytes | None:
        """Return the JSON of one field; None if it is left out, or there is none of that name.

        Raises:
            ConfigurationError: the value is in the binary form of its type.
        """
        index = self._indexes.get(field)
        return None if index is None else self._value(index, raw[self.columns[index].position])

    def text(self, field: str, raw: Sequence[RawValue]) -> str:
        """Return a field of text as such; empty if it is NULL or of another type.

        Raises:
            ConfigurationError: the value is in the binary form of its type.
        """
        index = self._indexes.get(field)
        if index is None or self.columns[index].schema.type != "string":
            return ""
        found = json.loads(self.value(field, raw) or b"null")
        return found if isinstance(found, str) else ""

    def is_same(self, first: Sequence[RawValue], second: Sequence[RawValue]) -> bool:
        """Tell whether two rows are written alike."""
        return all(
            first[column.position] == second[column.position]
            or self._value(i, first[column.position]) == self._value(i, second[column.position])
            for i, column in enumerate(self.columns)
        )

    def values(self, raw: Sequence[RawValue]) -> tuple[bytes | None, ...]:
        """Return the JSON of each of `columns`; None for what is left out.

        Raises:
            ConfigurationError: a value is in the binary form of its type.
        """
        return tuple([self._value(i, raw[each.position]) for i, each in enumerate(self.columns)])

    def _value(self, index: int, value: RawValue) -> bytes | None:
        column = self.columns[index]
        if type(value) is not bytes:
            return column.null if value is None else self._otherwise(index, value)
        if column.convert is None:
            return value
        try:
            converted = column.convert(value)
        except Exception:
            # The value is not of the form that its type has in the server's settings that the
            # reader pins (date style, for one). One column is not worth the row.
            return json_string(value)
        if converted is not None:
            return converted
        return column.failed(value) if callable(column.failed) else column.failed

    def _otherwise(self, index: int, value: RawValue) -> bytes | None:
        """Return the JSON of a value that is neither text nor NULL."""
        if isinstance(value, bytes):
            raise binary_form_error(self.relation)
        column = self.columns[index]
        return column.unchanged if value is UNCHANGED else column.not_sent

    def deviations(self, raw: Sequence[RawValue]) -> Deviations:
        """Return index in `columns` and schema of each that a row's value does not fit."""
        found = []
        for i, position, deviation in self._deviations:
            schema = deviation(raw[position])
            if schema is not None:
                found.append((i, schema))
        return tuple(found)

    def schema(self, deviations: Deviations = ()) -> ConnectSchema:
        """Return the schema of rows, with some columns' schemas replaced."""
        instead = dict(deviations)
        return ConnectSchema(
            "struct",
            optional=self.optional,
            name=self.name,
            fields=tuple(
                (column.field, instead.get(i, column.schema))
                for i, column in enumerate(self.columns)
            ),
        )
