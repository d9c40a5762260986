"""Tests of `pglogical_cdc.replication.beside`."""

from __future__ import annotations

import traceback
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from pglogical_cdc.errors import ConnectionLostError, SourceError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import Conversation, connect, parameters
from pglogical_cdc.replication.beside import Beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Database

pytestmark = pytest.mark.pg


@pytest.fixture
def beside(database: Database) -> Iterator[Beside]:
    given = parameters(database.dsn)
    with connect(given) as connection, closing(Beside(given, connection, "s")) as made:
        yield made


def _pid() -> Conversation[int]:
    ((pid,),) = yield sql.SQL("SELECT pg_backend_pid()")
    return int(pid)


def test_one_connection_is_used_and_made_anew_when_it_is_gone(
    database: Database, beside: Beside
) -> None:
    first = beside.ask(_pid)
    assert beside.ask(_pid) == first
    database.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    second = beside.ask(_pid)
    assert second != first
    assert beside.ask(_pid) == second


def test_refusal_is_typed_and_not_asked_again(beside: Beside) -> None:
    asked = 0

    def wrong() -> Conversation[None]:
        nonlocal asked
        asked += 1
        yield sql.SQL("SELECT nothing, 'canary'")

    first = beside.ask(_pid)
    with pytest.raises(SourceError, match="42703") as caught:
        beside.ask(wrong)
    assert (asked, caught.value.slot) == (1, "s")
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert beside.ask(_pid) == first


def test_connection_that_dies_twice_is_lost(beside: Beside) -> None:
    def suicide() -> Conversation[None]:
        yield sql.SQL("SELECT pg_terminate_backend(pg_backend_pid())")

    beside.ask(_pid)
    with pytest.raises(ConnectionLostError):
        beside.ask(suicide)


def test_catalog_is_read_again_only_for_what_came_later(database: Database, beside: Beside) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
    ((oid,),) = database.execute("SELECT 't'::regclass::oid::int")
    before = LSN(beside.current_lsn() - 1)
    beside.read_catalog(("p",))
    known = beside.describe(oid, before)
    assert known is not None
    database.execute("ALTER TABLE t ADD v text")
    assert beside.describe(oid, before) is known
    found = beside.describe(oid, beside.current_lsn())
    assert found is not None
    assert [column.name for column in found.columns] == ["id", "v"]
    database.execute("DROP TABLE t")
    assert beside.describe(oid, beside.current_lsn()) is found
    assert beside.describe(oid + 1, LSN(0)) is None


def test_closed_before_it_was_used(database: Database) -> None:
    given = parameters(database.dsn)
    with connect(given) as connection:
        Beside(given, connection, "s").close()
    assert isinstance(connection, psycopg.Connection)
    assert connection.closed
