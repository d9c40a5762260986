"""PostgreSQL's own terminal, which copies a table to the null device."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.processes import timed
from benchmarks.runs import Job, Run

__all__ = ("PsqlCopy",)


@dataclass(frozen=True)
class PsqlCopy:
    """``psql`` of the server's version, with a plain COPY: rows as text, and nothing made of them.

    Its time is that of the whole process, with its start.
    """

    table: str
    name: str = "psql: COPY ... TO STDOUT > /dev/null"

    def prepare(self) -> None:
        """Do nothing: it comes with the server."""

    def run(self, job: Job) -> Run:
        """Copy the table, which has the rows of the job."""
        command = [
            str(job.binaries / "bin" / "psql"),
            *("--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"),
            *("--dbname", job.dsn, "--command", f"COPY {self.table} TO STDOUT"),
        ]
        return timed(command, job.events)
