"""Tests of `pglogical_cdc.pipeline.asynchronous`; test_movement.py has what both pipelines do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc.errors import ConfigurationError, SinkError
from pglogical_cdc.formatters import DebeziumFormatter
from pglogical_cdc.lsn import LSN
from pglogical_cdc.pipeline import AsyncPipeline, Pipeline
from pglogical_cdc.replication import AsyncReplicationReader, ReplicationReader
from pglogical_cdc.sinks import FileSink
from tests.pipeline.tape import AsyncTape, Awaited, Marking, Recorder, Server, Tape
from tests.reading import confirmed, make_slot, read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pglogical_cdc.events import Change
    from pglogical_cdc.formatters import Record
    from pglogical_cdc.pipeline import AsyncChangeSource
    from tests.servers import Database


class Waiting(AsyncTape):
    """A reader to which nothing more comes after the steps of its tape."""

    async def poll(self, timeout: float | None = 0.0) -> Change | None:
        if timeout is None:
            await asyncio.sleep(3600)
        return await super().poll(timeout)


class Blocking(Recorder):
    """A blocking sink that sees whether it is called as it may be."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.idents: set[int] = set()
        self.hold: threading.Event | None = None
        """What a flush waits for."""
        self.flushing = threading.Event()
        self._turn = threading.Lock()

    def write(self, items: Sequence[Any], /) -> None:
        with self._alone():
            super().write(items)

    def flush(self) -> None:
        with self._alone():
            if self.hold is not None:
                self.flushing.set()
                assert self.hold.wait(20)
            super().flush()

    def close(self) -> None:
        with self._alone():
            super().close()

    def _alone(self) -> threading.Lock:
        assert not self._turn.locked()
        self.idents.add(threading.get_ident())
        return self._turn


async def _cancelled(run: asyncio.Future[None]) -> float:
    """Cancel a run; return how long that took."""
    began = time.monotonic()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    return time.monotonic() - began


def test_a_real_reader_is_a_source() -> None:
    def takes(source: AsyncChangeSource) -> None: ...

    takes(AsyncReplicationReader("", slot="s", publications="p"))


# -- sinks of either kind


def test_methods_that_are_coroutines_are_awaited_in_the_loop() -> None:
    server = Server()
    tape = Tape([*server.transaction(1, 1)])
    idents: set[int] = set()
    turns: list[str] = []
    flushing, had_its_turn = asyncio.Event(), asyncio.Event()

    class Slow(Awaited):
        async def flush(self) -> None:
            idents.add(threading.get_ident())
            flushing.set()
            await asyncio.wait_for(had_its_turn.wait(), 20)
            turns.append("flushed")
            await super().flush()

    async def other() -> None:
        await flushing.wait()
        turns.append("other")
        had_its_turn.set()

    async def main() -> None:
        task = asyncio.ensure_future(other())
        await AsyncPipeline(AsyncTape(tape), sink=Slow(Recorder(tape))).run()
        await task

    asyncio.run(main())
    assert turns == ["other", "flushed"]
    assert idents == {threading.get_ident()}
    assert tape.log == ["write insert1", "write insert2", "flush", "ack 2", "close"]


def test_blocking_sink_is_called_in_a_thread_with_what_a_flush_covers() -> None:
    server = Server()
    steps = [step for _ in range(5) for step in [*server.transaction(1, 2, 1), None]]
    tape = Tape(steps)
    sink = Blocking(tape)
    calls: list[int] = []
    hold = sink.hold = threading.Event()

    class Counting(Marking):
        def begin(self, transaction: Any) -> Sequence[Record]:
            calls.append(threading.get_ident())
            return super().begin(transaction)

    async def main() -> None:
        # The loop goes on while the sink blocks, or nobody would let it go on.
        asyncio.get_running_loop().call_later(0.05, hold.set)
        pipeline = AsyncPipeline(AsyncTape(tape), sink=sink, formatter=Counting(), max_batch=3)
        await pipeline.run()

    asyncio.run(main())
    assert threading.get_ident() not in sink.idents
    assert set(calls) == {threading.get_ident()}

    expected = Tape([step for _ in range(5) for step in [*Server().transaction(1, 2, 1), None]])
    Pipeline(expected, sink=Recorder(expected), formatter=Marking(), max_batch=3).run()
    written = [line for line in tape.log if line.startswith("write")]
    assert written == [line for line in expected.log if line.startswith("write")]
    assert sink.flushed == sink.written
    # Exactly the same flushes and acknowledgements, with the same records before them.
    assert tape.log == expected.log


