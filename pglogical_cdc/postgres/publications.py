"""Publications: that they exist, publish what was asked for, and are created where they may be."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from pglogical_cdc.errors import ConfigurationError, PublicationNotFoundError
from pglogical_cdc.postgres.conversation import Conversation
from pglogical_cdc.postgres.server import Server

__all__ = ("usable_publications",)


def usable_publications(
    names: Sequence[str],
    server: Server,
    *,
    create: bool = False,
    tables: Sequence[tuple[str, str]] | None = None,
    may_be_empty: bool = False,
) -> Conversation[None]:
    """Check that the publications exist and publish something; create the missing if asked for.

    A created publication is for `tables`, or for all tables if that is None. One that exists is
    never altered: if together they publish other tables than `tables`, that is an error.

    Raises:
        PublicationNotFoundError: one is missing and `create` is off.
        ConfigurationError: it cannot be created, or it publishes other tables; or none of them
            publishes any table, and they may not be empty.
    """
    rows = yield sql.SQL(
        "SELECT pubname FROM pg_catalog.pg_publication WHERE pubname IN ({})"
    ).format(_literals(names))
    there = {name for (name,) in rows}
    missing = [name for name in names if name not in there]
    if missing and not create:
        raise PublicationNotFoundError(
            f"publication {', '.join(map(repr, missing))} does not exist in database "
            f"{server.database!r}; create it before the slot, or pass create=True"
        )
    if tables is not None and there:
        yield from _compare([name for name in names if name in there], server, tables)
    for name in missing:
        yield from _create(name, tables)
    if not missing and not may_be_empty:
        yield from _refuse_empty(names, server)


def _refuse_empty(names: Sequence[str], server: Server) -> Conversation[None]:
    # A publication of a schema gets the tables that are made there later.
    schemas = (
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s"
        " WHERE s.pnpubid = p.oid)"
        if server.version >= 150000
        else ""
    )
    rows = yield sql.SQL(
        "SELECT p.pubname FROM pg_catalog.pg_publication p"
        " WHERE p.pubname IN ({}) AND NOT p.puballtables AND NOT EXISTS ("
        "SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid){}"
    ).format(_literals(names), sql.SQL(schemas))
    empty = {name for (name,) in rows}
    if empty.issuperset(names):
        raise ConfigurationError(
            f"publication {', '.join(map(repr, names))} publishes no table: add some with ALTER "
            "PUBLICATION ... ADD TABLE (for messages alone, pass messages=True)"
        )


def _create(name: str, tables: Sequence[tuple[str, str]] | None) -> Conversation[None]:
    what: sql.Composable = sql.SQL("ALL TABLES")
    if tables is not None:
        what = sql.SQL("TABLE {}").format(
            sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
        )
    try:
        yield sql.SQL("CREATE PUBLICATION {} FOR {}").format(sql.Identifier(name), what)
    except psycopg.errors.DuplicateObject:
        return
    except psycopg.Error as error:
        if error.diag.message_primary is None:
            raise  # the connection broke
        hint = (
            "; only a superuser may publish all tables, name them with tables=[...]"
            if tables is None and isinstance(error, psycopg.errors.InsufficientPrivilege)
            else ""
        )
        raise ConfigurationError(
            f"publication {name!r} cannot be created: {error.diag.message_primary}{hint}"
        ) from error


def _compare(
    names: Sequence[str], server: Server, tables: Sequence[tuple[str, str]]
) -> Conversation[None]:
    among = _literals(names)
    everything = yield sql.SQL(
        "SELECT pubname FROM pg_catalog.pg_publication WHERE puballtables AND pubname IN ({})"
    ).format(among)
    if everything:
        raise ConfigurationError(
            f"publication {everything[0][0]!r} publishes all tables, not just those in tables=; "
            "leave tables out, or use another publication"
        )
    rows = yield sql.SQL(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_publication p"
        " JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid"
        " JOIN pg_catalog.pg_class c ON c.oid = r.prrelid"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname IN ({})"
    ).format(among)
    published = {(str(schema), str(table)) for schema, table in rows}
    if server.version >= 150000:
        rows = yield sql.SQL(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_publication p"
            " JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = p.oid"
            " JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid"
            " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')"
            " WHERE p.pubname IN ({})"
        ).format(among)
        published |= {(str(schema), str(table)) for schema, table in rows}
    wanted = set(tables)
    if wanted == published:
        return
    differences = [
        f"{verb} {', '.join(f'{schema}.{table}' for schema, table in sorted(difference))}"
        for verb, difference in (
            ("does not publish", wanted - published),
            ("also publishes", published - wanted),
        )
        if difference
    ]
    raise ConfigurationError(
        f"publication {', '.join(map(repr, names))} exists and {' and '.join(differences)}; it is "
        "not altered: use ALTER PUBLICATION, or change tables="
    )


def _literals(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Literal, names))
