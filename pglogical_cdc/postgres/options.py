"""START_REPLICATION and the names in it: validated, then quoted, never pasted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from psycopg import sql

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.lsn import LSN

__all__ = (
    "publication_names",
    "qualified_name",
    "quote_identifier",
    "slot_name",
    "start_replication",
)

_SLOT: Final = re.compile(r"[a-z0-9_]{1,63}")
_NAME_BYTES: Final = 63
"""NAMEDATALEN - 1. The server cuts longer names off without an error."""

_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def slot_name(name: str) -> str:
    """Check the name of a replication slot and return it.

    Raises:
        ConfigurationError: the server would refuse the name, cut it off, or keeps it for itself.
    """
    if not _SLOT.fullmatch(name):
        raise ConfigurationError(
            f"slot name {name!r}: only a-z, 0-9 and _ are allowed, 1 to 63 characters"
        )
    if name.startswith("pg_"):
        raise ConfigurationError(f"slot name {name!r}: names with pg_ belong to the server")
    return name


def _check_name(kind: str, name: str) -> str:
    if not name:
        raise ConfigurationError(f"{kind} name is empty")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ConfigurationError(f"{kind} name {name!r} is not valid Unicode") from None
    if "\0" in name:
        raise ConfigurationError(f"{kind} name {name!r} holds a NUL character")
    if size > _NAME_BYTES:
        raise ConfigurationError(
            f"{kind} name {name!r} has {size} bytes; PostgreSQL's names have at most {_NAME_BYTES}"
        )
    return name


def publication_names(publications: str | Sequence[str]) -> tuple[str, ...]:
    """Check one name or several and return them as a tuple without repeats.

    Raises:
        ConfigurationError: no name at all, or one that no publication can have.
    """
    names = (publications,) if isinstance(publications, str) else publications
    if (
        not isinstance(names, Sequence)
        or not names
        or not all(isinstance(name, str) for name in names)
    ):
        raise ConfigurationError("publications: expected a name, or a list of at least one")
    return tuple(dict.fromkeys(_check_name("publication", name) for name in names))


def qualified_name(text: str) -> tuple[str, str]:
    """Split ``schema.table`` into its two names.

    Names are taken as written; one with a dot in it is put in double quotes, as in SQL:
    ``"my.schema".orders``.

    Raises:
        ConfigurationError: the text is not of that form.
    """
    parts: list[str] = []
    position = 0
    while True:
        match = _PART.match(text, position)
        if match is None:
            break
        quoted, plain = match.groups()
        parts.append(plain if quoted is None else quoted.replace('""', '"'))
        position = match.end()
        if position == len(text):
            if len(parts) != 2:
                break
            return _check_name("schema", parts[0]), _check_name("table", parts[1])
        if text[position] != ".":
            break
        position += 1
    raise ConfigurationError(
        f'table {text!r}: expected "schema.table", names with a dot in double quotes'
    )


def quote_identifier(name: str) -> str:
    """Return the name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def start_replication(
    slot: str,
    publications: Sequence[str],
    *,
    start: LSN,
    protocol_version: int = 1,
    binary: bool = False,
    messages: bool = False,
    origin: str = "any",
) -> sql.Composed:
    """Return the START_REPLICATION command for pgoutput.

    PostgreSQL manual, "Streaming Replication Protocol" and "Logical Streaming Replication
    Parameters". ``publication_names`` is a list of identifiers inside a literal, hence quoted
    twice.
    """
    options = {
        "proto_version": str(protocol_version),
        "publication_names": ",".join(map(quote_identifier, publications)),
    }
    if binary:
        options["binary"] = "true"
    if messages:
        options["messages"] = "true"
    if origin != "any":
        options["origin"] = origin
    pairs = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.SQL(name), _literal(value)) for name, value in options.items()
    )
    return sql.SQL("START_REPLICATION SLOT {} LOGICAL {} ({})").format(
        sql.Identifier(slot), sql.SQL(str(start)), pairs
    )


def _literal(text: str) -> sql.SQL:
    # The walsender's scanner knows '' and no backslash escapes; psycopg would write a literal
    # with a backslash as E'...', which that scanner does not take.
    return sql.SQL("'" + text.replace("'", "''") + "'")
