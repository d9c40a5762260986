"""What an error of the server means here, by SQLSTATE and by the server's function.

Messages are translated by the server (``lc_messages``); SQLSTATE and source function are not.
Only the primary message is passed on, because a DETAIL can quote a row, and not even that where the
error is about a value.
"""

from __future__ import annotations

import re

import psycopg
from psycopg.errors import Diagnostic

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
    DecodingFailedError,
    PublicationNotFoundError,
    SilentServerError,
    SlotInUseError,
    SlotInvalidatedError,
    SlotNotFoundError,
    SourceError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import NoAnswer

__all__ = ("diagnose", "diagnose_connect", "publication_warning")

_REFUSED = re.compile(
    r"authentication failed|permission denied|must be superuser or replication role"
    r"|pg_hba\.conf|role .+ does not exist|database .+ does not exist|no password supplied"
    r"|is not permitted to log in|does not support SSL|certificate verify failed",
)
_GONE = ("57P01", "57P02", "57P03", "57P05", "57014", "40001")
"""Shut down, crashed, starting, idle for too long, pg_cancel_backend, and on a standby a conflict
with recovery (which may have invalidated the slot; the next start says so): like a broken
connection (class 08) and a lack of memory, disk or connections (class 53), nothing wrong with the
stream."""

_LSN_IN_CONTEXT = re.compile(r"LSN ([0-9A-F]+/[0-9A-F]+)")


def diagnose_connect(error: psycopg.OperationalError) -> CdcError:
    """Tell whether connecting again can help.

    libpq keeps the SQLSTATE of a failed connection to itself, so the text has to do; what it does
    not recognise counts as retryable. Of several hosts one that may be better later is enough.
    """
    text = str(error).strip()
    if isinstance(error, NoAnswer):
        return SilentServerError(f"cannot connect: {text}")
    attempts = [line for line in text.splitlines() if line.startswith("- host:")] or [text]
    if all(map(_REFUSED.search, attempts)):
        return ConfigurationError(
            f"the server refused the connection: {_one_line(text)} (the role needs LOGIN and "
            "REPLICATION, on RDS and Aurora membership of rds_replication)"
        )
    return ConnectionLostError(f"cannot connect: {_one_line(text)}")


def diagnose(
    error: psycopg.Error,
    *,
    slot: str,
    streaming: bool = False,
    temporary: bool = False,
    commit_lsn: LSN | None = None,
) -> CdcError:
    """Return the typed error for what a command or the stream failed with.

    Args:
        error: as psycopg raised it.
        slot: name of the replication slot in use.
        streaming: whether changes were being streamed.
        temporary: whether the slot is gone with any error of its connection.
        commit_lsn: commit LSN of the transaction whose changes were being streamed.
    """
    diag = error.diag
    code = error.sqlstate
    text = _text(error)
    function = (diag.source_function or "").lower()
    if isinstance(error, NoAnswer):
        return SilentServerError(f"the connection was lost: {text}", slot=slot)
    if code is None or code.startswith(("08", "53")) or code in _GONE:
        return ConnectionLostError(f"the connection was lost: {text}", sqlstate=code, slot=slot)
    if code == "55006":
        return SlotInUseError(
            f"slot {slot!r} is in use: {text}; stop the other consumer, or wait until the server "
            "has noticed that it is gone (wal_sender_timeout)",
            sqlstate=code,
            slot=slot,
        )
    if code == "42704" and "publication" in function:
        return PublicationNotFoundError(
            f"{text}. If it exists by now, it was created after the point from which slot {slot!r} "
            "still has to read, where the server looks for it: create the publication before the "
            "slot, or move the slot past that point with pglogical_cdc.slots.advance",
            sqlstate=code,
            slot=slot,
        )
    if code == "42704" and "slot" in function:
        return SlotNotFoundError(
            f"{text}; create it, or pass create=True", sqlstate=code, slot=slot
        )
    if code == "55000" and not streaming and ("slot" in function or "decoding" in function):
        return SlotInvalidatedError(
            f"slot {slot!r} cannot be read any more: {text}; drop it and take a new snapshot",
            sqlstate=code,
            slot=slot,
        )
    if code in ("42501", "3D000") or code.startswith("28"):
        return ConfigurationError(f"the server refused: {text} (SQLSTATE {code})")
    if code == "22021":
        return SourceError(
            "the database, whose encoding is SQL_ASCII, holds bytes that are not UTF-8 in the "
            "name of a table, column, type or label, or in a default: rename it, or publish other "
            f"tables (SQLSTATE {code})",
            sqlstate=code,
            slot=slot,
        )
    if streaming:
        committed = "" if commit_lsn is None else f" that commits at {commit_lsn}"
        return DecodingFailedError(
            f"the server cannot decode a transaction of slot {slot!r}{committed}{_where(diag)}: "
            f"{text} (SQLSTATE {code}); {_way_past(slot, commit_lsn, temporary=temporary)}",
            sqlstate=code,
            slot=slot,
            commit_lsn=commit_lsn,
        )
    return SourceError(f"{text} (SQLSTATE {code})", sqlstate=code, slot=slot)


def _way_past(slot: str, commit_lsn: LSN | None, *, temporary: bool) -> str:
    if temporary:
        return "the slot was temporary, and is gone: open a new reader, which begins anew"
    to, find = "LSN", "; pglogical_cdc.slots.poisoned finds where it commits"
    if commit_lsn is not None:
        to, find = repr(str(LSN(commit_lsn + 1))), ""
    return (
        "to give that transaction up, move the slot past it with "
        f"pglogical_cdc.slots.advance(conninfo, {slot!r}, to={to}){find}; to keep what it "
        "changed, drop the slot and take a new snapshot"
    )


def _text(error: psycopg.Error) -> str:
    code = error.sqlstate or ""
    if code.startswith(("22", "23")):
        # Data exceptions and integrity violations name the value in their primary message too.
        return f"{type(error).__name__} while it evaluated a value"
    return error.diag.message_primary or _one_line(str(error))


def _one_line(text: str) -> str:
    # libpq breaks its messages into lines, and a log has one for each event.
    return " ".join(map(str.strip, text.strip().splitlines()))


def publication_warning(diag: Diagnostic) -> bool:
    """Tell whether a notice says that a publication is missing.

    PostgreSQL 18 sends this warning inside the stream, goes on without the publication, and would
    take acknowledgements for changes that it never sent.
    """
    return diag.sqlstate == "55000" and "publication" in (diag.source_function or "").lower()


def _where(diag: Diagnostic) -> str:
    found = _LSN_IN_CONTEXT.search(diag.context or "")
    return f" near LSN {found[1]}" if found else ""
