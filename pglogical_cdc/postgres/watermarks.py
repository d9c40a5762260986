"""Watermarks: messages in the WAL, between which rows are read; and what their snapshot sees.

``pg_logical_emit_message`` needs no table, and no privilege but to connect (manual, "Replication
Management Functions").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import Conversation

__all__ = (
    "WATERMARK_PREFIX",
    "RunningTransactions",
    "high_watermark",
    "low_watermark",
    "running_transactions",
    "unfinished",
    "who_runs",
)

WATERMARK_PREFIX: Final = "pglogical_cdc"
"""Prefix of the messages."""

_XIDS: Final = 1 << 32
_HALF: Final = 1 << 31


@record
class RunningTransactions:
    """Which transactions a snapshot does not see, by the 32-bit IDs that the stream has."""

    xmin: int
    """The first that was running."""
    xmax: int
    """The first that had not begun."""
    running: frozenset[int]
    """Those between the two that were running."""

    def sees(self, xid: int) -> bool:
        """Tell whether the snapshot sees what a transaction has committed."""
        return xid not in self.running and (xid - self.xmax) % _XIDS >= _HALF

    def is_before(self, xid: int) -> bool:
        """Tell whether a transaction had ended before all that were running began."""
        return (xid - self.xmin) % _XIDS >= _HALF


def low_watermark(token: str) -> Conversation[LSN]:
    """Write a message, and return where the WAL has it: what committed before it lies before it.

    It is not flushed, for the high watermark behind it is.
    """
    ((lsn,),) = yield sql.SQL(
        "SELECT pg_catalog.pg_logical_emit_message(false, {}, {})::pg_catalog.text"
    ).format(sql.Literal(WATERMARK_PREFIX), sql.Literal(f"low {token}"))
    return LSN.parse(str(lsn))


def high_watermark(token: str) -> Conversation[None]:
    """Commit a message, which the stream has after all that commits before it.

    It is not waited for until standbys have it: some may be held back for long.
    """
    yield sql.SQL(
        "SELECT pg_catalog.set_config('synchronous_commit', 'local', true),"
        " pg_catalog.pg_logical_emit_message(true, {}, {})"
    ).format(sql.Literal(WATERMARK_PREFIX), sql.Literal(token))


def running_transactions() -> Conversation[RunningTransactions]:
    """Return what the snapshot of this transaction, or statement, does not see."""
    ((text,),) = yield sql.SQL("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text")
    xmin, xmax, running = str(text).split(":")
    return RunningTransactions(
        int(xmin) % _XIDS,
        int(xmax) % _XIDS,
        frozenset(int(xid) % _XIDS for xid in running.split(",") if xid),
    )


def unfinished() -> Conversation[frozenset[int]]:
    """Return the transactions that are running and may have been committed.

    A commit is visible to others only after it has been flushed, and perhaps sent to standbys, and
    the stream may have it before. Until then the transaction holds the lock on its own ID, while a
    snapshot may have it for one that has not begun. Of a session that waits for its next statement
    it is known that it has not begun to commit.
    """
    rows = yield sql.SQL(
        "SELECT l.transactionid::pg_catalog.text FROM pg_catalog.pg_locks l"
        " WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a"
        " WHERE a.pid = l.pid AND a.state LIKE 'idle in transaction%')"
    )
    return frozenset(int(xid) for (xid,) in rows)


def who_runs(xids: Iterable[int]) -> Conversation[str]:
    """Return, for a message, by whom transactions are run: processes, or names of prepared ones."""
    rows = yield sql.SQL(
        "SELECT l.transactionid::pg_catalog.text, l.pid::pg_catalog.text, p.gid"
        " FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_prepared_xacts p"
        " ON p.transaction OPERATOR(pg_catalog.=) l.transactionid"
        " WHERE l.locktype OPERATOR(pg_catalog.=) 'transactionid'"
        " AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock' AND l.granted"
    )
    found = {int(str(xid)): (pid, gid) for xid, pid, gid in rows}
    said = []
    for xid in sorted(set(xids)):
        pid, gid = found.get(xid, (None, None))
        who = f" of process {pid}" if gid is None else f", prepared as {gid!r}"
        said.append(f"{xid}{who if xid in found else ''}")
    return "; ".join(said)
