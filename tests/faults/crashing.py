"""A consumer that dies, in processes of its own: of a signal, or by itself at a step of its work.

`Runs` starts them. They are forks of a process that has imported everything, so that dozens take
little more time than a few.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias, cast

import psycopg
from typing_extensions import Self

from pglogical_cdc import (
    AsyncPipeline,
    AsyncReplicationReader,
    Change,
    FileOffsets,
    FileSink,
    Offset,
    Pipeline,
    Position,
    Record,
    ReplicationReader,
    Sink,
    Transaction,
)
from pglogical_cdc.events import RowChange, SchemaChange
from tests.faults.consumer import QUICK, Flavour
from tests.faults.load import Ledger, _Entry

__all__ = ("KILLED", "STEPS", "Kind", "Runs", "read_lines", "read_table")

Kind: TypeAlias = Literal["lines", "table"]
"""Into a file of JSON Lines, with the position in a store; or into a table, both in one
transaction."""

STEPS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "lines": (
        *("handle", "write", "written", "flush", "flushed"),
        *("store", "stored", "acknowledge", "acknowledged"),
    ),
    "table": (*("handle", "write", "written", "flush", "flushed", "acknowledge", "acknowledged"),),
}
"""Where a consumer can die by itself."""

KILLED: Final = -signal.SIGKILL

_ROOT: Final = Path(__file__).parents[2]

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS applied (place bigserial PRIMARY KEY, entry text NOT NULL);
CREATE TABLE IF NOT EXISTS progress (slot text PRIMARY KEY, position text NOT NULL)
"""


# -- for the tests


