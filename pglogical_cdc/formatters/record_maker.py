"""RecordMaker: a formatter that makes records in another process, and sends them cheaply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TypeAlias

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.events import Change
from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.lsn import LSN

__all__ = ("PackedRecords", "RecordMaker")

_Head: TypeAlias = tuple[type[Record], str, Sequence[tuple[str, bytes]], "tuple[LSN, int] | None"]


@record
class PackedRecords:
    """Records that follow each other and differ in key and value only."""

    head: _Head
    """Class, topic, headers and place."""
    keys: list[bytes | None] = field(repr=False)
    values: list[bytes | None] = field(repr=False)

    def unpack(self) -> Iterable[Record]:
        """Return the records."""
        kind, topic, headers, place = self.head
        return map(kind, repeat(topic), self.keys, self.values, repeat(headers), repeat(place))


class RecordMaker:
    """Makes records of changes.

    It can be pickled if the formatter can.

    Args:
        formatter: the formatter.
    """

    def __init__(self, formatter: Formatter) -> None:
        self._formatter = formatter

    def pack(self, changes: Iterable[Change]) -> list[PackedRecords]:
        """Return the records of some changes."""
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
                    kind, topic, headers, place = head = (
                        made.__class__,
                        made.topic,
                        made.headers,
                        made._place,
                    )
                    keys: list[bytes | None] = []
                    values: list[bytes | None] = []
                    packed.append(PackedRecords(head, keys, values))
                keys.append(made.key)
                values.append(made.value)
        return packed

    def unpack(self, packed: Iterable[PackedRecords]) -> list[Record]:
        """Return the records that `pack` has made."""
        return [made for each in packed for made in each.unpack()]