def test_what_a_blocking_sink_raises_comes_out() -> None:
    class Refusing(Recorder):
        def flush(self) -> None:
            raise SinkError("no room")

    class Failing(Recorder):
        def close(self) -> None:
            super().close()
            raise SinkError("not closed")

    for kind, words, log in (
        (Refusing, "no room", ["write insert1", "close"]),
        (Failing, "not closed", ["write insert1", "flush", "ack 1", "close"]),
    ):
        tape = Tape([*Server().transaction(1)])
        with pytest.raises(SinkError, match=words):
            asyncio.run(AsyncPipeline(AsyncTape(tape), sink=kind(tape)).run())
        assert tape.log == log


@pytest.mark.parametrize("odd", ["write", "flush", "close"])
def test_methods_of_two_kinds_are_refused(odd: str) -> None:
    tape = Tape([])
    plain, awaited = Recorder(tape), Awaited(Recorder(tape))
    some: Any = plain
    setattr(some, odd, getattr(awaited, odd))
    with pytest.raises(ConfigurationError, match="of the methods of Recorder some are coroutine"):
        AsyncPipeline(AsyncTape(tape), sink=some)
    assert tape.log == []


# -- cancelling


@pytest.mark.parametrize("blocks", [False, True])
def test_cancelled_while_nothing_comes(blocks: bool) -> None:
    """What was durable before is acknowledged, and nothing else."""
    tape = Tape([*Server().transaction(1), None])
    tape.is_open = False
    sink: Any = Recorder(tape) if blocks else Awaited(Recorder(tape))

    async def main() -> None:
        run = asyncio.ensure_future(AsyncPipeline(Waiting(tape), sink=sink).run())
        while "ack 1" not in tape.log:
            assert not run.done()
            await asyncio.sleep(0.001)
        assert await _cancelled(run) < 0.5

    asyncio.run(main())
    assert tape.log == ["write insert1", "flush", "ack 1", "close", "reader closed"]


@pytest.mark.parametrize("where", ["write", "flush"])
def test_cancelled_in_a_sink_that_is_awaited(where: str) -> None:
    tape = Tape([*Server().transaction(1, 1)])
    tape.is_open = False
    sink = Awaited(Recorder(tape))
    reached = asyncio.Event()

    async def stuck(*arguments: object) -> None:
        reached.set()
        await asyncio.sleep(3600)

    setattr(sink, where, stuck)

    async def main() -> None:
        run = asyncio.ensure_future(AsyncPipeline(Waiting(tape), sink=sink).run())
        await reached.wait()
        assert await _cancelled(run) < 0.5

    asyncio.run(main())
    assert [line for line in tape.log if not line.startswith("write")] == ["close", "reader closed"]
    assert tape.acked == []


def test_cancelled_in_a_flush_that_ends_soon() -> None:
    """It is waited for: `close` must not overtake it. Nothing is acknowledged all the same."""
    tape = Tape([*Server().transaction(1)])
    sink = Blocking(tape)
    hold = sink.hold = threading.Event()

    async def main() -> None:
        run = asyncio.ensure_future(AsyncPipeline(Waiting(tape), sink=sink).run())
        await asyncio.to_thread(sink.flushing.wait, 20)
        asyncio.get_running_loop().call_later(0.1, hold.set)
        assert await _cancelled(run) < 2
        assert tape.log == ["write insert1", "flush", "close"]

    asyncio.run(main())
    assert tape.acked == []


