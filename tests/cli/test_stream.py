"""Tests of `pglogical_cdc.cli.stream`: the command on a real server."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from pglogical_cdc.cli.main import commands
from pglogical_cdc.lsn import LSN
from tests.cli.running import environment, run, run_on_terminal, start
from tests.reading import wait_until
from tests.servers import Database

PASSWORD: Final = "canary_d41d8cd98f"


@pytest.fixture
def arguments(database: Database, slot_name: str) -> list[str]:
    """A slot, a publication and a table, and what the command needs to read them."""
    database.execute("CREATE TABLE item (id int PRIMARY KEY, name text)")
    database.execute("CREATE PUBLICATION pub FOR TABLE item")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    return ["stream", "--dsn", database.dsn, "--slot", slot_name, "--publication", "pub"]


def _work(database: Database) -> None:
    database.execute("INSERT INTO item VALUES (1, 'Zoë\nб')")
    database.execute("DELETE FROM item")


def _documents(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def _confirmed(database: Database, slot: str) -> LSN:
    ((text,),) = database.execute(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", [slot]
    )
    return LSN.parse(text)


def _now(database: Database) -> LSN:
    ((text,),) = database.execute("SELECT pg_current_wal_flush_lsn()::text")
    return LSN.parse(text)


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> tuple[float, bytes]:
    """Send a signal; give the seconds until the process has ended, and its standard error."""
    started = time.monotonic()
    process.send_signal(number)
    process.wait(20)
    seconds = time.monotonic() - started
    assert process.stdout is not None
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    return seconds, errors


@pytest.mark.pg(18)
def test_each_format_to_stdout_and_to_a_file(
    database: Database, arguments: list[str], tmp_path: Path
) -> None:
    shown: dict[tuple[str, str], list[str]] = {}
    for format_name in ("debezium", "dms", "unwrapped", "repr"):
        for to in ("stdout", "file"):
            _work(database)
            path = tmp_path / f"{format_name}-{to}"
            more = [] if to == "stdout" else ["--to", "file", "--file", str(path)]
            result = run(*arguments, "--until", "now", "--format", format_name, *more)
            assert (result.returncode, result.stderr) == (0, "")
            if to == "file":
                assert result.stdout == ""
            text = result.stdout if to == "stdout" else path.read_text(encoding="utf-8")
            shown[format_name, to] = text.splitlines()

    for to in ("stdout", "file"):
        create, delete, tombstone = map(json.loads, shown["debezium", to])
        assert create["topic"] == "cdc.public.item"
        assert create["key"] == {"id": 1}
        assert create["value"]["op"] == "c"
        assert create["value"]["after"] == {"id": 1, "name": "Zoë\nб"}
        assert delete["value"]["op"] == "d"
        assert tombstone["value"] is None

        insert, remove = (json.loads(line)["value"] for line in shown["dms", to])
        assert insert["data"] == {"id": 1, "name": "Zoë\nб"}
        assert insert["metadata"]["operation"] == "insert"
        assert remove["metadata"]["operation"] == "delete"

        assert json.loads(shown["unwrapped", to][0])["value"] == {"id": 1, "name": "Zoë\nб"}

        inserted, deleted = shown["repr", to]
        assert inserted.startswith("Insert public.item ")
        assert inserted.endswith(r"before=None after={'id': 1, 'name': 'Zoë\nб'}")
        assert deleted.endswith("before={'id': 1, 'name': NOT_SENT} after=None")


@pytest.mark.pg(18)
def test_what_was_written_is_acknowledged_and_does_not_come_again(
    database: Database, arguments: list[str], slot_name: str
) -> None:
    _work(database)
    end = _now(database)
    assert len(_documents(run(*arguments, "--until", "now").stdout)) == 3
    # A busy server takes the last position when the command has ended already.
    wait_until(lambda: _confirmed(database, slot_name) >= end)
    assert run(*arguments, "--until", "now").stdout == ""


@pytest.mark.pg(18)
def test_options_reach_reader_and_formatter(
    database: Database, arguments: list[str], slot_name: str
) -> None:
    _work(database)
    until = _now(database)
    database.execute("INSERT INTO item VALUES (2, 'later')")
    result = run(*arguments, "--until", str(until), "--topic-prefix", "shop")
    assert {each["topic"] for each in _documents(result.stdout)} == {"shop.public.item"}
    assert "later" not in result.stdout

    database.execute("SELECT pg_logical_emit_message(true, 'hello', 'there')")
    result = run(*arguments, "--messages", "--binary", "--format", "repr", "--idle-timeout", "0.3")
    assert "after={'id': 2, 'name': 'later'}" in result.stdout
    assert "prefix='hello' content=b'there'" in result.stdout


@pytest.mark.pg(18)
def test_create_makes_publication_and_slot_for_the_tables(
    database: Database, slot_name: str
) -> None:
    database.execute("CREATE TABLE one (id int); CREATE TABLE two (id int)")
    arguments = ["stream", "--slot", slot_name, "--publication", "made", "--until", "now"]
    missing = run(*arguments, PGLOGICAL_CDC_DSN=database.dsn)
    assert missing.returncode == 1
    assert missing.stderr.startswith("Error: publication 'made' does not exist")
    assert missing.stderr.count("\n") == 1
    made = run(*arguments, "--create", "--table", "public.one", PGLOGICAL_CDC_DSN=database.dsn)
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    tables = database.execute("SELECT tablename FROM pg_publication_tables")
    assert tables == [("one",)]
    assert _confirmed(database, slot_name) > 0


@pytest.mark.pg
@pytest.mark.newest
def test_snapshot_writes_the_rows_that_are_there_first(database: Database, slot_name: str) -> None:
    database.execute("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1), (2)")
    arguments = ["stream", "--dsn", database.dsn, "--slot", slot_name, "--publication", "pub"]
    arguments += ["--create", "--table", "public.item", "--snapshot", "initial", "--until", "now"]
    database.execute("CREATE TABLE left_out (id int); INSERT INTO left_out VALUES (1)")
    arguments += ["--table", "public.left_out", "--snapshot-include", r"public\..*"]
    arguments += ["--snapshot-exclude", "public.left_out"]
    for expected in (["r", "r"], ["c"]):
        made = run(*arguments)
        assert made.returncode == 0, made.stderr
        assert [record["value"]["op"] for record in _documents(made.stdout)] == expected
        assert made.stderr.count("\n") == (3 if "r" in expected else 0)
        database.execute("INSERT INTO item VALUES (3) ON CONFLICT DO NOTHING")


@pytest.mark.pg(18)
def test_without_a_dsn_the_environment_of_libpq_says_where(
    database: Database, arguments: list[str]
) -> None:
    _work(database)
    del arguments[1:3]
    with database.connect() as connection:
        info = connection.info
        result = run(
            *arguments,
            "--until",
            "now",
            PGHOST=info.host,
            PGPORT=str(info.port),
            PGUSER=info.user,
            PGDATABASE=info.dbname,
        )
    assert result.stdout.count("\n") == 3


@pytest.mark.pg(18)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_and_it_still_acknowledges(
    database: Database, arguments: list[str], slot_name: str, number: signal.Signals
) -> None:
    process = start(*arguments)
    assert process.stdout is not None
    database.execute("INSERT INTO item VALUES (1, 'x')")
    end = _now(database)
    # The Commit of the first comes before the second; by itself it may come a moment later.
    database.execute("INSERT INTO item VALUES (2, 'y')")
    for _ in range(2):
        assert b'"op":"c"' in process.stdout.readline()
    seconds, errors = _end(process, number)
    assert (process.returncode, errors) == (0, b"")
    assert seconds < 3
    wait_until(lambda: _confirmed(database, slot_name) >= end)


@pytest.mark.pg(18)
def test_a_signal_ends_it_while_nobody_reads_its_output(
    database: Database, arguments: list[str], slot_name: str
) -> None:
    begin = _now(database)
    database.execute("INSERT INTO item SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i")
    process = start(*arguments)
    assert process.stdout is not None
    assert process.stdout.peek(1)  # type: ignore[attr-defined]  # the pipe is being filled
    seconds, errors = _end(process, signal.SIGTERM)
    assert (process.returncode, errors) == (0, b"")
    assert seconds < 1.5
    assert _confirmed(database, slot_name) <= begin
    assert run(*arguments, "--until", "now").stdout.count("\n") == 5000


@pytest.mark.pg(18)
def test_a_reader_that_goes_away_is_no_error(database: Database, arguments: list[str]) -> None:
    database.execute("INSERT INTO item SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i")
    process = start(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.pg(18)
def test_output_that_is_not_taken_is_an_error_and_not_acknowledged(
    database: Database, arguments: list[str]
) -> None:
    _work(database)
    for format_name in ("debezium", "repr"):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(
                [sys.executable, "-m", "pglogical_cdc", *arguments, "--format", format_name],
                env=environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=20,
            )
        assert result.returncode == 1
        assert result.stderr.startswith("Error: cannot write")
        assert result.stderr.count("\n") == 1
    assert run(*arguments, "--until", "now").stdout.count("\n") == 3


@pytest.mark.pg(18)
def test_bars_of_a_snapshot_are_on_the_terminal_until_its_rows_are_read(
    database: Database, slot_name: str, tmp_path: Path
) -> None:
    database.execute(
        "CREATE TABLE item (id int); INSERT INTO item SELECT generate_series(1, 30000);"
        "ANALYZE item; CREATE TABLE other (id int); CREATE PUBLICATION pub FOR ALL TABLES"
    )
    with (tmp_path / "output").open("wb") as output:
        exit_code, shown = run_on_terminal(
            "stream", "--dsn", database.dsn, "--slot", slot_name, "--publication", "pub",
            "--create", "--snapshot", "initial", "--idle-timeout", "0.5", stdout=output.fileno(),
        )  # fmt: skip
    assert exit_code == 0
    assert "0 of 2 tables" in shown
    assert " of ~30,000 rows" in shown
    bars, _, line = shown.partition("changes/s")
    assert "public.item" in bars
    assert "public.item" not in line
    assert "30,000 changes in 0 transactions" in line


@pytest.mark.pg(18)
def test_the_status_line_is_on_standard_error_when_that_is_a_terminal(
    database: Database, arguments: list[str], tmp_path: Path
) -> None:
    _work(database)
    path = tmp_path / "output"
    with path.open("wb") as output:
        exit_code, shown = run_on_terminal(
            *arguments, "--idle-timeout", "0.5", stdout=output.fileno()
        )
    assert exit_code == 0
    assert "changes/s" in shown
    assert "2 changes in 2 transactions" in shown
    assert "lag" in shown
    assert [each["topic"] for each in _documents(path.read_text())] == ["cdc.public.item"] * 3


@pytest.mark.pg(18)
def test_output_and_status_line_share_a_terminal(database: Database, arguments: list[str]) -> None:
    _work(database)
    exit_code, shown = run_on_terminal(*arguments, "--idle-timeout", "0.5")
    assert exit_code == 0
    assert "changes/s" in shown
    # Lines are whole, however narrow the terminal is, and begin where the status line was erased.
    start_of_line = '{"topic":'
    before, lines = zip(
        *(line.split(start_of_line) for line in shown.splitlines() if start_of_line in line),
        strict=True,
    )
    assert not any("changes/s" in each.rpartition("\x1b[2K")[2] for each in before)
    documents = [json.loads(start_of_line + line) for line in lines]
    assert [each["value"] and each["value"]["op"] for each in documents] == ["c", "d", None]


@pytest.mark.pg(18)
def test_no_password_is_shown(database: Database, arguments: list[str]) -> None:
    info = database.connect().info
    address = f"{info.host}:{info.port}"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    _work(database)
    for dsn, exit_code in (
        (f"postgresql://postgres:{PASSWORD}@{address}/{info.dbname}", 0),
        (f"{database.dsn} password={PASSWORD}", 0),
        (f"postgresql://nobody_here:{PASSWORD}@{address}/{info.dbname}", 1),
        (f"postgresql://postgres:{PASSWORD}@{address}/no_such_database", 1),
        (f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/x", 1),
        (f"postgresql://postgres:{PASSWORD}@{address}/x?no_such_option=1", 1),
        (f"postgresql://postgres:{PASSWORD}@{address}x/x", 1),
        (f"host=127.0.0.1 password={PASSWORD} dbname", 1),
    ):
        arguments[2] = dsn
        result = run(*arguments, "--idle-timeout", "0.2")
        assert result.returncode == exit_code, result.stderr
        assert PASSWORD not in result.stdout + result.stderr
        assert "Traceback" not in result.stderr
    result = run("stream", "--help", PGLOGICAL_CDC_DSN=f"password={PASSWORD}")
    assert PASSWORD not in result.stdout + result.stderr


@pytest.mark.pg(18)
def test_output_that_has_no_place_to_go_makes_no_slot(database: Database, tmp_path: Path) -> None:
    for format_name in ("debezium", "repr"):
        result = run(
            "stream", "--dsn", database.dsn, "--slot", "never_made", "--publication", "never_made",
            "--create", "--format", format_name, "--file", str(tmp_path / "missing" / "file"),
        )  # fmt: skip
        assert result.returncode == 1
        assert "No such file" in result.stderr
    made = database.execute(
        "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'never_made'"
        " UNION ALL SELECT 1 FROM pg_publication"
    )
    assert made == []


def test_a_signal_ends_it_while_it_connects() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dsn = f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=x"
        process = start("stream", "--dsn", dsn, "--slot", "s", "--publication", "p")
        accepted, _ = silent.accept()
        seconds, errors = _end(process, signal.SIGTERM)
        accepted.close()
    assert (process.returncode, errors) == (0, b"")
    assert seconds < 1.5


def test_tables_of_a_snapshot_need_one() -> None:
    arguments = ["stream", "--slot", "s", "--publication", "p", "--snapshot-include", "public.t"]
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 2
    assert "--snapshot-exclude go with --snapshot" in result.stderr
