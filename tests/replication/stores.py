"""Stores of offsets for tests, in memory: `FileOffsets` and `PostgresOffsets` have their own."""

from __future__ import annotations

import time
from collections.abc import Callable

from pglogical_cdc.offsets import Offset

__all__ = ("AsyncMemoryOffsets", "MemoryOffsets")


class MemoryOffsets:
    """Keeps everything that was saved.

    Args:
        offset: what was saved before, if anything was.
        seconds: a save takes so long.
        failure: raises what a save is to fail with, from when on it is set.
    """

    def __init__(self, offset: Offset | None = None, *, seconds: float = 0.0) -> None:
        self.saved: list[Offset] = [] if offset is None else [offset]
        self.failure: Callable[[], Exception] | None = None
        self._seconds = seconds

    @property
    def last(self) -> Offset:
        return self.saved[-1]

    def load(self, key: str) -> Offset | None:
        if self.failure is not None:
            raise self.failure()
        return self.saved[-1] if self.saved else None

    def save(self, key: str, offset: Offset) -> None:
        assert key == offset.slot
        if self._seconds:
            time.sleep(self._seconds)
        if self.failure is not None:
            raise self.failure()
        self.saved.append(offset)


class AsyncMemoryOffsets:
    """The same as coroutines."""

    def __init__(self, offset: Offset | None = None) -> None:
        self._kept = MemoryOffsets(offset)

    @property
    def saved(self) -> list[Offset]:
        return self._kept.saved

    async def load(self, key: str) -> Offset | None:
        return self._kept.load(key)

    async def save(self, key: str, offset: Offset) -> None:
        self._kept.save(key, offset)
