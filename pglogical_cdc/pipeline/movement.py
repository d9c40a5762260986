"""Movement: what a pipeline does between reader and sink, however they are called."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeAlias, cast, runtime_checkable

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Position,
    RowChange,
    SchemaChange,
    SnapshotRead,
    SnapshotRun,
    Transaction,
)
from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.formatters.record_maker import RecordMaker

__all__ = ("Movement", "Reader", "RecordsReader", "Transform", "sink_methods")

Transform: TypeAlias = Callable[[Change], "Change | Iterable[Change] | None"]
"""Makes of a change another one, several, or none (None)."""

_log = logging.getLogger("pglogical_cdc.pipeline")


class Reader(Protocol):
    """What every pipeline needs of a reader."""

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

    def ack(self, up_to: Change | Position, /) -> None:
        """Acknowledge everything up to and including this."""
        ...

    def stop(self) -> None:
        """End the stream before the next change; from any thread or signal handler."""
        ...


@runtime_checkable
class RecordsReader(Protocol):
    """A reader that can have records made of many rows at once, or elsewhere."""

    def make_records(self, maker: RecordMaker, run: int) -> None:
        """Bring rows as `SnapshotRun` from now on, if that is of use."""
        ...

    def end_records(self) -> None:
        """Bring none any more."""
        ...


class Movement(ABC):
    """What both pipelines do; how to call the reader and the sink is theirs to say."""

    def __init__(
        self,
        reader: Reader,
        *,
        formatter: Formatter | None,
        transforms: Iterable[Transform],
        max_batch: int,
        flush_interval: float,
        heartbeat_interval: float | None,
    ) -> None:
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

        self._made: list[Record | Change] = []
        """What is to be written next."""

    def stop(self) -> None:
        """End the run after what has been read is durable; from any thread or signal handler."""
        self._reader.stop()

    # These two are called for each change, where a coroutine costs something.

    @abstractmethod
    def _poll(self, timeout: float | None) -> Change | Awaitable[Change | None] | None:
        """Ask the reader for the next change; return it, or what has to be awaited for it."""

    @abstractmethod
    def _write_to_sink(self, items: Sequence[Record | Change]) -> Awaitable[None] | None:
        """Have the sink accept items; return what has to be awaited for it, if anything has."""

    @abstractmethod
    async def _flush_sink(self) -> None:
        """Have the sink make everything durable that it has accepted."""

    @abstractmethod
    async def _close_sink(self) -> None:
        """Have the sink release what it holds."""

    @abstractmethod
    async def _close_reader(self) -> None:
        """Close the reader."""

    async def _run(self) -> None:
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
            self._have_records_made()
            await self._move()
        except BaseException:
            if isinstance(self._reader, RecordsReader):
                self._reader.end_records()
            try:
                await self._close_sink()
            except Exception as error:
                _log.warning("closing the sink failed as well: %s", type(error).__name__)
            raise
        else:
            await self._close_sink()
        finally:
            if opens:
                await self._close_reader()

    def _have_records_made(self) -> None:
        formatter, reader = self._formatter, self._reader
        # Transforms may have a state, and are called here.
        if formatter is not None and not self._transforms and isinstance(reader, RecordsReader):
            reader.make_records(RecordMaker(formatter), self._max_batch)

    async def _move(self) -> None:
        reader = self._reader
        if self._heartbeat_interval is not None:
            self._next_heartbeat = time.monotonic() + self._heartbeat_interval
        timeout: float | None = 0.0
        while True:
            found = self._poll(timeout)
            change = found if found is None or isinstance(found, Change) else await found
            timeout = 0.0
            if change is not None or self._end_transaction():
                # At its end nothing comes, though more may be waiting.
                if change is not None:
                    self._take(change)
                if self._made and (writing := self._write()) is not None:
                    await writing
                if self._is_due():
                    await self._flush()
                if self._heartbeat_interval is not None:
                    await self._beat()
            elif reader.ended:
                await self._flush()
                return
            else:
                await self._flush()
                timeout = await self._beat()

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
            self._made.append(change)
            return
        if change.__class__ is SnapshotRun:
            self._made += cast("Sequence[Record]", change.records)
            return
        if isinstance(change, RowChange) and not isinstance(change, (SchemaChange, SnapshotRead)):
            table = change.schema, change.table
            self._counts[table] = self._counts.get(table, 0) + 1
        self._made += formatter.format(change)

    def _begin_transaction(self, transaction: Transaction | None) -> None:
        self._transaction = transaction
        # Whatever the transforms leave of it: what the stream had is what is marked.
        if self._formatter is not None and transaction is not None:
            self._made += self._formatter.begin(transaction)

    def _end_transaction(self, *, next_has_come: bool = False) -> bool:
        """Write what closes the open transaction, if it has ended; tell whether it has."""
        transaction = self._transaction
        if transaction is None or (transaction.end_lsn is None and not next_has_come):
            return False
        if self._formatter is not None:
            self._made += self._formatter.commit(transaction, self._counts)
        self._complete, self._last = self._last or self._complete, None
        self._transaction, self._counts = None, {}
        return True

    # -- records

    def _write(self) -> Awaitable[None] | None:
        made, self._made = self._made, []
        self._unflushed += len(made)
        return self._write_to_sink(made)

    def _is_due(self) -> bool:
        """Tell whether what was written has to be flushed, though more may be waiting."""
        if self._unflushed >= self._max_batch:
            return True
        since = self._waiting_since
        return since is not None and time.monotonic() - since >= self._flush_interval

    async def _flush(self) -> None:
        if self._made and (writing := self._write()) is not None:
            await writing
        if self._unflushed:
            await self._flush_sink()
            self._unflushed = 0
        if self._complete is not None:
            self._reader.ack(self._complete)
            self._complete = None
        self._waiting_since = None

    async def _beat(self) -> float | None:
        """Write a heartbeat if it is time; return the seconds until the next, None for never."""
        interval, formatter = self._heartbeat_interval, self._formatter
        if interval is None or formatter is None:
            return None
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + interval
            self._made += formatter.heartbeat(time.time_ns())
            await self._flush()
        return self._next_heartbeat - now


def sink_methods(sink: object) -> list[Callable[..., object]]:
    """Return `write`, `flush` and `close` of a sink.

    Raises:
        ConfigurationError: one is missing.
    """
    methods = []
    for name in ("write", "flush", "close"):
        method = getattr(sink, name, None)
        if not callable(method):
            raise ConfigurationError(f"{type(sink).__name__} is no sink: it has no method {name}")
        methods.append(method)
    return methods


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
