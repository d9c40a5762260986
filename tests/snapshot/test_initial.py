"""Readers that begin with a snapshot, on real servers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from attrs import evolve

from pglogical_cdc import (
    AsyncReplicationReader,
    Change,
    ConfigurationError,
    ConnectionLostError,
    DebeziumFormatter,
    DecodingFailedError,
    DmsFormatter,
    Formatter,
    MessageTooLargeError,
    Pipeline,
    Position,
    ReaderEvent,
    Record,
    ReplicationReader,
    SlotInUseError,
    SlotNotFoundError,
    SnapshotError,
    SnapshotRead,
)
from tests.postgres.type_tables import fill_type_tables, make_type_tables
from tests.reading import confirmed, keys, make_slot, read, reader, wait_until
from tests.replication.stores import MemoryOffsets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Database

pytestmark = [pytest.mark.pg, pytest.mark.usefixtures("either_way")]


def _make(database: Database, rows: int = 3) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR ALL TABLES;"
        f"INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, {rows}) i"
    )


def _begin(database: Database, slot: str, **options: Any) -> ReplicationReader:
    return reader(database, slot, **{"create": True, "snapshot": "initial", **options})


def _slots(database: Database) -> list[str]:
    rows = database.execute(
        "SELECT slot_name FROM pg_replication_slots WHERE database = %s ORDER BY slot_name",
        [database.name],
    )
    return [name for (name,) in rows]


def _only(database: Database, *slots: str) -> bool:
    """Wait until a server that has been left alone has these slots, and no temporary one."""
    wait_until(lambda: _slots(database) == [*slots])
    return True


def _ops(changes: list[Change]) -> str:
    return " ".join(change.op for change in changes)


# -- rows


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_rows_are_what_the_stream_has(database: Database, slot_name: str, *, binary: bool) -> None:
    make_type_tables(database)
    tables = "types_scalar, types_array, types_edge, types_made, types_rest"
    # isbn has no binary form: the server cannot send a table with it in binary.
    database.execute(f"CREATE PUBLICATION pub FOR TABLE {tables}{'' if binary else ', isbn_t'}")
    database.execute("SELECT pg_create_logical_replication_slot('streams', 'pgoutput')")
    fill_type_tables(database)
    streamed = {
        (change.table, change.key and change.key["id"]): change
        for change in read(database, "streams", binary=binary)
    }
    with _begin(database, slot_name, binary=binary, until="now") as made:
        changes = list(made)
    assert len(changes) == len(streamed) > 60
    for change in changes:
        other = streamed.pop((change.table, change.key and change.key["id"]))
        assert isinstance(change, SnapshotRead)
        assert change.after is not None
        assert other.after is not None
        assert list(change.after.raw) == list(other.after.raw)
        assert [*map(type, change.after.raw)] == [*map(type, other.after.raw)]
        assert change.after.relation.has_shape_of(other.after.relation)
    # The stream goes on with the same versions: it has nothing to tell of the tables.
    for (table,) in database.execute(
        "SELECT tablename FROM pg_publication_tables WHERE pubname = 'pub'"
    ):
        database.execute(f"INSERT INTO {table} (id) VALUES (9999)")
    assert set(_ops(read(database, slot_name, binary=binary)).split()) == {"insert"}


def test_the_stream_knows_every_table_from_the_snapshot(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE d (id int PRIMARY KEY, v text); CREATE TABLE none (v text);"
        "CREATE TABLE f (id int PRIMARY KEY, v text); ALTER TABLE f REPLICA IDENTITY FULL;"
        "CREATE TABLE n (id int PRIMARY KEY, v text); ALTER TABLE n REPLICA IDENTITY NOTHING;"
        "CREATE TABLE i (id int PRIMARY KEY, v text NOT NULL, w text);"
        "CREATE UNIQUE INDEX i_v ON i (v) INCLUDE (w);"
        "ALTER TABLE i REPLICA IDENTITY USING INDEX i_v;"
        "CREATE TABLE later (id int, v text, PRIMARY KEY (id) DEFERRABLE);"
        "CREATE TABLE p (a int, b int, v text, PRIMARY KEY (b, a)) PARTITION BY LIST (a);"
        "CREATE TABLE p1 PARTITION OF p DEFAULT;"
        "CREATE DOMAIN small AS int CHECK (value < 100); CREATE TYPE mood AS ENUM ('ok');"
        "CREATE TYPE pair AS (a int, b mood);"
        "CREATE TABLE odd (id small PRIMARY KEY, m mood, ms mood[], p pair, n numeric(5, 2));"
        "CREATE TABLE g (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id + 1) STORED, v text);"
        'CREATE SCHEMA "Ä b"; CREATE TABLE "Ä b"."c\'d" ("e""f" int PRIMARY KEY, gone int);'
        'ALTER TABLE "Ä b"."c\'d" DROP COLUMN gone;'
        "CREATE PUBLICATION pub FOR ALL TABLES"
    )

    def insert(value: int) -> None:
        for table in ("d", "f", "n", "later", "i", "g"):
            database.execute(f"INSERT INTO {table} (id, v) VALUES ({value}, {value})")
        database.execute(f"INSERT INTO none VALUES ({value}); INSERT INTO p VALUES ({value}, 1)")
        database.execute(f"INSERT INTO odd VALUES ({value}, 'ok', '{{ok}}', '(1,ok)', 1.5)")
        database.execute(f'INSERT INTO "Ä b"."c\'d" VALUES ({value})')

    insert(1)
    with _begin(database, slot_name, until="now") as made:
        rows = list(made)
    assert _ops(rows) == " ".join(["read"] * 10)
    with _begin(database, slot_name, snapshot="initial_only") as made:
        again = list(made)
    insert(2)
    streamed = read(database, slot_name)
    assert _ops(streamed) == " ".join(["insert"] * 10)
    for one in (rows, again):
        shapes = {change.table: change for change in one}
        for change in streamed:
            other = shapes[change.table]
            assert change.after is not None
            assert other.after is not None
            assert change.after.relation.has_shape_of(other.after.relation), change.table
            assert change.after.relation.key_columns == other.after.relation.key_columns


@pytest.mark.pg(15)
def test_column_lists_and_row_filters_hold(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text, w text);"
        "INSERT INTO t VALUES (1, 'a{}', 'x'), (2, 'b', 'y');"
        "CREATE PUBLICATION pub FOR TABLE t (id, v) WHERE (v = 'a{}')"
    )
    with _begin(database, slot_name, until="now") as made:
        (row,) = made
    assert row.after is not None
    assert dict(row.after) == {"id": 1, "v": "a{}"}


@pytest.mark.pg(18)
@pytest.mark.parametrize("published", ["t (id, g)", "t WITH (publish_generated_columns = stored)"])
def test_generated_columns_that_are_published(
    database: Database, slot_name: str, published: str
) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED);"
        f"INSERT INTO t VALUES (1); CREATE PUBLICATION pub FOR TABLE {published}"
    )
    with _begin(database, slot_name, until="now") as made:
        (row,) = made
    database.execute("INSERT INTO t VALUES (2)")
    (streamed,) = read(database, slot_name)
    assert row.after is not None
    assert streamed.after is not None
    assert dict(row.after) == {"id": 1, "g": 2}
    assert row.after.relation.has_shape_of(streamed.after.relation)


def test_tables_without_rows_and_without_columns(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE empty (id int); CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;"
        "CREATE PUBLICATION pub FOR ALL TABLES"
    )
    with _begin(database, slot_name, until="now") as made:
        (row,) = made
        stats = made.stats.snapshot
    assert isinstance(row, SnapshotRead)
    assert (row.table, row.snapshot, row.after.raw) == ("nothing", "last", ())
    assert stats is not None
    assert (stats.tables, stats.tables_read, stats.rows, stats.table) == (2, 2, 1, None)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_nobody_waits_for_what_is_here(database: Database, slot_name: str, *, binary: bool) -> None:
    """The last row of all is one that its table's end sets free, and so the end is looked for."""
    database.execute("CREATE PUBLICATION pub FOR ALL TABLES")
    for number in range(8):
        database.execute(f"CREATE TABLE t{number} (id int); INSERT INTO t{number} VALUES (1)")
    began = time.monotonic()
    with _begin(database, slot_name, binary=binary, snapshot="initial_only") as made:
        assert len(list(made)) == 8
    assert time.monotonic() - began < 4


