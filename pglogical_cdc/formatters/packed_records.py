"""PackedRecords: records that have all in common but key and value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TypeAlias

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.lsn import LSN

__all__ = ("PackedRecords", "RecordHead")

RecordHead: TypeAlias = tuple[
    type[Record], str, Sequence[tuple[str, bytes]], "tuple[LSN, int] | None"
]
"""Class, topic, headers and place of records."""


@record
class PackedRecords:
    """Records that follow each other and differ in key and value only.

    They go to another process, and wait, at less cost than so many `Record`.
    """

    head: RecordHead
    keys: Sequence[bytes | None] = field(repr=False)
    values: Sequence[bytes | None] = field(repr=False)

    def unpack(self) -> Iterable[Record]:
        """Return the records."""
        kind, topic, headers, place = self.head
        return map(kind, repeat(topic), self.keys, self.values, repeat(headers), repeat(place))
