"""Continuity: whether a server and its slot go on where reading has got to. Pure.

The server says nothing of all this: it starts silently at the slot's position where an older one is
asked for, and sends silently nothing where a position is asked for that it has not reached.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from pglogical_cdc.errors import (
    ConnectionLostError,
    SlotGapError,
    SystemMismatchError,
    TimelineDivergedError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import Offset
from pglogical_cdc.postgres import Server, Slot

__all__ = ("on_server", "on_slot")


def on_server(known: Offset, server: Server, ends: Mapping[int, LSN]) -> Offset:
    """Check that a server has all that was read, and return what is still known on it.

    Only the end of the last transaction counts. The position of a keepalive may lie behind the
    switch of a timeline although nothing was read there; it is taken back then.

    Args:
        known: where reading has got to.
        server: the server.
        ends: where the server's earlier timelines ended.

    Raises:
        SystemMismatchError: it is another database cluster.
        TimelineDivergedError: its history split off before the last transaction that was read.
        ConnectionLostError: it is a standby that does not have that transaction yet.
    """
    if server.system_identifier != known.system_identifier:
        raise SystemMismatchError(
            f"slot {known.slot!r} was read in the database cluster with the system identifier "
            f"{known.system_identifier}, and this server has {server.system_identifier}: it is "
            "another cluster. Connect to the right one, or start anew with an empty store and a "
            "new snapshot",
            slot=known.slot,
        )
    if server.timeline != known.timeline:
        end = ends.get(known.timeline, LSN(0))
        if known.timeline not in ends:
            raise TimelineDivergedError(
                f"slot {known.slot!r} was read on timeline {known.timeline}, and the server is on "
                f"timeline {server.timeline}, which does not descend from it: what was read up to "
                f"{known.transaction_end} may never have happened there. {_FIX}",
                slot=known.slot,
            )
    else:
        end = server.position
        if server.in_recovery and end < known.transaction_end:
            # If it took over now, it would go on without what was read, and nobody would know.
            raise ConnectionLostError(
                f"the standby has got to {end} only, and transactions of slot {known.slot!r} were "
                f"read up to {known.transaction_end}: reading can go on when it has got there",
                slot=known.slot,
            )
    if end < known.transaction_end:
        what = (
            f"timeline {known.timeline} ended at {end}"
            if server.timeline != known.timeline
            else f"the server has got to {end} only"
        )
        raise TimelineDivergedError(
            f"{what}, but transactions of slot {known.slot!r} were read up to "
            f"{known.transaction_end}: those from {end} to {known.transaction_end} are not in the "
            f"server's history, and what it has there instead was never read. {_FIX}",
            slot=known.slot,
        )
    return evolve(known, timeline=server.timeline, position=min(known.position, end))


_FIX = (
    "Take a new snapshot. PostgreSQL 17 and later prevent this with failover slots and "
    "synchronized_standby_slots"
)


def on_slot(known: Offset, slot: Slot) -> None:
    """Check that a slot still has all that was not read.

    Raises:
        SlotGapError: it has been moved on, or is another one of the same name.
    """
    reached = max(known.position, known.transaction_end)
    if slot.confirmed_flush_lsn > reached:
        raise SlotGapError(
            f"slot {known.slot!r} is at {slot.confirmed_flush_lsn}, but reading has got to "
            f"{reached} only: changes in between are gone. Somebody has moved the slot, or dropped "
            "and created it. Take a new snapshot, or go on with the gap: "
            "on_offset_mismatch='trust_slot'",
            slot=known.slot,
        )
