"""Our side: what a program does with a reader, each in a process of its own.

``python -m benchmarks.contestants NAME JOB`` does a job to its end and prints the `Run` as JSON;
``JOB`` is the JSON of a `Job`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pglogical_cdc as cdc
from benchmarks.memory import forget_peak, resident_mb
from benchmarks.runs import Job, Run

if TYPE_CHECKING:
    from benchmarks.digest import Digest

__all__ = (
    "ASYNC_DEBEZIUM",
    "CLOCK",
    "DEBEZIUM",
    "DMS",
    "GROWTH",
    "OUTPUT",
    "ASYNC_OUTPUT",
    "ONE_COLUMN",
    "PIPELINE",
    "TIMED",
    "TYPED",
    "UNWRAPPED",
    "in_its_own_process",
)

TYPED: Final = "typed changes"
ONE_COLUMN: Final = "one column"
DEBEZIUM: Final = "Debezium JSON"
ASYNC_DEBEZIUM: Final = "Debezium JSON, asyncio"
UNWRAPPED: Final = "unwrapped JSON"
DMS: Final = "DMS JSON"
PIPELINE: Final = "Debezium JSON, a pipeline"
GROWTH: Final = "Debezium JSON, growth of memory"
OUTPUT: Final = "digest of the Debezium JSON"
ASYNC_OUTPUT: Final = "digest of the Debezium JSON, asyncio"

TIMED: Final = (TYPED, ONE_COLUMN, DEBEZIUM, ASYNC_DEBEZIUM, UNWRAPPED, DMS, PIPELINE)
"""Those whose time can be compared with a peer's."""

CLOCK: Final = 1_700_000_000_123_456_789
"""Nanoseconds that the envelope has in every record of which a digest is taken."""

_FIRST: Final = 10_000
"""Changes after which a reader has in memory what it needs."""


def _debezium(clock: Callable[[], int] = time.time_ns) -> cdc.Formatter:
    return cdc.DebeziumFormatter(topic_prefix="bench", schemas_enable=False, clock=clock)


def _typed(reader: cdc.ReplicationReader) -> int:
    count = 0
    for _ in reader:
        count += 1
    return count


def _one_column(reader: cdc.ReplicationReader) -> int:
    count = 0
    for change in reader:
        row = change.before if change.after is None else change.after
        assert row is not None
        row["id"]
        count += 1
    return count


def _formatted(formatter: cdc.Formatter) -> Callable[[cdc.ReplicationReader], int]:
    def run(reader: cdc.ReplicationReader) -> int:
        count = 0
        for change in reader:
            formatter.format(change)
            count += 1
        return count

    return run


class _Counting:
    """A sink that counts the records of rows, and drops them."""

    def __init__(self) -> None:
        self.records = 0

    def write(self, items: Sequence[cdc.Record], /) -> None:
        self.records += len(items)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _pipeline(reader: cdc.ReplicationReader) -> int:
    sink = _Counting()
    cdc.Pipeline(reader, formatter=_debezium(), sink=sink).run()
    return sink.records


_LOOPS: Final[dict[str, Callable[[cdc.ReplicationReader], int]]] = {
    TYPED: _typed,
    ONE_COLUMN: _one_column,
    DEBEZIUM: _formatted(_debezium()),
    UNWRAPPED: _formatted(cdc.UnwrappedFormatter(topic_prefix="bench")),
    DMS: _formatted(cdc.DmsFormatter(message_format="json-unformatted")),
    PIPELINE: _pipeline,
}


def _options(job: Job) -> dict[str, Any]:
    options = {"slot": job.slot, "publications": [job.publication]}
    return options | ({"snapshot": "initial_only"} if job.snapshot else {"until": job.until})


def _run_loop(name: str, job: Job) -> Run:
    loop = _LOOPS[name]
    opened = time.perf_counter()
    with cdc.ReplicationReader(job.dsn, **_options(job)) as reader:
        began, cpu = time.perf_counter(), time.process_time()
        count = loop(reader)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Run(count, wall, cpu, resident_mb("VmHWM"), opening=began - opened)


async def _run_async(job: Job) -> Run:
    formatter = _debezium()
    opened = time.perf_counter()
    async with cdc.AsyncReplicationReader(job.dsn, **_options(job)) as reader:
        began, cpu = time.perf_counter(), time.process_time()
        count = 0
        async for change in reader:
            formatter.format(change)
            count += 1
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Run(count, wall, cpu, resident_mb("VmHWM"), opening=began - opened)


def _run_growth(job: Job) -> Run:
    """Do what `DEBEZIUM` does, and see how memory grows behind the first changes."""
    formatter = _debezium()
    opened = time.perf_counter()
    with cdc.ReplicationReader(job.dsn, **_options(job)) as reader:
        began, cpu = time.perf_counter(), time.process_time()
        changes = iter(reader)
        count = 0
        for change in itertools.islice(changes, _FIRST):
            formatter.format(change)
            count += 1
        before, first_peak = resident_mb("VmRSS"), resident_mb("VmHWM")
        forget_peak()
        for change in changes:
            formatter.format(change)
            count += 1
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        peak = resident_mb("VmHWM")
    return Run(
        count,
        wall,
        cpu,
        max(first_peak, peak),
        opening=began - opened,
        growth_mb=max(0.0, peak - before),
    )


def _new_digest() -> Digest:
    # Where the memory of a contestant is measured, this does not belong to it.
    from benchmarks.digest import Digest

    return Digest()


def _digested(digest: Digest, records: Iterator[cdc.Record]) -> None:
    for record in records:
        digest.add(record.topic.encode(), record.key, record.value)


def _run_output(job: Job) -> Run:
    """Take the digest of every record; what it takes is not comparable with anything."""
    formatter, digest = _debezium(lambda: CLOCK), _new_digest()
    began, cpu = time.perf_counter(), time.process_time()
    count = 0
    with cdc.ReplicationReader(job.dsn, **_options(job)) as reader:
        for change in reader:
            _digested(digest, iter(formatter.format(change)))
            count += 1
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Run(count, wall, cpu, resident_mb("VmHWM"), digest.hex())


async def _run_async_output(job: Job) -> Run:
    formatter, digest = _debezium(lambda: CLOCK), _new_digest()
    began, cpu = time.perf_counter(), time.process_time()
    count = 0
    async with cdc.AsyncReplicationReader(job.dsn, **_options(job)) as reader:
        async for change in reader:
            _digested(digest, iter(formatter.format(change)))
            count += 1
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Run(count, wall, cpu, resident_mb("VmHWM"), digest.hex())


def _run(name: str, job: Job) -> Run:
    if name == ASYNC_DEBEZIUM:
        return asyncio.run(_run_async(job))
    if name == ASYNC_OUTPUT:
        return asyncio.run(_run_async_output(job))
    if name == GROWTH:
        return _run_growth(job)
    if name == OUTPUT:
        return _run_output(job)
    return _run_loop(name, job)


def in_its_own_process(name: str, job: Job) -> Run:
    """Let one of the contestants do a job.

    Raises:
        RuntimeError: it did not read all that there is.
    """
    given = json.dumps({**dataclasses.asdict(job), "binaries": str(job.binaries)})
    command = [sys.executable, "-m", "benchmarks.contestants", name, given]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    run = Run(**json.loads(done.stdout))
    if run.events != job.events:
        raise RuntimeError(f"{name} read {run.events} changes of {job.events}")
    return run


def _main(name: str, given: str) -> None:
    fields = json.loads(given)
    job = Job(**{**fields, "binaries": Path(fields["binaries"])})
    print(json.dumps(dataclasses.asdict(_run(name, job))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
