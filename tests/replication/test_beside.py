"""Tests of `pglogical_cdc.replication.beside`."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import pytest
from psycopg import sql

from pglogical_cdc.errors import ConnectionLostError, SourceError
from pglogical_cdc.events import TableCatalog
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    Asynchronous,
    Blocking,
    Conversation,
    Stopped,
    connect,
    parameters,
    run,
)
from pglogical_cdc.replication.beside import Beside

if TYPE_CHECKING:
    from tests.servers import Database

T = TypeVar("T")

pytestmark = pytest.mark.pg


class Asking:
    """A `Beside` that is attached to a replication connection, and asked without a loop."""

    def __init__(self, database: Database) -> None:
        given = parameters(database.dsn)
        self.flavour = Blocking()
        self.beside = Beside(given, "s", self.flavour)
        self.replication = run(connect(given, self.flavour))
        self.beside.attach(self.replication)

    def ask(self, conversation: Callable[[], Conversation[T]]) -> T:
        return run(self.beside.ask(conversation))

    def describe(self, oid: int, commit_lsn: LSN | None) -> TableCatalog | None:
        return run(self.beside.describe(oid, commit_lsn))

    def current_lsn(self) -> LSN:
        return run(self.beside.current_lsn())

    def close(self) -> None:
        self.beside.close()
        self.replication.pgconn.finish()
        self.flavour.close()


@pytest.fixture
def beside(database: Database) -> Iterator[Asking]:
    with closing(Asking(database)) as made:
        yield made


def _pid() -> Conversation[int]:
    ((pid,),) = yield sql.SQL("SELECT pg_backend_pid()")
    return int(pid)


def test_one_connection_is_used_and_made_anew_when_it_is_gone(
    database: Database, beside: Asking
) -> None:
    first = beside.ask(_pid)
    assert beside.ask(_pid) == first
    database.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    second = beside.ask(_pid)
    assert second != first
    assert beside.ask(_pid) == second


def test_refusal_is_typed_and_not_asked_again(beside: Asking) -> None:
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


def test_connection_that_dies_twice_is_lost(beside: Asking) -> None:
    def suicide() -> Conversation[None]:
        yield sql.SQL("SELECT pg_terminate_backend(pg_backend_pid())")

    beside.ask(_pid)
    with pytest.raises(ConnectionLostError):
        beside.ask(suicide)


def test_catalog_is_read_again_only_for_what_came_later(database: Database, beside: Asking) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
    ((oid,),) = database.execute("SELECT 't'::regclass::oid::int")
    before = LSN(beside.current_lsn() - 1)
    run(beside.beside.read_catalog(("p",)))
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


def test_forgotten_table_is_asked_for_again(database: Database, beside: Asking) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
    ((oid,),) = database.execute("SELECT 't'::regclass::oid::int")
    before = beside.current_lsn()
    run(beside.beside.read_catalog(("p",)))
    known = beside.describe(oid, LSN(before - 1))
    beside.beside.forget([oid, oid + 1])
    again = beside.describe(oid, LSN(before - 1))
    assert again == known
    assert again is not known


def test_attached_to_another_connection_it_asks_there(database: Database, beside: Asking) -> None:
    first = beside.ask(_pid)
    with closing(Asking(database)) as other:
        beside.beside.attach(other.replication)
        wait_for_end = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        deadline = time.monotonic() + 10
        while database.execute(wait_for_end, [first]) != [(0,)]:
            assert time.monotonic() < deadline
        assert beside.ask(_pid) != first


def test_stopped_while_the_server_is_busy(database: Database, beside: Asking) -> None:
    def sleep() -> Conversation[None]:
        yield sql.SQL("SELECT pg_sleep(20)")

    beside.ask(_pid)
    beside.flavour.stop()
    began = time.monotonic()
    with pytest.raises(Stopped):
        beside.ask(sleep)
    assert time.monotonic() - began < 2


def test_asynchronously_asked_and_cancelled(database: Database) -> None:
    given = parameters(database.dsn)

    def sleep() -> Conversation[None]:
        yield sql.SQL("SELECT pg_sleep(20)")

    async def main() -> None:
        flavour = Asynchronous()
        beside = Beside(given, "s", flavour)
        replication = await connect(given, flavour)
        beside.attach(replication)
        first = await beside.ask(_pid)
        assert await beside.ask(_pid) == first
        began = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(beside.ask(sleep), 0.2)
        assert time.monotonic() - began < 1
        # Its answer is nobody's any more: the next question goes over a new connection.
        assert await beside.ask(_pid) != first
        beside.close()
        replication.pgconn.finish()

    asyncio.run(main())
    left = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND state = 'active'"
    deadline = time.monotonic() + 10
    while database.execute(left, ["SELECT pg_sleep(20)"]) != [(0,)]:
        assert time.monotonic() < deadline


def test_closed_before_it_was_used(database: Database) -> None:
    flavour = Blocking()
    given = parameters(database.dsn)
    beside = Beside(given, "s", flavour)
    beside.close()
    connection = run(connect(given, flavour))
    beside.attach(connection)
    beside.close()
    assert not connection.closed  # that is not its own
    connection.pgconn.finish()
    flavour.close()
