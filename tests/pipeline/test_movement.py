"""Tests of `pglogical_cdc.pipeline.movement`: what both pipelines do."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pglogical_cdc.errors import ConfigurationError, SinkError
from pglogical_cdc.events import Change, SchemaChange, Truncate
from pglogical_cdc.formatters.dms.formatter import DmsFormatter
from pglogical_cdc.pipeline import AsyncPipeline, Pipeline
from tests import wire
from tests.pipeline.tape import INT4, AsyncTape, Awaited, Marking, Recorder, Server, Tape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Movable(Protocol):
    """A pipeline, from outside of any event loop."""

    def run(self) -> None: ...

    def stop(self) -> None: ...


class Pipelines(Protocol):
    """Makes one kind of pipeline."""

    def __call__(self, tape: Tape, *, sink: Any, **options: Any) -> Movable: ...


class _Asynchronous:
    def __init__(self, tape: Tape, *, sink: Any, **options: Any) -> None:
        awaited = Awaited(sink) if hasattr(sink, "write") else sink
        self._pipeline = AsyncPipeline(AsyncTape(tape), sink=awaited, **options)

    def run(self) -> None:
        asyncio.run(self._pipeline.run())

    def stop(self) -> None:
        self._pipeline.stop()


@pytest.fixture(params=[Pipeline, _Asynchronous], ids=["blocking", "asynchronous"])
def pipeline(request: pytest.FixtureRequest) -> Pipelines:
    kind: Pipelines = request.param
    return kind


def run(pipeline: Pipelines, tape: Tape, **options: Any) -> list[str]:
    pipeline(tape, sink=Recorder(tape), **options).run()
    return tape.log


# -- acknowledging


def test_flush_comes_before_ack_and_close_last(pipeline: Pipelines) -> None:
    server = Server()
    assert run(pipeline, Tape([*server.transaction(1, 1)])) == [
        "write insert1",
        "write insert2",
        "flush",
        "ack 2",
        "close",
    ]


def test_what_is_acknowledged_is_the_change_itself(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1)])
    sink = Recorder(tape)
    pipeline(tape, sink=sink).run()
    assert tape.acked == sink.written


def test_several_transactions_that_wait_are_one_flush(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1), *server.transaction(2, 1)])
    assert run(pipeline, tape) == [
        "write insert1",
        "write insert1",
        "write insert2",
        "flush",
        "ack 2",
        "close",
    ]


def test_when_nothing_more_is_waiting_it_flushes_at_once(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1), None, *server.transaction(1)])
    assert run(pipeline, tape) == [
        "write insert1",
        "flush",
        "ack 1",
        "write insert1",
        "flush",
        "ack 1",
        "close",
    ]
    assert None in tape.polls  # between the two it waits, as long as it takes


def test_the_last_change_of_an_open_transaction_waits_for_its_commit(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape(
        [server.begin, server.insert(), server.insert(), None, server.insert(), server.commit]
    )
    assert run(pipeline, tape, formatter=Marking()) == [
        "write begin",
        "write insert1",
        "write insert2",
        "flush",
        "ack 1",
        "write insert3",
        "write commit(public.a=3)",
        "flush",
        "ack 3",
        "close",
    ]


def test_a_transaction_that_is_cut_off_is_not_acknowledged_whole(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([server.begin, server.insert(), server.insert()])
    assert run(pipeline, tape) == ["write insert1", "write insert2", "flush", "ack 1", "close"]


def test_flush_after_max_batch_records(pipeline: Pipelines) -> None:
    server = Server()
    assert run(pipeline, Tape([*server.transaction(1, 1, 1, 1, 1)]), max_batch=2) == [
        "write insert1",
        "write insert2",
        "flush",
        "ack 1",
        "write insert3",
        "write insert4",
        "flush",
        "ack 3",
        "write insert5",
        "flush",
        "ack 5",
        "close",
    ]


def test_flush_after_the_interval(pipeline: Pipelines, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    now = 100.0

    def later() -> Sequence[Change]:
        nonlocal now
        now += 2
        return server.insert()()

    monkeypatch.setattr(time, "monotonic", lambda: now)
    tape = Tape(
        [server.begin, server.insert(), server.insert(), later, server.insert(), server.commit]
    )
    assert run(pipeline, tape, flush_interval=1.5) == [
        "write insert1",
        "write insert2",
        "write insert3",
        "flush",
        "ack 2",
        "write insert4",
        "flush",
        "ack 4",
        "close",
    ]


def test_a_message_outside_of_transactions(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1), server.message, *server.transaction(1), server.message])
    assert run(pipeline, tape) == [
        "write insert1",
        "write message0",
        "write insert1",
        "write message0",
        "flush",
        "ack 0",
        "close",
    ]


def test_nothing_at_all(pipeline: Pipelines) -> None:
    assert run(pipeline, Tape([])) == ["close"]


# -- changes without records


def test_a_transform_that_drops_everything_still_moves_the_slot(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1), None, *server.transaction(1, 1), None])
    assert run(pipeline, tape, transforms=[lambda change: None]) == ["ack 1", "ack 2", "close"]


def test_a_transaction_is_marked_whatever_transforms_leave_of_it(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1), None])
    assert run(pipeline, tape, formatter=Marking(), transforms=[lambda change: None]) == [
        "write begin",
        "write commit()",
        "flush",
        "ack 1",
        "close",
    ]


def test_dropped_changes_wait_for_what_is_before_them(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1, 2, 2)])
    only_a: Any = lambda change: change if change.table == "a" else None  # noqa: E731
    assert run(pipeline, tape, transforms=[only_a]) == ["write insert1", "flush", "ack 3", "close"]


def test_dropped_changes_are_acknowledged_in_a_busy_stream(
    pipeline: Pipelines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0

    def tick() -> float:
        nonlocal now
        now += 0.1
        return now

    monkeypatch.setattr(time, "monotonic", tick)
    server = Server()
    tape = Tape([step for _ in range(20) for step in server.transaction(1)])
    log = run(pipeline, tape, transforms=[lambda change: None], flush_interval=1.0)
    assert log.count("ack 1") > 3
    assert set(log) == {"ack 1", "close"}


def test_records_without_a_formatter_are_changes(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1)])
    sink = Recorder(tape)
    pipeline(tape, sink=sink).run()
    assert [type(item).__name__ for item in sink.written] == ["Insert"]


# -- the formatter


def test_begin_and_commit_enclose_a_transaction(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(2, 1, 2), *server.transaction(1)])
    assert run(pipeline, tape, formatter=Marking()) == [
        "write begin",
        "write insert1",
        "write insert2",
        "write insert3",
        "write commit(public.b=2,public.a=1)",
        "write begin",
        "write insert1",
        "write commit(public.a=1)",
        "flush",
        "ack 1",
        "close",
    ]


def test_commit_without_a_pause_before_the_next_transaction(pipeline: Pipelines) -> None:
    server = Server()
    steps = [*server.transaction(1), *server.transaction(2)]
    changes = [change for step in steps for change in step()]
    assert run(pipeline, Tape([lambda: changes]), formatter=Marking()) == [
        "write begin",
        "write insert1",
        "write commit(public.a=1)",
        "write begin",
        "write insert1",
        "write commit(public.b=1)",
        "flush",
        "ack 1",
        "close",
    ]


def test_only_changes_of_rows_count(pipeline: Pipelines) -> None:
    server = Server()
    feed = server.feed

    def schema_change() -> Sequence[Change]:
        changes = feed.table(1, "public", "a", [("id", INT4), ("x", INT4)], key=["id"])
        assert [type(change) for change in changes] == [SchemaChange]
        return [*changes, feed.insert(1, "1", "2")]

    def truncate() -> Sequence[Change]:
        changes = feed.send(wire.truncate([1, 2]))
        assert [type(change) for change in changes] == [Truncate, Truncate]
        return changes

    message = wire.logical_decoding_message("p", b"x")
    tape = Tape([server.begin, schema_change, truncate, lambda: feed.send(message), server.commit])
    log = run(pipeline, tape, formatter=Marking())
    assert "write commit(public.a=2,public.b=1)" in log


def test_marks_of_the_commit_are_durable_before_its_last_change_is_acknowledged(
    pipeline: Pipelines,
) -> None:
    server = Server()
    tape = Tape([*server.transaction(1, 1)])
    log = run(pipeline, tape, formatter=Marking(), max_batch=1)
    assert log.index("write commit(public.a=2)") < log.index("ack 2")
    assert "flush" in log[log.index("write commit(public.a=2)") : log.index("ack 2")]


def test_a_formatter_and_a_real_format(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1)])
    sink = Recorder(tape)
    pipeline(tape, formatter=DmsFormatter(), sink=sink).run()
    (record,) = sink.flushed
    assert record.key == b"public.a"


def test_heartbeats(pipeline: Pipelines, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    class Waiting(Tape):
        def poll(self, timeout: float | None = 0.0) -> Change | None:
            nonlocal now
            change = super().poll(timeout)
            if change is None and timeout is not None:
                now += timeout
            return change

    server = Server()
    tape = Waiting([None, None, *server.transaction(1), None])
    assert run(pipeline, tape, formatter=Marking(), heartbeat_interval=5) == [
        "write heartbeat",
        "flush",
        "write heartbeat",
        "flush",
        "write begin",
        "write insert1",
        "write commit(public.a=1)",
        "flush",
        "ack 1",
        "close",
    ]
    assert set(tape.polls) == {0.0, 5.0}


def test_heartbeats_of_a_busy_stream(pipeline: Pipelines, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def tick() -> float:
        nonlocal now
        now += 0.01
        return now

    monkeypatch.setattr(time, "monotonic", tick)
    server = Server()
    tape = Tape([*server.transaction(*[1] * 50)])
    log = run(pipeline, tape, formatter=Marking(), heartbeat_interval=0.2)
    assert "write heartbeat" in log[: log.index("write insert50")]


# -- transforms


def test_transforms_go_in_order_and_may_multiply(pipeline: Pipelines) -> None:
    server = Server()
    seen: list[str] = []

    def twice(change: Change) -> Iterable[Change]:
        seen.append("twice")
        yield change
        yield change

    def note(change: Change) -> Change:
        seen.append("note")
        return change

    tape = Tape([*server.transaction(1)])
    assert run(pipeline, tape, transforms=[twice, note])[:2] == ["write insert1", "write insert1"]
    assert seen == ["twice", "note", "note"]


@pytest.mark.parametrize("result", [7, "text", [object()]])
def test_a_transform_must_return_changes(pipeline: Pipelines, result: object) -> None:
    def broken(change: Change) -> Any:
        return result

    server = Server()
    tape = Tape([*server.transaction(1)])
    with pytest.raises(ConfigurationError, match=r"the transform \S*broken must return a change"):
        run(pipeline, tape, transforms=[broken])
    assert tape.log == ["close"]


# -- errors


class BrokenError(Exception):
    pass


def test_an_error_in_flush_acknowledges_nothing_and_closes_once(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1)])

    class Failing(Recorder):
        def flush(self) -> None:
            raise SinkError("no room")

    with pytest.raises(SinkError, match="no room"):
        pipeline(tape, sink=Failing(tape)).run()
    assert tape.log == ["write insert1", "close"]


def test_an_error_in_write_keeps_what_was_acknowledged_before(pipeline: Pipelines) -> None:
    server = Server()
    tape = Tape([*server.transaction(1), None, *server.transaction(1)])

    class Failing(Recorder):
        def write(self, items: Sequence[Any], /) -> None:
            if self.written:
                raise BrokenError
            super().write(items)

    with pytest.raises(BrokenError):
        pipeline(tape, sink=Failing(tape)).run()
    assert tape.log == ["write insert1", "flush", "ack 1", "close"]


@pytest.mark.parametrize("where", ["format", "begin", "commit"])
def test_an_error_in_the_formatter(pipeline: Pipelines, where: str) -> None:
    def fail(*arguments: object) -> Any:
        raise BrokenError

    formatter = Marking()
    setattr(formatter, where, fail)
    server = Server()
    tape = Tape([*server.transaction(1)])
    with pytest.raises(BrokenError):
        run(pipeline, tape, formatter=formatter)
    assert tape.acked == []
    assert "flush" not in tape.log
    assert tape.log[-1] == "close"


@pytest.mark.parametrize("error", [BrokenError, TypeError, KeyboardInterrupt])
def test_an_error_in_a_transform(pipeline: Pipelines, error: type[BaseException]) -> None:
    def fail(change: Change) -> Iterable[Change]:
        yield change
        raise error("x")

    server = Server()
    tape = Tape([*server.transaction(1)])
    with pytest.raises(error, match="x"):
        run(pipeline, tape, transforms=[fail])
    assert tape.log == ["close"]


def test_an_error_of_the_reader(pipeline: Pipelines) -> None:
    server = Server()

    def fail() -> Sequence[Change]:
        raise BrokenError

    tape = Tape([*server.transaction(1), fail])
    with pytest.raises(BrokenError):
        run(pipeline, tape)
    assert tape.log == ["write insert1", "close"]


def test_a_failing_close_does_not_hide_the_first_error(
    pipeline: Pipelines,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()
    tape = Tape([*server.transaction(1)])

    class Failing(Recorder):
        def flush(self) -> None:
            raise BrokenError("first")

        def close(self) -> None:
            super().close()
            raise ValueError("row value")

    with pytest.raises(BrokenError, match="first"):
        pipeline(tape, sink=Failing(tape)).run()
    assert tape.log.count("close") == 1
    assert "closing the sink failed as well: ValueError" in caplog.text
    assert "row value" not in caplog.text


def test_a_failing_close_after_success_is_raised(pipeline: Pipelines) -> None:
    tape = Tape([])

    class Failing(Recorder):
        def close(self) -> None:
            super().close()
            raise BrokenError

    with pytest.raises(BrokenError):
        pipeline(tape, sink=Failing(tape)).run()
    assert tape.log == ["close"]


# -- ending


def test_stop_flushes_and_acknowledges(pipeline: Pipelines) -> None:
    server = Server()

    class Endless(Tape):
        def poll(self, timeout: float | None = 0.0) -> Change | None:
            if not self._steps and not self._stopped:
                self._steps.extend(server.transaction(1))
            return super().poll(timeout)

    tape = Endless([])
    sink = Recorder(tape)
    made = pipeline(tape, sink=sink, max_batch=10)
    timer = threading.Timer(0.2, made.stop)
    timer.start()
    made.run()
    timer.join()
    assert sink.flushed == sink.written
    assert len(sink.written) > 10
    assert tape.log[-1] == "close"
    assert tape.acked[-1] in sink.written[-2:]


def test_a_pipeline_runs_once(pipeline: Pipelines) -> None:
    tape = Tape([])
    made = pipeline(tape, sink=Recorder(tape))
    made.run()
    with pytest.raises(ConfigurationError, match="runs once"):
        made.run()
    assert tape.log == ["close"]


# -- arguments


def test_what_is_no_sink_is_refused(pipeline: Pipelines) -> None:
    sink: Any = object()
    with pytest.raises(ConfigurationError, match="object is no sink: it has no method write"):
        pipeline(Tape([]), sink=sink)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_batch": 0}, "max_batch must be at least 1"),
        ({"flush_interval": -1}, "flush_interval must not be negative"),
        ({"flush_interval": float("nan")}, "flush_interval must not be negative"),
        ({"heartbeat_interval": 1}, "needs a formatter"),
        ({"heartbeat_interval": 0, "formatter": Marking()}, "heartbeat_interval must be more"),
    ],
)
def test_wrong_numbers_are_refused(
    pipeline: Pipelines, options: dict[str, Any], words: str
) -> None:
    tape = Tape([])
    with pytest.raises(ConfigurationError, match=words):
        pipeline(tape, sink=Recorder(tape), **options)


@pytest.mark.parametrize("fails", [False, True])
def test_a_reader_that_was_not_open_is_closed_at_the_end(pipeline: Pipelines, fails: bool) -> None:
    server = Server()
    tape = Tape([*server.transaction(1)])
    tape.is_open = False
    sink = Recorder(tape)

    def transform(change: Change) -> Change:
        if fails:
            raise RuntimeError
        return change

    made = pipeline(tape, sink=sink, transforms=[transform])
    if fails:
        with pytest.raises(RuntimeError):
            made.run()
    else:
        made.run()
    assert tape.log[-2:] == ["close", "reader closed"]


def test_a_reader_with_changes_that_nobody_acknowledged_is_refused(pipeline: Pipelines) -> None:
    tape = Tape([*Server().transaction(1)])
    tape.has_unacknowledged = True
    sink = Recorder(tape)
    with pytest.raises(ConfigurationError, match="open a new reader"):
        pipeline(tape, sink=sink).run()
    assert sink.written == []
    assert tape.acked == []
