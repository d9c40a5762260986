"""Slots that export a snapshot, and stay temporary until what they exported has been read."""

from __future__ import annotations

import secrets
from typing import Final

import psycopg
from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError, SnapshotError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import Conversation
from pglogical_cdc.postgres.server import Server
from pglogical_cdc.postgres.slots import Slot, describe_slot

__all__ = ("ExportedSlot", "export_slot", "permanent_slot", "set_failover")

_LONGEST_NAME: Final = 63
"""``NAMEDATALEN`` - 1."""


@record
class ExportedSlot:
    """A temporary slot, and the snapshot of the very point from which it streams."""

    name: str
    consistent_point: LSN
    """All that commits before is in the snapshot, and all that commits from here on is streamed."""
    snapshot_name: str
    """For ``SET TRANSACTION SNAPSHOT``; good until the next command on the slot's connection."""


def export_slot(final_name: str, server: Server, *, temporary: bool) -> Conversation[ExportedSlot]:
    """Create a temporary pgoutput slot, and export its snapshot. Waits for open transactions.

    Needs a replication connection, and the snapshot is gone with the next command on it.

    Args:
        final_name: name of the slot that it is to become.
        server: the server.
        temporary: whether it is to stay temporary, and so has that name already.

    Raises:
        ConfigurationError: the server cannot make such a slot.
    """
    ending = f"_{secrets.token_hex(4)}"
    name = final_name if temporary else final_name[: _LONGEST_NAME - len(ending)] + ending
    # Options in parentheses came with PostgreSQL 15; 14 has keywords.
    export = "(SNAPSHOT 'export')" if server.version >= 150000 else "EXPORT_SNAPSHOT"
    try:
        ((made, point, snapshot, _),) = yield sql.SQL(
            "CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput {}"
        ).format(sql.Identifier(name), sql.SQL(export))
    except (
        psycopg.errors.ConfigurationLimitExceeded,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.DuplicateObject,
    ) as error:
        raise ConfigurationError(
            f"slot {name!r} cannot be created: {error.diag.message_primary} (while a snapshot is "
            "taken there is one more slot than later, see max_replication_slots)"
        ) from error
    return ExportedSlot(str(made), LSN.parse(str(point)), str(snapshot))


def permanent_slot(
    slot: ExportedSlot, name: str, server: Server, *, replaces: bool
) -> Conversation[None]:
    """Copy the temporary slot to its permanent name; it may be in use meanwhile.

    Args:
        slot: the temporary slot, of another session.
        name: of the slot to make.
        server: the server.
        replaces: whether there may be a slot of that name. If it is good it stays, and is moved to
            where the snapshot was taken; if it was invalidated it makes room.

    Raises:
        SnapshotError: somebody else has made the slot, or the temporary one is gone.
    """
    if replaces:
        found = yield from describe_slot(name, server)
        if found is not None and not found.invalidated:
            yield from _moved(found, slot.consistent_point)
            return
        if found is not None:
            yield sql.SQL("SELECT pg_catalog.pg_drop_replication_slot({})").format(
                sql.Literal(name)
            )
    try:
        yield sql.SQL("SELECT pg_catalog.pg_copy_logical_replication_slot({}, {}, false)").format(
            sql.Literal(slot.name), sql.Literal(name)
        )
    except psycopg.errors.DuplicateObject as error:
        raise SnapshotError(
            f"slot {name!r} was made by somebody else at the same moment",
            sqlstate=error.sqlstate,
            slot=name,
        ) from error
    except psycopg.errors.ConfigurationLimitExceeded as error:
        raise ConfigurationError(
            f"slot {name!r} cannot be made beside the temporary one: {error.diag.message_primary}; "
            "increase max_replication_slots, or drop a slot that nobody needs"
        ) from error
    except (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState) as error:
        raise SnapshotError(
            f"the temporary slot {slot.name!r} is gone, with its connection or by a limit of the "
            "server (max_slot_wal_keep_size, idle_replication_slot_timeout), and so slot "
            f"{name!r} cannot go on where the snapshot ends: open a new reader, which takes the "
            "snapshot anew",
            sqlstate=error.sqlstate,
            slot=name,
        ) from error


def _moved(slot: Slot, point: LSN) -> Conversation[None]:
    """Have a slot go on from the point of the snapshot; what it still had is in there."""
    if slot.confirmed_flush_lsn > point:
        raise SnapshotError(
            f"slot {slot.name!r} is at {slot.confirmed_flush_lsn}, and the snapshot was taken at "
            f"{point}: somebody else has read on meanwhile",
            slot=slot.name,
        )
    if slot.confirmed_flush_lsn < point:
        yield sql.SQL("SELECT pg_catalog.pg_replication_slot_advance({}, {})").format(
            sql.Literal(slot.name), sql.Literal(str(point))
        )


def set_failover(name: str) -> Conversation[None]:
    """Have standbys keep a copy of the slot (PostgreSQL 17 and later).

    Needs a replication connection. The copy of a slot does not take that over.
    """
    yield sql.SQL("ALTER_REPLICATION_SLOT {} (FAILOVER true)").format(sql.Identifier(name))
