"""Replication slots: describe, create, and check that a reader can use one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Final

import psycopg
from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import (
    ConfigurationError,
    ConnectionLostError,
    SlotInvalidatedError,
    SlotNotFoundError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import Conversation
from pglogical_cdc.postgres.server import Server

__all__ = ("Slot", "create_slot", "describe_slot", "slots_of", "usable_slot")

_PLUGIN: Final = "pgoutput"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


@record
class Slot:
    """A logical replication slot as it was when the server was asked.

    Most fields are columns of ``pg_replication_slots`` (PostgreSQL manual, "pg_replication_slots").
    What a version of the server does not have yet is False or None.
    """

    name: str
    plugin: str
    database: str
    temporary: bool
    """Whether it goes when the session that made it ends."""
    active_pid: int | None
    """The process that reads it at the moment; of a temporary slot, the session that has it."""
    restart_lsn: LSN | None
    """WAL is kept from here on."""
    confirmed_flush_lsn: LSN
    """Transactions that commit from here on are still to come; 0/0 while it is being made."""
    wal_status: str | None
    """``reserved``, ``extended``, ``unreserved``, or ``lost``."""
    safe_wal_size: int | None
    """Bytes that can be written before it is in danger of being lost; None without a limit
    (``max_slot_wal_keep_size``)."""
    two_phase: bool
    failover: bool
    """Whether standbys keep a copy (PostgreSQL 17 and later)."""
    synced: bool
    """Whether it is the copy of a primary's slot; still so after the standby has taken over
    (PostgreSQL 17 and later)."""
    conflicting: bool
    """Whether it was invalidated by a conflict with recovery (PostgreSQL 16 and later)."""
    inactive_since: datetime | None
    """When it was last read; None while somebody reads it (PostgreSQL 17 and later)."""
    invalidation_reason: str | None
    """Why the server has given it up for good: ``wal_removed``, ``rows_removed``,
    ``wal_level_insufficient``, ``idle_timeout``. PostgreSQL 16 says of the middle two only that it
    is one of them, which is ``conflicting`` here."""
    retained_bytes: int
    """WAL between `restart_lsn` and the server's position; 0 once it is invalidated."""
    lag_bytes: int | None
    """WAL between `confirmed_flush_lsn` and the server's position."""
    lag_seconds: float | None
    """Time from the server's writing of WAL to its reader's confirmation, as measured last
    (``flush_lag`` of ``pg_stat_replication``). None if nobody streams from it, if nothing was to
    be measured lately, or if the role may not see it: the reader's own and members of
    ``pg_read_all_stats`` may."""
    inactive_seconds: float | None
    """Time since `inactive_since`, by the server's clock."""

    @property
    def active(self) -> bool:
        """Whether somebody reads it at the moment."""
        return self.active_pid is not None

    @property
    def invalidated(self) -> bool:
        """Whether the server has given it up for good. It can be dropped, and nothing else."""
        return self.invalidation_reason is not None


# Operators and types are named with their schema: search_path may lead to anybody's.
_COLUMNS: Final = """\
SELECT s.slot_name::pg_catalog.text, s.plugin::pg_catalog.text, s.database::pg_catalog.text,
  s.temporary, s.active_pid, s.restart_lsn::pg_catalog.text,
  s.confirmed_flush_lsn::pg_catalog.text, s.wal_status, s.safe_wal_size, s.two_phase,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_lsn() END::pg_catalog.text,
  (EXTRACT(EPOCH FROM COALESCE(w.flush_lag, w.replay_lag))
    OPERATOR(pg_catalog.*) 1000000)::bigint,
"""
_CONFLICTING: Final = {
    False: "false",
    # PostgreSQL 16 says so of each invalidated slot; where WAL was removed, restart_lsn is NULL.
    True: "COALESCE(s.conflicting AND s.restart_lsn IS NOT NULL, false)",
}
_SINCE_17: Final = {
    False: "false, false, NULL, NULL, NULL",
    # Moments and times as microseconds, which no DateStyle changes.
    True: """s.failover, s.synced, s.invalidation_reason,
  (EXTRACT(EPOCH FROM s.inactive_since) OPERATOR(pg_catalog.*) 1000000)::bigint,
  (EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) s.inactive_since)
    OPERATOR(pg_catalog.*) 1000000)::bigint""",
}
_FROM: Final = """
FROM pg_catalog.pg_replication_slots s
LEFT JOIN pg_catalog.pg_stat_replication w ON w.pid OPERATOR(pg_catalog.=) s.active_pid
WHERE s.slot_type OPERATOR(pg_catalog.=) 'logical'"""


def slots_of(version: int, name: str | None = None) -> Conversation[list[Slot]]:
    """Return the logical slots of the server, whatever plugin and database they have, by name.

    Args:
        version: ``server_version_num``.
        name: of the only one to look for.
    """
    query = sql.SQL(_COLUMNS) + sql.SQL(
        f"{_CONFLICTING[version >= 160000]}, {_SINCE_17[version >= 170000]}{_FROM}"
    )
    if name is not None:
        query += sql.SQL(" AND s.slot_name OPERATOR(pg_catalog.=) {}").format(sql.Literal(name))
    rows = yield query + sql.SQL(" ORDER BY s.slot_name")
    return [_slot(*map(_text, row)) for row in rows]


