"""RecordMaker: a formatter that makes the records of many rows of a snapshot, here or elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from pglogical_cdc.events import Change, SnapshotRows
from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.formatters.packed_records import PackedRecords, RecordHead

__all__ = ("RecordMaker",)


class _RowsFormatter(Protocol):
    """A formatter that can make the records of rows at once."""

    def format_rows(self, rows: SnapshotRows) -> PackedRecords | None:
        """Return what `format` gives of each row; None if each has to be looked at."""
        ...


class RecordMaker:
    """Makes records of rows.

    It can be pickled if the formatter can.

    Args:
        formatter: the formatter.
    """

    def __init__(self, formatter: Formatter) -> None:
        self._formatter = formatter
        self.takes_rows = _takes_rows(formatter)
        """Whether it makes the records of many rows with less effort than those of each."""

    def pack(self, rows: SnapshotRows) -> list[PackedRecords]:
        """Return the records of some rows, in a form that is pickled at little cost."""
        if self.takes_rows:
            formatter: _RowsFormatter = self._formatter  # type: ignore[assignment]
            packed = formatter.format_rows(rows)
            if packed is not None:
                return [packed]
        return self._packed(rows.changes())

    def _packed(self, changes: Iterable[Change]) -> list[PackedRecords]:
        packed: list[PackedRecords] = []
        topic = headers = place = kind = None
        for change in changes:
            for made in self._formatter.format(change):
                if (
                    made.topic is not topic
                    or made.headers is not headers
                    or made._place != place
                    or made.__class__ is not kind
                ):
                    kind, topic, headers, place = (
                        made.__class__,
                        made.topic,
                        made.headers,
                        made._place,
                    )
                    head: RecordHead = kind, topic, headers, place
                    keys: list[bytes | None] = []
                    values: list[bytes | None] = []
                    packed.append(PackedRecords(head, keys, values))
                keys.append(made.key)
                values.append(made.value)
        return packed

    def unpack(self, packed: Iterable[PackedRecords]) -> Sequence[Record]:
        """Return the records that `pack` has made."""
        return [made for each in packed for made in each.unpack()]


def _takes_rows(formatter: Formatter) -> bool:
    """Tell whether a formatter has a `format_rows` that knows of its `format`.

    Somebody's own class, or object, may have another `format` than the one it is derived from.
    """
    if "format" in getattr(formatter, "__dict__", {}):
        return False
    for each in type(formatter).__mro__:
        if "format_rows" in each.__dict__:
            return True
        if "format" in each.__dict__:
            return False
    return False