@pytest.mark.parametrize("fails", [False, True])
def test_cancelled_in_a_flush_that_does_not_end(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The run ends without it, and the sink is closed when its turn comes."""
    tape = Tape([*Server().transaction(1)])

    class Failing(Blocking):
        def flush(self) -> None:
            super().flush()
            if fails:
                raise SinkError("a row's value")

    sink = Failing(tape)
    hold = sink.hold = threading.Event()

    async def main() -> None:
        run = asyncio.ensure_future(AsyncPipeline(Waiting(tape), sink=sink).run())
        await asyncio.to_thread(sink.flushing.wait, 20)
        assert await _cancelled(run) < 5
        assert tape.log == ["write insert1"]
        hold.set()

    asyncio.run(main())
    assert tape.log == ["write insert1", "flush", "close"]
    assert tape.acked == []
    assert caplog.text == ""


# -- with a server


class _Lines:
    """Keeps records; a sink for an event loop."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.durable: list[Record] = []

    async def write(self, items: Sequence[Record], /) -> None:
        await asyncio.sleep(0)
        self.records += items

    async def flush(self) -> None:
        await asyncio.sleep(0.001)
        self.durable = list(self.records)

    async def close(self) -> None:
        await asyncio.sleep(0)


def _formatter() -> DebeziumFormatter:
    return DebeziumFormatter(
        topic_prefix="shop",
        provide_transaction_metadata=True,
        run_id="run",
        clock=lambda: 1_700_000_000_000_000_000,
    )


@pytest.mark.pg
def test_lines_are_those_of_the_blocking_pipeline(
    database: Database, slot_name: str, tmp_path: Path
) -> None:
    make_slot(database, slot_name, "CREATE TABLE other (id int PRIMARY KEY, body text);")
    slots = [slot_name + suffix for suffix in ("", "_a", "_b")]
    for slot in slots[1:]:
        database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
    database.execute("INSERT INTO t SELECT n, repeat('x', n) FROM generate_series(1, 500) n")
    for number in range(20):
        database.execute("INSERT INTO other VALUES (%s, repeat('y', 3000))", [number])
    database.execute("UPDATE t SET v = 'new' WHERE id <= 50; DELETE FROM t WHERE id > 450")
    database.execute("ALTER TABLE t ADD COLUMN w date; UPDATE t SET w = '2024-02-29' WHERE id = 1")
    database.execute("TRUNCATE other")
    paths = [tmp_path / slot for slot in slots[:2]]
    options: dict[str, Any] = {"publications": "pub", "until": "now"}

    with ReplicationReader(database.dsn, slot=slots[0], **options) as reader:
        Pipeline(reader, formatter=_formatter(), sink=FileSink(paths[0]), max_batch=100).run()

    async def main() -> _Lines:
        # One that is open already stays open; one that is not is opened and closed.
        async with AsyncReplicationReader(database.dsn, slot=slots[1], **options) as opened:
            await AsyncPipeline(
                opened, formatter=_formatter(), sink=FileSink(paths[1]), max_batch=100
            ).run()
            assert opened.is_open
        closed = AsyncReplicationReader(database.dsn, slot=slots[2], **options)
        lines = _Lines()
        await AsyncPipeline(closed, formatter=_formatter(), sink=lines, max_batch=100).run()
        assert not closed.is_open
        return lines

    awaited = asyncio.run(main())
    expected, found = (path.read_text(encoding="utf-8") for path in paths)
    assert found == expected
    lines = [json.loads(line) for line in expected.splitlines()]
    assert len(lines) > 620
    assert awaited.durable == awaited.records
    for line, record in zip(lines, awaited.records, strict=True):
        assert line["topic"] == record.topic
        assert line["value"] == (None if record.value is None else json.loads(record.value))
    for slot in slots:
        assert read(database, slot) == []


@pytest.mark.pg
@pytest.mark.usefixtures("patient_goodbye")
def test_heartbeats_cancelling_and_stopping(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    before = confirmed(database, slot_name)

    def reader() -> AsyncReplicationReader:
        return AsyncReplicationReader(database.dsn, slot=slot_name, publications="pub")

    async def main() -> None:
        # Cancelled in its flush: nothing of that is acknowledged, and the reader is closed.
        first, reached = _Lines(), asyncio.Event()

        async def stuck() -> None:
            reached.set()
            await asyncio.sleep(3600)

        setattr(first, "flush", stuck)  # noqa: B010
        source = reader()
        run = asyncio.ensure_future(AsyncPipeline(source, formatter=_formatter(), sink=first).run())
        database.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        ((end,),) = database.execute("SELECT pg_current_wal_insert_lsn()::text")
        await asyncio.wait_for(reached.wait(), 20)
        assert await _cancelled(run) < 3
        assert not source.is_open
        assert confirmed(database, slot_name) < LSN.parse(end)

        # It comes again; heartbeats come while nothing else does; stop ends it in good order.
        second = _Lines()
        pipeline = AsyncPipeline(
            reader(), formatter=_formatter(), sink=second, heartbeat_interval=0.1
        )
        run = asyncio.ensure_future(pipeline.run())
        deadline = time.monotonic() + 20
        # The first heartbeats may come before the rows.
        for topic in ("heartbeat", "shop.public.t"):
            while sum(topic in record.topic for record in second.durable) < 2:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
        threading.Timer(0, pipeline.stop).start()
        await asyncio.wait_for(run, 20)
        assert second.durable == second.records
        rows = [record for record in second.records if record.topic == "shop.public.t"]
        assert len(rows) == 2
        # The first may have been flushed before the second was here.
        earlier = [_row(record) for record in first.records if record.topic == "shop.public.t"]
        assert earlier
        assert earlier == [_row(record) for record in rows][: len(earlier)]
        assert confirmed(database, slot_name) > before

    asyncio.run(main())
    assert read(database, slot_name) == []


def _row(record: Record) -> Any:
    assert record.value is not None
    return json.loads(record.value)["after"]
