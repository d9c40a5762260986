"""Who waits for single commits: our readers, and a program at the pipe of ``pg_recvlogical``.

``python -m benchmarks.latency_readers NAME JOB AMOUNT`` reads so many inserts of the table that
`TABLE_SQL` makes, and prints when each was in hand, by ``time.monotonic``, which all processes of
Linux share. An idle reader waits for so many seconds instead, and prints what that took.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pglogical_cdc as cdc
from benchmarks.runs import Job

__all__ = ("ASYNC", "IDLE", "MARK", "PIPE", "SYNC", "TABLE_SQL")

SYNC: Final = "reader"
ASYNC: Final = "asyncio reader"
PIPE: Final = "pipe of pg_recvlogical"
IDLE: Final = {SYNC: "idle reader", ASYNC: "idle asyncio reader"}

TABLE_SQL: Final = "CREATE TABLE latency (id bigint PRIMARY KEY, label text)"
MARK: Final = "mark:{:08};"
"""What is in `label`, so that a row can be found in bytes that nobody takes apart."""

_MARKED: Final = re.compile(rb"mark:(\d{8});")

Seen = dict[int, float]


def _options(job: Job) -> dict[str, Any]:
    return {"slot": job.slot, "publications": [job.publication]}


def _note(seen: Seen, change: cdc.Change) -> None:
    now = time.monotonic()
    row = change.after
    assert row is not None
    seen[int(str(row["id"]))] = now


def _read(job: Job, commits: int) -> Seen:
    seen: Seen = {}
    with cdc.ReplicationReader(job.dsn, **_options(job)) as reader:
        for change in reader:
            _note(seen, change)
            if len(seen) == commits:
                break
    return seen


async def _read_async(job: Job, commits: int) -> Seen:
    seen: Seen = {}
    async with cdc.AsyncReplicationReader(job.dsn, **_options(job)) as reader:
        async for change in reader:
            _note(seen, change)
            if len(seen) == commits:
                break
    return seen


def _read_pipe(job: Job, commits: int) -> Seen:
    seen: Seen = {}
    command = [
        str(job.binaries / "bin" / "pg_recvlogical"), "--dbname", job.dsn, "--slot", job.slot,
        "--start", "--file", "-", "--fsync-interval", "0", "--no-loop",
        "--option", "proto_version=1", "--option", f"publication_names={job.publication}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        pipe, rest = process.stdout.fileno(), b""
        try:
            while len(seen) < commits and (chunk := os.read(pipe, 65_536)):
                now = time.monotonic()
                rest += chunk
                for found in _MARKED.finditer(rest):
                    seen.setdefault(int(found[1]), now)
                rest = rest[-20:]
        finally:
            process.terminate()
    return seen


def _idle(job: Job, seconds: float) -> dict[str, float]:
    with cdc.ReplicationReader(job.dsn, idle_timeout=seconds, **_options(job)) as reader:
        began, cpu = time.monotonic(), time.process_time()
        for _ in reader:
            raise RuntimeError("there was a change")
        return {"wall": time.monotonic() - began, "cpu": time.process_time() - cpu}


async def _idle_async(job: Job, seconds: float) -> dict[str, float]:
    options = _options(job)
    async with cdc.AsyncReplicationReader(job.dsn, idle_timeout=seconds, **options) as reader:
        began, cpu = time.monotonic(), time.process_time()
        async for _ in reader:
            raise RuntimeError("there was a change")
        return {"wall": time.monotonic() - began, "cpu": time.process_time() - cpu}


def _main(name: str, given: str, amount: str) -> None:
    fields = json.loads(given)
    job = Job(**{**fields, "binaries": Path(fields["binaries"])})
    result: Seen | dict[str, float]
    if name == SYNC:
        result = _read(job, int(amount))
    elif name == ASYNC:
        result = asyncio.run(_read_async(job, int(amount)))
    elif name == PIPE:
        result = _read_pipe(job, int(amount))
    elif name == IDLE[SYNC]:
        result = _idle(job, float(amount))
    else:
        result = asyncio.run(_idle_async(job, float(amount)))
    print(json.dumps(result))


if __name__ == "__main__":
    _main(*sys.argv[1:])
