"""Tests of `pglogical_cdc.replication.chunk_delivery`: rows that the stream has to bring again."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from pglogical_cdc import Change, SchemaChange, SnapshotRead
from pglogical_cdc.snapshot import Chunk, chunk_reader
from tests.reading import make_slot, reader, wait_until
from tests.replication.stores import MemoryOffsets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pglogical_cdc import ReplicationReader
    from tests.servers import Database

pytestmark = pytest.mark.pg

_Trace: TypeAlias = "Callable[[FrameType, str, Any], _Trace | None]"


def _read(made: ReplicationReader, count: int) -> list[Change]:
    found: list[Change] = []
    for _ in range(100):
        change = made.poll(0.2)
        found += [] if change is None else [change]
        if len(found) == count:
            return found
    raise AssertionError(f"{len(found)} of {count} changes have come")


def _polled(made: ReplicationReader) -> Iterator[Change]:
    while not made.ended:
        change = made.poll(0.1)
        if change is not None:
            yield change


def test_rows_of_a_transaction_that_comes_again(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t;"
        "INSERT INTO t SELECT generate_series(1, 30)"
    )
    offsets = MemoryOffsets()
    with reader(
        database,
        slot_name,
        create=True,
        snapshot="initial",
        snapshot_resumable=True,
        snapshot_chunk_rows=10,
        offsets=offsets,
        ack="manual",
    ) as made:
        changes = _read(made, 10)
        # As after a signal between the rows and the end of their transaction.
        made._source._interrupted = True
        changes += _read(made, 20)
        assert made.poll(0.5) is None
        assert made.stats.acknowledged_lsn <= changes[0].position.commit_lsn
        made.ack(changes[9])
    assert [change.after["id"] for change in changes if change.after] == list(range(1, 31))
    ((_, _, _, after, _, _),) = json.loads(offsets.last.snapshot)["tables"]
    assert after == ["MTA="], "10 rows are dealt with"


@pytest.mark.parametrize(
    ("loop", "chunk_rows"),
    [("changes", 1), ("changes", 10), ("changes", 50), ("batches", 7), ("poll", 7)],
)
def test_snapshot_is_complete_when_its_last_row_is_given_and_no_earlier(
    database: Database, slot_name: str, loop: str, chunk_rows: int
) -> None:
    make_slot(database, slot_name, "INSERT INTO t SELECT generate_series(1, 30)")
    with reader(database, slot_name, idle_timeout=0.5) as made:
        snapshot = made.snapshot_table("public.t", chunk_rows=chunk_rows)
        given: list[Change] = []
        states: list[str] = []
        if loop == "batches":
            for batch in made.batches(max_rows=4, max_seconds=0.2):
                given += batch
                states += [snapshot.state]
                if snapshot.is_over:
                    made.stop()
        else:
            for change in made if loop == "changes" else _polled(made):
                given.append(change)
                states += [snapshot.state]
                if snapshot.is_over:
                    made.stop()
    assert [change.after["id"] for change in given if change.after] == list(range(1, 31))
    assert set(states[:-1]) == {"reading"}
    # Where as many rows as asked for came, it was not known that none follows.
    assert states[-1] == ("reading" if 30 % chunk_rows == 0 else "complete")
    assert snapshot.state == "complete"


def test_snapshot_that_is_complete_stays_so(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, "INSERT INTO t SELECT generate_series(1, 5)")
    with reader(database, slot_name) as made:
        snapshot = made.snapshot_table("public.t", chunk_rows=3)
        given = _read(made, 5)
        assert snapshot.state == "complete"
        incremental = made._source.snapshots.incremental
        assert incremental is not None
        # As after a reconnect to a server that begins elsewhere.
        incremental.withdraw(anew=True)
        assert snapshot.state == "complete"
        database.execute("INSERT INTO t VALUES (6)")
        given += _read(made, 1)
        stats = snapshot.stats
        assert stats is not None
        assert (stats.tables_read, stats.rows) == (1, 5)
    assert [change.after["id"] for change in given if change.after] == [1, 2, 3, 4, 5, 6]


class _Interrupting:
    """Raises KeyboardInterrupt once: at a line of the code that hands rows on."""

    _FUNCTIONS: Final = {
        "chunk_delivery.py": {"changes", "_next_rows", "_made", "_end", "place"},
        "incremental.py": {
            *("rows", "_hand_on", "delivered", "_finish"),
            *("advance", "before_chunk", "count", "finish", "has_nothing_left", "ends_with"),
        },
        "source.py": {"_take_chunk"},
        "delivered.py": {"note"},
    }

    def __init__(self, line: int) -> None:
        self.lines = 0
        self._line = line

    def enter(self, frame: FrameType, event: str, argument: object) -> _Trace | None:
        code = frame.f_code
        is_it = code.co_name in self._FUNCTIONS.get(Path(code.co_filename).name, ())
        return self._step if is_it else None

    def _step(self, frame: FrameType, event: str, argument: object) -> _Trace:
        if event in ("line", "return"):
            self.lines += 1
            if self.lines == self._line:
                raise KeyboardInterrupt
        return self._step


def _read_interrupted(database: Database, slot: str, line: int) -> tuple[int, list[object], str]:
    interrupting = _Interrupting(line)
    given: list[object] = []
    name = f"{slot}_{line}"
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [name])
    with reader(database, name, until="now") as made:
        snapshot = made.snapshot_table("public.t", chunk_rows=3)
        changes = iter(made)
        sys.settrace(interrupting.enter)
        try:
            while not made.ended:
                with contextlib.suppress(KeyboardInterrupt, StopIteration):
                    given += [change.after["id"] for change in [next(changes)] if change.after]
        finally:
            sys.settrace(None)
    database.execute("SELECT pg_drop_replication_slot(%s)", [name])
    return interrupting.lines, given, snapshot.state


@pytest.mark.slow
@pytest.mark.pg(18)
@pytest.mark.timeout(300)
def test_signal_at_any_line_loses_no_row(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, "INSERT INTO t SELECT generate_series(1, 5)")
    lines, given, state = _read_interrupted(database, slot_name, 0)
    assert (given, state) == ([1, 2, 3, 4, 5], "complete")
    assert lines > 100
    # All of them take a minute.
    for line in range(1, lines + 1, 7):
        _, given, state = _read_interrupted(database, slot_name, line)
        assert (given, state) == ([1, 2, 3, 4, 5], "complete"), f"line {line}"


def test_change_of_a_table_comes_though_its_rows_cannot_be_read(
    database: Database, slot_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_slot(database, slot_name, "CREATE TABLE n (v int); INSERT INTO n VALUES (1), (2)")
    read = chunk_reader.ChunkReader.next_rows
    failures: list[int] = []

    async def lost(self: chunk_reader.ChunkReader, chunk: Chunk) -> object:
        if not failures:
            failures.append(1)
            self.close()
        return await read(self, chunk)

    monkeypatch.setattr(chunk_reader.ChunkReader, "next_rows", lost)
    with reader(database, slot_name) as made:
        database.execute("INSERT INTO n VALUES (3)")
        assert len(_read(made, 1)) == 1  # the stream has described the table
        database.execute("ALTER TABLE n ADD w int")
        snapshot = made.snapshot_table("public.n")
        found = _read(made, 4)
        wait_until(lambda: made.poll(0.1) is None and snapshot.is_over)
    assert [type(change) for change in found] == [SchemaChange, *[SnapshotRead] * 3]
    assert failures == [1]
