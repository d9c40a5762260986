"""Pipeline: from a reader through transforms and a formatter to a sink, and back to the reader."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, overload

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change
from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.pipeline.movement import Movement, Reader, Transform, sink_methods
from pglogical_cdc.postgres import run
from pglogical_cdc.sinks.base import Sink

__all__ = ("ChangeSource", "Pipeline")


class ChangeSource(Reader, Protocol):
    """What a `Pipeline` needs of a reader."""

    def poll(self, timeout: float | None = 0.0) -> Change | None:
        """Return the next change; never acknowledges.

        Args:
            timeout: seconds to wait at most; 0 takes what is already here, None waits for ever.

        Returns:
            None if nothing came in time, as soon as a transaction has ended, or at the end of the
            stream.
        """
        ...

    def close(self) -> None:
        """Send what is acknowledged and disconnect."""
        ...


class Pipeline(Movement):
    """Moves changes from a reader to a sink until the reader ends.

    ::

        with ReplicationReader(dsn, slot="shop", publications=["shop"]) as reader:
            Pipeline(reader, formatter=DebeziumFormatter(topic_prefix="shop"), sink=sink).run()

    The reader's `ack` mode is not used: reading further never acknowledges. The sink is flushed
    after `max_batch` records, after `flush_interval`, and at once when nothing more is waiting.
    What gives no record is acknowledged once everything before it is durable. The last change of a
    transaction is acknowledged together with what the formatter writes at its commit.

    An exception of the reader, a transform, the formatter or the sink ends the run and is passed
    on. Nothing more is flushed or acknowledged then, so that all since the last flush comes again
    from a new reader; this one cannot be used for another run. So it is with Ctrl-C; to end
    without repeats, call `stop`.

    Args:
        reader: where changes come from.
        formatter: makes records of changes. Without one the sink gets the changes themselves.
        sink: where they go. It is closed at the end of the run, whatever happens.
        transforms: functions that each change goes through, in this order.
        max_batch: flush as soon as so many records, or changes, are written.
        flush_interval: so many seconds a change waits for the flush at most while more are coming.
        heartbeat_interval: call the formatter's `heartbeat` every so many seconds; None for never.

    Raises:
        ConfigurationError: an argument is wrong, or the sink is asynchronous.
    """

    @overload
    def __init__(
        self,
        reader: ChangeSource,
        *,
        formatter: Formatter,
        sink: Sink[Record],
        transforms: Iterable[Transform] = (),
        max_batch: int = 1000,
        flush_interval: float = 1.0,
        heartbeat_interval: float | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        reader: ChangeSource,
        *,
        formatter: None = None,
        sink: Sink[Change],
        transforms: Iterable[Transform] = (),
        max_batch: int = 1000,
        flush_interval: float = 1.0,
        heartbeat_interval: None = None,
    ) -> None: ...

    def __init__(
        self,
        reader: ChangeSource,
        *,
        formatter: Formatter | None = None,
        sink: Sink[Any],
        transforms: Iterable[Transform] = (),
        max_batch: int = 1000,
        flush_interval: float = 1.0,
        heartbeat_interval: float | None = None,
    ) -> None:
        _check_sink(sink)
        super().__init__(
            reader,
            formatter=formatter,
            transforms=transforms,
            max_batch=max_batch,
            flush_interval=flush_interval,
            heartbeat_interval=heartbeat_interval,
        )
        self._source = reader
        self._sink = sink

    def run(self) -> None:
        """Move changes until the reader ends: by its `until` or `idle_timeout`, or by `stop`.

        Then flushes, acknowledges and closes the sink. A reader that is open already stays open,
        and leaving its ``with`` block sends the acknowledgement to the server; one that is not is
        opened, and closed at the end.

        Raises:
            ConfigurationError: the pipeline has run before, or a transform returned what is no
                change.
            SinkError: the sink failed.
            CdcError: the reader or the formatter failed.
        """
        run(self._run())

    def _poll(self, timeout: float | None) -> Change | None:
        return self._source.poll(timeout)

    def _write_to_sink(self, items: Sequence[Record | Change]) -> None:
        self._sink.write(items)

    async def _flush_sink(self) -> None:
        self._sink.flush()

    async def _close_sink(self) -> None:
        self._sink.close()

    async def _close_reader(self) -> None:
        self._source.close()


def _check_sink(sink: object) -> None:
    for method in sink_methods(sink):
        if inspect.iscoroutinefunction(inspect.unwrap(method)):
            raise ConfigurationError(
                f"{method.__name__} of {type(sink).__name__} is a coroutine function, and Pipeline "
                "does not await: it needs a sink whose methods return when they are done"
            )