def test_no_rows_at_all(database: Database, slot_name: str) -> None:
    _make(database, 0)
    told: list[tuple[str, list[str]]] = []

    def hear(event: ReaderEvent) -> None:
        told.append((event.state, _slots(database)))

    with _begin(database, slot_name, until="now", on_event=hear) as made:
        # Whoever has a copy empties it now: no row says that a snapshot has begun.
        assert [state for state, _ in told] == ["connecting", "snapshot"]
        assert slot_name not in told[-1][1]
        assert list(made) == []
    assert _only(database, slot_name)


def test_what_rows_say_of_their_snapshot(database: Database, slot_name: str) -> None:
    _make(database)
    ((xid,),) = database.execute("SELECT txid_current()")
    ((before,),) = database.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
    with _begin(database, slot_name, until="now") as made:
        rows = [row for row in made if isinstance(row, SnapshotRead)]
    ((after,),) = database.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
    assert [row.number for row in rows] == [1, 2, 3]
    assert {row.position for row in rows} == {Position(rows[0].lsn, 0)}
    assert all(row.transaction is None for row in rows)
    taken = rows[0].taken
    assert taken is not None
    assert taken.xid > xid
    assert before <= taken.timestamp / 1e6 <= after
    formatter = DebeziumFormatter(topic_prefix="p")
    (record,) = formatter.format(rows[0])
    assert record.value is not None
    assert f'"ts_us":{taken.timestamp},'.encode() in record.value
    assert f'"txId":{taken.xid},"lsn":{int(rows[0].lsn)},'.encode() in record.value
    assert b'"snapshot":"first"' in record.value
    assert b'"op":"r"' in record.value


