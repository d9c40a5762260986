"""Pipeline: from a reader through transforms and a formatter to a sink, and back to the reader.

It owns acknowledgement. A position is acknowledged only after a `flush` of the sink that covers it,
so that whatever breaks, nothing is lost: it comes again.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, overload

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Position,
    RowChange,
    SchemaChange,
    SnapshotRead,
    Transaction,
)
from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.sinks.base import Sink

__all__ = ("ChangeSource", "Pipeline", "Transform")

Transform: TypeAlias = Callable[[Change], "Change | Iterable[Change] | None"]
"""Makes of a change another one, several, or none (None)."""

_log = logging.getLogger("pglogical_cdc.pipeline")


class ChangeSource(Protocol):
    """What a pipeline needs of a reader."""

    def poll(self, timeout: float | None = 0.0) -> Change | None:
        """Return the next change; never acknowledges.

        Args:
            timeout: seconds to wait at most; 0 takes what is already here, None waits for ever.

        Returns:
            None if nothing came in time, as soon as a transaction has ended, or at the end of the
            stream.
        """
        ...

    @property
    def is_open(self) -> bool:
        """Whether it has been opened, and not closed."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the stream is over."""
        ...

    @property
    def has_unacknowledged(self) -> bool:
        """Whether changes were read that nobody acknowledged and that `poll` will not repeat."""
        ...

    def close(self) -> None:
        """Send what is acknowledged and disconnect."""
        ...

    def ack(self, up_to: Change | Position, /) -> None:
        """Acknowledge everything up to and including this."""
        ...

    def stop(self) -> None:
        """End the stream before the next change; from any thread or signal handler."""
        ...


