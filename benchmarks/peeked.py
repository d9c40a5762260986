"""The bytes of pgoutput of a backlog, through SQL functions and no reader."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from benchmarks.runs import Job

__all__ = ("peeked_payloads",)


def peeked_payloads(job: Job) -> Iterator[tuple[int, bytes]]:
    """Give each message of a backlog with its LSN, as the walsender would send them."""
    with psycopg.connect(job.dsn) as connection:
        # What the walsender of a client has that says nothing else; times are text in its zone.
        connection.execute("SET timezone = 'UTC'")
        with connection.cursor("payloads", binary=True) as cursor:
            cursor.itersize = 10_000
            cursor.execute(
                "SELECT (lsn - '0/0')::int8, data FROM pg_logical_slot_peek_binary_changes("
                "%s, %s, NULL, 'proto_version', '1', 'publication_names', %s)",
                [job.slot, job.until, job.publication],
            )
            for lsn, data in cursor:
                yield int(lsn), bytes(data)