class Runs:
    """Runs consumers, one at a time.

    Args:
        kind: where the changes go.
        flavour: which reader and pipeline.
        options: ``dsn`` and ``slot``; ``path`` of the file of lines, that of the store has
            ``.offset`` behind it; ``target``, the connection string of the database with the table.
    """

    def __init__(self, kind: Kind, flavour: Flavour, **options: str) -> None:
        self._options: dict[str, object] = {"kind": kind, "flavour": flavour, **options}
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crashing"],
            cwd=_ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=20)

    def start(self, **options: object) -> int:
        """Start a consumer and give its process ID.

        Args:
            options: ``step`` and ``at``: die when that step is reached for the ``at``-th time;
                ``last``: end when the transaction of that number has come; ``limit``: bytes that
                a file may have, set when the first change comes; ``skew`` and ``jump``: seconds
                by which the clock is wrong, and jumps from the middle on; ``idle_timeout``.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**self._options, **options}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        """Wait for the end of the consumer, and give its return code as `subprocess` does."""
        return os.waitstatus_to_exitcode(self._answer())

    def run(self, **options: object) -> int:
        """Start a consumer and wait for its end."""
        self.start(**options)
        return self.wait()

    def run_until_killed(self, seconds: float) -> None:
        """Start a consumer, and kill it after some time."""
        pid = self.start()
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        assert self.wait() == KILLED

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def read_lines(path: Path) -> tuple[Ledger, int]:
    """Read the file of lines; give it without its repeats, and how many there were."""
    ledger, seen = Ledger(), set[str]()
    repeats = 0
    with path.open("rb") as file:
        for line in file:
            record = json.loads(line)
            if record["position"] in seen:
                repeats += 1
                continue
            seen.add(record["position"])
            ledger._note(_Entry.parse(json.dumps(record["value"]).encode()))
    return ledger, repeats


def read_table(target: str) -> Ledger:
    """Read the table, as it is."""
    ledger = Ledger()
    with psycopg.connect(target) as connection:
        for (entry,) in connection.execute("SELECT entry FROM applied ORDER BY place"):
            ledger._note(_Entry.parse(entry.encode()))
    return ledger


# -- the consumer


class _Steps:
    """Counts the steps, and dies at one of them."""

    def __init__(self, step: str | None, at: int) -> None:
        self._step = step
        self._at = at
        self._counts: Counter[str] = Counter()

    def __call__(self, step: str) -> None:
        self._counts[step] += 1
        if step == self._step and self._counts[step] == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class _Formatter:
    """Makes of each change what a ledger notes of it."""

    def format(self, change: Change) -> Sequence[Record]:
        if not isinstance(change, RowChange) or isinstance(change, SchemaChange):
            return ()
        line = _Entry.of(change).line()
        return [Record(topic=change.table, key=None, value=line[:-1], position=change.position)]

    def begin(self, transaction: Transaction) -> Sequence[Record]:
        return ()

    def commit(
        self, transaction: Transaction, counts: Mapping[tuple[str, str], int]
    ) -> Sequence[Record]:
        return ()

    def heartbeat(self, time: int) -> Sequence[Record]:
        return ()


class _TableSink:
    """Writes the records and the position of the last one in one transaction."""

    def __init__(self, target: str, slot: str) -> None:
        self._slot = slot
        self._connection = psycopg.connect(target)
        self._connection.execute(_TABLES)
        rows = self._connection.execute(
            "SELECT position FROM progress WHERE slot = %s", [slot]
        ).fetchall()
        self._connection.commit()
        self.done = Position.parse(rows[0][0]) if rows else None
        """Everything up to here is in the table."""

    def write(self, items: Sequence[Record], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO applied (entry) VALUES (%s)",
                [[(item.value or b"").decode()] for item in items],
            )
            cursor.execute(
                "INSERT INTO progress VALUES (%s, %s)"
                " ON CONFLICT (slot) DO UPDATE SET position = EXCLUDED.position",
                [self._slot, str(items[-1].position)],
            )

    def flush(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


class _Sink:
    """A sink with steps."""

    def __init__(self, sink: Sink[Record], steps: _Steps) -> None:
        self._sink = sink
        self._steps = steps

    def write(self, items: Sequence[Record], /) -> None:
        self._steps("write")
        self._sink.write(items)
        self._steps("written")

    def flush(self) -> None:
        self._steps("flush")
        self._sink.flush()
        self._steps("flushed")

    def close(self) -> None:
        self._sink.close()


class _Store(FileOffsets):
    """A store with steps."""

    def __init__(self, path: Path, steps: _Steps) -> None:
        super().__init__(path)
        self._steps = steps

    def save(self, key: str, offset: Offset) -> None:
        self._steps("store")
        super().save(key, offset)
        self._steps("stored")


class _Acknowledging:
    """A reader with steps."""

    steps: _Steps

    def ack(self, up_to: Change | Position) -> None:
        self.steps("acknowledge")
        super().ack(up_to)  # type: ignore[misc]
        self.steps("acknowledged")


class _Reader(_Acknowledging, ReplicationReader):
    pass


class _AsyncReader(_Acknowledging, AsyncReplicationReader):
    pass


class _Clock:
    """Makes the clock of this process wrong."""

    def __init__(self, skew: float) -> None:
        self.skew = skew
        real, real_ns = time.time, time.time_ns
        time.time = lambda: real() + self.skew
        time.time_ns = lambda: real_ns() + int(self.skew * 1e9)

    def jump(self, seconds: float) -> None:
        """Jump now, and back and forth until the end, so that it also does at rest."""
        self.skew += seconds

        def go_on() -> None:
            back = -seconds
            while True:
                time.sleep(0.2)
                self.skew += back
                back = -back

        threading.Thread(target=go_on, daemon=True).start()


def _consume(given: Mapping[str, Any]) -> None:
    steps = _Steps(given.get("step"), given.get("at", 1))
    clock = _Clock(given["skew"]) if "skew" in given else None
    path, slot = Path(given["path"]), given["slot"]
    options: dict[str, Any] = {
        "slot": slot,
        "publications": "pub",
        "reconnect": QUICK,
        "idle_timeout": given.get("idle_timeout"),
    }
    done: Position | None = None
    sink: Sink[Record]
    if given["kind"] == "lines":
        options["offsets"] = _Store(path.with_name(path.name + ".offset"), steps)
        sink = FileSink(path)
    else:
        sink = _TableSink(given["target"], slot)
        done = sink.done
    seen = 0
    latencies: dict[str, list[float]] = {"source": [], "target": []}
    stop: Callable[[], None]

    def handle(change: Change) -> Change | None:
        nonlocal seen
        steps("handle")
        seen += 1
        if seen == 1 and "limit" in given:
            resource.setrlimit(resource.RLIMIT_FSIZE, (given["limit"], resource.RLIM_INFINITY))
        if seen == 50 and clock is not None:
            clock.jump(given["jump"])
        stats = reader.stats
        if stats.source_latency is not None:
            latencies["source"].append(stats.source_latency)
        latencies["target"].append(stats.target_latency)
        if change.table == "load_commits" and change.after is not None:
            number = change.after["number"]
            assert isinstance(number, int)
            if number >= given.get("last", number + 1):
                stop()
        if done is not None and change.position <= done:
            return None
        return change

    reporting = _Sink(sink, steps)
    moving: dict[str, Any] = {
        "formatter": _Formatter(),
        "transforms": [handle],
        "max_batch": 50,
        "flush_interval": 0.1,
    }
    reader: _Reader | _AsyncReader
    if given["flavour"] == "sync":
        reader = _Reader(given["dsn"], **options)
        reader.steps = steps
        pipeline = Pipeline(reader, sink=reporting, **moving)
        stop = pipeline.stop
        pipeline.run()
    else:
        reader = _AsyncReader(given["dsn"], **options)
        reader.steps = steps
        apipeline = AsyncPipeline(reader, sink=reporting, **moving)
        stop = apipeline.stop
        asyncio.run(apipeline.run())
    path.with_name(path.name + ".stats").write_text(
        json.dumps(
            {
                "reconnects": reader.stats.reconnects,
                **{name: [min(found), max(found)] for name, found in latencies.items() if found},
            }
        )
    )


def _child(given: Mapping[str, Any]) -> None:
    code = 1
    try:
        _consume(given)
        code = 0
    except BaseException as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        Path(given["path"] + ".error").write_text(f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _child(cast("Mapping[str, Any]", json.loads(line)))
        print(pid, flush=True)  # noqa: T201  the test reads it
        _, status = os.waitpid(pid, 0)
        print(status, flush=True)  # noqa: T201


if __name__ == "__main__":
    _main()
