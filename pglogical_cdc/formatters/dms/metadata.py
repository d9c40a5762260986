"""Metadata: the member ``metadata`` of a record."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from pglogical_cdc.formatters.dms.layout import Layout, quoted

__all__ = ("Metadata", "RecordType")

RecordType: TypeAlias = Literal["data", "control"]


class Metadata:
    """Writes the metadata of one type of records.

    Args:
        layout: where tabs and line ends go.
        record_type: what ``record-type`` says.
        key_values: whether ``partition-key-value`` is written, of keys that are not of the table.
    """

    def __init__(self, layout: Layout, record_type: RecordType, *, key_values: bool) -> None:
        self._layout: Final = layout
        self._record_type: Final = record_type
        self.key_values: Final = key_values
        self._kinds: dict[tuple[str, str], str] = {}
        """What comes after the time, by operation and type of key."""

    def members(
        self,
        time: str,
        operation: str,
        key_type: str,
        key: str,
        name: str,
        xid: int | str | None = None,
    ) -> str:
        """Return the members, each with a separator before it.

        Args:
            time: what ``timestamp`` says.
            operation: what ``operation`` says.
            key_type: type of the partition key.
            key: the partition key.
            name: the members ``schema-name`` and ``table-name``.
            xid: transaction ID; None if there is no transaction.
        """
        colon, separator = self._layout.colon, self._layout.separator
        kind = self._kinds.get((operation, key_type))
        if kind is None:
            kind = self._kinds[operation, key_type] = (
                f'"{separator}"record-type"{colon}"{self._record_type}"'
                f'{separator}"operation"{colon}"{operation}"'
                f'{separator}"partition-key-type"{colon}"{key_type}"'
            )
        value = in_transaction = ""
        if self.key_values and key_type != "schema-table":
            value = f'{separator}"partition-key-value"{colon}{quoted(key)}'
        if xid is not None:
            in_transaction = f'{separator}"transaction-id"{colon}{xid}'
        return f'{separator}"timestamp"{colon}"{time}{kind}{value}{separator}{name}{in_transaction}'
