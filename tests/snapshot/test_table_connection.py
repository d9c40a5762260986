"""Connections on which tables are opened; test_initial.py has what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import psycopg
import pytest
from psycopg import sql

from pglogical_cdc.errors import TableAlteredError
from pglogical_cdc.postgres import AnyConnection, Blocking, Conversation, converse, run
from pglogical_cdc.snapshot import SelectedTable, select_tables
from pglogical_cdc.snapshot.table_connection import TableConnection, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Database

pytestmark = [pytest.mark.pg, pytest.mark.slow]

T = TypeVar("T")


class _Opening:
    """A snapshot, and a connection under it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.opened: list[psycopg.Connection[tuple[object, ...]]] = []
        self._beside = database.connect()
        holder = database.connect()
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((name,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
        tables = converse(holder, select_tables(["pub"], holder.info.server_version))
        self.table: SelectedTable = tables[0]
        self.connection = TableConnection(
            self._connect,
            name,
            binary=False,
            client_encoding="UTF8",
            flavour=Blocking(),
            ask=self._ask,
        )

    async def _connect(self) -> AnyConnection:
        self.opened.append(self._database.connect())
        return self.opened[-1]

    async def _ask(self, conversation: Callable[[], Conversation[T]]) -> T:
        return converse(self._beside, conversation())

    @property
    def modes(self) -> list[tuple[object, ...]]:
        """The locks on the table."""
        return self._database.execute("SELECT mode FROM pg_locks WHERE relation = 't'::regclass")


def _make(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id int); CREATE PUBLICATION pub FOR TABLE t; INSERT INTO t VALUES (1), (2)"
    )


def test_a_table_is_locked_until_the_end(database: Database) -> None:
    _make(database)
    opening = _Opening(database)
    for _ in range(2):
        opened = run(opening.connection.open(opening.table))
        assert opened is not None
        assert opening.modes == [("AccessShareLock",)]
        copy = run(opening.connection.copy(opened.copy))
        messages: list[bytes] = []
        while not copy.ended:
            messages += copy.read()
        assert messages == [b"1\n", b"2\n"]
        run(opening.connection.end())
        assert opening.modes == []
    assert len(opening.opened) == 1


def test_what_goes_wrong_in_the_middle_costs_the_connection_only(database: Database) -> None:
    _make(database)
    opening = _Opening(database)
    run(opening.connection.open(opening.table))
    with pytest.raises(psycopg.errors.DivisionByZero):
        run(opening.connection.say(_failing()))
    assert opening.opened[0].closed
    assert run(opening.connection.open(opening.table)) is not None
    assert len(opening.opened) == 2


def _failing() -> Conversation[None]:
    yield sql.SQL("SELECT 1 / 0")


def test_a_table_that_somebody_has_locked(database: Database) -> None:
    _make(database)
    opening = _Opening(database)
    other = database.connect()
    other.execute("BEGIN; LOCK TABLE t")
    assert run(opening.connection.open(opening.table)) is None
    other.execute("ROLLBACK")
    assert run(opening.connection.open(opening.table)) is not None
    assert len(opening.opened) == 1


def test_a_table_that_was_altered(database: Database) -> None:
    _make(database)
    opening = _Opening(database)
    database.execute("ALTER TABLE t RENAME id TO other")
    with pytest.raises(TableAlteredError):
        run(opening.connection.open(opening.table))


def test_settings_of_a_session(database: Database) -> None:
    connection = database.connect()
    converse(connection, prepare())
    for name in ("row_security", "synchronize_seqscans"):
        assert connection.execute(f"SHOW {name}".encode()).fetchone() == ("off",)
