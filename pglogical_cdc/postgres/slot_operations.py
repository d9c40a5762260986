"""Operating slots over an ordinary connection: create, drop, advance, find what cannot be decoded.

Errors of the server that nothing here expects come out as `psycopg.Error`; `refusal` makes a typed
error of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    PublicationNotFoundError,
    SlotInUseError,
    SlotInvalidatedError,
    SlotNotFoundError,
    SourceError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import Conversation
from pglogical_cdc.postgres.diagnosis import diagnose
from pglogical_cdc.postgres.options import publication_names, quote_identifier, slot_name
from pglogical_cdc.postgres.server import flush_wal
from pglogical_cdc.postgres.slots import Slot, slots_of

__all__ = (
    "advance_slot",
    "all_slots",
    "drop_slot",
    "find_idle_slots",
    "find_poison",
    "find_slot",
    "make_slot",
    "refusal",
)

_TAKEOVERS: Final = 6
"""How often the process that has a slot is terminated before the slot is dropped."""
_TERMINATION_MS: Final = 5000
"""How long each of them may take."""

_PIDS_SHOWN: Final = 8

_LONGEST_TIMEOUT_MS: Final = (1 << 31) - 1
"""Of ``statement_timeout``."""


@record
class _Host:
    version: int
    in_recovery: bool
    database: str
    wal_level: str
    encoding: str
    """Of the database."""


def _host() -> Conversation[_Host]:
    ((version, in_recovery, *texts),) = yield sql.SQL(
        "SELECT pg_catalog.current_setting('server_version_num')::integer,"
        " pg_catalog.pg_is_in_recovery(), pg_catalog.current_database()::pg_catalog.text,"
        " pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('server_encoding')"
    )
    database, wal_level, encoding = map(_text, texts)
    return _Host(version, in_recovery, database, wal_level, encoding)


def _text(value: Any) -> Any:
    # To a client in SQL_ASCII, psycopg gives text as bytes.
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _end_of_wal() -> Conversation[LSN]:
    """Return the position up to which the server can decode."""
    ((position,),) = yield sql.SQL(
        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery()"
        " THEN pg_catalog.pg_last_wal_replay_lsn()"
        " ELSE pg_catalog.pg_current_wal_flush_lsn() END::pg_catalog.text"
    )
    return LSN.parse(_text(position))


# -- looking


def all_slots() -> Conversation[list[Slot]]:
    """Return the logical slots of the server, by name."""
    host = yield from _host()
    return (yield from slots_of(host.version))


def find_slot(name: str) -> Conversation[Slot | None]:
    """Return the slot, or None if there is no logical slot of that name.

    Raises:
        ConfigurationError: it is no name of a slot.
    """
    slot_name(name)
    host = yield from _host()
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
    host = yield from _host()
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


def _shown(host: _Host) -> str:
    return f"PostgreSQL {host.version // 10000}"


def _existing(name: str, host: _Host) -> Conversation[Slot]:
    found = yield from slots_of(host.version, name)
    if not found:
        raise _missing(name)
    return found[0]


def _missing(name: str) -> SlotNotFoundError:
    return SlotNotFoundError(
        f"there is no logical replication slot {name!r} in this server", slot=name
    )


def _check_not_copied(slot: Slot, host: _Host, what: str) -> None:
    if slot.synced and host.in_recovery:
        raise ConfigurationError(
            f"slot {slot.name!r} cannot be {what} here: this server is a standby and keeps a copy "
            "of the primary's slot; do it on the primary"
        )


def _check_readable(slot: Slot, host: _Host, what: str) -> None:
    if slot.invalidated:
        raise SlotInvalidatedError(
            f"slot {slot.name!r} was invalidated for good, reason: {slot.invalidation_reason}; it "
            "can only be dropped",
            slot=slot.name,
        )
    _check_not_copied(slot, host, what)
    _check_decodes(host)


def _check_decodes(host: _Host) -> None:
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
    host = yield from _host()
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
    return (yield from _existing(name, host))


def _milliseconds(timeout: float | None) -> int | None:
    if timeout is None:
        return None
    if not 0 < timeout < math.inf:
        raise ConfigurationError(f"timeout is a number of seconds above 0, not {timeout}")
    return min(math.ceil(timeout * 1000), _LONGEST_TIMEOUT_MS)


def _hold_up(host: _Host) -> Conversation[str]:
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
    host = yield from _host()
    slot = yield from _existing(name, host)
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
    host = yield from _host()
    slot = yield from _existing(name, host)
    _check_readable(slot, host, "advanced")
    end = yield from _end_of_wal()
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
        raise _unreadable(error, slot, host) from error
    return LSN.parse(_text(reached))


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


def _unreadable(error: psycopg.Error, slot: Slot, host: _Host) -> CdcError:
    if slot.database != host.database:
        return ConfigurationError(
            f"slot {slot.name!r} belongs to database {slot.database!r}, and the connection is to "
            f"{host.database!r}; connect to {slot.database!r}"
        )
    return refusal(error, slot.name)


# -- what cannot be decoded


def find_poison(
    name: str, publications: str | Sequence[str], *, binary: bool = False
) -> Conversation[LSN | None]:
    """Return the commit LSN of the first transaction that cannot be decoded; None if all can.

    The server decodes up to a position and counts; the position is bisected. A commit record is
    decoded if the record before it ends before the position (``pg_logical_slot_peek_changes``
    looks at the position after each record).

    Raises:
        SlotNotFoundError: there is none of that name.
        SlotInUseError: somebody reads it.
        SlotInvalidatedError: the server has given it up.
        PublicationNotFoundError: one does not exist, or did not yet where the slot reads.
        ConfigurationError: the slot is of another plugin or database, or a privilege is missing.
    """
    slot_name(name)
    names = publication_names(publications)
    host = yield from _host()
    slot = yield from _existing(name, host)
    _check_readable(slot, host, "read")
    if slot.plugin != "pgoutput":
        raise ConfigurationError(
            f"slot {name!r} has the output plugin {slot.plugin!r}, not 'pgoutput'"
        )
    yield from _check_published(names, host)
    end = yield from _end_of_wal()
    yield from flush_wal()  # see advance_slot
    peek = _Peek(slot, host, names, binary)
    if (yield from peek.decodes(end)):
        return None
    good, bad = _aligned(slot.confirmed_flush_lsn), _aligned(end + _ALIGNMENT - 1)
    hint = _aligned(peek.failed_at)
    if good < hint < bad and (yield from peek.decodes(hint)):
        good = hint
    # Most transactions commit soon after the change that cannot be decoded.
    step = _ALIGNMENT
    while good + step < bad:
        if not (yield from peek.decodes(good + step)):
            bad = good + step
            break
        good, step = good + step, step * 4
    while bad - good > _ALIGNMENT:
        middle = _aligned((good + bad) // 2)
        if (yield from peek.decodes(middle)):
            good = middle
        else:
            bad = middle
    return (yield from _record_after(good))


_ALIGNMENT: Final = 8
"""Records of the WAL begin and end at multiples of it."""

_LSN_IN_CONTEXT: Final = re.compile(r"LSN ([0-9A-F]+/[0-9A-F]+)")

_NOT_DECODING: Final = ("08", "25", "28", "3D", "40", "42501", "53", "55", "57", "58")
"""SQLSTATEs, or how they begin, of errors that are not about what is decoded."""


def _aligned(position: int) -> int:
    return position - position % _ALIGNMENT


class _Peek:
    """Has the server decode, and remembers where it failed last."""

    def __init__(self, slot: Slot, host: _Host, publications: Sequence[str], binary: bool) -> None:
        self.failed_at = 0
        """Position of the change that could not be decoded, if the server has said so."""
        self._slot = slot
        self._host = host
        options = [
            *("proto_version", "1"),
            *("publication_names", ",".join(map(quote_identifier, publications))),
        ]
        if binary:
            options += ["binary", "true"]
        self._options = sql.SQL(", ").join(map(sql.Literal, options))

    def decodes(self, position: int) -> Conversation[bool]:
        """Tell whether the transactions that commit before a position can be decoded."""
        try:
            # In the encoding that a reader has: pgoutput writes in that of the client.
            yield sql.SQL(
                "SET LOCAL client_encoding = {encoding};"
                "SELECT pg_catalog.count(*) FROM"
                " pg_catalog.pg_logical_slot_peek_binary_changes({slot}, {upto}, NULL, {options})"
            ).format(
                encoding=sql.Literal("SQL_ASCII" if self._host.encoding == "SQL_ASCII" else "UTF8"),
                slot=sql.Literal(self._slot.name),
                upto=sql.Literal(str(LSN(position))),
                options=self._options,
            )
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            raise _unreadable(error, self._slot, self._host) from error
        except psycopg.Error as error:
            code = error.sqlstate
            if code is None or code.startswith(_NOT_DECODING):
                raise
            if code == "42704" and "publication" in (error.diag.source_function or ""):
                raise diagnose(error, slot=self._slot.name) from error
            found = _LSN_IN_CONTEXT.search(error.diag.context or "")
            self.failed_at = LSN.parse(found[1]) if found else 0
            return False
        return True


def _check_published(names: Sequence[str], host: _Host) -> Conversation[None]:
    # PostgreSQL 18 goes on without a publication that is missing.
    rows = yield sql.SQL("SELECT pubname::pg_catalog.text FROM pg_catalog.pg_publication")
    missing = set(names) - {_text(name) for (name,) in rows}
    if missing:
        raise PublicationNotFoundError(
            f"publication {', '.join(map(repr, sorted(missing)))} does not exist in database "
            f"{host.database!r}"
        )


def _record_after(end: int) -> Conversation[LSN]:
    """Return where the record begins that follows one that ends there."""
    rows = yield sql.SQL(
        "SELECT name, setting::bigint FROM pg_catalog.pg_settings"
        " WHERE name OPERATOR(pg_catalog.=) 'wal_block_size'"
        " OR name OPERATOR(pg_catalog.=) 'wal_segment_size'"
    )
    sizes = {_text(name): size for name, size in rows}
    # Pages begin with a header, that of a segment's first page is longer (xlog_internal.h).
    if end % sizes["wal_segment_size"] == 0:
        return LSN(end + 40)
    return LSN(end + 24) if end % sizes["wal_block_size"] == 0 else LSN(end)


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
