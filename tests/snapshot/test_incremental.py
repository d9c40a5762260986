"""Incremental snapshots, on real servers: what is merged with what."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc import Change, SchemaChange, SnapshotRead, Update
from pglogical_cdc.snapshot import IncrementalSnapshot
from tests.reading import make_slot, reader, wait_until
from tests.servers import new_database
from tests.snapshot.incremental_tables import Between, copy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Database, Server


def _taken(database: Database, slot: str, table: str = "public.t", **given: Any) -> list[Change]:
    """Take one snapshot, and return all that came with it."""
    with reader(database, slot, until="now") as made:
        snapshot = made.snapshot_table(table, **given)
        changes = list(made)
        assert (snapshot.state, snapshot.error) == ("complete", None)
    return changes


def _rows(database: Database, key: str = "id") -> dict[object, dict[str, Any]]:
    return {
        row[0]: {key: row[0], "v": row[1]} for row in database.execute(f"SELECT {key}, v FROM t")
    }


def _reads(changes: Sequence[Change]) -> list[SnapshotRead]:
    return [change for change in changes if isinstance(change, SnapshotRead)]


def _make(database: Database, slot: str, rows: int = 10, ddl: str = "") -> None:
    make_slot(database, slot, ddl)
    database.execute(f"INSERT INTO t SELECT i, 'old' FROM generate_series(1, {rows}) i")
    with reader(database, slot, until="now") as made:
        list(made)


@pytest.mark.pg
def test_rows_come_in_the_order_of_the_key_with_positions_of_their_own(
    database: Database, slot_name: str
) -> None:
    _make(database, slot_name, 10)
    changes = _reads(_taken(database, slot_name, chunk_rows=3))
    assert [change.after["id"] for change in changes] == list(range(1, 11))
    assert {change.snapshot for change in changes} == {"incremental"}
    assert {change.transaction for change in changes} == {None}
    assert [change.number for change in changes] == list(range(1, 11))
    positions = [change.position for change in changes]
    assert sorted(set(positions)) == positions
    assert [position.ordinal for position in positions] == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]


@pytest.mark.pg
def test_the_log_says_who_holds_it_up(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    _make(database, slot_name, 3)
    with database.connect() as other, reader(database, slot_name) as made:
        other.execute("BEGIN; INSERT INTO t VALUES (4, 'prepared')")
        other.execute("PREPARE TRANSACTION 'held up'")
        other.execute("BEGIN; INSERT INTO t VALUES (5, 'open')")
        snapshot = made.snapshot_table("public.t")

        def is_said() -> bool:
            return made.poll(0.1) is None and "waits for transactions" in caplog.text

        wait_until(is_said)
        assert re.search(r"\d+, prepared as 'held up'", caplog.text)
        other.execute("ROLLBACK")
        database.execute("COMMIT PREPARED 'held up'")
        wait_until(lambda: made.poll(0.1) is None and snapshot.is_over)
        assert snapshot.rows == 4


@pytest.mark.pg
@pytest.mark.parametrize("identity", ["DEFAULT", "FULL", "USING INDEX other"])
def test_rows_that_change_in_between_are_left_to_the_stream(
    database: Database, slot_name: str, monkeypatch: pytest.MonkeyPatch, identity: str
) -> None:
    # So that the key of a snapshot is that of the identity, another unique index.
    ddl = "ALTER TABLE t ADD o int NOT NULL GENERATED ALWAYS AS IDENTITY;"
    ddl += f"CREATE UNIQUE INDEX other ON t (o); ALTER TABLE t REPLICA IDENTITY {identity};"
    _make(database, slot_name, 9, ddl)

    def write(chunk: int) -> None:
        if chunk == 1:
            database.execute(
                "UPDATE t SET v = 'new' WHERE id = 2; DELETE FROM t WHERE id = 3;"
                "UPDATE t SET id = 100 WHERE id = 4; INSERT INTO t VALUES (0, 'in');"
                "UPDATE t SET id = 200 WHERE id = 8"
            )

    Between(monkeypatch, behind=write)
    changes = _taken(database, slot_name, chunk_rows=5)
    first = [change.after["id"] for change in _reads(changes)]
    assert first[:2] == [1, 5]
    assert {"new", "in"} <= {change.after["v"] for change in changes if change.after}
    copied = {key: row["v"] for key, row in copy_of(changes).items()}
    assert copied == {key: row["v"] for key, row in _rows(database).items()}


@pytest.mark.pg
def test_what_commits_before_the_snapshot_comes_once(
    database: Database, slot_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(database, slot_name, 3)

    def write(chunk: int) -> None:
        database.execute("UPDATE t SET v = 'new' WHERE id = 2; INSERT INTO t VALUES (4, 'in')")

    Between(monkeypatch, before=write)
    changes = _taken(database, slot_name)
    assert [change.op for change in changes] == ["update", "insert", "read", "read"]
    assert copy_of(changes) == _rows(database)


@pytest.mark.pg
def test_values_that_the_stream_does_not_tell_are_read_again(
    database: Database, slot_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(
        database,
        slot_name,
        0,
        "ALTER TABLE t ADD n int; ALTER TABLE t ALTER v SET STORAGE EXTERNAL;",
    )
    database.execute("INSERT INTO t SELECT i, repeat('x', 5000), 0 FROM generate_series(1, 20) i")

    def write(chunk: int) -> None:
        if chunk == 2:
            # One of the chunk, and one that goes from what comes next to what is over.
            database.execute("UPDATE t SET n = 1 WHERE id = 6; UPDATE t SET id = 0 WHERE id = 15")

    _taken(database, slot_name)  # the inserts are over
    between = Between(monkeypatch, behind=write)
    changes = _taken(database, slot_name, chunk_rows=5)
    unsent = [change for change in changes if isinstance(change, Update)]
    assert [change.after.missing for change in unsent] == [("v",), ("v",)]
    assert between.chunks == 5
    assert {key: row["v"] for key, row in copy_of(changes).items()} == {
        key: row["v"] for key, row in _rows(database).items()
    }


@pytest.mark.pg
def test_table_that_is_altered_meanwhile(
    database: Database, slot_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(database, slot_name, 6)

    def alter_and_write() -> None:
        with database.connect() as connection:
            connection.execute("ALTER TABLE t ADD b int DEFAULT 9; UPDATE t SET v = 'new'")

    def write(chunk: int) -> None:
        # The stream describes the table otherwise than the rows that wait.
        if "a" in altered and not altered["a"].is_alive() and "b" not in altered:
            altered["b"] = threading.Thread(target=alter_and_write)
            altered["b"].start()

    altered: dict[str, threading.Thread] = {}
    between = Between(monkeypatch, behind=write)
    changes: list[Change] = []
    with reader(database, slot_name) as made:
        database.execute("UPDATE t SET v = 'first' WHERE id = 1")
        assert made.poll(10) is not None  # the stream has described the table by now
        snapshot = made.snapshot_table("public.t", chunk_rows=2)
        change = None
        while not snapshot.is_over or change is not None:
            change = made.poll(0.3)
            changes += [] if change is None else [change]
            if "a" not in altered and len(_reads(changes)) == 2:
                add = "ALTER TABLE t ADD a int DEFAULT 7"
                altered["a"] = threading.Thread(target=database.connect().execute, args=[add])
                altered["a"].start()
                altered["a"].join()
        altered["b"].join()
        # What it has written may come after the snapshot.
        while sum(isinstance(c, Update) and c.after["v"] == "new" for c in changes) < 6:
            change = made.poll(10)
            changes += [] if change is None else [change]
    assert snapshot.state == "complete"
    assert between.chunks >= 4
    told = [change for change in changes if isinstance(change, SchemaChange)]
    assert [change.added for change in told] in ([["a"], ["b"]], [["a", "b"]])
    behind = changes[changes.index(told[0]) + 1]
    assert isinstance(behind, SnapshotRead)
    assert behind.relation is told[0].relation
    assert behind.after["a"] == 7
    copied = {key: row["v"] for key, row in copy_of(changes).items()}
    assert copied == {key: row["v"] for key, row in _rows(database).items()}


@pytest.mark.pg
def test_chunk_waits_for_a_commit_that_the_stream_had_before_others_could_see_it(
    private_server: Server, slot_name: str
) -> None:
    with new_database(private_server) as database:
        _make(database, slot_name, 5)
        other = database.connect()
        other.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        other.execute("SELECT pg_reload_conf()")
        wait_until(
            lambda: other.execute("SHOW synchronous_standby_names").fetchall() == [("nobody",)]
        )
        writer = threading.Thread(
            target=lambda: database.connect().execute("UPDATE t SET v = 'new' WHERE id = 3")
        )
        with reader(database, slot_name) as made:
            writer.start()
            update = made.poll(20)
            assert isinstance(update, Update)
            assert database.execute("SELECT v FROM t WHERE id = 3") == [("old",)]
            snapshot = made.snapshot_table("public.t")
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                assert made.poll(0.1) is None
            assert snapshot.state == "reading"
            other.execute("ALTER SYSTEM RESET synchronous_standby_names")
            other.execute("SELECT pg_reload_conf()")
            changes: list[Change] = [update]
            deadline = time.monotonic() + 20
            while not snapshot.is_over:
                assert time.monotonic() < deadline
                change = made.poll(1)
                changes += [] if change is None else [change]
            while (change := made.poll(0.2)) is not None:
                changes.append(change)
        writer.join()
        assert copy_of(changes) == _rows(database)
        assert len(_reads(changes)) == 5


@pytest.mark.pg
@pytest.mark.slow
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ("uuid", "gen_random_uuid() FROM generate_series(1, 7)"),
        ("numeric", "unnest('{1.0,2.50,-3,NaN,0,1e30,-0.001}'::numeric[])"),
        ("float8", "unnest('{1.5,-0.0,NaN,Infinity,-Infinity,1e-300,2}'::float8[])"),
        ("mood", "unnest('{sad,ok,happy}'::mood[])"),
        ('text COLLATE "C"', "chr(64 + i) || E'\\\\\"{,}''' FROM generate_series(1, 7) i"),
        ("citext", "unnest('{a,B,c,D,é,ß,z}'::citext[])"),
        ("positive", "i FROM generate_series(1, 7) i"),
        ("int[]", "ARRAY[i, 8 - i] FROM generate_series(1, 7) i"),
        ("pair", "ROW(i, chr(64 + i))::pair FROM generate_series(1, 7) i"),
        ("interval", "make_interval(hours => i) FROM generate_series(1, 7) i"),
        ("jsonb", "to_jsonb(i) FROM generate_series(1, 7) i"),
        ("char(5)", "i::text FROM generate_series(1, 7) i"),
        ("timestamptz", "'2024-01-01'::timestamptz + make_interval(days => i)"
         " FROM generate_series(1, 7) i"),
        ("bytea", "decode(lpad(to_hex(i), 4, '0'), 'hex') FROM generate_series(1, 7) i"),
        ("inet", "'10.0.0.0'::inet + i FROM generate_series(1, 7) i"),
        ("bool", "unnest('{t,f}'::bool[])"),
    ],
    ids=lambda value: value.split(" FROM")[0][:20],
)  # fmt: skip
def test_keys_of_every_kind(
    database: Database,
    slot_name: str,
    monkeypatch: pytest.MonkeyPatch,
    declared: str,
    values: str,
    *,
    binary: bool,
) -> None:
    database.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TYPE pair AS (a int, b text);"
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0);"
        "CREATE EXTENSION citext"
    )
    database.execute(
        f"CREATE TABLE t (k {declared} PRIMARY KEY, n int DEFAULT 0);"
        "CREATE PUBLICATION pub FOR TABLE t;"
        f"INSERT INTO t SELECT {values}"
    )
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])

    def write(chunk: int) -> None:
        if chunk == 2:
            database.execute(
                "UPDATE t SET n = 1 WHERE k IN (SELECT k FROM t ORDER BY k OFFSET 2 LIMIT 1)"
            )

    Between(monkeypatch, behind=write)
    with reader(database, slot_name, until="now", binary=binary) as made:
        snapshot = made.snapshot_table("public.t", chunk_rows=2)
        changes = list(made)
    assert (snapshot.state, snapshot.error) == ("complete", None)
    ((count,),) = database.execute("SELECT count(*) FROM t")
    keys = [change.after.raw[0] for change in changes if change.after is not None]
    assert len(keys) == len(set(keys)) == count
    updated = [change for change in changes if change.op == "update"]
    assert len(updated) == (count > 2)


@pytest.mark.pg
def test_composite_keys_of_other_operators(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE EXTENSION citext; CREATE TABLE t (a citext, b int, v text, PRIMARY KEY (a, b));"
        "INSERT INTO t SELECT chr(65 + i % 3 + 32 * (i % 2)), i, 'old'"
        " FROM generate_series(1, 30) i;"
        "CREATE PUBLICATION pub FOR TABLE t"
    )
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    # Without its schema in the search path, too.
    with reader(database, slot_name, until="now") as made:
        snapshot = made.snapshot_table("public.t", chunk_rows=4)
        rows = _reads(list(made))
    assert snapshot.state == "complete"
    assert len({row.after["b"] for row in rows}) == len(rows) == 30


@pytest.mark.pg
def test_table_without_a_key_comes_in_one_piece(
    database: Database, slot_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(
        "CREATE TABLE t (v int); CREATE PUBLICATION pub FOR TABLE t;"
        "INSERT INTO t SELECT generate_series(1, 5000)"
    )
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])

    def write(chunk: int) -> None:
        if chunk == 1 and not written:
            written.append(chunk)
            database.execute("INSERT INTO t VALUES (5001)")  # the rows lack it, the stream has it

    written: list[int] = []
    between = Between(monkeypatch, behind=write)
    changes = _taken(database, slot_name)
    assert between.chunks == 2
    reads = sorted(change.after["v"] for change in _reads(changes))  # type: ignore[type-var]
    assert reads == list(range(1, 5002))
    assert changes[0].op == "insert"


@pytest.mark.pg
def test_part_of_a_table_and_of_its_columns(database: Database, slot_name: str) -> None:
    _make(database, slot_name, 20)
    rows = _reads(_taken(database, slot_name, where="id % 2 = 0 OR id = 1", chunk_rows=4))
    assert [row.after["id"] for row in rows] == [1, *range(2, 21, 2)]


def test_states() -> None:
    woken: list[bool] = []
    snapshot = IncrementalSnapshot(("public", "t"), chunk_rows=1, wake=lambda: woken.append(True))
    shown = [snapshot.state]
    assert snapshot.is_due(time.monotonic())
    for step in (snapshot.pause, snapshot.resume, snapshot.pause, snapshot.cancel, snapshot.pause):
        step()
        shown.append(snapshot.state)
    assert shown == ["waiting", "paused", "waiting", "paused", "cancelled", "cancelled"]
    assert snapshot.is_over
    assert not snapshot.is_due(time.monotonic())
    assert len(woken) == 2
    assert repr(snapshot) == "<IncrementalSnapshot of public.t: cancelled>"
