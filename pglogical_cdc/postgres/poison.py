"""Poison: the first transaction of a slot that the server cannot decode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from pglogical_cdc.errors import ConfigurationError, PublicationNotFoundError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import Conversation
from pglogical_cdc.postgres.diagnosis import diagnose
from pglogical_cdc.postgres.options import publication_names, quote_identifier, slot_name
from pglogical_cdc.postgres.server import flush_wal
from pglogical_cdc.postgres.slot_operations import (
    Host,
    as_text,
    check_readable,
    end_of_wal,
    existing_slot,
    identify_host,
    unreadable,
)
from pglogical_cdc.postgres.slots import Slot

__all__ = ("find_poison",)

_ALIGNMENT: Final = 8
"""Records of the WAL begin and end at multiples of it."""

_LSN_IN_CONTEXT: Final = re.compile(r"LSN ([0-9A-F]+/[0-9A-F]+)")

_NOT_DECODING: Final = ("08", "25", "28", "3D", "40", "42501", "53", "55", "57", "58")
"""SQLSTATEs, or how they begin, of errors that are not about what is decoded."""


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
    host = yield from identify_host()
    slot = yield from existing_slot(name, host)
    check_readable(slot, host, "read")
    if slot.plugin != "pgoutput":
        raise ConfigurationError(
            f"slot {name!r} has the output plugin {slot.plugin!r}, not 'pgoutput'"
        )
    yield from _check_published(names, host)
    end = yield from end_of_wal()
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


def _aligned(position: int) -> int:
    return position - position % _ALIGNMENT


class _Peek:
    """Has the server decode, and remembers where it failed last."""

    def __init__(self, slot: Slot, host: Host, publications: Sequence[str], binary: bool) -> None:
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
            raise unreadable(error, self._slot, self._host) from error
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


def _check_published(names: Sequence[str], host: Host) -> Conversation[None]:
    # PostgreSQL 18 goes on without a publication that is missing.
    rows = yield sql.SQL("SELECT pubname::pg_catalog.text FROM pg_catalog.pg_publication")
    missing = set(names) - {as_text(name) for (name,) in rows}
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
    sizes = {as_text(name): size for name, size in rows}
    # Pages begin with a header, that of a segment's first page is longer (xlog_internal.h).
    if end % sizes["wal_segment_size"] == 0:
        return LSN(end + 40)
    return LSN(end + 24) if end % sizes["wal_block_size"] == 0 else LSN(end)
