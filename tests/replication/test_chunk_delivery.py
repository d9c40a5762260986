"""Tests of `pglogical_cdc.replication.chunk_delivery`: rows that the stream has to bring again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
    assert snapshot.state == "complete"


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
