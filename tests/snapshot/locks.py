"""What a snapshot locks, watched from beside while it is read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psycopg

__all__ = ("locks_watched",)


@contextlib.contextmanager
def locks_watched(dsn: str) -> Iterator[None]:
    """See that no session of ours ever has a lock above ACCESS SHARE on a table."""
    stopping = threading.Event()
    seen: set[str] = set()

    def watch() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not stopping.wait(0.002):
                rows = connection.execute(
                    "SELECT DISTINCT mode FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                    " WHERE l.locktype = 'relation' AND l.relation >= 16384"
                    " AND a.application_name = 'pglogical_cdc'"
                ).fetchall()
                seen.update(mode for (mode,) in rows)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    assert seen == {"AccessShareLock"}, f"locks on tables: {', '.join(sorted(seen)) or 'none'}"
