"""Opening: connect to a server, and check that reading can go on there without a gap."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping

import psycopg
from attrs import evolve
from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import (
    CdcError,
    SlotGapError,
    SlotInUseError,
    SlotNotFoundError,
    SystemMismatchError,
    TimelineDivergedError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import Offset
from pglogical_cdc.postgres import (
    AnyConnection,
    Conversation,
    ExportedSlot,
    Flavour,
    Parameters,
    Server,
    Slot,
    connect,
    create_slot,
    describe_slot,
    diagnose,
    exchange,
    export_slot,
    identify,
    set_client_encoding,
    timeline_ends,
    usable_publications,
    usable_slot,
)
from pglogical_cdc.replication import continuity
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.settings import OffsetMismatchPolicy, Settings
from pglogical_cdc.replication.stored import BEGUN, StoredPosition

__all__ = ("Opened", "Walsender", "open_connection")

_log = logging.getLogger(__name__)


@record
class Walsender:
    """A walsender that has served us: no other one on the same server has the same PID by chance
    while it holds our slot."""

    pid: int
    host: str
    port: int
    system_identifier: str


@record
class Opened:
    """A connection over which the slot can be read."""

    connection: AnyConnection
    server: Server
    slot: Slot | None
    """The slot; None while there is only an exported one."""
    known: Offset | None
    """Where reading has got to, as far as it holds on this server; None where the slot's position
    holds."""
    exported: ExportedSlot | None = None
    """Where a snapshot comes first: the slot that goes with it. Its connection must be given no
    command until the snapshot has been taken over."""
    remaining: str = ""
    """Of a resumable snapshot that begins or goes on with the stream, what is stored of it, see
    `Offset.snapshot`; empty if there is none."""

    @property
    def walsender(self) -> Walsender:
        """The process at the other end."""
        info = self.connection.info
        return Walsender(info.backend_pid, info.host, info.port, self.server.system_identifier)

    def is_where(self, walsender: Walsender) -> bool:
        """Tell whether a walsender is one of this server."""
        return evolve(self.walsender, pid=walsender.pid) == walsender


async def open_connection(
    given: Parameters,
    settings: Settings,
    flavour: Flavour,
    beside: Beside,
    known: Offset | None,
    position: StoredPosition,
    *,
    previous: Walsender | None,
    patience: float,
    begins: bool = False,
) -> Opened:
    """Connect, check, and create what is missing if nothing was read yet.

    Args:
        given: where to connect.
        settings: the reader's arguments.
        flavour: how to wait.
        beside: is attached to the server.
        known: where reading has got to; None if it begins.
        position: where it is stored that a resumable snapshot begins.
        previous: the walsender that served us before. If it still holds the slot, because it has
            not noticed that we are gone, it is ended.
        patience: seconds for each answer.
        begins: whether it is the first connection: a snapshot may come first then, or go on.

    Raises:
        CdcError: the server cannot be reached, or reading cannot go on there.
        Stopped: the flavour was stopped.
    """
    connection = await connect(given, flavour, patience)
    try:
        beside.attach(connection, patience)
        server = await exchange(connection, identify(), flavour, patience)
        settings.check_server(server)
        remaining = known.snapshot if begins and known is not None else ""
        takes_snapshot = False
        if remaining == BEGUN:
            # Of a snapshot that had begun, and no more than that, there is no position.
            known, takes_snapshot = None, True
        fell_back = False
        if known is not None:
            # First of all: another cluster would just have no such publication, and no such slot.
            ends: dict[int, LSN] = {}
            if known.timeline != server.timeline:
                ends = await exchange(connection, timeline_ends(server.timeline), flavour, patience)
            fell_back = (
                known.timeline == server.timeline
                and not server.in_recovery
                and known.position > server.position
            )
            try:
                known = _on_server(known, server, ends, settings.on_offset_mismatch)
            except (SystemMismatchError, TimelineDivergedError) as error:
                if not (begins and settings.resnapshots):
                    raise
                _log.warning("%s. Taking a new snapshot", error)
                known, takes_snapshot = None, True
        create = settings.create and known is None
        await beside.ask(
            lambda: usable_publications(
                settings.publications,
                server,
                create=create,
                tables=settings.tables,
                may_be_empty=settings.messages,
            )
        )
        name = settings.slot
        there = await exchange(connection, describe_slot(name, server), flavour, patience)
        if known is not None and there is not None and begins and settings.resnapshots:
            try:
                continuity.on_slot(known, there)
            except SlotGapError as error:
                _log.warning("%s. Taking a new snapshot", error)
                known, takes_snapshot = None, True
        if begins and not takes_snapshot:
            takes_snapshot = settings.wants_snapshot(
                there, known=known is not None, resumes=known is not None and known.snapshot != ""
            )
        if takes_snapshot:
            if not settings.snapshot_resumable:
                return await _export(connection, server, there, settings, flavour, beside, patience)
            remaining, known, create = BEGUN, None, True
            await position.begin_snapshot(server)
            if there is not None and there.invalidated:
                await exchange(connection, _drop(name), flavour, patience)
                there = None
        if create and there is None:
            # Without patience: it waits for transactions, be they as long as they like.
            made = create_slot(
                name, server, temporary=settings.temporary, failover=settings.failover
            )
            await exchange(connection, made, flavour)
        slot = await exchange(
            connection,
            usable_slot(name, server, failover=settings.failover),
            flavour,
            patience,
        )
        if known is not None:
            known = _on_slot(known, slot, settings.on_offset_mismatch)
        if known is not None and fell_back:
            # What the server has written since then was not read up to where it is now.
            held = max(known.transaction_end, min(known.position, slot.confirmed_flush_lsn))
            known = evolve(known, position=held)
        await beside.read_catalog(settings.publications)
        if server.client_encoding != "UTF8":  # which the session has anyway
            encoding = set_client_encoding(server.client_encoding)
            await exchange(connection, encoding, flavour, patience)
        opened = Opened(connection, server, slot, known, remaining=remaining)
        if previous is not None and slot.active_pid == previous.pid and opened.is_where(previous):
            with contextlib.suppress(CdcError):  # it will be told when the slot is asked for
                await beside.ask(lambda: _terminate(previous.pid))
    except psycopg.Error as error:
        connection.pgconn.finish()
        raise diagnose(error, slot=settings.slot) from error
    except SlotNotFoundError:
        connection.pgconn.finish()
        if not settings.temporary or previous is None:
            raise
        raise SlotNotFoundError(
            f"the temporary slot {settings.slot!r} has ended with its connection, and what came "
            "since then cannot be read: open a new reader, or use a slot that is not temporary",
            slot=settings.slot,
        ) from None
    except BaseException:
        connection.pgconn.finish()
        raise
    return opened


async def _export(
    connection: AnyConnection,
    server: Server,
    there: Slot | None,
    settings: Settings,
    flavour: Flavour,
    beside: Beside,
    patience: float,
) -> Opened:
    """Make a slot that exports a snapshot: the last thing that is asked of the connection."""
    name = settings.slot
    if there is not None and not there.invalidated and settings.snapshot != "initial_only":
        # It goes on from the snapshot, in place of a new one.
        await exchange(
            connection, usable_slot(name, server, failover=settings.failover), flavour, patience
        )
        if there.active_pid is not None:
            raise SlotInUseError(
                f"slot {name!r} is in use by process {there.active_pid}: stop the other consumer",
                slot=name,
            )
    await beside.read_catalog(settings.publications)
    # Without patience: it waits for transactions, be they as long as they like.
    made = export_slot(name, server, temporary=settings.temporary)
    return Opened(connection, server, there, None, await exchange(connection, made, flavour))


def _on_server(
    known: Offset, server: Server, ends: Mapping[int, LSN], policy: OffsetMismatchPolicy
) -> Offset | None:
    """Return what of the position holds here, and None if that of the slot does instead."""
    try:
        return continuity.on_server(known, server, ends)
    except (SystemMismatchError, TimelineDivergedError) as error:
        if policy in ("raise", "resnapshot"):
            raise
        _log.warning("%s. Going on, as on_offset_mismatch=%r says", error, policy)
    if policy == "trust_slot":
        return None
    return evolve(known, system_identifier=server.system_identifier, timeline=server.timeline)


def _on_slot(known: Offset, slot: Slot, policy: OffsetMismatchPolicy) -> Offset | None:
    """Return the position, or None if that of the slot holds instead."""
    try:
        continuity.on_slot(known, slot)
    except SlotGapError as error:
        if policy != "trust_slot":  # the server has nothing that a stored position could ask for
            raise
        _log.warning("%s. Going on from the slot's position", error)
        return None
    return known


def _drop(name: str) -> Conversation[None]:
    yield sql.SQL("SELECT pg_catalog.pg_drop_replication_slot({})").format(sql.Literal(name))


def _terminate(pid: int) -> Conversation[None]:
    yield sql.SQL("SELECT pg_catalog.pg_terminate_backend({})").format(sql.Literal(pid))
