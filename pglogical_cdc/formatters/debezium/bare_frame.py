"""BareFrame: what records that are a row and a key, and nothing else, have in common."""

from __future__ import annotations

from typing import Any

from pglogical_cdc.events import Delete, Row, RowChange, Update
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.debezium.formatter import Headers
from pglogical_cdc.formatters.debezium.table import TableFormat

__all__ = ("BareFrame",)


class BareFrame:
    """The records of one operation on one version of a table.

    Args:
        table: the version.
        kind: class of the changes.
        headers: of every record.
        has_key: whether records have a key.
        deleted: value of the records of deletes.
    """

    __slots__ = (
        "_deleted",
        "_has_other_key",
        "_headers",
        "_is_delete",
        "_is_update",
        "_topic",
        "_write",
        "_write_key",
        "kind",
        "relation",
    )

    def __init__(
        self,
        table: TableFormat,
        kind: type[RowChange],
        headers: Headers,
        *,
        has_key: bool,
        deleted: bytes | None,
    ) -> None:
        self.kind = kind
        self.relation = table.relation
        self._topic = table.topic
        self._headers = headers
        self._deleted = deleted
        self._is_delete = issubclass(kind, Delete)
        self._is_update = issubclass(kind, Update)
        self._has_other_key = table.has_other_key
        self._write_key = table.key_format.write if has_key else None
        self._write = table.row_format.write

    def record(self, change: Any) -> Record | None:
        """Return the only record of a change; None if it may have several.

        Args:
            change: of the relation and class of the frame.

        Raises:
            ConfigurationError: a value is in binary form.
        """
        if self._is_delete:
            row = change.before
            raw, value = row.raw, self._deleted
        else:
            row = change.after
            if self._is_update:
                before = change.before
                if before is not None and self._has_other_key(before, row):
                    return None
            raw = row.raw
            value = self._write(raw, "", "")
        if self._write_key is None:
            key = None
        else:
            key = self._write_key(raw if row.__class__ is Row else row.base.raw, "", "")
        transaction = change.transaction
        return Record(
            self._topic,
            key,
            value,
            self._headers,
            change.position if transaction is None else (transaction.commit_lsn, change.ordinal),
        )
