"""PostgreSQL's own client in C, which throws away what it reads."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass

from benchmarks.peers.processes import watched
from benchmarks.runs import Job, Run

__all__ = ("PgRecvlogical",)


@dataclass(frozen=True)
class PgRecvlogical:
    """``pg_recvlogical`` of the server's version.

    Its time is that of the whole process, with its start.
    """

    name: str = "pg_recvlogical -f /dev/null --fsync-interval=0"

    def prepare(self) -> None:
        """Do nothing: it comes with the server."""

    def run(self, job: Job) -> Run:
        """Read a backlog to its end."""
        command = [
            str(job.binaries / "bin" / "pg_recvlogical"),
            *("--dbname", job.dsn, "--slot", job.slot, "--start", "--endpos", job.until),
            *("--file", os.devnull, "--fsync-interval", "0", "--no-loop"),
            *("--option", "proto_version=1"),
            *("--option", f"publication_names={job.publication}"),
        ]
        began = time.perf_counter()
        process: subprocess.Popen[str] = subprocess.Popen(command, text=True)
        with watched(process) as memory:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command[:1])
        return Run(job.events, wall, usage.ru_utime + usage.ru_stime, memory.mb)
