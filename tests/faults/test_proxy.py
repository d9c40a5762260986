"""Tests of `tests.faults.proxy`."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pglogical_cdc.errors import ConnectionLostError
from pglogical_cdc.replication.reader import ReplicationReader
from tests.faults.proxy import Proxy
from tests.reading import keys, make_slot, wait_until

if TYPE_CHECKING:
    from tests.servers import Database

_PATIENCE: Final = 10.0
_SILENCE: Final = 0.1


class _Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets, each time behind its name."""

    name = b""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(1 << 16):
                self.request.sendall(self.name + data)


class _Other(_Echo):
    name = b"other "


class _Flood(socketserver.BaseRequestHandler):
    """Sends very much."""

    size = 1 << 26
    sent = 0

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            for _ in range(self.size >> 16):
                self.request.sendall(_PATTERN)
                type(self).sent += len(_PATTERN)
            self.request.shutdown(socket.SHUT_WR)
            self.request.recv(1)


_PATTERN: Final = bytes(range(256)) * 256


@contextlib.contextmanager
def _serve(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def _proxy(handler: type[socketserver.BaseRequestHandler] = _Echo) -> Iterator[Proxy]:
    with _serve(handler) as port, Proxy(port) as proxy:
        yield proxy


@contextlib.contextmanager
def _client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((proxy.host, proxy.port), _PATIENCE) as client:
        yield client


def _exchange(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return client.recv(1 << 16)


def _is_silent(client: socket.socket) -> bool:
    client.settimeout(_SILENCE)
    try:
        client.sendall(b"?")
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(_PATIENCE)
    return False


def _read_all(client: socket.socket) -> tuple[bytes, bool]:
    """Read to the end; tell whether that was a RST."""
    data = bytearray()
    try:
        while piece := client.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        return bytes(data), True
    return bytes(data), False


def _connect_and_read(proxy: Proxy) -> bytes:
    with _client(proxy) as client:
        return client.recv(1)


def test_forwards_both_ways_and_counts() -> None:
    with _proxy() as proxy:
        with _client(proxy) as one, _client(proxy) as two:
            assert _exchange(one, b"first") == b"first"
            assert _exchange(two, b"second") == b"second"
            assert proxy.open_connections == 2
        wait_until(lambda: proxy.open_connections == 0)
        assert (proxy.connections, proxy.bytes_from_server, proxy.cuts) == (2, 11, 0)


@pytest.mark.parametrize("rst", [False, True])
def test_cut_ends_every_connection(rst: bool) -> None:
    with _proxy() as proxy, _client(proxy) as one, _client(proxy) as two:
        for client in (one, two):
            _exchange(client, b"x")
        proxy.cut(rst=rst)
        assert [_read_all(client) for client in (one, two)] == [(b"", rst)] * 2
        assert (proxy.cuts, proxy.open_connections) == (2, 0)
        with _client(proxy) as client:
            assert _exchange(client, b"x") == b"x"


@pytest.mark.parametrize("rst", [False, True])
@pytest.mark.parametrize("size", [1, 65_536, 1_000_003])
def test_cut_after_delivers_so_many_bytes(size: int, rst: bool) -> None:
    with _serve(_Flood) as port, Proxy(port) as proxy:
        proxy.cut_after(size, rst=rst)
        with _client(proxy) as client:
            data, was_reset = _read_all(client)
        assert (len(data), was_reset) == (size, rst)
        assert data == (_PATTERN * 16)[:size]


def test_cut_after_counts_all_connections_from_now_on() -> None:
    with _proxy() as proxy, _client(proxy) as one, _client(proxy) as two:
        _exchange(one, b"before")
        proxy.cut_after(10)
        assert _exchange(one, b"123456") == b"123456"
        assert _exchange(two, b"123456") == b"1234"
        proxy.wait()
        assert [client.recv(1) for client in (one, two)] == [b"", b""]
        with _client(proxy) as client:
            assert _exchange(client, b"123456") == b"123456"


@pytest.mark.parametrize("size", [0, 3])
def test_cut_next_after_hits_the_next_connection_only(size: int) -> None:
    with _proxy() as proxy, _client(proxy) as before:
        _exchange(before, b"x")
        proxy.cut_next_after(size)
        with _client(proxy) as client:
            if size:
                client.sendall(b"123456")
            assert _read_all(client)[0] == b"123456"[:size]
        proxy.wait()
        with _client(proxy) as after:
            assert _exchange(after, b"123456") == b"123456"
            assert _exchange(before, b"123456") == b"123456"


def test_black_hole_swallows_until_restored() -> None:
    with _proxy() as proxy, _client(proxy) as old:
        _exchange(old, b"x")
        proxy.black_hole()
        with _client(proxy) as new:
            assert _is_silent(old)
            assert _is_silent(new)
            proxy.restore()
            assert _is_silent(old)
            assert _is_silent(new)
            with _client(proxy) as later:
                assert _exchange(later, b"x") == b"x"
            proxy.cut()
            assert [_read_all(client)[0] for client in (old, new)] == [b"", b""]


def test_black_hole_after_delivers_so_many_bytes() -> None:
    with _proxy() as proxy, _client(proxy) as client:
        proxy.black_hole_after(4)
        assert _exchange(client, b"123456") == b"1234"
        assert _is_silent(client)


def test_refuses_and_accepts_on_the_same_port() -> None:
    with _proxy() as proxy, _client(proxy) as old:
        _exchange(old, b"x")
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError), _client(proxy):
            pass
        assert _exchange(old, b"x") == b"x"
        proxy.accept()
        with _client(proxy) as new:
            assert _exchange(new, b"x") == b"x"


def test_fragments_and_limits_the_rate() -> None:
    with _proxy() as proxy, _client(proxy) as client:
        proxy.fragment(7)
        proxy.limit(10_000)
        sent = _PATTERN[:2_000]
        began = time.monotonic()
        client.sendall(sent)
        pieces: list[bytes] = []
        while len(b"".join(pieces)) < len(sent):
            pieces.append(client.recv(1 << 16))
        assert 0.19 <= time.monotonic() - began < 5
        assert b"".join(pieces) == sent
        assert len(pieces[0]) % 7 == 0
        assert len(pieces) > 5
        proxy.fragment(None)
        proxy.limit(None)
        assert _exchange(client, sent) == sent


def test_delays() -> None:
    with _proxy() as proxy, _client(proxy) as client:
        proxy.delay(0.1)
        began = time.monotonic()
        assert _exchange(client, b"x") == b"x"
        assert 0.2 <= time.monotonic() - began < 5


def test_moves_to_another_server() -> None:
    with _proxy() as proxy, _serve(_Other) as port, _client(proxy) as old:
        assert _exchange(old, b"x") == b"x"
        proxy.move("127.0.0.1", port)
        assert _read_all(old)[0] == b""
        with _client(proxy) as new:
            assert _exchange(new, b"x") == b"other x"
            # The other server ends only when nobody is there any more.
            proxy.cut()


def test_a_slow_client_slows_its_server() -> None:
    _Flood.sent = 0
    with _serve(_Flood) as port, Proxy(port) as proxy, _client(proxy) as client:
        wait_until(lambda: _Flood.sent > 0)
        last = -1
        while last != _Flood.sent:
            last = _Flood.sent
            time.sleep(0.2)
        assert 0 < last < _Flood.size // 2
        received = 0
        while data := client.recv(1 << 20):
            received += len(data)
        assert received == _Flood.size


def test_an_end_of_one_side_reaches_the_other() -> None:
    with _proxy() as proxy, _client(proxy) as client:
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)
        assert _read_all(client) == (b"x", False)


