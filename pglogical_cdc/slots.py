"""Slots: what there is to do with logical replication slots, apart from reading them.

A slot keeps WAL for its reader, whether that one ever comes or not::

    from pglogical_cdc import slots

    for slot in slots.list("postgresql://localhost/shop"):
        print(slot.name, slot.active, slot.retained_bytes)

Each function has a twin for asyncio, with an ``a`` before its name: ``await slots.alist(...)``.
`conninfo` is a libpq connection string or URI, or an open connection of psycopg: a
`psycopg.Connection`, for the twins a `psycopg.AsyncConnection`. It must not be inside a
transaction, and stays open, unless it breaks or Ctrl-C or a cancellation comes meanwhile.

Listing takes no privilege. Everything else takes a role with ``REPLICATION``. All works on a
primary and on a standby, which has slots of its own from PostgreSQL 16 on.

Every function raises `ConnectionLostError` if the server cannot be reached or the connection
breaks, and `ConfigurationError` for wrong arguments, missing privileges, and what the server's
version, settings or role do not allow.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import pq

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    AnyConnection,
    Asynchronous,
    Blocking,
    Conversation,
    Flavour,
    Slot,
    connect_plain,
    exchange,
    parameters,
    run,
)
from pglogical_cdc.postgres.poison import find_poison
from pglogical_cdc.postgres.slot_operations import (
    advance_slot,
    all_slots,
    drop_slot,
    find_idle_slots,
    find_slot,
    make_slot,
    refusal,
)

__all__ = (
    "Slot",
    "list",
    "get",
    "create",
    "drop",
    "advance",
    "poisoned",
    "idle_slots",
    "alist",
    "aget",
    "acreate",
    "adrop",
    "aadvance",
    "apoisoned",
    "aidle_slots",
)

T = TypeVar("T")

Conninfo: TypeAlias = "str | psycopg.Connection[Any]"
AsyncConninfo: TypeAlias = "str | psycopg.AsyncConnection[Any]"


def list(conninfo: Conninfo) -> builtins.list[Slot]:
    """Return all logical slots of the server, whatever plugin and database they have, by name."""
    return _blocking(conninfo, all_slots())


def get(conninfo: Conninfo, name: str) -> Slot | None:
    """Return the slot, or None if there is no logical slot of that name."""
    return _blocking(conninfo, find_slot(name), name)


def create(
    conninfo: Conninfo,
    name: str,
    *,
    failover: bool = False,
    two_phase: bool = False,
    temporary: bool = False,
    timeout: float | None = None,
) -> Slot:
    """Create a slot with the plugin pgoutput in the database of the connection, and return it.

    The server waits until every transaction has ended that was open and had written when it began,
    in all of its databases. Ctrl-C, or cancelling `acreate`, ends that at once, and leaves no slot.

    Args:
        conninfo: see the module.
        name: of the slot: a-z, 0-9 and _, at most 63 of them.
        failover: have standbys keep a copy (PostgreSQL 17 and later).
        two_phase: decode prepared transactions when they are prepared. A `ReplicationReader` cannot
            read such a slot.
        temporary: it goes when the connection is closed; needs an open one.
        timeout: seconds to wait for open transactions; None for as long as they take.

    Raises:
        ConfigurationError: there is one of that name, or no room for another one.
        SourceError: open transactions have held it up for longer than `timeout`. It says which.
    """
    _check_temporary(conninfo, temporary)
    return _blocking(
        conninfo,
        make_slot(
            name, failover=failover, two_phase=two_phase, temporary=temporary, timeout=timeout
        ),
        name,
    )


def drop(conninfo: Conninfo, name: str, *, force: bool = False) -> None:
    """Drop a slot, of any database. What it still had to read cannot be read any more.

    Args:
        conninfo: see the module.
        name: of the slot.
        force: terminate the process that reads it. A reader that connects again at once is
            terminated again, a few times.

    Raises:
        SlotNotFoundError: there is none of that name.
        SlotInUseError: somebody reads it, with `force`: again and again.
        ConfigurationError: this is a standby and it is the copy of a slot of the primary.
    """
    _blocking(conninfo, drop_slot(name, force=force), name)


def advance(conninfo: Conninfo, name: str, *, to: int | str) -> LSN:
    """Move a slot forward without reading, and return where it is then.

    Transactions that commit before that position are not delivered any more. ``to=commit_lsn`` of a
    transaction makes it the next one, ``to=commit_lsn + 1`` gives it up and nothing after it.

    Args:
        conninfo: see the module.
        name: of the slot.
        to: an `LSN`, its text, or ``"now"`` for the end of the WAL.

    Raises:
        SlotNotFoundError: there is none of that name.
        SlotInUseError: somebody reads it.
        SlotInvalidatedError: the server has given it up.
        ConfigurationError: `to` is behind the slot, or beyond the end of the WAL; it belongs to
            another database (up to PostgreSQL 16); this is a standby and it is the copy of a slot
            of the primary.
    """
    return _blocking(conninfo, advance_slot(name, to), name)


def poisoned(
    conninfo: Conninfo, name: str, publications: str | Sequence[str], *, binary: bool = False
) -> LSN | None:
    """Return the commit LSN of the first transaction that cannot be decoded; None if all can.

    For `DecodingFailedError` without `commit_lsn`. The server decodes again and again, some ten to
    forty times, what is between the slot and that transaction; nothing of it is sent, and the slot
    stays where it is.

    Args:
        conninfo: see the module; of the database of the slot.
        name: of the slot.
        publications: as the reader has them.
        binary: as the reader has it.

    Raises:
        SlotNotFoundError: there is none of that name.
        SlotInUseError: somebody reads it.
        SlotInvalidatedError: the server has given it up.
        PublicationNotFoundError: one does not exist, or did not yet where the slot reads.
        ConfigurationError: the slot is of another plugin or database.
    """
    return _blocking(conninfo, find_poison(name, publications, binary=binary), name)


def idle_slots(
    conninfo: Conninfo,
    *,
    older_than: float | timedelta | None = None,
    larger_than: int | None = None,
) -> builtins.list[Slot]:
    """Return the slots that nobody reads at the moment, those that keep the most WAL first.

    Temporary slots are left out, and on a standby the copies of a primary's slots.

    Args:
        conninfo: see the module.
        older_than: only those that nobody has read for longer, in seconds if it is a number
            (PostgreSQL 17 and later).
        larger_than: only those that keep more bytes of WAL.

    Raises:
        ConfigurationError: the server is too old for `older_than`.
    """
    return _blocking(conninfo, find_idle_slots(older_than, larger_than))


async def alist(conninfo: AsyncConninfo) -> builtins.list[Slot]:
    """Do as `list`."""
    return await _asynchronous(conninfo, all_slots())


async def aget(conninfo: AsyncConninfo, name: str) -> Slot | None:
    """Do as `get`."""
    return await _asynchronous(conninfo, find_slot(name), name)


async def acreate(
    conninfo: AsyncConninfo,
    name: str,
    *,
    failover: bool = False,
    two_phase: bool = False,
    temporary: bool = False,
    timeout: float | None = None,
) -> Slot:
    """Do as `create`."""
    _check_temporary(conninfo, temporary)
    return await _asynchronous(
        conninfo,
        make_slot(
            name, failover=failover, two_phase=two_phase, temporary=temporary, timeout=timeout
        ),
        name,
    )


async def adrop(conninfo: AsyncConninfo, name: str, *, force: bool = False) -> None:
    """Do as `drop`."""
    await _asynchronous(conninfo, drop_slot(name, force=force), name)


async def aadvance(conninfo: AsyncConninfo, name: str, *, to: int | str) -> LSN:
    """Do as `advance`."""
    return await _asynchronous(conninfo, advance_slot(name, to), name)


async def apoisoned(
    conninfo: AsyncConninfo, name: str, publications: str | Sequence[str], *, binary: bool = False
) -> LSN | None:
    """Do as `poisoned`."""
    return await _asynchronous(conninfo, find_poison(name, publications, binary=binary), name)


async def aidle_slots(
    conninfo: AsyncConninfo,
    *,
    older_than: float | timedelta | None = None,
    larger_than: int | None = None,
) -> builtins.list[Slot]:
    """Do as `idle_slots`."""
    return await _asynchronous(conninfo, find_idle_slots(older_than, larger_than))


def _blocking(conninfo: Conninfo, conversation: Conversation[T], slot: str | None = None) -> T:
    flavour = Blocking()
    try:
        return run(_converse(conninfo, psycopg.Connection, conversation, flavour, slot))
    finally:
        flavour.close()


async def _asynchronous(
    conninfo: AsyncConninfo, conversation: Conversation[T], slot: str | None = None
) -> T:
    flavour = Asynchronous()
    try:
        return await _converse(conninfo, psycopg.AsyncConnection, conversation, flavour, slot)
    finally:
        flavour.close()


async def _converse(
    conninfo: str | AnyConnection,
    kind: type[AnyConnection],
    conversation: Conversation[T],
    flavour: Flavour,
    slot: str | None,
) -> T:
    opened: AnyConnection | None = None
    if isinstance(conninfo, kind):
        _check_ready(conninfo)
        connection = conninfo
    elif isinstance(conninfo, psycopg.BaseConnection):
        raise ConfigurationError(
            f"conninfo: a psycopg.{kind.__name__} is needed here, not a {type(conninfo).__name__}: "
            "the functions with an a before their name take asynchronous connections, the others "
            "blocking ones"
        )
    else:
        connection = opened = await connect_plain(parameters(conninfo), flavour)
    try:
        return await exchange(connection, conversation, flavour)
    except psycopg.Error as error:
        raise refusal(error, slot) from error
    finally:
        if opened is not None:
            opened.pgconn.finish()


def _check_ready(connection: AnyConnection) -> None:
    pgconn = connection.pgconn
    if pgconn.status != pq.ConnStatus.OK:
        raise ConfigurationError("conninfo: the connection is closed")
    if (
        pgconn.transaction_status != pq.TransactionStatus.IDLE
        or pgconn.pipeline_status != pq.PipelineStatus.OFF
    ):
        raise ConfigurationError(
            "conninfo: the connection is inside a transaction, or busy: commit or roll back first, "
            "or give it autocommit"
        )


def _check_temporary(conninfo: object, temporary: bool) -> None:
    if temporary and isinstance(conninfo, str):
        raise ConfigurationError(
            "a temporary slot lives as long as its connection: give create an open connection, not "
            "a connection string"
        )
