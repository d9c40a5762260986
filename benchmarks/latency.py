"""From a COMMIT that has returned to the change in hand, on a server that does nothing else."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import psycopg

from benchmarks.latency_readers import IDLE, MARK, TABLE_SQL
from benchmarks.runs import Job
from benchmarks.server import Backlogs
from tests.reading import wait_until

__all__ = ("measure_idle", "measure_latency", "prepare")

_DATABASE: Final = "latency"
_WARM: Final = 20
"""Commits that come first and are not counted: catalogs are read, statements prepared."""


def prepare(backlogs: Backlogs) -> None:
    """Make the database whose commits are waited for."""
    backlogs.make_database(_DATABASE)
    with backlogs.connect(_DATABASE) as connection:
        connection.execute(TABLE_SQL)


def _start(name: str, job: Job, amount: float) -> subprocess.Popen[bytes]:
    given = json.dumps({**dataclasses.asdict(job), "binaries": str(job.binaries)})
    command = [sys.executable, "-m", "benchmarks.latency_readers", name, given, str(amount)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _finish(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=60)
    if process.returncode != 0:
        raise RuntimeError("a reader of single commits has failed")
    result: dict[str, Any] = json.loads(output)
    return result


def _write(connection: psycopg.Connection[Any], first: int, count: int) -> dict[int, list[float]]:
    """Commit rows one by one; give the times before and after each."""
    source = random.Random(first)
    written = {}
    for number in range(first, first + count):
        time.sleep(source.uniform(0.005, 0.010))
        sent = time.monotonic()
        connection.execute("INSERT INTO latency VALUES (%s, %s)", [number, MARK.format(number)])
        written[number] = [sent, time.monotonic()]
    return written


def measure_latency(backlogs: Backlogs, name: str, commits: int) -> Mapping[str, float]:
    """Let one of the readers wait for commits; give the percentiles in milliseconds."""
    with backlogs.new_slot(_DATABASE) as job, backlogs.connect(_DATABASE) as connection:
        ((first,),) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM latency")
        process = _start(name, job, commits + _WARM)
        try:
            _wait_for_stream(connection, job.slot, process)
            written = _write(connection, first, commits + _WARM)
            seen = {int(number): at for number, at in _finish(process).items()}
        finally:
            process.kill()
            process.wait()
    counted = [number for number in written if number >= first + _WARM]
    returned = sorted(seen[number] - written[number][1] for number in counted)
    sent = sorted(seen[number] - written[number][0] for number in counted)
    return {
        "commits": commits,
        "p50_ms": _percentile(returned, 50),
        "p99_ms": _percentile(returned, 99),
        "sent_p50_ms": _percentile(sent, 50),
        "sent_p99_ms": _percentile(sent, 99),
    }


def measure_idle(backlogs: Backlogs, name: str, seconds: float) -> Mapping[str, float]:
    """Let a reader wait for nothing; give wall and CPU seconds."""
    with backlogs.new_slot(_DATABASE) as job:
        process = _start(IDLE[name], job, seconds)
        try:
            return _finish(process)
        finally:
            process.kill()
            process.wait()


def _wait_for_stream(
    connection: psycopg.Connection[Any], slot: str, process: subprocess.Popen[bytes]
) -> None:
    def streams() -> bool:
        if process.poll() is not None:
            raise RuntimeError("a reader of single commits has failed")
        rows = connection.execute(
            "SELECT FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid"
            " WHERE s.slot_name = %s AND r.state = 'streaming'",
            [slot],
        )
        return bool(rows.fetchall())

    wait_until(streams)
    time.sleep(0.2)


def _percentile(ordered: list[float], percent: int) -> float:
    """Return the smallest time that so many percent do not exceed, in milliseconds."""
    at = -(-len(ordered) * percent // 100) - 1
    return 1000 * ordered[max(0, at)]
