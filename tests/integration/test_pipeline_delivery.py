"""A pipeline on a real server: what is not durable comes again, and the slot moves."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc import ReplicationReader
from pglogical_cdc.errors import ConfigurationError, SinkError
from pglogical_cdc.formatters.dms.formatter import DmsFormatter
from pglogical_cdc.formatters.tombstone import Tombstones
from pglogical_cdc.lsn import LSN
from pglogical_cdc.pipeline import Pipeline
from pglogical_cdc.sinks.files import FileSink
from tests.reading import is_sent, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pglogical_cdc.events import Change
    from pglogical_cdc.formatters.base import Record
    from tests.servers import Database


class ListSink:
    """Keeps records in a list; breaks in its n-th flush."""

    def __init__(self, break_at: int = 0) -> None:
        self.records: list[Record] = []
        self.durable: list[Record] = []
        self._flushes = 0
        self._break_at = break_at

    def write(self, items: Sequence[Record], /) -> None:
        self.records.extend(items)

    def flush(self) -> None:
        self._flushes += 1
        if self._flushes == self._break_at:
            raise SinkError("no room")
        self.durable = list(self.records)

    def close(self) -> None:
        pass


def reader(database: Database, slot_name: str, **options: Any) -> ReplicationReader:
    return ReplicationReader(
        database.dsn, slot=slot_name, publications="pub", create=True, until="now", **options
    )


def prepare(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text); CREATE PUBLICATION pub FOR TABLE t"
    )
    with reader(database, slot_name):
        pass  # makes the slot


def confirmed(database: Database, slot_name: str) -> LSN:
    ((text,),) = database.execute(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s",
        [slot_name],
    )
    return LSN.parse(text)


def current(database: Database) -> LSN:
    ((text,),) = database.execute("SELECT pg_current_wal_flush_lsn()::text")
    return LSN.parse(text)


@pytest.mark.pg
def test_a_sink_that_fails_in_flush_gets_everything_again(
    database: Database, slot_name: str
) -> None:
    prepare(database, slot_name)
    for number in range(20):
        database.execute("INSERT INTO t VALUES (%s, 'x'), (-%s - 1, 'y')", [number, number])

    broken = ListSink(break_at=3)
    with reader(database, slot_name) as source, pytest.raises(SinkError, match="no room"):
        Pipeline(source, formatter=DmsFormatter(), sink=broken, max_batch=6).run()
    durable = [record.position for record in broken.durable]
    assert 0 < len(durable) < len(broken.records) < 40

    whole = ListSink()
    with reader(database, slot_name) as source:
        Pipeline(source, formatter=DmsFormatter(), sink=whole, max_batch=6).run()
    again = [record.position for record in whole.durable]
    assert len(again) == len(set(again))
    positions = sorted({position for position in durable + again if position is not None})
    assert len(positions) == 40
    assert positions[-len(again) :] == again
    # What was durable comes again at most as the one transaction that was open at the last flush.
    assert len(set(durable) & set(again)) <= 2

    rest = ListSink()
    with reader(database, slot_name) as source:
        Pipeline(source, formatter=DmsFormatter(), sink=rest).run()
    assert rest.records == []


@pytest.mark.pg
def test_a_transform_that_drops_everything_still_moves_the_slot(
    database: Database, slot_name: str
) -> None:
    prepare(database, slot_name)
    before = confirmed(database, slot_name)
    database.execute("INSERT INTO t SELECT n, 'x' FROM generate_series(1, 100) n")
    committed = current(database)
    sink = ListSink()

    def drop(change: Change) -> None: ...

    with reader(database, slot_name) as source:
        Pipeline(source, formatter=DmsFormatter(), sink=sink, transforms=[drop]).run()
    assert sink.records == []
    deadline = time.monotonic() + 10
    while confirmed(database, slot_name) < committed and time.monotonic() < deadline:
        time.sleep(0.05)
    assert before < committed <= confirmed(database, slot_name)


@pytest.mark.pg
def test_a_file_folds_to_the_table(database: Database, slot_name: str, tmp_path: Path) -> None:
    prepare(database, slot_name)
    database.execute("INSERT INTO t SELECT n, 'é \"' || n FROM generate_series(1, 50) n")
    database.execute("UPDATE t SET note = NULL WHERE id % 7 = 0")
    database.execute("UPDATE t SET id = id + 100 WHERE id % 5 = 0")
    database.execute("DELETE FROM t WHERE id % 3 = 0")
    path = tmp_path / "out.jsonl"
    with reader(database, slot_name) as source:
        Pipeline(
            source, formatter=Tombstones(DmsFormatter()), sink=FileSink(path, max_bytes=5000)
        ).run()
    kept: dict[str, Any] = {}
    for part in [*sorted(tmp_path.glob("out.jsonl.*")), path]:
        for line in part.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            key = json.dumps(record["key"])
            if record["value"] is None:
                del kept[key]
            else:
                kept[key] = record["value"]["data"]
    rows = database.execute("SELECT id, note FROM t ORDER BY id")
    assert sorted((row["id"], row.get("note")) for row in kept.values()) == rows


class FailsOnce:
    """A sink that keeps what is durable; its first flush fails."""

    def __init__(self, durable: list[object], *, fails: bool) -> None:
        self.durable = durable
        self._fails = fails
        self._written: list[object] = []

    def write(self, items: Sequence[Change]) -> None:
        self._written += [dict(item.after)["id"] for item in items if item.after is not None]

    def flush(self) -> None:
        if self._fails:
            raise SinkError("down")
        self.durable += self._written
        self._written = []

    def close(self) -> None:
        pass


@pytest.mark.pg
def test_a_reader_is_not_used_again_after_a_failure(database: Database, slot_name: str) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    durable: list[object] = []

    def reader() -> ReplicationReader:
        return ReplicationReader(
            database.dsn, slot=slot_name, publications="p", create=True, until="now"
        )

    with reader() as first:
        database.execute("INSERT INTO t SELECT generate_series(0, 4)")
        with pytest.raises(SinkError):
            Pipeline(first, sink=FailsOnce(durable, fails=True)).run()
        database.execute("INSERT INTO t VALUES (99)")
        # Either would acknowledge 0 to 4 together with 99.
        with pytest.raises(ConfigurationError, match="new reader"):
            Pipeline(first, sink=FailsOnce(durable, fails=False)).run()
        with pytest.raises(ConfigurationError, match="new reader"):
            list(first)
    with reader() as second:
        Pipeline(second, sink=FailsOnce(durable, fails=False)).run()
    assert durable == [0, 1, 2, 3, 4, 99]


@pytest.mark.pg
def test_empty_transactions_force_no_flush(database: Database, slot_name: str) -> None:
    # PostgreSQL 14 sends Begin and Commit of transactions that are not for us.
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    database.execute("CREATE TABLE other (id int)")
    flushes = 0

    class Counting(FailsOnce):
        def flush(self) -> None:
            nonlocal flushes
            flushes += 1
            super().flush()

    durable: list[object] = []
    with ReplicationReader(
        database.dsn,
        slot=slot_name,
        publications="p",
        create=True,
        tables=["public.t"],
        until="now",
    ) as reader:
        for number in range(50):
            database.execute("INSERT INTO t VALUES (%s)", [number])
            database.execute("INSERT INTO other VALUES (%s)", [number])
        # Whenever nothing more is here, a pipeline flushes; so all of it has to be.
        wait_until(lambda: is_sent(database, slot_name))
        Pipeline(reader, sink=Counting(durable, fails=False), flush_interval=100).run()
    assert durable == list(range(50))
    assert flushes < 40  # about 50, if they did; on a busy machine some of it still comes later