def _slot(
    name: str,
    plugin: str,
    database: str,
    temporary: bool,
    active_pid: int | None,
    restart: str | None,
    flushed: str | None,
    wal_status: str | None,
    safe_wal_size: int | None,
    two_phase: bool,
    position: str,
    lag: int | None,
    conflicting: bool,
    failover: bool,
    synced: bool,
    reason: str | None,
    since: int | None,
    inactive: int | None,
) -> Slot:
    """Make a slot of a row; times are in microseconds."""
    if reason is None and wal_status == "lost":
        reason = "conflicting" if conflicting else "wal_removed"
    here = LSN.parse(position)
    restart_lsn = LSN.parse(restart) if restart else None
    kept = 0 if restart_lsn is None or reason is not None else here - restart_lsn
    confirmed_flush_lsn = LSN.parse(flushed) if flushed else LSN(0)
    return Slot(
        name=name,
        plugin=plugin,
        database=database,
        temporary=temporary,
        active_pid=active_pid,
        restart_lsn=restart_lsn,
        confirmed_flush_lsn=confirmed_flush_lsn,
        wal_status=wal_status,
        safe_wal_size=safe_wal_size,
        two_phase=two_phase,
        failover=failover,
        synced=synced,
        conflicting=conflicting,
        inactive_since=None if since is None else _EPOCH + timedelta(microseconds=since),
        invalidation_reason=reason,
        # The slot may be further than the position, which was looked up before.
        retained_bytes=max(0, kept),
        lag_bytes=max(0, here - confirmed_flush_lsn) if confirmed_flush_lsn else None,
        lag_seconds=None if lag is None else lag / 1_000_000,
        inactive_seconds=None if inactive is None else inactive / 1_000_000,
    )


def _text(value: Any) -> Any:
    # To a client in SQL_ASCII, psycopg gives text as bytes.
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def describe_slot(name: str, server: Server) -> Conversation[Slot | None]:
    """Return the slot, or None if there is no logical slot of that name."""
    found = yield from slots_of(server.version, name)
    return found[0] if found else None


def create_slot(
    name: str, server: Server, *, temporary: bool = False, failover: bool = False
) -> Conversation[None]:
    """Create a pgoutput slot; needs a replication connection. Waits for open transactions.

    Losing the race against another creator is no error: the slot is there.

    Raises:
        ConfigurationError: the server cannot make such a slot.
    """
    options = ["SNAPSHOT 'nothing'"] if server.version >= 150000 else []
    if failover:
        if server.version < 170000:
            raise ConfigurationError("failover slots need PostgreSQL 17 or later")
        options.append("FAILOVER true")
    # Options in parentheses came with PostgreSQL 15; 14 has keywords.
    tail = f"({', '.join(options)})" if options else "NOEXPORT_SNAPSHOT"
    try:
        yield sql.SQL("CREATE_REPLICATION_SLOT {} {} LOGICAL {} {}").format(
            sql.Identifier(name),
            sql.SQL("TEMPORARY" if temporary else ""),
            sql.SQL(_PLUGIN),
            sql.SQL(tail),
        )
    except psycopg.errors.DuplicateObject:
        return
    except (psycopg.errors.ConfigurationLimitExceeded, psycopg.errors.InsufficientPrivilege) as e:
        raise ConfigurationError(
            f"slot {name!r} cannot be created: {e.diag.message_primary}"
        ) from e


def usable_slot(
    name: str,
    server: Server,
    *,
    create: bool = False,
    temporary: bool = False,
    failover: bool = False,
) -> Conversation[Slot]:
    """Return the slot after checking that it can be read here; create it if asked for.

    Raises:
        SlotNotFoundError: it does not exist and `create` is off.
        ConfigurationError: it has another plugin or database, or other properties.
        SlotInvalidatedError: the server has given it up.
        ConnectionLostError: it is the copy that a standby keeps of a primary's slot, which can be
            read as soon as the standby has taken over.
    """
    slot = yield from describe_slot(name, server)
    if slot is None and create:
        yield from create_slot(name, server, temporary=temporary, failover=failover)
        slot = yield from describe_slot(name, server)
    if slot is None:
        raise SlotNotFoundError(
            f"replication slot {name!r} does not exist in this server; create it with "
            "create=True. If it existed before, changes since then may be lost",
            slot=name,
        )
    if slot.plugin != _PLUGIN:
        raise ConfigurationError(
            f"slot {name!r} has the output plugin {slot.plugin!r}, not {_PLUGIN!r}"
        )
    if slot.database != server.database:
        raise ConfigurationError(
            f"slot {name!r} belongs to database {slot.database!r}, the connection is to "
            f"{server.database!r}"
        )
    if slot.two_phase:
        raise ConfigurationError(
            f"slot {name!r} was created with two_phase, which protocol version 1 cannot read"
        )
    if failover and not slot.failover:
        raise ConfigurationError(
            f"slot {name!r} exists without failover; leave failover out, or change the slot with "
            "ALTER_REPLICATION_SLOT"
        )
    if server.in_recovery and slot.synced:
        raise ConnectionLostError(
            f"slot {name!r} is a standby's copy of its primary's slot, and cannot be read before "
            "the standby has taken over; connect to the primary",
            slot=name,
        )
    if slot.invalidated:
        raise SlotInvalidatedError(
            f"slot {name!r} was invalidated for good, reason: {slot.invalidation_reason}. What it "
            "still had to read cannot be read any more; drop it and take a new snapshot",
            slot=name,
        )
    return slot
