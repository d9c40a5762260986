"""AsyncPipeline: a pipeline for programs with an event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, cast, overload

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change
from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.pipeline.movement import Movement, Reader, Transform, sink_methods
from pglogical_cdc.sinks.base import AsyncSink, Sink

__all__ = ("AsyncChangeSource", "AsyncPipeline")

_PATIENCE: Final = 0.5
"""Seconds that a run, once cancelled, waits for a call of a blocking sink to end."""


class AsyncChangeSource(Reader, Protocol):
    """What an `AsyncPipeline` needs of a reader; see `ChangeSource`."""

    async def poll(self, timeout: float | None = 0.0) -> Change | None:
        """Return the next change; never acknowledges."""
        ...

    async def close(self) -> None:
        """Send what is acknowledged and disconnect."""
        ...


class AsyncPipeline(Movement):
    """`Pipeline` for asyncio: an `AsyncReplicationReader`, and a sink of either kind.

    ::

        async with AsyncReplicationReader(dsn, slot="shop", publications=["shop"]) as reader:
            await AsyncPipeline(reader, sink=sink).run()

    The methods of an `AsyncSink` are awaited. Those of a blocking `Sink` are called in a thread,
    one at a time, with all that a flush covers at once.

    Args:
        reader: where changes come from.
        formatter: makes records of changes. Without one the sink gets the changes themselves.
        sink: where they go. It is closed at the end of the run, whatever happens.
        transforms: functions that each change goes through, in this order.
        max_batch: flush as soon as so many records, or changes, are written.
        flush_interval: so many seconds a change waits for the flush at most while more are coming.
        heartbeat_interval: call the formatter's `heartbeat` every so many seconds; None for never.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    @overload
    def __init__(
        self,
        reader: AsyncChangeSource,
        *,
        formatter: Formatter,
        sink: AsyncSink[Record] | Sink[Record],
        transforms: Iterable[Transform] = (),
        max_batch: int = 1000,
        flush_interval: float = 1.0,
        heartbeat_interval: float | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        reader: AsyncChangeSource,
        *,
        formatter: None = None,
        sink: AsyncSink[Change] | Sink[Change],
        transforms: Iterable[Transform] = (),
        max_batch: int = 1000,
        flush_interval: float = 1.0,
        heartbeat_interval: None = None,
    ) -> None: ...

    def __init__(
        self,
        reader: AsyncChangeSource,
        *,
        formatter: Formatter | None = None,
        sink: AsyncSink[Any] | Sink[Any],
        transforms: Iterable[Transform] = (),
        max_batch: int = 1000,
        flush_interval: float = 1.0,
        heartbeat_interval: float | None = None,
    ) -> None:
        awaited = [
            inspect.iscoroutinefunction(inspect.unwrap(method)) for method in sink_methods(sink)
        ]
        if any(awaited) and not all(awaited):
            raise ConfigurationError(
                f"of the methods of {type(sink).__name__} some are coroutine functions and some "
                "are not: write, flush and close must be of one kind"
            )
        super().__init__(
            reader,
            formatter=formatter,
            transforms=transforms,
            max_batch=max_batch,
            flush_interval=flush_interval,
            heartbeat_interval=heartbeat_interval,
        )
        self._source = reader
        self._sink: AsyncSink[Any] = (
            cast("AsyncSink[Any]", sink) if all(awaited) else _InThread(cast("Sink[Any]", sink))
        )

    async def run(self) -> None:
        """Move changes until the reader ends; see `Pipeline.run`.

        Cancelling it is like an error: nothing more is flushed or acknowledged.

        Raises:
            ConfigurationError: the pipeline has run before, or a transform returned what is no
                change.
            SinkError: the sink failed.
            CdcError: the reader or the formatter failed.
        """
        await self._run()

    def _poll(self, timeout: float | None) -> Awaitable[Change | None]:
        return self._source.poll(timeout)

    def _write_to_sink(self, items: Sequence[Record | Change]) -> Awaitable[None]:
        return self._sink.write(items)

    async def _flush_sink(self) -> None:
        await self._sink.flush()

    async def _close_sink(self) -> None:
        await self._sink.close()

    async def _close_reader(self) -> None:
        await self._source.close()


class _InThread:
    """A blocking sink for an event loop: what is written waits for the flush, which is a thread's.

    Args:
        sink: the sink.
    """

    def __init__(self, sink: Sink[Any]) -> None:
        self._sink = sink
        self._waiting: list[Any] = []
        self._turn = threading.Lock()
        self._cancelled = False

    async def write(self, items: Sequence[Any], /) -> None:
        self._waiting += items

    async def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        await self._call(self._write_and_flush, waiting)

    async def close(self) -> None:
        await self._call(self._sink.close)

    def _write_and_flush(self, items: Sequence[Any]) -> None:
        if items:
            self._sink.write(items)
        self._sink.flush()

    async def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """Call in a thread, and wait for the end: all of it, or a moment once cancelled.

        The thread goes on by itself then, and whatever is called next waits in its own for it.
        """

        def in_turn() -> None:
            with self._turn:
                function(*arguments)

        call = asyncio.ensure_future(asyncio.to_thread(in_turn))
        call.add_done_callback(_look_at)
        try:
            await asyncio.wait([call], timeout=_PATIENCE if self._cancelled else None)
        except asyncio.CancelledError:
            self._cancelled = True
            await asyncio.wait([call], timeout=_PATIENCE)
            raise
        if call.done():
            call.result()


def _look_at(call: asyncio.Future[None]) -> None:
    # The loop would log an error that nobody has looked at, and the row that it may quote.
    if not call.cancelled():
        call.exception()
