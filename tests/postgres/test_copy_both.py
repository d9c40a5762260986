"""Tests of `pglogical_cdc.postgres.copy_both`."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import connection as connections
from pglogical_cdc.postgres.asynchronous import Asynchronous
from pglogical_cdc.postgres.blocking import Blocking
from pglogical_cdc.postgres.copy_both import CopyBoth, CopyBothEnded
from pglogical_cdc.postgres.flavour import Stopped
from pglogical_cdc.postgres.options import start_replication
from pglogical_cdc.postgres.parameters import parameters
from pglogical_cdc.protocol import PrimaryKeepalive, XLogData, parse_walsender_message
from tests import wire
from tests.faults.proxy import Proxy
from tests.faults.servers import switch_tls_on
from tests.postgres.sessions import connect, drive
from tests.reading import active_pid, is_sent, make_slot, wait_until
from tests.servers import new_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pglogical_cdc.postgres.flavour import Flavour
    from tests.servers import Database, Server

pytestmark = pytest.mark.pg


@pytest.fixture
def connection(database: Database, slot_name: str) -> Iterator[psycopg.Connection[Any]]:
    make_slot(database, slot_name)
    made = connect(parameters(database.dsn))
    yield made
    made.close()


@pytest.fixture
def stream(connection: psycopg.Connection[Any], slot_name: str) -> CopyBoth:
    return _start(connection, slot_name)


def _start(connection: psycopg.Connection[Any], slot: str) -> CopyBoth:
    command = start_replication(slot, ["pub"], start=LSN(0))
    return drive(Blocking, lambda flavour: CopyBoth.start(connection, command, flavour))


def _read(stream: CopyBoth, seconds: float = 10) -> list[bytes]:
    """Wait for something and read it."""
    deadline = time.monotonic() + seconds
    while not (messages := stream.read()):
        assert time.monotonic() < deadline
        select.select([stream.socket], [], [], 0.1)
    return messages


def _waiting(stream: CopyBoth) -> bytes:
    """The types of the messages of pgoutput in the client's socket, which stay there.

    What the server has sent need not have arrived.
    """
    with socket.socket(fileno=os.dup(stream.socket)) as same:
        try:
            data = same.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
    messages = []
    while len(data) >= 5 and (end := 1 + int.from_bytes(data[1:5], "big")) <= len(data):
        if data[:1] == b"d":  # CopyData
            messages.append(data[5:end])
        data = data[end:]
    return _payloads(messages)


def _wait_for_commit(stream: CopyBoth) -> None:
    wait_until(lambda: _waiting(stream).endswith(b"C"))


def _has_ended(stream: CopyBoth) -> bool:
    """Tell whether the last byte of the server is here."""
    poll = select.poll()
    poll.register(stream.socket, select.POLLRDHUP)
    return bool(poll.poll(0))


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
    for _ in range(3):  # and stays one, and is no clean end
        stream.fill()
        with pytest.raises(psycopg.OperationalError):
            stream.read()


def test_what_came_before_an_error_is_good(
    database: Database, slot_name: str, stream: CopyBoth
) -> None:
    _insert_and_end(
        database,
        slot_name,
        stream,
        lambda: database.execute(
            "SELECT pg_terminate_backend(%s)", [active_pid(database, slot_name)]
        ),
    )
    assert _payloads(stream.read()) == b"BRIC"
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            _read_to_the_end(stream)


def test_what_came_before_a_break_is_good(
    database: Database, slot_name: str, stream: CopyBoth
) -> None:
    def shut_down() -> None:
        with socket.socket(fileno=os.dup(stream.socket)) as same:
            same.shutdown(socket.SHUT_RDWR)

    _insert_and_end(database, slot_name, stream, shut_down)
    assert _payloads(stream.read()) == b"BRIC"
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            stream.read()


def _insert_and_end(
    database: Database, slot: str, stream: CopyBoth, end: Callable[[], object]
) -> None:
    database.execute("INSERT INTO t VALUES (1)")
    _wait_for_commit(stream)
    end()
    wait_until(lambda: active_pid(database, slot) is None)


def _payloads(messages: list[bytes]) -> bytes:
    """The types of the messages of pgoutput."""
    parsed = map(parse_walsender_message, messages)
    return b"".join(bytes(each.payload[:1]) for each in parsed if isinstance(each, XLogData))


def test_what_is_filled_waits_for_the_read(
    database: Database, slot_name: str, stream: CopyBoth
) -> None:
    stream.fill()  # there may be nothing
    kinds = b""
    for number in range(3):
        database.execute("INSERT INTO t VALUES (%s)", [number])
        _wait_for_commit(stream)
        stream.fill()
        if number == 1:
            kinds += _payloads(stream.read())
            assert kinds == b"BRICBIC"
            assert _payloads(stream.read()) == b""  # there may be a keepalive
    database.execute("SELECT pg_terminate_backend(%s)", [active_pid(database, slot_name)])
    wait_until(lambda: _has_ended(stream))
    for _ in range(3):
        stream.fill()  # the error waits too
    kinds += _payloads(stream.read())
    assert kinds == b"BRICBICBIC"
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            stream.read()
        stream.fill()


def test_filled_to_an_end_without_error(stream: CopyBoth) -> None:
    def fill_to_the_end() -> None:
        began = time.monotonic()
        while time.monotonic() - began < 10:
            select.select([stream.socket], [], [], 0.1)
            stream.fill()
            stream.read()

    stream.finish_sending()
    with pytest.raises(CopyBothEnded):
        fill_to_the_end()
    stream.fill()
    with pytest.raises(CopyBothEnded):
        stream.read()


def test_event_loop_fills_before_the_waiting_task_has_its_turn(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    command = start_replication(slot_name, ["pub"], start=LSN(0))

    async def use(flavour: Flavour) -> None:
        connection = await connections.connect(parameters(database.dsn), flavour)
        stream = await CopyBoth.start(connection, command, flavour, patience=20)
        database.execute("INSERT INTO t VALUES (1)")
        kinds = b""
        while not kinds.endswith(b"C"):
            await flavour.wait(stream.socket, 20, stream.fill)
            kinds += _payloads(stream.read())
        assert kinds == b"BRIC"
        connection.pgconn.finish()
        stream.fill()
        with pytest.raises(psycopg.OperationalError):
            stream.read()

    drive(Asynchronous, use)


def test_refused_command_is_an_error(connection: psycopg.Connection[Any], slot_name: str) -> None:
    with pytest.raises(psycopg.errors.UndefinedObject):
        _start(connection, slot_name + "x")
    assert not connection.closed


def test_start_that_is_not_answered(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    command = start_replication(slot_name, ["pub"], start=LSN(0))

    async def stopped(flavour: Flavour) -> None:
        flavour.stop()
        with pytest.raises(Stopped):
            await CopyBoth.start(frozen, command, flavour)

    async def silent(flavour: Flavour) -> None:
        with pytest.raises(psycopg.OperationalError, match="no answer"):
            await CopyBoth.start(frozen, command, flavour, patience=0.1)

    for use in (silent, stopped):
        frozen = connect(parameters(database.dsn))
        pid = frozen.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            drive(Blocking, use)
            assert time.monotonic() - began < 5
        finally:
            os.kill(pid, signal.SIGCONT)
        assert frozen.closed
    wait_until(lambda: active_pid(database, slot_name) is None)


def test_closed_connection_is_an_error(
    connection: psycopg.Connection[Any], stream: CopyBoth
) -> None:
    connection.close()
    for use in (stream.read, stream.finish_sending, lambda: stream.send(b"r")):
        with pytest.raises(psycopg.OperationalError):
            use()


@pytest.mark.pg(18)
def test_notices_go_to_the_handlers_of_the_connection(
    database: Database, connection: psycopg.Connection[Any], slot_name: str
) -> None:
    heard: list[tuple[str | None, str | None]] = []
    connection.add_notice_handler(lambda diag: heard.append((diag.sqlstate, diag.message_primary)))
    stream = _start(connection, slot_name)
    assert heard == []
    database.execute("DROP PUBLICATION pub; INSERT INTO t VALUES (1)")
    deadline = time.monotonic() + 10
    while not heard:
        assert time.monotonic() < deadline
        stream.read()
    assert heard[0] == ("55000", 'skipped loading publication "pub"')


# -- over TLS, where each message comes in a record, and needs a read, of its own

_ROWS = 200
_WHOLE = b"BR" + _ROWS * b"I" + b"C"


class _Counted:
    """A libpq connection of which one call of a method fails instead."""

    def __init__(self, pgconn: Any, method: str, call: int, error: BaseException) -> None:
        self._pgconn, self._method, self._left, self._error = pgconn, method, call, error
        self.given: list[bytes] = []
        """The messages that it has given."""

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._pgconn, name)

        def counted(*arguments: object) -> object:
            if name == self._method:
                self._left -= 1
                if self._left == 0:
                    raise self._error
            result = real(*arguments)
            if name == "get_copy_data" and result[0] > 0:
                self.given.append(bytes(result[1]))
            return result

        return counted if callable(real) else real

    def left(self) -> int:
        """The size of a message that it still has; 0 if it has none without another read."""
        size: int = self._pgconn.get_copy_data(1)[0]
        return size


class _ThroughTls:
    """Streams over TLS to which the server has sent one transaction, all of it waiting."""

    def __init__(self, database: Database, dsn: str, slot: str) -> None:
        self.database, self.dsn, self._slot, self.copies = database, dsn, slot, 0
        self.slot = slot
        self.connections: list[psycopg.Connection[Any]] = []
        make_slot(database, slot)
        database.execute(f"INSERT INTO t SELECT generate_series(1, {_ROWS})")

    def start(self, dsn: str | None = None) -> CopyBoth:
        if self.connections:
            self.connections[-1].close()
            wait_until(lambda: active_pid(self.database, self.slot) is None)
            self.database.execute("SELECT pg_drop_replication_slot(%s)", [self.slot])
        self.copies += 1
        self.slot = f"{self._slot}_{self.copies}"
        self.database.execute(
            "SELECT pg_copy_logical_replication_slot(%s, %s)", [self._slot, self.slot]
        )
        connection = connect(parameters(dsn or self.dsn))
        self.connections.append(connection)
        assert connection.pgconn.ssl_in_use
        stream = _start(connection, self.slot)
        wait_until(lambda: is_sent(self.database, self.slot))
        return stream

    def terminate(self) -> None:
        pid = active_pid(self.database, self.slot)
        self.database.execute("SELECT pg_terminate_backend(%s)", [pid])
        wait_until(lambda: active_pid(self.database, self.slot) is None)


@pytest.fixture
def through_tls(private_server: Server, slot_name: str) -> Iterator[_ThroughTls]:
    with new_database(private_server) as database:
        made = _ThroughTls(database, switch_tls_on(private_server, database.name), slot_name)
        yield made
        for connection in made.connections:
            connection.close()


def _all_until_error(stream: CopyBoth) -> tuple[list[bytes], psycopg.Error]:
    messages: list[bytes] = []
    try:
        while True:
            messages += _read(stream)
    except psycopg.Error as error:
        return messages, error


@pytest.mark.newest
def test_all_reads_before_an_end_over_tls_are_good(through_tls: _ThroughTls) -> None:
    whole = _WHOLE
    # The server's error comes in another of the reads that are made in a row.
    for _ in range(18):
        stream = through_tls.start()
        through_tls.terminate()
        messages, error = _all_until_error(stream)
        assert _payloads(messages) == whole
        assert error.sqlstate == "57P01"
        assert str(error) == "terminating connection due to administrator command"
        through_tls.database.execute("INSERT INTO t SELECT max(id) + 1 FROM t")
        whole += b"BIC"

    stream = through_tls.start()
    with socket.socket(fileno=os.dup(stream.socket)) as same:
        same.shutdown(socket.SHUT_RDWR)
    messages, error = _all_until_error(stream)
    # What has not come by then, the kernel drops.
    assert whole.startswith(_payloads(messages))
    assert type(error) is psycopg.OperationalError
    stream.fill()
    with pytest.raises(psycopg.OperationalError) as again:
        stream.read()
    assert again.value is error


@pytest.mark.newest
def test_connection_cut_in_the_midst_over_tls(through_tls: _ThroughTls) -> None:
    database = through_tls.database
    insert = f"INSERT INTO t SELECT max(id) + generate_series(1, {_ROWS}) FROM t GROUP BY ()"
    with Proxy(database.server.embedded.port) as proxy:
        for number, size in enumerate(range(1, 12_000, 997), start=1):
            stream = through_tls.start(proxy.dsn(through_tls.dsn, sslmode="require"))
            transactions = 0
            while transactions < number:
                transactions += _payloads(_read(stream)).count(b"C")
            proxy.cut_after(size)
            database.execute(insert)
            proxy.wait()
            messages, error = _all_until_error(stream)
            assert (b"B" + _ROWS * b"I").startswith(_payloads(messages))
            assert bool(_payloads(messages)) == (size > 500)
            assert error.sqlstate is None


@pytest.mark.newest
@pytest.mark.parametrize("end", ["break", "server's error"])
def test_error_of_any_read_over_tls_hides_nothing(through_tls: _ThroughTls, end: str) -> None:
    for call in range(1, 48):
        stream = through_tls.start()
        if end == "server's error":
            through_tls.terminate()
        broken = psycopg.OperationalError("broken")
        failing: Any = _Counted(stream._pgconn, "consume_input", call, broken)
        stream._pgconn = failing
        messages, error = _all_until_error(stream)
        assert error is broken
        # One message, or a keepalive, at each read; none if it is made before there is more.
        assert len(messages) < call
        assert messages == failing.given
        assert failing.left() == 0
        assert _WHOLE.startswith(_payloads(messages))
        assert not stream.is_half_read


@pytest.mark.newest
@pytest.mark.parametrize("method", ["consume_input", "get_copy_data"])
def test_interrupt_at_any_call_over_tls_is_known(through_tls: _ThroughTls, method: str) -> None:
    for call in range(1, 48):
        stream = through_tls.start()
        failing: Any = _Counted(stream._pgconn, method, call, KeyboardInterrupt())
        stream._pgconn = failing
        with pytest.raises(KeyboardInterrupt):
            # What is sent need not be here yet, and then one read ends before that call.
            _read_to_the_end(stream)
        assert stream.is_half_read