def test_dms_loads_the_rows(database: Database, slot_name: str) -> None:
    _make(database, rows=1)
    formatter = DmsFormatter(
        include_transaction_details=True,
        include_partition_value=True,
        partition_include_schema_table=True,
    )
    with _begin(database, slot_name) as made:
        changes = iter(made)
        (load,) = formatter.format(next(changes))
        database.execute("INSERT INTO t VALUES (2, 'streamed')")
        (insert,) = formatter.format(next(changes))
    loaded = json.loads(load.value or b"")
    time = loaded["metadata"].pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time)
    assert loaded == {
        "data": {"id": 1, "v": "row 1"},
        "metadata": {
            "record-type": "data",
            "operation": "load",
            "partition-key-type": "primary-key",
            "partition-key-value": "public.t.1",
            "schema-name": "public",
            "table-name": "t",
        },
    }
    assert load.key == b"public.t.1"
    metadata = json.loads(insert.value or b"")["metadata"]
    assert metadata["operation"] == "insert"
    assert metadata["transaction-record-id"] == 1
    # No transaction is behind it: the snapshot was none.
    assert "prev-transaction-id" not in metadata


def test_debezium_has_nothing_of_the_snapshot_in_the_stream(
    database: Database, slot_name: str
) -> None:
    _make(database, rows=2)
    formatter = DebeziumFormatter(topic_prefix="p", provide_transaction_metadata=True)
    with _begin(database, slot_name) as made:
        changes = iter(made)
        rows = [formatter.format(next(changes))[0] for _ in range(2)]
        database.execute("INSERT INTO t VALUES (3, 'streamed')")
        database.execute("INSERT INTO t VALUES (4, 'streamed')")
        streamed = [formatter.format(next(changes))[0] for _ in range(2)]
    reads, events = (
        [json.loads(record.value or b"") for record in records] for records in (rows, streamed)
    )
    assert (
        len({json.dumps([each["source"]["lsn"], each["source"]["ts_ns"]]) for each in reads}) == 1
    )
    lsn = reads[0]["source"]["lsn"]
    assert [each["source"]["sequence"] for each in reads] == [f'[null,"{lsn}"]'] * 2
    assert [each["transaction"] for each in reads] == [None, None]
    first, second = (each["source"] for each in events)
    assert first["snapshot"] == second["snapshot"] == "false"
    assert json.loads(first["sequence"]) == [None, str(first["lsn"])]
    assert json.loads(second["sequence"])[0] is not None
    assert events[0]["transaction"]["total_order"] == 1


# -- acknowledging


def test_the_slot_is_there_when_the_last_row_is_acknowledged(
    database: Database, slot_name: str
) -> None:
    _make(database)
    for taken in (1, 3):
        with _begin(database, slot_name) as made:
            changes = iter(made)
            for _ in range(taken):
                next(changes)
            # The one in hand is not acknowledged.
        assert _only(database)
    with _begin(database, slot_name) as made:
        changes = iter(made)
        for _ in range(3):
            change = next(changes)
        made.ack(change)
        (temporary,) = _slots(database)
        assert temporary.startswith(slot_name)
    assert _only(database, slot_name)
    database.execute("INSERT INTO t VALUES (4)")
    assert keys(read(database, slot_name, create=True, snapshot="initial")) == [4]


def test_with_manual_acknowledgement_the_stream_does_not_wait(
    database: Database, slot_name: str
) -> None:
    _make(database)
    with _begin(database, slot_name, ack="manual") as made:
        changes = iter(made)
        rows = [next(changes) for _ in range(3)]
        database.execute("INSERT INTO t VALUES (4)")
        database.execute("INSERT INTO t VALUES (5)")
        fourth = next(changes)
        assert fourth.op == "insert"
        (temporary,) = _slots(database)
        made.ack(rows[1])
        assert _slots(database) == [temporary]
        made.ack(fourth)
        database.execute("INSERT INTO t VALUES (6)")
        assert keys([next(changes), next(changes)]) == [5, 6]
        assert _only(database, slot_name)
    assert keys(read(database, slot_name)) == [5, 6]


