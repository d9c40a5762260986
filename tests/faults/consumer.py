"""A consumer of either reader, in a thread, so that a test can break things meanwhile."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias

from typing_extensions import Self

from pglogical_cdc import (
    AsyncReplicationReader,
    Backoff,
    Change,
    ReaderEvent,
    ReplicationReader,
)
from pglogical_cdc.events import SchemaChange
from tests.faults.load import Ledger

__all__ = ("FLAVOURS", "QUICK", "Consumer", "Flavour")

Flavour: TypeAlias = Literal["sync", "async"]

FLAVOURS: Final[tuple[Flavour, ...]] = ("sync", "async")

QUICK: Final = Backoff(initial=0.02, maximum=0.5)
"""Tests have no time for the pauses that a server would like."""


class Consumer:
    """Applies what a reader delivers to a ledger.

    Args:
        flavour: which reader.
        dsn: where to connect.
        slot: what to read; its publication is ``pub``.
        ledger: what was applied.
        options: further arguments of the reader.
    """

    def __init__(
        self, flavour: Flavour, dsn: str, slot: str, ledger: Ledger, **options: Any
    ) -> None:
        self.ledger = ledger
        self.error: BaseException | None = None
        self.events: list[ReaderEvent] = []
        """What the reader told of its state."""
        given = {
            "slot": slot,
            "publications": "pub",
            "reconnect": QUICK,
            "on_event": self.events.append,
            **options,
        }
        self._sync = ReplicationReader(dsn, **given) if flavour == "sync" else None
        self._async = AsyncReplicationReader(dsn, **given) if flavour == "async" else None
        self._last: int | None = None
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def reader(self) -> ReplicationReader | AsyncReplicationReader:
        """The reader."""
        reader = self._sync or self._async
        assert reader is not None
        return reader

    def __enter__(self) -> Self:
        self._thread.start()
        self._opened.wait(30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.reader.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def finish(self, last: int, seconds: float = 60) -> None:
        """Wait until the transaction of that number, the last one, has been applied."""
        self._last = last
        done = threading.Event()

        def wait() -> None:
            while not (self.ledger.saw(last) or self.error or done.wait(0.01)):
                pass
            self.reader.stop()

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        self._thread.join(seconds)
        done.set()
        waiting.join()
        if self.error is not None:
            raise self.error
        assert not self._thread.is_alive(), f"transaction {last} did not come: {self.reader.stats}"

    def failure(self, seconds: float = 60) -> BaseException:
        """Wait for the reader to fail, and return with what."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"it goes on: {self.reader.stats}"
        assert self.error is not None, "it has come to a clean end"
        return self.error

    def _run(self) -> None:
        try:
            if self._sync is not None:
                self._read(self._sync)
            elif self._async is not None:
                asyncio.run(self._aread(self._async))
        except BaseException as error:
            self.error = error
        finally:
            self._opened.set()

    def _read(self, reader: ReplicationReader) -> None:
        with reader:
            self._opened.set()
            for change in reader:
                self._apply(change)

    async def _aread(self, reader: AsyncReplicationReader) -> None:
        async with reader:
            self._opened.set()
            async for change in reader:
                self._apply(change)

    def _apply(self, change: Change) -> None:
        if not isinstance(change, SchemaChange):
            self.ledger.apply(change)