class Pipeline:
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
        if max_batch < 1:
            raise ConfigurationError(f"max_batch must be at least 1, not {max_batch}")
        if not flush_interval >= 0:
            raise ConfigurationError(f"flush_interval must not be negative, not {flush_interval}")
        if heartbeat_interval is not None:
            if formatter is None:
                raise ConfigurationError("heartbeat_interval needs a formatter to make heartbeats")
            if not heartbeat_interval > 0:
                raise ConfigurationError(
                    f"heartbeat_interval must be more than 0, not {heartbeat_interval}"
                )
        self._reader = reader
        self._formatter = formatter
        self._sink = sink
        self._transforms = tuple(transforms)
        self._max_batch = max_batch
        self._flush_interval = flush_interval
        self._heartbeat_interval = heartbeat_interval
        self._ran = False

        self._unflushed = 0
        """Records, or changes, written since the last flush."""
        self._waiting_since: float | None = None
        """When the oldest change was read that is not acknowledged yet."""
        self._complete: Change | None = None
        """The last change all of whose records are written; None if it is acknowledged."""
        self._last: Change | None = None
        """The last change of the open transaction: its commit may still give records."""
        self._transaction: Transaction | None = None
        self._counts: dict[tuple[str, str], int] = {}
        self._next_heartbeat = 0.0

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
        if self._ran:
            raise ConfigurationError("a pipeline runs once; make a new one with a new sink")
        self._ran = True
        if self._reader.has_unacknowledged:
            raise ConfigurationError(
                "changes were read from this reader and not acknowledged, for example by a "
                "pipeline that failed; what follows would acknowledge them: open a new reader"
            )
        opens = not self._reader.is_open
        try:
            self._move()
        except BaseException:
            try:
                self._sink.close()
            except Exception as error:
                _log.warning("closing the sink failed as well: %s", type(error).__name__)
            raise
        else:
            self._sink.close()
        finally:
            if opens:
                self._reader.close()

    def stop(self) -> None:
        """End the run after what has been read is durable; from any thread or signal handler."""
        self._reader.stop()

    def _move(self) -> None:
        reader = self._reader
        if self._heartbeat_interval is not None:
            self._next_heartbeat = time.monotonic() + self._heartbeat_interval
        timeout: float | None = 0.0
        while True:
            change = reader.poll(timeout)
            timeout = 0.0
            if change is not None:
                self._take(change)
                self._flush_if_due()
            elif self._end_transaction():
                # That is why nothing came; more may be waiting.
                self._flush_if_due()
            elif reader.ended:
                self._flush()
                return
            else:
                self._flush()
                timeout = self._beat()

    # -- changes

    def _take(self, change: Change) -> None:
        transaction = change.transaction
        if transaction is not self._transaction:
            self._end_transaction(next_has_come=True)
            self._begin_transaction(transaction)
        for each in self._transformed(change):
            self._write_change(each)
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()
        if transaction is None:
            self._complete = change
        else:
            self._complete, self._last = self._last or self._complete, change

    def _transformed(self, change: Change) -> Sequence[Change]:
        changes: Sequence[Change] = (change,)
        for transform in self._transforms:
            changes = [made for each in changes for made in _apply(transform, each)]
        return changes

    def _write_change(self, change: Change) -> None:
        formatter = self._formatter
        if formatter is None:
            self._write((change,))
            return
        if isinstance(change, RowChange) and not isinstance(change, (SchemaChange, SnapshotRead)):
            table = change.schema, change.table
            self._counts[table] = self._counts.get(table, 0) + 1
        self._write(formatter.format(change))

    def _begin_transaction(self, transaction: Transaction | None) -> None:
        self._transaction = transaction
        # Whatever the transforms leave of it: what the stream had is what is marked.
        if self._formatter is not None and transaction is not None:
            self._write(self._formatter.begin(transaction))

    def _end_transaction(self, *, next_has_come: bool = False) -> bool:
        """Write what closes the open transaction, if it has ended; tell whether it has."""
        transaction = self._transaction
        if transaction is None or (transaction.end_lsn is None and not next_has_come):
            return False
        if self._formatter is not None:
            self._write(self._formatter.commit(transaction, self._counts))
        self._complete, self._last = self._last or self._complete, None
        self._transaction, self._counts = None, {}
        return True

    # -- records

    def _write(self, items: Sequence[Record | Change]) -> None:
        if items:
            self._sink.write(items)
            self._unflushed += len(items)

    def _flush_if_due(self) -> None:
        since = self._waiting_since
        now = time.monotonic()
        if self._unflushed >= self._max_batch or (
            since is not None and now - since >= self._flush_interval
        ):
            self._flush()
        if self._heartbeat_interval is not None and now >= self._next_heartbeat:
            self._beat()

    def _flush(self) -> None:
        if self._unflushed:
            self._sink.flush()
            self._unflushed = 0
        if self._complete is not None:
            self._reader.ack(self._complete)
            self._complete = None
        self._waiting_since = None

    def _beat(self) -> float | None:
        """Write a heartbeat if it is time; return the seconds until the next, None for never."""
        interval, formatter = self._heartbeat_interval, self._formatter
        if interval is None or formatter is None:
            return None
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + interval
            self._write(formatter.heartbeat(time.time_ns()))
            self._flush()
        return self._next_heartbeat - now


def _check_sink(sink: object) -> None:
    for name in ("write", "flush", "close"):
        method = getattr(sink, name, None)
        if not callable(method):
            raise ConfigurationError(f"{type(sink).__name__} is no sink: it has no method {name}")
        if inspect.iscoroutinefunction(method):
            raise ConfigurationError(
                f"{name} of {type(sink).__name__} is a coroutine function, and Pipeline does not "
                "await: it needs a sink whose methods return when they are done"
            )


def _apply(transform: Transform, change: Change) -> Iterable[Change]:
    made = transform(change)
    if made is None:
        return ()
    if isinstance(made, Change):
        return (made,)
    if not isinstance(made, Iterable):
        raise _not_changes(transform, made)
    changes = tuple(made)
    for each in changes:
        if not isinstance(each, Change):
            raise _not_changes(transform, each)
    return changes


def _not_changes(transform: Transform, made: object) -> ConfigurationError:
    name = getattr(transform, "__qualname__", type(transform).__name__)
    return ConfigurationError(
        f"the transform {name} must return a change, several or None, not {type(made).__name__}"
    )
