"""A snapshot read in parallel: how many times one worker's pace two workers have.

``python -m benchmarks.snapshot_workers`` fills the standard table, and moves its rows as AWS DMS or
Debezium JSON to a sink that drops them: without an executor, with one process and with two, in
turn, round by round. It prints the medians; CPU is in microseconds for each row, of this process,
of its workers with their start, and of the server.

On two cores a second worker has what the first, the server and this process leave of them. DMS JSON
is made row by row, and that is most of the work; Debezium JSON takes so little of it that one
worker beside the server is near to what two cores can do.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import backlog
from benchmarks.memory import forget_peak, resident_mb
from benchmarks.server import PUBLICATION, Backlogs, run_backlogs
from pglogical_cdc import (
    DebeziumFormatter,
    DmsFormatter,
    Formatter,
    Pipeline,
    Record,
    ReplicationReader,
)
from tests.servers import CHOICES

__all__ = ("Taken", "main", "take_snapshot")

_REAPED: Final = 0.5
"""Seconds until the server has noted what its ended sessions took."""


@dataclass(frozen=True)
class Taken:
    """What one snapshot took."""

    rows: int
    wall: float
    """Seconds."""
    here: float
    """Seconds of CPU of this process."""
    workers: float
    """Of the workers."""
    server: float
    """Of the server."""
    peak_mb: float
    """Peak memory of this process."""

    def each(self, seconds: float) -> float:
        """Return microseconds for each row."""
        return 1e6 * seconds / self.rows


class _Dropping:
    """A sink that counts."""

    def __init__(self) -> None:
        self.records = 0

    def write(self, items: Sequence[Record], /) -> None:
        self.records += len(items)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


_FORMATTERS: Final[dict[str, Callable[[], Formatter]]] = {
    "dms": DmsFormatter,
    "debezium": functools.partial(DebeziumFormatter, topic_prefix="bench"),
}


def take_snapshot(backlogs: Backlogs, database: str, format_: str, workers: int) -> Taken:
    """Move all rows of a database.

    Args:
        backlogs: the server.
        database: its name.
        format_: ``dms`` or ``debezium``.
        workers: processes; 0 is to read without an executor.
    """
    sink = _Dropping()
    with ExitStack() as stack:
        children = _seconds(resource.RUSAGE_CHILDREN)
        executor: Executor | None = None
        if workers:
            spawn = multiprocessing.get_context("spawn")
            executor = stack.enter_context(ProcessPoolExecutor(workers, mp_context=spawn))
            # To start a process takes as long as some ten thousand rows.
            list(executor.map(time.sleep, [0.5] * workers))
        reader = ReplicationReader(
            backlogs.dsn(database),
            slot="snapshot_workers",
            publications=PUBLICATION,
            create=True,
            snapshot="initial_only",
            snapshot_executor=executor,
        )
        forget_peak()
        postmaster = backlogs.server.embedded.pid
        assert postmaster is not None
        server = _seconds_of(postmaster)
        here, began = time.process_time(), time.perf_counter()
        Pipeline(reader, formatter=_FORMATTERS[format_](), sink=sink).run()
        wall, here = time.perf_counter() - began, time.process_time() - here
        peak = resident_mb("VmHWM")
    time.sleep(_REAPED)
    return Taken(
        rows=sink.records,
        wall=wall,
        here=here,
        workers=_seconds(resource.RUSAGE_CHILDREN) - children,
        server=_seconds_of(postmaster) - server,
        peak_mb=peak,
    )


def _seconds(whose: int) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def _seconds_of(pid: int) -> float:
    """Return the seconds of CPU of a process and of its children that have ended (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.snapshot_workers", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--pg", default="18", choices=CHOICES, help="PostgreSQL (%(default)s)")
    parser.add_argument("--format", default="dms", choices=_FORMATTERS, help="%(default)s")
    arguments = parser.parse_args()
    found: dict[int, list[Taken]] = {0: [], 1: [], 2: []}
    with run_backlogs(arguments.pg) as backlogs:
        backlogs.make_database("snapshot")
        with backlogs.connect("snapshot") as connection:
            connection.execute(backlog.TABLE_SQL.encode())
            rows = f"SELECT {backlog.ROW_SQL} FROM generate_series(1, {arguments.rows}) n"
            connection.execute(f"INSERT INTO standard {rows}".encode())
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
        for number in range(arguments.rounds):
            for workers in found if number % 2 else reversed(found):
                found[workers].append(
                    take_snapshot(backlogs, "snapshot", arguments.format, workers)
                )
    for workers, taken in found.items():
        rate = statistics.median(each.rows / each.wall for each in taken)
        cpu = [
            statistics.median(each.each(seconds) for each, seconds in zip(taken, of, strict=True))
            for of in (
                [each.here for each in taken],
                [each.workers for each in taken],
                [each.server for each in taken],
            )
        ]
        peak = statistics.median(each.peak_mb for each in taken)
        print(
            f"{workers} workers: {rate:,.0f} rows/s; CPU µs per row: here {cpu[0]:.2f}, "
            f"workers {cpu[1]:.2f}, server {cpu[2]:.2f}; peak {peak:.0f} MB"
        )
    ratios = [one.wall / two.wall for one, two in zip(found[1], found[2], strict=True)]
    print(f"two workers to one: {statistics.median(ratios):.2f} (bar: 1.6)")


if __name__ == "__main__":
    main()