def test_unacknowledged_rows_come_again(database: Database, slot_name: str) -> None:
    _make(database)
    with _begin(database, slot_name, ack="manual", until="now") as made:
        rows = list(made)
        made.ack(rows[1])
    assert _only(database)
    with _begin(database, slot_name, ack="manual", until="now") as made:
        rows = list(made)
        made.ack(rows[2].position)  # all of them have it
    assert keys(rows) == [1, 2, 3]
    assert _only(database, slot_name)
    assert read(database, slot_name, create=True, snapshot="initial") == []


def test_acknowledging_in_the_middle_of_a_batch(database: Database, slot_name: str) -> None:
    _make(database, 10)
    with _begin(database, slot_name, until="now") as made:
        batches = made.batches(max_rows=4)
        batch = next(batches)
        made.ack(batch[1])
        assert [*map(len, batches)] == [4, 2]
    assert _only(database, slot_name)


def test_batches_and_transactions(database: Database, slot_name: str) -> None:
    _make(database, 5000)
    with _begin(database, slot_name, until="now") as made:
        batches = list(made.batches(max_rows=700))
    assert keys([change for batch in batches for change in batch]) == [*range(1, 5001)]
    assert [*map(len, batches)] == [700] * 7 + [100]
    with _begin(database, f"{slot_name}_2", until="now") as made:
        found = [change for transaction in made.transactions() for change in transaction]
    assert keys(found) == [*range(1, 5001)]
    assert _only(database, slot_name, f"{slot_name}_2")


def test_async(database: Database, slot_name: str) -> None:
    _make(database, 3000)

    async def go() -> list[Change]:
        async with AsyncReplicationReader(
            database.dsn,
            slot=slot_name,
            publications="pub",
            create=True,
            snapshot="initial",
            until="now",
        ) as made:
            return [change async for change in made]

    assert keys(asyncio.run(go())) == [*range(1, 3001)]
    assert _only(database, slot_name)


class _Sink:
    """Keeps records; `flush` makes them durable."""

    def __init__(self) -> None:
        self.written: list[Record] = []
        self.flushed = 0

    def write(self, items: Sequence[Record]) -> None:
        self.written += items

    def flush(self) -> None:
        self.flushed = len(self.written)

    def close(self) -> None:
        pass


def test_pipeline(database: Database, slot_name: str) -> None:
    _make(database, 2500)
    sink = _Sink()
    made = _begin(database, slot_name, until="now")
    Pipeline(made, formatter=DebeziumFormatter(topic_prefix="p"), sink=sink).run()
    assert sink.flushed == len(sink.written) == 2500
    assert _only(database, slot_name)
    assert made.stats.reconnects == 0  # it never streamed from the temporary slot


def _now() -> int:
    return 1_700_000_000_123_456_789


def _by_pipeline(database: Database, slot: str, made: Formatter, **options: Any) -> list[Record]:
    sink = _Sink()
    begun = _begin(database, slot, snapshot="initial_only", until="now")
    Pipeline(begun, formatter=made, sink=sink, **options).run()
    stats = begun.stats.snapshot
    assert stats is not None
    assert begun.stats.rows["read"] == stats.rows == sink.flushed
    return sink.written


def _by_loop(database: Database, slot: str, made: Formatter) -> list[Record]:
    with _begin(database, slot, snapshot="initial_only", until="now") as begun:
        return [record for change in begun for record in made.format(change)]


def _masked(record: Record) -> Record:
    """Take out what another snapshot of the same rows has otherwise."""
    value = json.loads(record.value or b"{}")
    value = value.get("payload", value)
    for name in ("ts_ms", "ts_us", "ts_ns", "lsn", "txId", "sequence"):
        value["source"].pop(name)
    return evolve(record, value=json.dumps(value).encode(), position=None)


@pytest.mark.parametrize(("max_batch", "faithful"), [(1, False), (4, True), (1000, False)])
def test_a_pipeline_has_the_records_of_a_loop(
    database: Database, slot_name: str, max_batch: int, *, faithful: bool
) -> None:
    make_type_tables(database)
    fill_type_tables(database)
    database.execute(
        "CREATE TABLE none (id int PRIMARY KEY); CREATE TABLE one (id int PRIMARY KEY);"
        "CREATE TABLE two (id int PRIMARY KEY); CREATE TABLE three (id int PRIMARY KEY, v text);"
        "CREATE TABLE keyless (v text); INSERT INTO keyless SELECT FROM generate_series(1, 9);"
        "INSERT INTO one VALUES (1); INSERT INTO two VALUES (1), (2);"
        r"INSERT INTO three VALUES (1, NULL), (2, E'\\\t\n\x01\u00e9'), (3, '\N');"
        "CREATE PUBLICATION pub FOR ALL TABLES"
    )

    def formatter() -> Formatter:
        return DebeziumFormatter(topic_prefix="p", faithful=faithful, clock=_now, run_id="1")

    found = _by_pipeline(database, slot_name, formatter(), max_batch=max_batch)
    expected = _by_loop(database, slot_name, formatter())
    assert [*map(_masked, found)] == [*map(_masked, expected)]
    assert len(found) > 70
    assert len({record.position for record in found}) == 1


