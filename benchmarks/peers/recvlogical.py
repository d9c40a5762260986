"""PostgreSQL's own client in C, which throws away what it reads."""

from __future__ import annotations

import os
from dataclasses import dataclass

from benchmarks.peers.processes import timed
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
        return timed(command, job.events)
