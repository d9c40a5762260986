"""Replication slots: describe, create, and check that a reader can use one."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError, SlotInvalidatedError, SlotNotFoundError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import Conversation
from pglogical_cdc.postgres.server import Server

__all__ = ("Slot", "create_slot", "describe_slot", "usable_slot")

_PLUGIN: Final = "pgoutput"


@record
class Slot:
    """A logical replication slot, as ``pg_replication_slots`` shows it."""

    name: str
    plugin: str
    database: str
    confirmed_flush_lsn: LSN
    wal_status: str | None
    """``reserved``, ``extended``, ``unreserved``, or ``lost``."""
    invalidation_reason: str | None
    """Why the server gave the slot up (PostgreSQL 17 and later)."""
    two_phase: bool
    failover: bool
    """Whether standbys keep a copy (PostgreSQL 17 and later)."""


def describe_slot(name: str, server: Server) -> Conversation[Slot | None]:
    """Return the slot, or None if there is no logical slot of that name."""
    since_17 = "invalidation_reason, failover" if server.version >= 170000 else "NULL, false"
    rows = yield sql.SQL(
        "SELECT slot_name, plugin, database, confirmed_flush_lsn::text, wal_status,"
        " two_phase, {since_17} FROM pg_catalog.pg_replication_slots"
        " WHERE slot_type = 'logical' AND slot_name = {name}"
    ).format(since_17=sql.SQL(since_17), name=sql.Literal(name))
    if not rows:
        return None
    slot, plugin, database, flushed, status, two_phase, why, failover = rows[0]
    return Slot(
        name=slot,
        plugin=plugin,
        database=database,
        confirmed_flush_lsn=LSN.parse(flushed) if flushed else LSN(0),
        wal_status=status,
        invalidation_reason=why,
        two_phase=two_phase,
        failover=failover,
    )


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
    if slot.wal_status == "lost":
        reason = slot.invalidation_reason or "unknown to this version of the server"
        raise SlotInvalidatedError(
            f"slot {name!r} was invalidated for good, reason: {reason}. What it still had to read "
            "cannot be read any more; drop it and take a new snapshot",
            slot=name,
        )
    return slot