def test_what_a_pipeline_asks_for_one_by_one(database: Database, slot_name: str) -> None:
    """Formatters, and transforms, that look at each row."""
    _make(database, 50)

    def formatters() -> list[Formatter]:
        options: dict[str, Any] = {"topic_prefix": "p", "clock": _now, "run_id": "1"}
        return [
            DebeziumFormatter(schemas_enable=True, **options),
            DebeziumFormatter(provide_transaction_metadata=True, **options),
        ]

    for one, other in zip(formatters(), formatters(), strict=True):
        found = _by_pipeline(database, slot_name, one)
        expected = _by_loop(database, slot_name, other)
        assert [*map(_masked, found)] == [*map(_masked, expected)]
        assert len(found) == 50
    seen: list[Change] = []
    sink = _Sink()
    begun = _begin(database, slot_name, snapshot="initial_only", until="now")
    formatter = DebeziumFormatter(topic_prefix="p")

    def note(change: Change) -> Change:
        seen.append(change)
        return change

    Pipeline(begun, formatter=formatter, sink=sink, transforms=[note]).run()
    assert [change.key for change in seen] == [{"id": i} for i in range(1, 51)]


class _Failing(_Sink):
    def flush(self) -> None:
        raise ConnectionError("the sink is gone")


def test_after_a_pipeline_that_failed_no_row_is_passed_over(
    database: Database, slot_name: str
) -> None:
    _make(database, 500)
    with _begin(database, slot_name, until="now") as made:
        formatter = DebeziumFormatter(topic_prefix="p")
        with pytest.raises(ConnectionError):
            Pipeline(made, formatter=formatter, sink=_Failing(), max_batch=100).run()
        with pytest.raises(SnapshotError, match="a pipeline has failed"):
            made.poll(1)
    assert _only(database)
    again = read(database, slot_name, create=True, snapshot="initial")
    assert keys(again) == list(range(1, 501))


# -- modes


def test_without_create_nothing_is_made(database: Database, slot_name: str) -> None:
    _make(database)
    with pytest.raises(SlotNotFoundError, match="create=True"):
        _begin(database, slot_name, create=False).open()
    assert _only(database)


def test_initial_only(database: Database, slot_name: str) -> None:
    _make(database)
    for _ in range(2):
        with _begin(database, slot_name, snapshot="initial_only", create=False) as made:
            assert keys(list(made)) == [1, 2, 3]
            assert made.ended
        assert _only(database)


def test_always(database: Database, slot_name: str) -> None:
    _make(database)
    for expected in ([1, 2, 3], [1, 2, 3, 4]):
        with _begin(database, slot_name, snapshot="always") as made:
            changes = iter(made)
            assert keys([next(changes) for _ in expected]) == expected
            database.execute("INSERT INTO t VALUES (%s)", [len(expected) + 1])
            # Of what the slot still had, nothing comes a second time.
            assert keys([next(changes)]) == [len(expected) + 1]
        assert _only(database, slot_name)
    assert keys(read(database, slot_name)) == [5]


def test_when_needed(database: Database, slot_name: str) -> None:
    _make(database)
    offsets = MemoryOffsets()

    def run() -> str:
        with reader(
            database, slot_name, snapshot="when_needed", offsets=offsets, until="now"
        ) as made:
            return _ops(list(made))

    assert run() == "read read read"
    database.execute("INSERT INTO t VALUES (4)")
    assert run() == "insert"
    assert offsets.load(slot_name) is not None
    # Somebody drops the slot, and makes it again.
    database.execute("SELECT pg_drop_replication_slot(%s)", [slot_name])
    assert run() == "read read read read"
    database.execute("INSERT INTO t VALUES (5)")
    database.execute("SELECT pg_drop_replication_slot(%s)", [slot_name])
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    assert run() == "read read read read read"
    database.execute("INSERT INTO t VALUES (6)")
    assert run() == "insert"


def test_a_gap_and_the_policy(database: Database, slot_name: str) -> None:
    _make(database)
    offsets = MemoryOffsets()
    with _begin(database, slot_name, offsets=offsets, until="now") as made:
        list(made)
    database.execute("INSERT INTO t VALUES (4)")
    database.execute(
        "SELECT pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())", [slot_name]
    )
    with reader(
        database, slot_name, offsets=offsets, on_offset_mismatch="resnapshot", until="now"
    ) as made:
        assert keys(list(made)) == [1, 2, 3, 4]
    database.execute("INSERT INTO t VALUES (5)")
    with reader(database, slot_name, offsets=offsets, until="now") as made:
        assert keys(list(made)) == [5]


