"""Tables, watermarks and copies for the tests of incremental snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc import UNCHANGED, Change, Delete, Insert, SnapshotRead, Truncate, Update
from pglogical_cdc.postgres import Conversation, high_watermark, low_watermark
from pglogical_cdc.snapshot import chunk_reader

if TYPE_CHECKING:
    from pglogical_cdc.lsn import LSN

__all__ = ("Between", "copy_of")


class Between:
    """Does something between two watermarks: the test's writer, at a known moment.

    Args:
        patch: puts it where the watermarks are written.
        before: done after the first watermark, before the rows' snapshot, once for each chunk.
        behind: done after the rows' snapshot, before the second watermark.
    """

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        *,
        before: Callable[[int], object] = lambda chunk: None,
        behind: Callable[[int], object] = lambda chunk: None,
    ) -> None:
        self.chunks = 0
        self._before = before
        self._behind = behind
        patch.setattr(chunk_reader, "low_watermark", self._low)
        patch.setattr(chunk_reader, "high_watermark", self._high)

    def _low(self, token: str) -> Conversation[LSN]:
        lsn = yield from low_watermark(token)
        self.chunks += 1
        self._before(self.chunks)
        return lsn

    def _high(self, token: str) -> Conversation[None]:
        self._behind(self.chunks)
        yield from high_watermark(token)


def copy_of(changes: Sequence[Change], key: str = "id") -> dict[object, dict[str, Any]]:
    """Fold changes into a copy of the one table that they are of, as a consumer would."""
    rows: dict[object, dict[str, Any]] = {}
    for change in changes:
        match change:
            case SnapshotRead(after=after) | Insert(after=after):
                rows[after[key]] = dict(after)
            case Update(before=before, after=after):
                known = rows.pop((after if before is None else before)[key], {})
                rows[after[key]] = {
                    name: known.get(name) if value is UNCHANGED else value
                    for name, value in after.items()
                }
            case Delete(before=before):
                rows.pop(before[key], None)
            case Truncate():
                rows.clear()
            case _:
                pass
    return rows
