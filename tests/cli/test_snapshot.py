"""Tests of `pglogical_cdc.cli.snapshot`: the command on a real server."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli.running import run, run_on_terminal, start
from tests.reading import wait_until
from tests.servers import Database

pytestmark = [pytest.mark.pg(18), pytest.mark.slow]


@pytest.fixture
def arguments(database: Database) -> list[str]:
    """Tables of a publication, and what the command needs to read them."""
    database.execute(
        "CREATE TABLE item (id int PRIMARY KEY, name text); CREATE TABLE item_log (id int);"
        "CREATE TABLE other (id int); INSERT INTO item VALUES (1, 'Zoë'), (2, NULL);"
        "INSERT INTO item_log VALUES (1); INSERT INTO other VALUES (1);"
        "CREATE PUBLICATION pub FOR ALL TABLES"
    )
    return ["snapshot", "--dsn", database.dsn, "--publication", "pub"]


def _slots(database: Database) -> list[tuple[object]]:
    return database.execute(
        "SELECT slot_name FROM pg_replication_slots WHERE database = %s", [database.name]
    )


def test_it_writes_the_rows_and_ends(
    database: Database, arguments: list[str], tmp_path: Path
) -> None:
    result = run(*arguments)
    assert result.returncode == 0
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["topic"].removeprefix("cdc.public.") for record in records] == [
        "item", "item", "item_log", "other",
    ]  # fmt: skip
    assert {record["value"]["op"] for record in records} == {"r"}
    assert records[0]["value"]["after"] == {"id": 1, "name": "Zoë"}
    wait_until(lambda: _slots(database) == [])

    path = tmp_path / "file"
    result = run(*arguments, "--format", "unwrapped", "--topic-prefix", "x", "--file", str(path))
    assert (result.returncode, result.stdout) == (0, "")
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[3])["topic"] == "x.public.other"
    result = run(*arguments, "--binary", "--format", "repr")
    assert "after={'id': 1, 'name': 'Zoë'}" in result.stdout


def test_tables_are_chosen(arguments: list[str]) -> None:
    chosen = [*arguments, "--include", r"public\.item.*", "--include", "public.other"]
    result = run(*chosen, "--exclude", ".*log", "--format", "repr")
    assert [line.split()[1] for line in result.stdout.splitlines()] == [
        "public.item", "public.item", "public.other",
    ]  # fmt: skip
    result = run(*arguments, "--include", "public.nothing")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: snapshot_include: 'public.nothing' matches no table")


def test_a_publication_is_made_when_that_is_asked_for(database: Database) -> None:
    database.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    arguments = ["snapshot", "--dsn", database.dsn, "--publication", "made", "--slot", "mine"]
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert "publication 'made' does not exist" in result.stderr
    result = run(*arguments, "--create", "--table", "public.t")
    assert result.returncode == 0
    assert result.stdout.count("\n") == 1
    assert "snapshot of slot 'mine_" in result.stderr


def test_without_a_terminal_standard_error_has_lines_without_rows(arguments: list[str]) -> None:
    lines = run(*arguments).stderr.splitlines()
    assert len(lines) == 5
    assert "begins: 3 tables" in lines[0]
    assert "table public.item is read (1 of 3): 2 rows in" in lines[1]
    assert "is read: 4 rows in" in lines[4]
    assert "Zoë" not in "".join(lines)


def test_on_a_terminal_there_are_bars_and_a_summary(
    database: Database, arguments: list[str], tmp_path: Path
) -> None:
    database.execute("INSERT INTO item SELECT i FROM generate_series(3, 30000) i; ANALYZE item")
    path = tmp_path / "output"
    with path.open("wb") as output:
        exit_code, shown = run_on_terminal(*arguments, stdout=output.fileno())
    assert exit_code == 0
    assert " of ~30,000 rows" in shown
    assert "0 of 3 tables" in shown
    assert " begins: " not in shown
    last = shown.rpartition("\x1b[2K")[2]
    assert last.startswith("3 of 3 tables, 30,002 rows, ")
    assert path.read_bytes().count(b"\n") == 30002


def test_rows_and_bars_share_a_terminal(database: Database, arguments: list[str]) -> None:
    database.execute("INSERT INTO item SELECT i FROM generate_series(3, 10000) i; ANALYZE")
    exit_code, shown = run_on_terminal(*arguments)
    assert exit_code == 0
    assert "of 3 tables" in shown
    start_of_line = '{"topic":'
    before, lines = zip(
        *(line.split(start_of_line) for line in shown.splitlines() if start_of_line in line),
        strict=True,
    )
    assert len(lines) == 10_002
    for line in lines:
        json.loads(start_of_line + line)
    # Where the bars were, they were erased before a row was written there.
    assert not any("rows" in each.rpartition("\x1b[2K")[2] for each in before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_it_says_that_rows_are_missing(
    database: Database, arguments: list[str], number: signal.Signals
) -> None:
    database.execute("INSERT INTO item SELECT i FROM generate_series(3, 100000) i")
    process = start(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.send_signal(number)
    assert process.wait(20) == 1
    process.stdout.close()
    assert process.stderr.read().endswith(b"Error: stopped before all rows were written\n")
    process.stderr.close()
    wait_until(lambda: _slots(database) == [])


def test_a_reader_that_goes_away_is_no_error(database: Database, arguments: list[str]) -> None:
    database.execute("INSERT INTO item SELECT i FROM generate_series(3, 30000) i")
    process = start(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert b"Error" not in process.stderr.read()
    process.stderr.close()
