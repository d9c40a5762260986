"""Tests of `pglogical_cdc.postgres.copy_out`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from pglogical_cdc.postgres import CopyOut
from pglogical_cdc.postgres.flavour import Flavour
from tests.postgres.sessions import FLAVOURS, drive

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


def _copied(
    connection: psycopg.Connection[Any], what: str, kind: type[Flavour] = FLAVOURS[0]
) -> list[bytes]:
    command = sql.SQL("COPY (SELECT {}) TO STDOUT").format(sql.SQL(what))

    async def read(flavour: Flavour) -> list[bytes]:
        copy = await CopyOut.start(connection, command, flavour)
        messages: list[bytes] = []
        while not copy.ended:
            found = copy.read()
            assert len(found) <= 1024
            messages += found
            if not found and not copy.ended:
                await flavour.wait(copy.socket, 1.0)
        assert copy.read() == []
        return messages

    return drive(kind, read)


@pytest.mark.parametrize("kind", FLAVOURS)
def test_rows_come_one_by_one_and_then_the_end(database: Database, kind: type[Flavour]) -> None:
    connection = database.connect()
    messages = _copied(connection, "i, repeat('x', i % 100) FROM generate_series(1, 5000) i", kind)
    assert len(messages) == 5000
    assert messages[0] == b"1\tx\n"
    assert messages[-1] == b"5000\t\n"
    # The connection takes the next command.
    assert _copied(connection, "1 WHERE false", kind) == []
    assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_failure_in_the_middle_is_no_end(database: Database) -> None:
    connection = database.connect()
    with pytest.raises(psycopg.errors.DivisionByZero) as caught:
        _copied(connection, "1 / (4000 - i) FROM generate_series(1, 5000) i")
    assert caught.value.sqlstate == "22012"


def test_a_refused_command(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        _copied(database.connect(), "1 FROM missing")


def test_a_lost_connection_is_no_end(database: Database) -> None:
    connection, other = database.connect(), database.connect()
    pid = connection.info.backend_pid

    async def read(flavour: Flavour) -> None:
        command = sql.Composed(
            [sql.SQL("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT")]
        )
        copy = await CopyOut.start(connection, command, flavour)
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        while not copy.ended:
            if not copy.read() and not copy.ended:
                await flavour.wait(copy.socket, 1.0)

    with pytest.raises(psycopg.OperationalError):
        drive(FLAVOURS[0], read)


def test_a_batch_of_big_rows_is_small(database: Database) -> None:
    text = sql.SQL("COPY (SELECT repeat('x', 50000) FROM generate_series(1, 400)) TO STDOUT")
    command = sql.Composed([text])
    with database.connect() as connection:

        async def read(flavour: Flavour) -> list[int]:
            copy = await CopyOut.start(connection, command, flavour)
            sizes: list[int] = []
            while not copy.ended:
                sizes.append(sum(map(len, copy.read())))
                if not sizes[-1] and not copy.ended:
                    await flavour.wait(copy.socket, 1.0)
                await flavour.rest(0.002)  # so that more is here than is taken at once
            return sizes

        sizes = drive(FLAVOURS[0], read)
    assert sum(sizes) == 400 * 50001
    # What is taken at once, and what one more read of the socket brings.
    assert max(sizes) < 2 * 256 * 1024
