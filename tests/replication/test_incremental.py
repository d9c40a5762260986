"""Tests of `pglogical_cdc.replication.incremental`: snapshots in the stream of a reader."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc import (
    AsyncReplicationReader,
    Change,
    ConfigurationError,
    DebeziumFormatter,
    DmsFormatter,
    FileOffsets,
    LogicalMessage,
    Offset,
    Pipeline,
    Record,
    SnapshotRead,
)
from tests.reading import active_pid, confirmed, make_slot, reader, wait_until
from tests.replication.stores import MemoryOffsets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pglogical_cdc import ReplicationReader
    from tests.servers import Database

pytestmark = [pytest.mark.pg, pytest.mark.slow]


def _make(database: Database, slot: str, rows: int = 30) -> None:
    make_slot(database, slot)
    database.execute(f"INSERT INTO t SELECT i, 'v' FROM generate_series(1, {rows}) i")
    with reader(database, slot, until="now") as made:
        assert len(list(made)) == rows


def _ids(changes: Sequence[Change]) -> list[object]:
    return [change.after["id"] for change in changes if isinstance(change, SnapshotRead)]


def _cut(database: Database, slot: str) -> None:
    pid = active_pid(database, slot)
    if pid is not None:  # else it is cut already, and the reader has not noticed
        database.execute("SELECT pg_terminate_backend(%s)", [pid])
        wait_until(lambda: active_pid(database, slot) != pid)


@pytest.mark.parametrize("table", ["public.t", "public.keyless"])
def test_stream_that_is_cut_in_the_middle_of_the_rows(
    database: Database, slot_name: str, table: str
) -> None:
    _make(database, slot_name, 0)
    database.execute(
        "CREATE TABLE keyless (id int); INSERT INTO t SELECT generate_series(1, 3000), 'v';"
        "INSERT INTO keyless SELECT generate_series(1, 3000)"
    )
    with reader(database, slot_name, until="now") as made:
        list(made)
    with reader(database, slot_name, until="now") as made:
        snapshot = made.snapshot_table(table, chunk_rows=1000)
        changes: list[Change] = []
        for change in made:
            changes.append(change)
            if len(changes) in (1, 70, 999, 1000, 1001, 2500):
                _cut(database, slot_name)
        assert snapshot.state == "complete"
        assert made.stats.reconnects >= 2 * (table == "public.t")
    assert _ids(changes) == list(range(1, 3001))
    positions = [change.position for change in changes]
    assert sorted(set(positions)) == positions


def test_window_that_is_cut(database: Database, slot_name: str) -> None:
    _make(database, slot_name)
    with reader(database, slot_name) as made:
        snapshot = made.snapshot_table("public.t")
        changes: list[Change] = []
        while snapshot.state == "waiting":
            change = made.poll(0)
            changes += [] if change is None else [change]
        _cut(database, slot_name)
        while not snapshot.is_over or len(changes) < 30:
            change = made.poll(1)
            changes += [] if change is None else [change]
    assert sorted(_ids(changes)) == list(range(1, 31))  # type: ignore[type-var]


@pytest.mark.parametrize("ack", ["auto", "manual"])
@pytest.mark.usefixtures("patient_goodbye")
def test_slot_stays_before_rows_that_are_not_acknowledged(
    database: Database, slot_name: str, ack: str
) -> None:
    _make(database, slot_name)
    with reader(database, slot_name, ack=ack) as made:
        made.snapshot_table("public.t")
        changes: list[Change] = []
        for change in made:
            changes.append(change)
            if len(changes) == 30:
                break
        database.execute("INSERT INTO t VALUES (100, 'later')")
        before = changes[0].position.commit_lsn
        assert made.stats.acknowledged_lsn <= before
        if ack == "manual":
            made.ack(changes[28])
            assert made.stats.acknowledged_lsn <= before
        made.ack(changes[29])
        assert made.poll(10) is None  # the transaction of the rows has ended
        assert (later := made.poll(10)) is not None
        assert later.op == "insert"
        assert made.stats.acknowledged_lsn > before
    assert confirmed(database, slot_name) > before


def test_loops_of_every_kind(database: Database, slot_name: str) -> None:
    _make(database, slot_name)
    with reader(database, slot_name, until="now") as made:
        made.snapshot_table("public.t", chunk_rows=7)
        assert [len(batch) for batch in made.batches(max_rows=8)] == [8, 8, 8, 6]
    with reader(database, slot_name, until="now") as made:
        made.snapshot_table("public.t", chunk_rows=7)
        # The rows of a chunk are in no transaction, and together, but for the last of all.
        assert [len(list(changes)) for changes in made.transactions()] == [7, 7, 7, 7, 1, 1]


def test_asyncio(database: Database, slot_name: str) -> None:
    _make(database, slot_name)

    async def read() -> list[Change]:
        async with AsyncReplicationReader(
            database.dsn, slot=slot_name, publications="pub", until="now"
        ) as made:
            made.snapshot_table("public.t", chunk_rows=7)
            return [change async for change in made]

    assert _ids(asyncio.run(read())) == list(range(1, 31))


def test_pause_resume_cancel(database: Database, slot_name: str) -> None:
    _make(database, slot_name)
    with reader(database, slot_name) as made:
        snapshot = made.snapshot_table("public.t", chunk_rows=10)
        changes: list[Change] = []

        def read(seconds: float) -> None:
            for _ in range(4):
                while (change := made.poll(seconds / 4)) is not None:
                    changes.append(change)

        snapshot.pause()
        read(0.5)
        assert (snapshot.state, changes) == ("paused", [])
        snapshot.resume()
        while len(changes) < 5:
            if (change := made.poll(1)) is not None:
                changes.append(change)
        snapshot.pause()
        read(0.5)
        assert _ids(changes) == list(range(1, 11))
        assert snapshot.rows == 10
        snapshot.resume()
        snapshot.cancel()
        read(0.5)
        assert (snapshot.state, len(changes)) == ("cancelled", 10)
        last = made.snapshot_table("public.t")
    assert last.state == "cancelled"
    with pytest.raises(ConfigurationError, match="the reader is closed"):
        made.snapshot_table("public.t")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"table": 7}, "table is 7"),
        ({"table": "t"}, "schema"),
        ({"where": " "}, "where: expected an SQL condition"),
        ({"chunk_rows": 0}, "chunk_rows is 0; expected 1 to"),
        ({"chunk_rows": True}, "chunk_rows is True"),
    ],
)
def test_arguments(database: Database, slot_name: str, given: dict[str, Any], match: str) -> None:
    made = reader(database, slot_name)
    with pytest.raises(ConfigurationError, match=match):
        made.snapshot_table(**{"table": "public.t", **given})


@pytest.mark.parametrize("messages", [False, True])
def test_messages_of_others(database: Database, slot_name: str, *, messages: bool) -> None:
    _make(database, slot_name, 3)
    emit = "SELECT pg_logical_emit_message(%s, 'other', 'content')"
    with reader(database, slot_name, messages=messages) as made:
        snapshot = made.snapshot_table("public.t")
        while not snapshot.is_over:
            made.poll(1)
        for transactional in (True, False):
            database.execute(emit, [transactional])
        database.execute("INSERT INTO t VALUES (9, 'end')")
        found: list[Change] = []
        while not found or found[-1].op != "insert":
            change = made.poll(1)
            found += [] if change is None else [change]
        told = [change.prefix for change in found if isinstance(change, LogicalMessage)]
    assert told == ["other"] * 2 * messages
    # Whoever reads messages does not see what this library writes for itself.
    with reader(database, slot_name, until="now", messages=True) as made:
        prefixes = [change.prefix for change in made if isinstance(change, LogicalMessage)]
    assert "pglogical_cdc" not in prefixes


@pytest.mark.parametrize("options", [{"temporary": True, "create": True}, {"reselect": True}])
def test_readers_of_other_kinds(
    database: Database, slot_name: str, options: dict[str, Any]
) -> None:
    _make(database, slot_name, 5)
    slot = slot_name + ("x" if "temporary" in options else "")
    with reader(database, slot, until="now", **options) as made:
        made.snapshot_table("public.t", chunk_rows=2)
        assert _ids(list(made)) == [1, 2, 3, 4, 5]


def test_after_an_initial_snapshot(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t;"
        "INSERT INTO t VALUES (1), (2)"
    )
    with reader(database, slot_name, create=True, snapshot="initial", until="now") as made:
        made.snapshot_table("public.t")
        changes = list(made)
    assert [change.snapshot for change in changes if isinstance(change, SnapshotRead)] == [
        *("first", "last", "incremental", "incremental")
    ]
    assert _ids(changes) == [1, 2, 1, 2]


class _Memory:
    def __init__(self) -> None:
        self.items: list[Record] = []

    def write(self, items: Sequence[Record]) -> None:
        self.items += items

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_formats(database: Database, slot_name: str) -> None:
    _make(database, slot_name, 2)
    sinks = []
    for formatter in (DebeziumFormatter(topic_prefix="cdc"), DmsFormatter()):
        sinks.append(sink := _Memory())
        with reader(database, slot_name, until="now") as made:
            made.snapshot_table("public.t")
            Pipeline(made, formatter=formatter, sink=sink).run()
    debezium, dms = ([json.loads(each.value or b"") for each in sink.items] for sink in sinks)
    assert [(each["op"], each["source"]["snapshot"]) for each in debezium] == [
        ("r", "incremental")
    ] * 2
    assert [each["metadata"]["operation"] for each in dms] == ["load"] * 2


# -- resumable


def _begin(database: Database, slot: str, **options: Any) -> ReplicationReader:
    return reader(
        database,
        slot,
        **{
            "create": True,
            "snapshot": "initial",
            "snapshot_resumable": True,
            "snapshot_chunk_rows": 10,
            **options,
        },
    )


def _tables(database: Database) -> None:
    database.execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);"
        "CREATE PUBLICATION pub FOR ALL TABLES;"
        "INSERT INTO a SELECT generate_series(1, 35); INSERT INTO b SELECT generate_series(1, 25)"
    )


def test_what_was_dealt_with_does_not_come_again(
    database: Database, slot_name: str, tmp_path: Path
) -> None:
    _tables(database)
    offsets = FileOffsets(tmp_path / "offsets")
    read: list[tuple[str | None, object]] = []
    for end in (23, 12, 1000):
        with _begin(database, slot_name, offsets=offsets, until="now") as made:
            for count, change in enumerate(made, 1):
                assert isinstance(change, SnapshotRead)
                read.append((change.table, change.after["id"]))
                if count == end:
                    break
            stats = made.stats.snapshot
    assert stats is not None
    stored = offsets.load(slot_name)
    assert stored is not None
    assert stored.snapshot == ""
    assert set(read) == {("a", i) for i in range(1, 36)} | {("b", i) for i in range(1, 26)}
    # Of each table one chunk at most had not been dealt with.
    assert len(read) <= 60 + 2 * 10 + 3
    assert (stats.tables, stats.tables_read) == (2, 2)
    with _begin(database, slot_name, offsets=offsets, until="now") as made:
        assert list(made) == []


def test_nothing_is_missing_when_it_ends_before_there_is_a_slot(
    database: Database, slot_name: str
) -> None:
    _tables(database)
    offsets = MemoryOffsets()
    other = database.connect()
    other.execute("BEGIN; CREATE TABLE c (id int PRIMARY KEY)")  # a new slot waits for it
    made = _begin(database, slot_name, offsets=offsets, until="now")

    async def give_up() -> None:
        async with AsyncReplicationReader(
            database.dsn,
            slot=slot_name,
            publications="pub",
            create=True,
            snapshot="initial",
            snapshot_resumable=True,
            offsets=offsets,
        ):
            raise AssertionError("the slot does not wait")

    async def give_up_when_it_has_begun() -> None:
        task = asyncio.ensure_future(give_up())
        await asyncio.to_thread(wait_until, lambda: bool(offsets.saved))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up_when_it_has_begun())
    assert offsets.last.position == 0
    assert offsets.last.snapshot
    other.execute("COMMIT")
    with made:
        assert len(_ids(list(made))) == 60


def test_stored_snapshot_is_not_forgotten(database: Database, slot_name: str) -> None:
    _tables(database)
    offsets = MemoryOffsets()
    with _begin(database, slot_name, offsets=offsets) as made:
        next(iter(made))
    with (
        pytest.raises(ConfigurationError, match="not read to its end"),
        reader(database, slot_name, offsets=offsets),
    ):
        pass


class _Forgetful(MemoryOffsets):
    def save(self, key: str, offset: Offset) -> None:
        super().save(key, Offset(offset.system_identifier, offset.timeline, key, offset.position))


def test_store_that_does_not_keep_it(database: Database, slot_name: str) -> None:
    _tables(database)
    with (
        pytest.raises(ConfigurationError, match=r"_Forgetful does not keep Offset.snapshot"),
        _begin(database, slot_name, offsets=_Forgetful()),
    ):
        pass
    slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s"
    assert database.execute(slots, [slot_name]) == [(0,)]


@pytest.mark.parametrize("mode", ["always", "when_needed"])
def test_other_modes(database: Database, slot_name: str, mode: str) -> None:
    _tables(database)
    offsets = MemoryOffsets()
    for expected in (60, 60 if mode == "always" else 0):
        with _begin(database, slot_name, offsets=offsets, snapshot=mode, until="now") as made:
            assert len(_ids(list(made))) == expected
    database.execute("SELECT pg_drop_replication_slot(%s)", [slot_name])
    with _begin(database, slot_name, offsets=offsets, snapshot=mode, until="now") as made:
        assert len(_ids(list(made))) == 60
