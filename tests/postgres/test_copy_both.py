"""Tests of `pglogical_cdc.postgres.copy_both`."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.connection import connect, parameters
from pglogical_cdc.postgres.copy_both import CopyBoth, CopyBothEnded
from pglogical_cdc.postgres.options import start_replication
from pglogical_cdc.protocol import PrimaryKeepalive, XLogData, parse_walsender_message
from tests import wire
from tests.reading import active_pid, make_slot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.servers import Database

pytestmark = pytest.mark.pg


@pytest.fixture
def connection(database: Database, slot_name: str) -> Iterator[psycopg.Connection[Any]]:
    make_slot(database, slot_name)
    made = connect(parameters(database.dsn))
    yield made
    made.close()


@pytest.fixture
def stream(connection: psycopg.Connection[Any], slot_name: str) -> CopyBoth:
    command = start_replication(slot_name, ["pub"], start=LSN(0))
    return CopyBoth(connection, command, lambda diag: None)


def _read(stream: CopyBoth, seconds: float = 10) -> list[memoryview]:
    """Wait for something and read it."""
    deadline = time.monotonic() + seconds
    while not (messages := stream.read()):
        assert time.monotonic() < deadline
        select.select([stream.socket], [], [], 0.1)
    return messages


def _read_to_the_end(stream: CopyBoth) -> None:
    while True:
        _read(stream)


def test_reading_does_not_wait(stream: CopyBoth) -> None:
    _read(stream)
    began = time.monotonic()
    for _ in range(5):
        stream.read()
    assert time.monotonic() - began < 1


def test_changes_come_as_copy_data(database: Database, stream: CopyBoth) -> None:
    database.execute("INSERT INTO t VALUES (1)")
    kinds = b""
    while not kinds.endswith(b"C"):
        for data in _read(stream):
            message = parse_walsender_message(data)
            if isinstance(message, XLogData):
                kinds += message.payload[:1]
    assert kinds == b"BRIC"


def test_question_is_answered(stream: CopyBoth) -> None:
    stream.send(wire.standby_status_update(0, 0, 0, 0, reply_requested=True))
    while not isinstance(parse_walsender_message(_read(stream)[-1]), PrimaryKeepalive):
        pass


def test_ended_stream_stays_ended_and_frees_the_slot(
    database: Database, slot_name: str, stream: CopyBoth
) -> None:
    assert active_pid(database, slot_name) is not None
    stream.finish_sending()
    with pytest.raises(CopyBothEnded):
        _read_to_the_end(stream)
    with pytest.raises(CopyBothEnded):
        stream.read()
    assert active_pid(database, slot_name) is None


def test_terminated_stream_is_an_error(
    database: Database, slot_name: str, stream: CopyBoth
) -> None:
    database.execute("SELECT pg_terminate_backend(%s)", [active_pid(database, slot_name)])
    with pytest.raises(psycopg.OperationalError):
        _read_to_the_end(stream)


def test_refused_command_is_an_error(connection: psycopg.Connection[Any], slot_name: str) -> None:
    command = start_replication(slot_name + "x", ["pub"], start=LSN(0))
    with pytest.raises(psycopg.errors.UndefinedObject):
        CopyBoth(connection, command, lambda diag: None)


def test_closed_connection_is_an_error(
    connection: psycopg.Connection[Any], stream: CopyBoth
) -> None:
    connection.close()
    for use in (stream.read, stream.finish_sending, lambda: stream.send(b"r")):
        with pytest.raises(psycopg.OperationalError):
            use()


@pytest.mark.pg(18)
def test_notices_are_handed_on(
    database: Database, connection: psycopg.Connection[Any], slot_name: str
) -> None:
    heard: list[tuple[str | None, str | None]] = []
    command = start_replication(slot_name, ["pub"], start=LSN(0))
    stream = CopyBoth(
        connection, command, lambda diag: heard.append((diag.sqlstate, diag.message_primary))
    )
    assert heard == []
    database.execute("DROP PUBLICATION pub; INSERT INTO t VALUES (1)")
    deadline = time.monotonic() + 10
    while not heard:
        assert time.monotonic() < deadline
        stream.read()
    assert heard[0] == ("55000", 'skipped loading publication "pub"')