def test_temporary(database: Database, slot_name: str) -> None:
    _make(database)
    with _begin(database, slot_name, temporary=True) as made:
        changes = iter(made)
        assert keys([next(changes) for _ in range(3)]) == [1, 2, 3]
        database.execute("INSERT INTO t VALUES (4)")
        assert keys([next(changes)]) == [4]
        assert _slots(database) == [slot_name]
    assert _only(database)


def test_a_temporary_one_that_cannot_be_decoded(database: Database, slot_name: str) -> None:
    _make(database)
    database.execute("CREATE TABLE bad (id int PRIMARY KEY, v aclitem[])")
    with _begin(database, slot_name, temporary=True, binary=True) as made:
        changes = iter(made)
        assert keys([next(changes) for _ in range(3)]) == [1, 2, 3]
        database.execute("INSERT INTO bad VALUES (1, '{postgres=r/postgres}')")
        with pytest.raises(DecodingFailedError, match="open a new reader, which begins anew"):
            next(changes)
        assert made.stats.reconnects == 0


@pytest.mark.pg(17)
def test_failover(database: Database, slot_name: str) -> None:
    _make(database)
    with _begin(database, slot_name, failover=True, until="now") as made:
        assert keys(list(made)) == [1, 2, 3]
    assert database.execute(
        "SELECT failover FROM pg_replication_slots WHERE slot_name = %s", [slot_name]
    ) == [(True,)]


@pytest.mark.usefixtures("patient_goodbye")
def test_the_store_has_the_point_of_the_snapshot(database: Database, slot_name: str) -> None:
    _make(database)
    offsets = MemoryOffsets()
    with _begin(database, slot_name, offsets=offsets) as made:
        changes = iter(made)
        row = next(changes)
        next(changes)
        next(changes)
        assert offsets.load(slot_name) is None
        database.execute("INSERT INTO t VALUES (4)")
        assert next(changes).op == "insert"
    stored = offsets.load(slot_name)
    assert stored is not None
    assert stored.position >= row.lsn
    assert confirmed(database, slot_name) >= row.lsn


# -- what can go wrong