def test_resets_when_the_server_is_not_there() -> None:
    with _serve(_Echo) as port:
        pass
    with Proxy(port) as proxy, pytest.raises(ConnectionResetError):  # perhaps while connecting
        _connect_and_read(proxy)


def _sockets() -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.append(os.readlink(link))
    return sorted(name for name in found if name.startswith(("socket", "anon_inode")))


def test_nothing_is_left_after_a_failure() -> None:
    gc.collect()  # what earlier tests have left would be closed between the counts
    before, threads = _sockets(), threading.active_count()
    with contextlib.suppress(ZeroDivisionError), contextlib.ExitStack() as stack:
        proxy = stack.enter_context(_proxy(_Flood))
        for _ in range(3):
            stack.enter_context(_client(proxy))
        proxy.black_hole()
        stack.enter_context(_client(proxy))
        proxy.restore()
        proxy.delay(60)
        stack.enter_context(_client(proxy))
        assert len(_sockets()) > len(before) + 10
        raise ZeroDivisionError
    assert _sockets() == before
    assert threading.active_count() == threads
    with pytest.raises(ConnectionRefusedError), _client(proxy):
        pass


def test_rewrites_a_connection_string() -> None:
    proxy = Proxy(5432)
    dsn = proxy.dsn("postgresql://me@a,b:1/shop?hostaddr=1.2.3.4,5.6.7.8", connect_timeout=3)
    assert conninfo_to_dict(dsn) == {
        "host": "127.0.0.1",
        "port": str(proxy.port),
        "user": "me",
        "dbname": "shop",
        "sslmode": "disable",
        "gssencmode": "disable",
        "connect_timeout": "3",
    }


@pytest.mark.pg
def test_leads_to_a_server(database: Database) -> None:
    with Proxy(database.server.embedded.port) as proxy:
        dsn = proxy.dsn(database.dsn, connect_timeout=5)
        with psycopg.connect(dsn) as connection:
            startup = proxy.bytes_from_server
            proxy.fragment(1)
            rows = connection.execute("SELECT generate_series(1, 1000)").fetchall()
            assert len(rows) == 1000
            proxy.cut()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        for size in (0, 1, startup // 2, startup - 1):
            proxy.cut_next_after(size, rst=bool(size % 2))
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(dsn)
        psycopg.connect(dsn).close()


@pytest.mark.pg
def test_a_reader_reads_through_it(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT generate_series(1, 50)")
    with Proxy(database.server.embedded.port) as proxy:
        proxy.fragment(1)
        dsn = proxy.dsn(database.dsn)
        with ReplicationReader(dsn, slot=slot_name, publications="pub", reconnect=None) as reader:
            changes = iter(reader)
            assert keys([next(changes) for _ in range(50)]) == list(range(1, 51))
            proxy.cut()
            with pytest.raises(ConnectionLostError):
                next(changes)
