"""Operating slots over an ordinary connection: list, create, drop, advance.

Errors of the server that nothing here expects come out as `psycopg.Error`; `refusal` makes a typed
error of them.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    SlotInUseError,
    SlotInvalidatedError,
    SlotNotFoundError,
    SourceError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import Conversation
from pglogical_cdc.postgres.diagnosis import diagnose
from pglogical_cdc.postgres.options import slot_name
from pglogical_cdc.postgres.server import flush_wal
from pglogical_cdc.postgres.slots import Slot, slots_of

__all__ = (
    "Host",
    "advance_slot",
    "all_slots",
    "as_text",
    "check_readable",
    "drop_slot",
    "end_of_wal",
    "existing_slot",
    "find_idle_slots",
    "find_slot",
    "identify_host",
    "make_slot",
    "refusal",
    "unreadable",
)

_TAKEOVERS: Final = 6
"""How often the process that has a slot is terminated before the slot is dropped."""
_TERMINATION_MS: Final = 5000
"""How long each of them may take."""

_PIDS_SHOWN: Final = 8

_LONGEST_TIMEOUT_MS: Final = (1 << 31) - 1
"""Of ``statement_timeout``."""


@record
class Host:
    """The server and the database that an ordinary connection has reached."""

    version: int
    """``server_version_num``."""
    in_recovery: bool
    """Whether it is a standby."""
    database: str
    wal_level: str
    encoding: str
    """Of the database."""


def identify_host() -> Conversation[Host]:
    """Ask the server who it is."""
    ((version, in_recovery, *texts),) = yield sql.SQL(
        "SELECT pg_catalog.current_setting('server_version_num')::integer,"
        " pg_catalog.pg_is_in_recovery(), pg_catalog.current_database()::pg_catalog.text,"
        " pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('server_encoding')"
    )
    database, wal_level, encoding = map(as_text, texts)
    return Host(version, in_recovery, database, wal_level, encoding)


def as_text(value: Any) -> Any:
    """Return a name as text."""
    # To a client in SQL_ASCII, psycopg gives text as bytes.
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def end_of_wal() -> Conversation[LSN]:
    """Return the position up to which the server can decode."""
    ((position,),) = yield sql.SQL(
        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery()"
        " THEN pg_catalog.pg_last_wal_replay_lsn()"
        " ELSE pg_catalog.pg_current_wal_flush_lsn() END::pg_catalog.text"
    )
    return LSN.parse(as_text(position))


# -- looking


def all_slots() -> Conversation[list[Slot]]:
    """Return the logical slots of the server, by name."""
    host = yield from identify_host()
    return (yield from slots_of(host.version))


def find_slot(name: str) -> Conversation[Slot | None]:
    """Return the slot, or None if there is no logical slot of that name.

    Raises:
        ConfigurationError: it is no name of a slot.
    """
    slot_name(name)
    host = yield from identify_host()
    found = yield from slots_of(host.version, name)
    return found[0] if found else None


def find_idle_slots(
    older_than: float | timedelta | None, larger_than: int | None
) -> Conversation[list[Slot]]:
    """Return the slots that nobody reads, those that keep the most WAL first.

    Args:
        older_than: only those that nobody has read for so many seconds.
        larger_than: only those that keep more bytes of WAL.

    Raises:
        ConfigurationError: the server does not know how long; an argument is negative.
    """
    seconds = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
    if seconds is not None and not seconds >= 0:
        raise ConfigurationError(f"older_than is a time of 0 or more, not {older_than}")
    if larger_than is not None and not larger_than >= 0:
        raise ConfigurationError(f"larger_than is a number of bytes, not {larger_than}")
    host = yield from identify_host()
    if seconds is not None and host.version < 170000:
        raise ConfigurationError(
            "older_than needs PostgreSQL 17 or later: before, a server does not know since when a "
            f"slot is inactive, and this is {_shown(host)}; leave it out, or go by larger_than"
        )
    slots = yield from slots_of(host.version)
    idle = [
        slot
        for slot in slots
        if not slot.active
        and not slot.temporary
        and not (slot.synced and host.in_recovery)
        and (seconds is None or (slot.inactive_seconds or 0) > seconds)
        and (larger_than is None or slot.retained_bytes > larger_than)
    ]
    return sorted(idle, key=lambda slot: -slot.retained_bytes)


def _shown(host: Host) -> str:
    return f"PostgreSQL {host.version // 10000}"


def existing_slot(name: str, host: Host) -> Conversation[Slot]:
    """Return the slot.

    Raises:
        SlotNotFoundError: there is none of that name.
    """
    found = yield from slots_of(host.version, name)
    if not found:
        raise _missing(name)
    return found[0]


def _missing(name: str) -> SlotNotFoundError:
    return SlotNotFoundError(
        f"there is no logical replication slot {name!r} in this server", slot=name
    )


def _check_not_copied(slot: Slot, host: Host, what: str) -> None:
    if slot.synced and host.in_recovery:
        raise ConfigurationError(
            f"slot {slot.name!r} cannot be {what} here: this server is a standby and keeps a copy "
            "of the primary's slot; do it on the primary"
        )


def check_readable(slot: Slot, host: Host, what: str) -> None:
    """Check that the server can do `what` with the slot.

    Raises:
        SlotInvalidatedError: the server has given it up.
        CdcError: it is a copy on a standby, or the server does not decode.
    """
    if slot.invalidated:
        raise SlotInvalidatedError(
            f"slot {slot.name!r} was invalidated for good, reason: {slot.invalidation_reason}; it "
            "can only be dropped",
            slot=slot.name,
        )
    _check_not_copied(slot, host, what)
    _check_decodes(host)


def _check_decodes(host: Host) -> None:
    if host.wal_level != "logical":
        raise ConfigurationError(
            f"wal_level is {host.wal_level!r}: set it to 'logical' and restart the server"
        )
    if host.in_recovery and host.version < 160000:
        raise ConfigurationError(
            "this server is a standby, which can decode from PostgreSQL 16 on, and this is "
            f"{_shown(host)}; do it on the primary"
        )


# -- creating


def make_slot(
    name: str,
    *,
    failover: bool = False,
    two_phase: bool = False,
    temporary: bool = False,
    timeout: float | None = None,
) -> Conversation[Slot]:
    """Create a pgoutput slot and return it. Waits for open transactions.

    Raises:
        ConfigurationError: the server cannot make such a slot, or has one of that name.
        SourceError: open transactions have held it up for longer than `timeout` seconds.
    """
    slot_name(name)
    limit = _milliseconds(timeout)
    if failover and temporary:
        raise ConfigurationError("a temporary slot has no failover: no standby keeps a copy of it")
    host = yield from identify_host()
    _check_decodes(host)
    if failover and host.version < 170000:
        raise ConfigurationError(f"failover needs PostgreSQL 17 or later, this is {_shown(host)}")
    if failover and host.in_recovery:
        raise ConfigurationError(
            "a slot with failover is created on the primary, and this server is a standby"
        )
    flags = [temporary, two_phase] + [failover] * (host.version >= 170000)
    # One query string is one transaction, with which SET LOCAL ends.
    statement = sql.SQL(
        "{limit}SELECT pg_catalog.pg_create_logical_replication_slot({name}, 'pgoutput', {flags})"
    ).format(
        limit=sql.SQL("" if limit is None else f"SET LOCAL statement_timeout = {limit};"),
        name=sql.Literal(name),
        flags=sql.SQL(", ").join(map(sql.Literal, flags)),
    )
    try:
        yield statement
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable) as error:
        why = yield from _hold_up(host)
        within = "" if timeout is None else f" within {timeout:g} s"
        raise SourceError(
            f"slot {name!r} was not created{within}: {why}", sqlstate=error.sqlstate, slot=name
        ) from error
    return (yield from existing_slot(name, host))


def _milliseconds(timeout: float | None) -> int | None:
    if timeout is None:
        return None
    if not 0 < timeout < math.inf:
        raise ConfigurationError(f"timeout is a number of seconds above 0, not {timeout}")
    return min(math.ceil(timeout * 1000), _LONGEST_TIMEOUT_MS)


def _hold_up(host: Host) -> Conversation[str]:
    if host.in_recovery:
        return (
            "a standby waits until the primary logs that no transaction is open there; end those "
            "that are, and run SELECT pg_log_standby_snapshot() on the primary"
        )
    # Not pg_stat_activity, which hides the transactions of other roles.
    rows = yield sql.SQL(
        "SELECT DISTINCT pid FROM pg_catalog.pg_locks"
        " WHERE locktype OPERATOR(pg_catalog.=) 'transactionid'"
        " AND mode OPERATOR(pg_catalog.=) 'ExclusiveLock' AND granted"
        " AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid() ORDER BY pid"
    )
    ((prepared,),) = yield sql.SQL("SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts")
    pids = [str(pid) for (pid,) in rows if pid is not None]
    held = []
    if pids:
        shown = ", ".join(pids[:_PIDS_SHOWN]) + (", ..." if len(pids) > _PIDS_SHOWN else "")
        held.append(f"{len(pids)} open in sessions (PID {shown}; pg_stat_activity tells of them)")
    if prepared:
        held.append(f"{prepared} prepared (pg_prepared_xacts)")
    if not held:
        return "transactions that were open have held it up, and have ended by now; try again"
    return (
        f"the server waits for the end of transactions that have written, {' and '.join(held)}; "
        "end them, or wait longer"
    )


# -- dropping


def drop_slot(name: str, *, force: bool = False) -> Conversation[None]:
    """Drop the slot.

    Args:
        name: of the slot.
        force: terminate the process that has it.

    Raises:
        SlotNotFoundError: there is none of that name.
        SlotInUseError: somebody reads it; with `force`, takes it again and again.
        ConfigurationError: it is the copy of a primary's slot, or a privilege is missing.
    """
    slot_name(name)
    host = yield from identify_host()
    slot = yield from existing_slot(name, host)
    _check_not_copied(slot, host, "dropped")
    statement = sql.SQL("SELECT pg_catalog.pg_drop_replication_slot({})").format(sql.Literal(name))
    for attempt in range(_TAKEOVERS + 1):
        try:
            yield statement
        except psycopg.errors.UndefinedObject as error:
            if attempt:
                return  # a temporary one, which has gone with its session
            raise _missing(name) from error
        except psycopg.errors.ObjectInUse as error:
            if not force:
                raise _in_use(error, name, "stop its reader, or drop it with force=True") from error
            if attempt == _TAKEOVERS:
                raise _in_use(
                    error,
                    name,
                    f"{_TAKEOVERS} times the process was terminated (or did not end within "
                    f"{_TERMINATION_MS // 1000} s), and a client has it again: stop that client",
                ) from error
        else:
            return
        yield from _terminate(name)


def _in_use(error: psycopg.Error, name: str, fix: str) -> SlotInUseError:
    return SlotInUseError(
        f"{error.diag.message_primary}; {fix}", sqlstate=error.sqlstate, slot=name
    )


def _terminate(name: str) -> Conversation[None]:
    try:
        yield sql.SQL(
            "SELECT pg_catalog.pg_terminate_backend(active_pid, {})"
            " FROM pg_catalog.pg_replication_slots"
            " WHERE slot_name OPERATOR(pg_catalog.=) {}"
            " AND active_pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"
        ).format(sql.Literal(_TERMINATION_MS), sql.Literal(name))
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"the process that has slot {name!r} cannot be terminated: "
            f"{error.diag.message_primary}; that takes its role, or membership of "
            "pg_signal_backend; for a superuser's process, a superuser"
        ) from error


# -- advancing


def advance_slot(name: str, to: int | str) -> Conversation[LSN]:
    """Move the slot forward without reading, and return where it is then.

    Args:
        name: of the slot.
        to: an `LSN`, its text, or ``"now"`` for the end of the WAL.

    Raises:
        SlotNotFoundError: there is none of that name.
        SlotInUseError: somebody reads it.
        SlotInvalidatedError: the server has given it up.
        ConfigurationError: the position is behind the slot or beyond the end of the WAL; the slot
            is the copy of a primary's; a privilege is missing, or the database is another one.
    """
    slot_name(name)
    target = _position(to)
    host = yield from identify_host()
    slot = yield from existing_slot(name, host)
    check_readable(slot, host, "advanced")
    end = yield from end_of_wal()
    if target is None:
        target = max(end, slot.confirmed_flush_lsn)
    if target > end and target > slot.confirmed_flush_lsn:
        raise ConfigurationError(
            f"slot {name!r} cannot be advanced to {target}: the WAL of this server ends at {end}"
        )
    if target < slot.confirmed_flush_lsn:
        raise ConfigurationError(
            f"slot {name!r} cannot be advanced to {target}: it is at {slot.confirmed_flush_lsn}, "
            "and no slot goes back"
        )
    # The server reads to the end of the record that is there, which may not have been flushed.
    yield from flush_wal()
    try:
        ((reached,),) = yield sql.SQL(
            "SELECT end_lsn::pg_catalog.text FROM pg_catalog.pg_replication_slot_advance({}, {})"
        ).format(sql.Literal(name), sql.Literal(str(target)))
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        raise unreadable(error, slot, host) from error
    return LSN.parse(as_text(reached))


def _position(to: object) -> LSN | None:
    if to == "now":
        return None
    try:
        if isinstance(to, str):
            return LSN.parse(to)
        if isinstance(to, int) and not isinstance(to, bool):
            return LSN(to)
    except ValueError as error:
        raise ConfigurationError(f"to: {error}") from None
    raise ConfigurationError(f'to is an LSN, its text, or "now", not a {type(to).__name__}')


def unreadable(error: psycopg.Error, slot: Slot, host: Host) -> CdcError:
    """Return the typed error for what reading the slot failed with."""
    if slot.database != host.database:
        return ConfigurationError(
            f"slot {slot.name!r} belongs to database {slot.database!r}, and the connection is to "
            f"{host.database!r}; connect to {slot.database!r}"
        )
    return refusal(error, slot.name)


# -- refusals


def refusal(error: psycopg.Error, slot: str | None = None) -> CdcError:
    """Return the typed error for what no conversation here has expected.

    Args:
        error: as psycopg raised it.
        slot: name of the slot, if it is about one.
    """
    code = error.sqlstate
    text = error.diag.message_primary or str(error).strip()
    what = "the server refused" if slot is None else f"slot {slot!r}"
    if code == "42501":
        return ConfigurationError(
            f"{what}: {text}; the role needs REPLICATION (RDS, Aurora: membership of "
            "rds_replication)"
        )
    if code == "42710":
        return ConfigurationError(f"{what} exists already")
    if code == "53400":
        return ConfigurationError(
            f"{what}: {text}; drop a slot that nobody needs, or increase max_replication_slots"
        )
    if code == "55006":
        return SlotInUseError(
            f"{what} is in use: {text}; stop its reader", sqlstate=code, slot=slot
        )
    if code == "42704" and slot is not None:
        return _missing(slot)
    if code in ("57014", "55P03"):
        return SourceError(
            f"{what}: {text} (a time limit of the connection, or pg_cancel_backend)",
            sqlstate=code,
            slot=slot,
        )
    if code is not None and code.startswith(("0A", "22", "25", "55")):
        return ConfigurationError(f"{what}: {text} (SQLSTATE {code})")
    return diagnose(error, slot=slot or "")