def test_a_slot_that_stays_goes_on_from_the_snapshot(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    database.execute("UPDATE t SET v = 'c'; DELETE FROM t WHERE id = 2")
    with _begin(database, slot_name, snapshot="always") as made:
        changes = iter(made)
        row = next(changes)
        assert keys([row]) == [1]
        made.ack(row)
    # What is older than the rows must not come after them.
    assert read(database, slot_name) == []


def test_a_slot_that_somebody_reads(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name):
        other = _begin(database, slot_name, snapshot="always", reconnect=None)
        with pytest.raises(SlotInUseError):
            other.open()
    assert _only(database, slot_name)


def test_closing_a_temporary_one_after_the_last_row(database: Database, slot_name: str) -> None:
    _make(database)
    with _begin(database, slot_name, temporary=True, ack="manual") as made:
        changes = iter(made)
        for _ in range(3):
            row = next(changes)
        made.ack(row)
    assert _only(database)


def test_no_slot_is_left_for_the_permanent_name(database: Database, slot_name: str) -> None:
    _make(database)
    ((free,),) = database.execute(
        "SELECT current_setting('max_replication_slots')::int - count(*) FROM pg_replication_slots"
    )
    with _begin(database, slot_name) as made:
        changes = iter(made)
        for _ in range(3):
            next(changes)
        for number in range(free - 1):
            database.execute(
                "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
                [f"{slot_name}_{number}"],
            )
        with pytest.raises(ConfigurationError, match="max_replication_slots"):
            next(changes)


def test_rows_of_an_earlier_reader_acknowledge_no_more_than_was_given(
    database: Database, slot_name: str
) -> None:
    _make(database)
    with _begin(database, slot_name, ack="manual") as made:
        changes = iter(made)
        earlier = [next(changes) for _ in range(3)]
    with _begin(database, slot_name, ack="manual") as made:
        changes = iter(made)
        next(changes)
        made.ack(earlier[2])
        next(changes)
        next(changes)
    assert _only(database)


def test_a_cancelled_wait_does_no_harm(database: Database, slot_name: str) -> None:
    _make(database)
    database.execute("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)")

    async def go() -> list[object]:
        async with AsyncReplicationReader(
            database.dsn,
            slot=slot_name,
            publications="pub",
            create=True,
            snapshot="initial",
            until="now",
        ) as made:
            changes = aiter(made)
            found: list[Change] = []
            with database.connect() as other:
                other.execute("BEGIN; LOCK TABLE u")
                # Some are too short to get anywhere, the later ones long enough on any machine.
                seconds = itertools.accumulate(itertools.repeat(0.005))
                while len(found) < 2:
                    with contextlib.suppress(asyncio.TimeoutError):
                        found.append(await asyncio.wait_for(anext(changes), next(seconds)))
                for _ in range(10):
                    with contextlib.suppress(asyncio.TimeoutError):
                        found.append(await asyncio.wait_for(anext(changes), 0.03))
                assert keys(found) == [1, 2]  # the last of a table waits for the next one
            found += [change async for change in changes]
            return keys(found)

    assert asyncio.run(go()) == [1, 2, 3, 1]


@pytest.mark.parametrize("either_way", ["alone"], indirect=True)
def test_nobody_waits_long_for_a_table_that_is_locked(database: Database, slot_name: str) -> None:
    _make(database)
    database.execute("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)")
    with _begin(database, slot_name) as made, database.connect() as other:
        first = made.poll(1)
        other.execute("BEGIN; LOCK TABLE u")
        began = time.monotonic()
        found = [made.poll(0) for _ in range(5)]
        assert time.monotonic() - began < 5
        assert keys([change for change in [first, *found] if change is not None]) == [1, 2]


def test_a_row_over_the_limit(database: Database, slot_name: str) -> None:
    _make(database)
    database.execute("INSERT INTO t VALUES (9, repeat('secret', 1000))")
    with (
        _begin(database, slot_name, max_message_bytes=5000) as made,
        pytest.raises(MessageTooLargeError, match="at most 5000 bytes") as caught,
    ):
        list(made)
    assert "secret" not in str(caught.value)
    assert _only(database)


def test_a_database_in_sql_ascii(database: Database, slot_name: str) -> None:
    name = f"{database.name}_ascii"
    database.execute(
        f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        " TEMPLATE template0"
    )
    try:
        dsn = database.server.dsn(name)
        with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
            connection.execute('CREATE TABLE "tä" (id int PRIMARY KEY, v text)')
            connection.execute(r"""INSERT INTO "tä" VALUES (1, E'\xe4'), (2, 'ä')""")
            connection.execute("CREATE PUBLICATION pub FOR ALL TABLES")
        with ReplicationReader(
            dsn, slot=slot_name, publications="pub", create=True, snapshot="initial", ack="manual"
        ) as made:
            changes = iter(made)
            rows = [next(changes), next(changes)]
            with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
                connection.execute(r"""INSERT INTO "tä" VALUES (3, E'\xff')""")
            rows.append(next(changes))
            assert rows[0].table == "tä"
            found = [row.after.raw[1] for row in rows if row.after is not None]
            assert found == [b"\xe4", "ä".encode(), b"\xff"]
    finally:
        # The temporary slot ends with its process, a moment after the connection.
        slots = "SELECT FROM pg_replication_slots WHERE database = %s AND temporary"
        wait_until(lambda: database.execute(slots, [f"{database.name}_ascii"]) == [])
        database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _terminate(database: Database, condition: str) -> None:
    rows = database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'pglogical_cdc'"
        f" AND {condition}"
    )
    assert rows


@pytest.mark.parametrize(
    ("either_way", "condition"),
    [
        ("alone", "state = 'idle in transaction'"),
        ("alone", "query LIKE 'COPY%'"),
        pytest.param("parallel", "state = 'idle in transaction'", marks=pytest.mark.slow),
    ],
    indirect=["either_way"],
    ids=["holder", "reader", "holder in parallel"],
)
def test_a_lost_connection_ends_it(database: Database, slot_name: str, condition: str) -> None:
    _make(database, 200_000)
    database.execute("CREATE TABLE u (id int); INSERT INTO u VALUES (1)")
    with _begin(database, slot_name) as made:
        changes = iter(made)
        next(changes)
        _terminate(database, condition)
        with pytest.raises((SnapshotError, ConnectionLostError), match="snapshot") as caught:
            list(changes)
        with pytest.raises(type(caught.value)):
            next(changes)
    assert _only(database)


def test_a_lost_slot_ends_it(database: Database, slot_name: str) -> None:
    _make(database)
    with _begin(database, slot_name) as made:
        changes = iter(made)
        for _ in range(3):
            next(changes)
        _terminate(database, "backend_type = 'walsender'")
        with pytest.raises(SnapshotError, match="is gone"):
            next(changes)
    assert _only(database)


def test_a_lost_stream_of_the_temporary_slot_ends_it(database: Database, slot_name: str) -> None:
    _make(database)
    with _begin(database, slot_name, ack="manual") as made:
        changes = iter(made)
        for _ in range(3):
            next(changes)
        database.execute("INSERT INTO t VALUES (4)")
        assert keys([next(changes)]) == [4]
        _terminate(database, "backend_type = 'walsender'")
        with pytest.raises(ConnectionLostError, match="takes the snapshot anew"):
            next(changes)
    assert _only(database)


