"""Tests of `pglogical_cdc.cli.transfer`."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pglogical_cdc.cli.event_lines import EventLines
from pglogical_cdc.cli.main import commands
from pglogical_cdc.cli.transfer import Output, transfer
from pglogical_cdc.sinks import FileSink
from tests.reading import make_slot, reader
from tests.servers import Database


@pytest.fixture
def arguments(database: Database, slot_name: str) -> list[str]:
    """What `stream` needs to read a slot."""
    make_slot(database, slot_name)
    return ["stream", "--dsn", database.dsn, "--slot", slot_name, "--publication", "pub"]


@pytest.mark.pg(18)
def test_it_tells_whether_a_signal_has_ended_it(
    database: Database, slot_name: str, tmp_path: Path
) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1, 'x')")
    output = Output("unwrapped", "prefix", tmp_path / "file")
    with reader(database, slot_name, until="now") as ends:
        assert transfer(ends, output)
    (line,) = (tmp_path / "file").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["topic"] == "prefix.public.t"

    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM])
    timer.start()
    assert not transfer(reader(database, slot_name), output)
    timer.join()


@pytest.fixture
def closed_sinks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the classes of the sinks that were closed, in that order."""
    closed: list[str] = []

    def noting(kind: type[FileSink | EventLines]) -> None:
        close = kind.close

        def noted(sink: Any) -> None:
            closed.append(kind.__name__)
            close(sink)

        monkeypatch.setattr(kind, "close", noted)

    noting(FileSink)
    noting(EventLines)
    return closed


@pytest.mark.pg(18)
def test_a_sink_is_closed_once(
    database: Database, arguments: list[str], tmp_path: Path, closed_sinks: list[str]
) -> None:
    for format_name in ("debezium", "repr"):
        database.execute("INSERT INTO t VALUES (%s, 'x')", [len(format_name)])
        path = tmp_path / format_name
        result = CliRunner().invoke(
            commands,
            [*arguments, "--until", "now", "--format", format_name, "--file", str(path)],
        )
        assert (result.exit_code, result.output) == (0, "")
        assert path.read_bytes()
    assert closed_sinks == ["FileSink", "EventLines"]


def test_a_sink_is_closed_once_where_nothing_runs(tmp_path: Path, closed_sinks: list[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dsn = f"host=127.0.0.1 port={closed.getsockname()[1]} dbname=x"
        arguments = ["stream", "--dsn", dsn, "--slot", "s", "--publication", "p"]
        for format_name in ("debezium", "repr"):
            path = tmp_path / format_name
            result = CliRunner().invoke(
                commands, [*arguments, "--format", format_name, "--file", str(path)]
            )
            assert result.exit_code == 1
    assert closed_sinks == ["FileSink", "EventLines"]
