"""What the tests of pipelines have in common: a reader that plays a tape, sinks that take notes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from pglogical_cdc.events import Change, Position, Transaction
from pglogical_cdc.formatters.base import Record
from tests import wire
from tests.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pglogical_cdc.sinks import Sink

__all__ = ("INT4", "AsyncTape", "Awaited", "Marking", "Recorder", "Server", "Tape")

INT4 = 23


class Tape:
    """A reader that plays a recorded stream.

    A step makes changes when it is reached, as a server would send them; None in `steps` says that
    nothing is there yet, so that only a waiting `poll` goes on.
    """

    def __init__(self, steps: Iterable[Callable[[], Sequence[Change]] | None]) -> None:
        self._steps = deque(steps)
        self._changes: deque[Change] = deque()
        self._transaction: Transaction | None = None
        self._stopped = False
        self.is_open = True
        self.has_unacknowledged = False
        self.acked: list[Change | Position] = []
        self.polls: list[float | None] = []
        self.log: list[str] = []

    def poll(self, timeout: float | None = 0.0) -> Change | None:
        self.polls.append(timeout)
        if self._stopped:
            return None
        while not self._changes:
            transaction = self._transaction
            if transaction is not None and transaction.end_lsn is not None:
                self._transaction = None
                return None
            if not self._steps:
                return None
            if self._steps[0] is None:
                if timeout == 0:
                    return None
                self._steps.popleft()
                if timeout is not None:
                    return None
                continue
            step = self._steps.popleft()
            assert step is not None
            self._changes.extend(step())
        change = self._changes.popleft()
        self._transaction = change.transaction
        return change

    @property
    def ended(self) -> bool:
        return self._stopped or not (self._steps or self._changes)

    def ack(self, up_to: Change | Position, /) -> None:
        self.acked.append(up_to)
        self.log.append(f"ack {_ordinal(up_to)}")

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self.is_open = False
        self.log.append("reader closed")


class AsyncTape:
    """The same for an event loop."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    async def poll(self, timeout: float | None = 0.0) -> Change | None:
        await asyncio.sleep(0)
        return self.tape.poll(timeout)

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.tape.close()

    @property
    def is_open(self) -> bool:
        return self.tape.is_open

    @property
    def ended(self) -> bool:
        return self.tape.ended

    @property
    def has_unacknowledged(self) -> bool:
        return self.tape.has_unacknowledged

    def ack(self, up_to: Change | Position, /) -> None:
        self.tape.ack(up_to)

    def stop(self) -> None:
        self.tape.stop()


class Recorder:
    """A sink that notes what happens to it, in the tape's log."""

    def __init__(self, tape: Tape) -> None:
        self.log = tape.log
        self.written: list[Any] = []
        self.flushed: list[Any] = []

    def write(self, items: Sequence[Any], /) -> None:
        assert items
        self.written.extend(items)
        self.log.extend(f"write {_name(item)}" for item in items)

    def flush(self) -> None:
        self.flushed = list(self.written)
        self.log.append("flush")

    def close(self) -> None:
        self.log.append("close")


def _name(item: Any) -> str:
    if not isinstance(item, Record):
        return f"{item.op}{item.ordinal}"
    assert item.value is not None
    return item.value.decode()


class Awaited:
    """A sink whose methods are coroutines; they give way and then do what another one does."""

    def __init__(self, sink: Sink[Any]) -> None:
        self._sink = sink

    async def write(self, items: Sequence[Any], /) -> None:
        await asyncio.sleep(0)
        self._sink.write(items)

    async def flush(self) -> None:
        await asyncio.sleep(0)
        self._sink.flush()

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._sink.close()


def _ordinal(up_to: Change | Position) -> int:
    return up_to.ordinal


class Marking:
    """A formatter that makes a record of everything."""

    def format(self, change: Change) -> Sequence[Record]:
        return [Record("t", None, f"{change.op}{change.ordinal}".encode(), (), change.position)]

    def begin(self, transaction: Transaction) -> Sequence[Record]:
        return [Record("tx", None, b"begin")]

    def commit(
        self, transaction: Transaction, counts: Mapping[tuple[str, str], int]
    ) -> Sequence[Record]:
        assert transaction.end_lsn is not None
        counted = ",".join(f"{schema}.{table}={n}" for (schema, table), n in counts.items())
        return [Record("tx", None, f"commit({counted})".encode())]

    def heartbeat(self, time: int) -> Sequence[Record]:
        return [Record("heartbeat", None, b"heartbeat")]


class Server:
    """Makes the steps of a tape."""

    def __init__(self) -> None:
        self.feed = Feed()
        for oid, name in ((1, "a"), (2, "b")):
            self.feed.table(oid, "public", name, [("id", INT4)], key=["id"])

    def begin(self) -> Sequence[Change]:
        self.feed.begin()
        return ()

    def commit(self) -> Sequence[Change]:
        self.feed.commit()
        return ()

    def insert(self, oid: int = 1) -> Callable[[], Sequence[Change]]:
        return lambda: [self.feed.insert(oid, "1")]

    def message(self) -> Sequence[Change]:
        return self.feed.send(wire.logical_decoding_message("p", b"x", flags=0, lsn=0x20))

    def transaction(self, *tables: int) -> Iterator[Callable[[], Sequence[Change]]]:
        yield self.begin
        for oid in tables:
            yield self.insert(oid)
        yield self.commit