@pytest.mark.parametrize("is_acknowledged", [False, True])
def test_a_slot_that_cannot_be_decoded_ends_it(
    database: Database, slot_name: str, *, is_acknowledged: bool
) -> None:
    _make(database)
    database.execute("CREATE TABLE bad (id int PRIMARY KEY, v aclitem[])")
    with _begin(database, slot_name, ack="manual", binary=True) as made:
        changes = iter(made)
        rows = [next(changes) for _ in range(3)]
        database.execute("INSERT INTO t VALUES (4)")
        assert keys([next(changes)]) == [4]
        # It has no binary form, and with the error the server drops the slot.
        database.execute("INSERT INTO bad VALUES (1, '{postgres=r/postgres}')")
        assert _only(database)
        if is_acknowledged:
            made.ack(rows[-1])
        with pytest.raises(
            DecodingFailedError, match="open a new reader, which begins anew"
        ) as caught:
            next(changes)
        # What was dropped to find the error may have ended the transaction that was read last.
        assert (caught.value.commit_lsn is None) is is_acknowledged


@pytest.mark.parametrize("is_streaming", [False, True])
def test_somebody_else_makes_the_slot(
    database: Database, slot_name: str, *, is_streaming: bool
) -> None:
    _make(database)
    with _begin(database, slot_name, ack="manual") as made:
        changes = iter(made)
        rows = [next(changes) for _ in range(3)]
        if is_streaming:
            database.execute("INSERT INTO t VALUES (4)")
            assert keys([next(changes)]) == [4]
        database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
        database.execute("INSERT INTO t VALUES (5)")
        made.ack(rows[-1])
        with pytest.raises(SnapshotError, match="made by somebody else"):
            next(changes)


def test_a_table_that_is_truncated_before_it_is_read(database: Database, slot_name: str) -> None:
    _make(database, 50_000)
    database.execute("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1), (2)")
    with _begin(database, slot_name) as made:
        changes = iter(made)
        next(changes)
        database.execute("TRUNCATE u; INSERT INTO u VALUES (3); DELETE FROM t")
        seen = []
        for change in changes:
            seen.append((change.op, change.table))
            if change.table == "u" and change.op == "insert":
                break
    assert [one for one in seen if one[1] == "u"] == [("truncate", "u"), ("insert", "u")]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE u ALTER id TYPE bigint",
        "ALTER TABLE u ALTER id TYPE int USING id + 1",
        "ALTER TABLE u ADD COLUMN w float DEFAULT random()",
        "DROP TABLE u",
        "ALTER TABLE u RENAME TO w",
        "ALTER TABLE u RENAME COLUMN id TO key",
    ],
)
def test_a_table_that_is_altered_before_it_is_read(
    database: Database, slot_name: str, statement: str
) -> None:
    _make(database, 50_000)
    database.execute("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1), (2)")
    with _begin(database, slot_name) as made:
        changes = iter(made)
        next(changes)
        database.execute(statement)
        with pytest.raises(SnapshotError, match=r"table public\.u"):
            list(changes)
    assert _only(database)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE u ADD COLUMN w int DEFAULT 7",
        "VACUUM FULL u",
        "CLUSTER u USING u_pkey",
        "ALTER TABLE u REPLICA IDENTITY FULL",
    ],
)
def test_altering_that_loses_no_row_is_no_error(
    database: Database, slot_name: str, statement: str
) -> None:
    _make(database, 50_000)
    database.execute("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1), (2)")
    with _begin(database, slot_name, until="now") as made:
        changes = iter(made)
        next(changes)
        database.execute(statement)
        assert keys([change for change in changes if change.table == "u"]) == [1, 2]
    database.execute("INSERT INTO u VALUES (3)")
    assert _ops(read(database, slot_name)) == "insert"


def test_a_role_that_may_not_read(database: Database, slot_name: str) -> None:
    _make(database)
    role = f"reads_{slot_name}"
    database.execute(f"CREATE ROLE {role} LOGIN REPLICATION")
    try:
        dsn = psycopg.conninfo.make_conninfo(database.dsn, user=role)
        made = ReplicationReader(
            dsn, slot=slot_name, publications="pub", create=True, snapshot="initial"
        )
        with pytest.raises(ConfigurationError, match=r"grant the role SELECT on the table"):
            made.open()
        database.execute(f"GRANT SELECT ON t TO {role}; ALTER TABLE t ENABLE ROW LEVEL SECURITY;")
        made = ReplicationReader(
            dsn, slot=slot_name, publications="pub", create=True, snapshot="initial"
        )
        # Rows that a policy hides would be missing, and nobody would know.
        with pytest.raises(ConfigurationError, match="row-level security"):
            made.open()
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert _only(database)
