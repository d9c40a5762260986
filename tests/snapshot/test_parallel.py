"""Snapshots that an executor reads in chunks, on real servers."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import multiprocessing
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc import (
    AsyncPipeline,
    AsyncReplicationReader,
    Change,
    ConfigurationError,
    ConnectionLostError,
    DebeziumFormatter,
    DmsFormatter,
    Formatter,
    MessageTooLargeError,
    Pipeline,
    Record,
    ReplicationReader,
    SnapshotError,
    SnapshotRead,
    UnwrappedFormatter,
)
from pglogical_cdc.snapshot import parallel
from tests.postgres.type_tables import fill_type_tables, make_type_tables
from tests.reading import reader, wait_until
from tests.replication.stores import MemoryOffsets
from tests.snapshot.executors import Held, die

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.servers import Database

pytestmark = [pytest.mark.pg(18), pytest.mark.slow, pytest.mark.usefixtures("small_chunks")]


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        yield executor


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as executor:
        yield executor


def _make(database: Database, rows: int = 2000) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR ALL TABLES;"
        f"INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, {rows}) i"
    )


def _make_all(database: Database) -> None:
    """Make tables of every kind; ``p`` is published as its root."""
    database.execute(
        "CREATE TABLE a_empty (id int PRIMARY KEY);"
        "CREATE TABLE b (id int PRIMARY KEY, v text);"
        "INSERT INTO b SELECT i, repeat(E'\\\\\\t', i % 9) FROM generate_series(1, 3000) i;"
        "DELETE FROM b WHERE id BETWEEN 500 AND 1800;"
        "CREATE TABLE c_one (id int PRIMARY KEY); INSERT INTO c_one VALUES (1);"
        "CREATE TABLE d_filtered (id int PRIMARY KEY, v text, hidden text);"
        "INSERT INTO d_filtered SELECT i, 'v', 'h' FROM generate_series(1, 2000) i;"
        "CREATE TABLE e_generated (g int GENERATED ALWAYS AS (id + 1) STORED, id int PRIMARY KEY);"
        "INSERT INTO e_generated (id) SELECT generate_series(1, 2000);"
        "CREATE TABLE f_toast (id int PRIMARY KEY, v text);"
        "ALTER TABLE f_toast ALTER v SET STORAGE EXTERNAL;"
        "INSERT INTO f_toast SELECT i, repeat('x', 5000) FROM generate_series(1, 200) i;"
        "CREATE TABLE g_gone (id int PRIMARY KEY);"
        "INSERT INTO g_gone SELECT generate_series(1, 900);"
        "DELETE FROM g_gone;"
        "CREATE TABLE none (); INSERT INTO none SELECT FROM generate_series(1, 700);"
        "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);"
        "CREATE TABLE p2 PARTITION OF p DEFAULT;"
        "INSERT INTO p SELECT i, 'row' FROM generate_series(1, 5000) i;"
        "CREATE TABLE z_empty (id int PRIMARY KEY);"
    )
    filtered = "d_filtered"
    if database.server.version >= 15:
        filtered = "d_filtered (id, v) WHERE (id % 3 = 0 AND v <> '{}')"
    database.execute(
        f"CREATE PUBLICATION pub FOR TABLE a_empty, b, c_one, {filtered}, e_generated, f_toast,"
        " g_gone, none, p, z_empty WITH (publish_via_partition_root = true)"
    )


def _begin(database: Database, slot: str, **options: Any) -> ReplicationReader:
    return reader(database, slot, **{"create": True, "snapshot": "initial_only", **options})


def _told(change: Change) -> tuple[object, ...]:
    assert isinstance(change, SnapshotRead)
    return change.table, change.snapshot, change.number, list(change.after.raw)


def _sessions(database: Database) -> int:
    ((count,),) = database.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'pglogical_cdc'"
    )
    return int(count)


def _nothing_is_left(database: Database) -> bool:
    wait_until(lambda: _sessions(database) == 0)
    wait_until(
        lambda: (
            not database.execute(
                "SELECT FROM pg_replication_slots WHERE database = current_database()"
            )
        )
    )
    return True


# -- rows


def _compare(database: Database, slot: str, executor: Executor, *, binary: bool) -> None:
    expected = [_told(change) for change in _begin_all(database, slot, binary=binary)]
    found = [
        _told(change)
        for change in _begin_all(database, slot, binary=binary, snapshot_executor=executor)
    ]
    assert len(expected) == len(found) > 5000
    assert [told[:3] for told in found] == [told[:3] for told in expected]
    # In a partitioned table the blocks of all partitions come range by range.
    rows = [(told[0], told[3]) for told in found if told[0] != "p"]
    assert rows == [(told[0], told[3]) for told in expected if told[0] != "p"]
    parts = sorted(str(told[3]) for told in found if told[0] == "p")
    assert parts == sorted(str(told[3]) for told in expected if told[0] == "p")


def _begin_all(database: Database, slot: str, **options: Any) -> list[Change]:
    with _begin(database, slot, **options) as made:
        return list(made)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_rows_and_markers_by_threads(
    database: Database, slot_name: str, threads: Executor, *, binary: bool
) -> None:
    _make_all(database)
    _compare(database, slot_name, threads, binary=binary)
    assert _nothing_is_left(database)


def test_rows_and_markers_by_processes(
    database: Database, slot_name: str, processes: Executor
) -> None:
    _make_all(database)
    _compare(database, slot_name, processes, binary=True)
    assert _nothing_is_left(database)


@pytest.mark.newest
@pytest.mark.timeout(300)
def test_rows_and_records_by_dask(database: Database, slot_name: str) -> None:
    distributed = importlib.import_module("distributed")  # it has no types
    _make_all(database)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        _compare(database, slot_name, executor, binary=False)
        expected = _records(database, slot_name, _debezium())
        assert _records(database, slot_name, _debezium(), executor=executor) == expected
    assert _nothing_is_left(database)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_every_type(database: Database, slot_name: str, threads: Executor, *, binary: bool) -> None:
    make_type_tables(database)
    tables = "types_scalar, types_array, types_edge, types_made, types_rest"
    database.execute(f"CREATE PUBLICATION pub FOR TABLE {tables}")
    fill_type_tables(database)
    expected = _begin_all(database, slot_name, binary=binary)
    found = _begin_all(database, slot_name, binary=binary, snapshot_executor=threads)
    assert len(found) > 60
    for one, other in zip(found, expected, strict=True):
        assert _told(one) == _told(other)
        assert one.after is not None
        assert other.after is not None
        assert [*map(type, one.after.raw)] == [*map(type, other.after.raw)]


def test_small_tables_need_no_worker(
    database: Database, slot_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_SMALL_BYTES", 65536)
    _make(database, 10)
    executor = Held()
    assert len(_begin_all(database, slot_name, snapshot_executor=executor)) == 10
    assert executor.calls == 0


def test_the_stream_goes_on(database: Database, slot_name: str, threads: Executor) -> None:
    _make(database)
    with _begin(database, slot_name, snapshot="initial", snapshot_executor=threads) as made:
        changes = iter(made)
        first = next(changes)
        database.execute(
            "DELETE FROM t WHERE id % 2 = 0; UPDATE t SET v = 'new' WHERE id = 1;"
            "INSERT INTO t SELECT i, 'later' FROM generate_series(3001, 6000) i"
        )
        rest = [next(changes) for _ in range(1999)]
        assert [change.after and change.after["v"] for change in [first, *rest]] == [
            f"row {i}" for i in range(1, 2001)
        ]
        assert made.stats.rows["read"] == 2000
        stats = made.stats.snapshot
        assert stats is not None
        assert (stats.rows, stats.tables_read) == (2000, 1)
        made.stop()
        assert list(changes) == []
    with reader(database, slot_name, until="now") as made:
        ops = [change.op for change in made]
    assert (ops.count("delete"), ops.count("update"), ops.count("insert")) == (1000, 1, 3000)


def test_async(database: Database, slot_name: str, threads: Executor) -> None:
    _make(database)

    async def go() -> list[tuple[object, ...]]:
        async with AsyncReplicationReader(
            database.dsn,
            slot=slot_name,
            publications="pub",
            create=True,
            snapshot="initial_only",
            snapshot_executor=threads,
        ) as made:
            found: list[Change] = []
            seconds = itertools.accumulate(itertools.repeat(0.002))
            changes = aiter(made)
            while not found:
                # Cancelled in the middle of all that comes before the first row.
                with contextlib.suppress(asyncio.TimeoutError):
                    found.append(await asyncio.wait_for(anext(changes), next(seconds)))
            found += [change async for change in changes]
            return [_told(change) for change in found]

    expected = [_told(change) for change in _begin_all(database, slot_name)]
    assert asyncio.run(go()) == expected
    assert _nothing_is_left(database)


# -- records


class _Sink:
    def __init__(self, fails_after: int | None = None) -> None:
        self.written: list[Record] = []
        self.largest = 0
        self._fails_after = fails_after

    def write(self, items: Sequence[Record]) -> None:
        self.written += items
        self.largest = max(self.largest, len(items))
        if self._fails_after is not None and len(self.written) > self._fails_after:
            raise OSError("full")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _now() -> int:
    return 1_700_000_000_123_456_789


def _told_record(record: Record) -> tuple[object, ...]:
    # Each snapshot has a point of its own.
    value = b"" if record.value is None else record.value.partition(b',"source"')[0]
    return type(record), record.topic, record.key, value, record.headers


def _records(
    database: Database,
    slot: str,
    formatter: Formatter,
    *,
    executor: Executor | None = None,
    **options: Any,
) -> list[tuple[object, ...]]:
    sink = _Sink()
    made = _begin(database, slot, snapshot_executor=executor, **options)
    Pipeline(made, formatter=formatter, sink=sink).run()
    assert made.stats.snapshot is not None
    assert made.stats.rows["read"] == made.stats.snapshot.rows > 5000
    return [_told_record(record) for record in sorted(sink.written, key=_order)]


def _order(record: Record) -> tuple[object, ...]:
    # Rows of a partitioned table come in another order.
    value = record.value or b""
    is_partitioned = record.topic.endswith(".p") or (b'"p"' in value and b'"load"' in value)
    return is_partitioned, value if is_partitioned else b""


def _debezium(**options: Any) -> DebeziumFormatter:
    return DebeziumFormatter(topic_prefix="x", clock=_now, run_id="r", **options)


def _formatters() -> dict[str, Formatter]:
    return {
        "debezium": _debezium(),
        "debezium with schemas": _debezium(schemas_enable=True, provide_transaction_metadata=True),
        "unwrapped": UnwrappedFormatter(
            topic_prefix="x", add_fields="op,table", clock=_now, run_id="r"
        ),
        "bare": UnwrappedFormatter(topic_prefix="x", clock=_now, run_id="r"),
        "dms": DmsFormatter(clock=_now),
        "dms with controls": DmsFormatter(
            clock=_now, include_control_details=True, include_table_alter_operations=True
        ),
        "dms with details": DmsFormatter(clock=_now, include_transaction_details=True),
    }


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("debezium", "dms with controls")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in _formatters()
    ],
)
def test_records_are_those_of_one_process(
    database: Database, slot_name: str, processes: Executor, name: str
) -> None:
    _make_all(database)
    expected = _records(database, slot_name, _formatters()[name])
    found = _records(database, slot_name, _formatters()[name], executor=processes)
    assert len(found) > 5000
    assert found == expected


def test_whole_records_under_one_snapshot(
    database: Database, slot_name: str, threads: Executor
) -> None:
    """All of a record, with markers and point, against the rows of the same snapshot."""
    _make(database)
    sink, formatter = _Sink(), _debezium()
    made = _begin(database, slot_name, snapshot_executor=threads)
    Pipeline(made, formatter=formatter, sink=sink).run()
    lsn, _ = sink.written[0].position or (None, None)
    for record, marker in zip(sink.written, ["first", *["true"] * 1998, "last"], strict=True):
        assert record.position == (lsn, 0)
        assert record.value is not None
        assert b'"snapshot":"%b"' % marker.encode() in record.value
        assert b'"lsn":%d,' % (lsn or 0) in record.value
    sources = {(record.value or b"").partition(b',"source"')[2] for record in sink.written[1:-1]}
    assert len(sources) == 1


def test_runs_are_no_longer_than_a_batch(
    database: Database, slot_name: str, threads: Executor
) -> None:
    _make(database)
    sink = _Sink()
    made = _begin(database, slot_name, snapshot_executor=threads)
    Pipeline(made, formatter=_debezium(), sink=sink, max_batch=10).run()
    assert sink.largest <= 10
    assert len(sink.written) == 2000


def test_transforms_are_called_here(
    database: Database, slot_name: str, processes: Executor
) -> None:
    _make(database)
    seen: list[Change] = []

    def see(change: Change) -> Change:
        seen.append(change)
        return change

    sink = _Sink()
    made = _begin(database, slot_name, snapshot_executor=processes)
    Pipeline(made, formatter=_debezium(), sink=sink, transforms=[see]).run()
    assert len(seen) == len(sink.written) == 2000


def test_async_pipeline(database: Database, slot_name: str, threads: Executor) -> None:
    _make(database)
    sink = _Sink()

    async def go() -> None:
        made = AsyncReplicationReader(
            database.dsn,
            slot=slot_name,
            publications="pub",
            create=True,
            snapshot="initial",
            until="now",
            snapshot_executor=threads,
        )
        await AsyncPipeline(made, formatter=_debezium(), sink=sink).run()

    database_slot = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"
    asyncio.run(go())
    assert [record.key for record in sink.written] == [
        b'{"id":%d}' % number for number in range(1, 2001)
    ]
    assert database.execute(database_slot) == [(slot_name,)]


def test_a_formatter_that_cannot_be_pickled(
    database: Database, slot_name: str, threads: Executor
) -> None:
    _make(database)
    formatter = DebeziumFormatter(topic_prefix="x", clock=lambda: 1)
    made = _begin(database, slot_name, snapshot_executor=threads)
    with pytest.raises(ConfigurationError, match="cannot be pickled"):
        Pipeline(made, formatter=formatter, sink=_Sink()).run()
    assert _nothing_is_left(database)


def test_a_formatter_that_fails(database: Database, slot_name: str, processes: Executor) -> None:
    _make(database)
    made = _begin(database, slot_name, snapshot_executor=processes, binary=True)
    with pytest.raises(ConfigurationError, match="binary"):
        Pipeline(made, formatter=_debezium(), sink=_Sink()).run()
    assert _nothing_is_left(database)


def test_after_a_pipeline_that_failed_no_row_is_passed_over(
    database: Database, slot_name: str, threads: Executor
) -> None:
    _make(database)
    with _begin(database, slot_name, snapshot_executor=threads, ack="manual") as made:
        with pytest.raises(OSError, match="full"):
            Pipeline(made, formatter=_debezium(), sink=_Sink(fails_after=500)).run()
        for _ in range(2):
            with pytest.raises(SnapshotError, match="a pipeline has failed"):
                made.poll()
        with pytest.raises(SnapshotError, match="a pipeline has failed"):
            next(made.batches())
    assert _nothing_is_left(database)


# -- what goes on meanwhile


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_chunks_wait_than_asked_for(
    database: Database, slot_name: str, workers: int
) -> None:
    _make(database)
    executor = Held()
    with _begin(database, slot_name, snapshot_executor=executor, snapshot_workers=workers) as made:
        changes = iter(made)
        next(changes)
        time.sleep(0.2)
        assert executor.calls == workers
        list(changes)
        assert executor.calls > 5


def test_a_table_stays_locked_until_it_is_read(database: Database, slot_name: str) -> None:
    """Whoever rewrites it waits, and its rows are where they were for all chunks."""
    _make(database)
    database.execute("DELETE FROM t WHERE id % 2 = 0")
    executor = Held()
    with _begin(database, slot_name, snapshot_executor=executor, snapshot_workers=2) as made:
        changes = iter(made)
        found = [next(changes)]
        other = threading.Thread(target=database.connect().execute, args=["VACUUM FULL t"])
        other.start()
        wait_until(
            lambda: (
                database.execute(
                    "SELECT FROM pg_locks WHERE relation = 't'::regclass AND NOT granted"
                )
                != []
            )
        )
        # The workers that come now wait behind it; what they cannot read is read here.
        began = time.monotonic()
        found += changes
        assert time.monotonic() - began < 20
    other.join()
    assert [change.key and change.key["id"] for change in found] == list(range(1, 2000, 2))


def test_stop_ends_a_wait(database: Database, slot_name: str) -> None:
    _make(database)
    executor = Held(holds=True)
    with _begin(database, slot_name, snapshot_executor=executor) as made:
        threading.Timer(0.3, made.stop).start()
        began = time.monotonic()
        assert list(made) == []
        assert time.monotonic() - began < 5
    executor.go_on()  # what was given out is cancelled
    assert _nothing_is_left(database)


@pytest.mark.parametrize("how", ["stop", "close", "break"])
def test_leaving_in_the_middle(
    database: Database, slot_name: str, processes: Executor, how: str
) -> None:
    _make(database, 20_000)
    with _begin(database, slot_name, snapshot_executor=processes) as made:
        for number, _ in enumerate(made):
            if number == 500:
                if how == "stop":
                    made.stop()
                elif how == "close":
                    made.close()
                    break
                else:
                    break
    assert _nothing_is_left(database)


def test_cancelling_the_task_in_the_middle(
    database: Database, slot_name: str, threads: Executor
) -> None:
    _make(database, 20_000)

    async def go() -> None:
        async with AsyncReplicationReader(
            database.dsn,
            slot=slot_name,
            publications="pub",
            create=True,
            snapshot="initial",
            snapshot_executor=threads,
        ) as made:
            async for change in made:
                assert isinstance(change, SnapshotRead)
                await asyncio.sleep(0.001)

    async def cancel() -> None:
        task = asyncio.create_task(go())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert _nothing_is_left(database)


# -- what goes wrong


def test_a_worker_that_is_killed(database: Database, slot_name: str, tmp_path: Path) -> None:
    _make(database, 20_000)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        executor.submit(die, tmp_path / "pid")
        with (
            _begin(database, slot_name, snapshot_executor=executor) as made,
            pytest.raises(SnapshotError, match=r"one of its workers has ended.*new executor"),
        ):
            list(made)
    assert _nothing_is_left(database)


def test_an_executor_that_was_shut_down(database: Database, slot_name: str) -> None:
    _make(database)
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with (
        _begin(database, slot_name, snapshot_executor=executor) as made,
        pytest.raises(SnapshotError, match="snapshot_executor has failed with RuntimeError"),
    ):
        list(made)
    assert _nothing_is_left(database)


class _Cancelling(Held):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        return future


def test_somebody_cancels_a_chunk(database: Database, slot_name: str) -> None:
    _make(database)
    with (
        _begin(database, slot_name, snapshot_executor=_Cancelling()) as made,
        pytest.raises(SnapshotError, match="somebody has cancelled"),
    ):
        list(made)


def test_a_worker_whose_connection_is_lost(database: Database, slot_name: str) -> None:
    """Half of the rows are slow to read, so that there is time for it."""
    database.execute(
        "CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN i; END $$;"
        "CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id) STORED, v text);"
        "INSERT INTO t (id) SELECT generate_series(1, 2000);"
        "CREATE PUBLICATION pub FOR TABLE t"
    )
    executor = Held(holds=True)
    with _begin(database, slot_name, snapshot_executor=executor) as made:
        threading.Thread(target=_end_workers, args=[database, executor], daemon=True).start()
        with pytest.raises((SnapshotError, ConnectionLostError), match="snapshot"):
            list(made)
    assert _nothing_is_left(database)


def _end_workers(database: Database, executor: Held) -> None:
    """Have the snapshot end before anybody has begun to read."""
    with database.connect() as connection:
        wait_until(lambda: executor.calls == 4)
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'pglogical_cdc'"
            " AND state = 'idle in transaction'"
        )
    executor.go_on()


def test_a_row_over_the_limit(database: Database, slot_name: str, processes: Executor) -> None:
    _make(database)
    database.execute("INSERT INTO t VALUES (9999, repeat('secret', 1000))")
    with (
        _begin(database, slot_name, snapshot_executor=processes, max_message_bytes=5000) as made,
        pytest.raises(MessageTooLargeError, match="at most 5000 bytes") as caught,
    ):
        list(made)
    assert "secret" not in str(caught.value)
    assert _nothing_is_left(database)


def test_only_an_executor_will_do(database: Database, slot_name: str) -> None:
    for options, match in (
        ({"snapshot_executor": 4}, "snapshot_executor is 4; expected Executor or None"),
        ({"snapshot_workers": 0}, "snapshot_workers is 0; expected a number of chunks"),
        (
            {
                "snapshot_executor": Held(),
                "snapshot_resumable": True,
                "snapshot": "initial",
                "offsets": MemoryOffsets(),
            },
            "snapshot_executor cannot be had with snapshot_resumable=True",
        ),
        ({"snapshot_workers": "4"}, "snapshot_workers is '4'; expected int"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            _begin(database, slot_name, **options)
