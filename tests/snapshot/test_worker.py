"""What a worker reads, of a snapshot on a real server; test_parallel.py has what comes of it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc.errors import CdcError, ConnectionLostError, MessageTooLargeError, SnapshotError
from pglogical_cdc.events import SnapshotPoint
from pglogical_cdc.formatters import DebeziumFormatter
from pglogical_cdc.formatters.record_maker import RecordMaker
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import converse, parameters
from pglogical_cdc.snapshot import TidRange, begin_under, open_table, select_tables
from pglogical_cdc.snapshot.worker import (
    RangeTask,
    RowKit,
    RowMessages,
    RowRecords,
    check_size,
    read_range,
)
from tests.formatters.tables import column, relation

if TYPE_CHECKING:
    from tests.servers import Database

_POINT = SnapshotPoint(7, 1_700_000_000_000_000)


def _task(database: Database, tids: TidRange, **changed: Any) -> RangeTask:
    """Make a task of table ``t``, under a snapshot that a connection of the test holds."""
    holder = database.connect()
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    ((snapshot,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
    (table,) = converse(holder, select_tables(["pub"], holder.info.server_version))
    opener = database.connect()
    converse(opener, begin_under(snapshot))
    opened = converse(opener, open_table(table, binary=False))
    opener.execute("ROLLBACK")
    given: dict[str, Any] = {
        "given": parameters(f"{database.dsn} password=secret"),
        "slot": "s",
        "snapshot": snapshot,
        "command": opened.copy_of(tids),
        "columns": 2,
        "binary": False,
        "client_encoding": "UTF8",
        "max_message_bytes": 1000,
        "kit": None,
        **changed,
    }
    return RangeTask(**given)


def _kit(run: int = 2) -> bytes:
    table = relation(column("id", "int4"), column("v"), primary_key=["id"])
    maker = RecordMaker(DebeziumFormatter(topic_prefix="x"))
    return pickle.dumps(RowKit(maker, run, table, LSN(16), _POINT))


def _make(database: Database, rows: int) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR TABLE t;"
        f"INSERT INTO t SELECT i, 'row' FROM generate_series(1, {rows}) i"
    )


@pytest.mark.pg
def test_rows_of_a_range_as_the_snapshot_has_them(database: Database) -> None:
    _make(database, 1000)
    task = _task(database, TidRange(1, 2))
    expected = [
        f"{key}\trow\n".encode()
        for (key,) in database.execute(
            "SELECT id FROM t WHERE ctid >= '(1,0)' AND ctid < '(2,0)' ORDER BY ctid"
        )
    ]
    database.execute("DELETE FROM t")
    found = read_range(pickle.loads(pickle.dumps(task)))
    assert isinstance(found, RowMessages)
    assert found.messages == expected
    assert len(expected) > 100


@pytest.mark.pg
@pytest.mark.parametrize(
    ("rows", "runs"), [(0, []), (1, []), (2, []), (3, [1]), (5, [2, 1]), (6, [2, 2])]
)
def test_records_of_all_rows_but_the_first_and_the_last(
    database: Database, rows: int, runs: list[int]
) -> None:
    _make(database, rows)
    found = read_range(_task(database, TidRange(None, None), kit=_kit()))
    assert isinstance(found, RowRecords)
    assert found.first == ((b"1", b"row") if rows else None)
    assert found.last == ((b"%d" % rows, b"row") if rows > 1 else None)
    assert [count for count, _ in found.runs] == runs
    maker = RecordMaker(DebeziumFormatter(topic_prefix="x"))
    records = [made for _, packed in found.runs for made in maker.unpack(packed)]
    assert [record.key for record in records] == [b'{"id":%d}' % i for i in range(2, rows)]
    assert found.size == sum(len(f"{i}\trow\n") for i in range(1, rows + 1))


@pytest.mark.pg
def test_a_table_that_somebody_has_locked(database: Database) -> None:
    _make(database, 10)
    task = _task(database, TidRange(None, None))
    database.connect().execute("BEGIN; LOCK TABLE t")
    assert read_range(task) is None


@pytest.mark.pg
def test_what_goes_wrong(database: Database) -> None:
    _make(database, 10)
    task = _task(database, TidRange(None, None))
    assert "secret" not in repr(task)
    elsewhere = parameters("host=127.0.0.1 port=1")
    wrong: list[tuple[dict[str, Any], type[CdcError], str]] = [
        ({"snapshot": "00000003-00000001-1"}, SnapshotError, "the exported snapshot is gone"),
        ({"max_message_bytes": 3}, MessageTooLargeError, "at most 3 bytes"),
        ({"given": elsewhere}, ConnectionLostError, "cannot connect"),
    ]
    for changed, kind, match in wrong:
        with pytest.raises(kind, match=match) as caught:
            read_range(_task(database, TidRange(None, None), **changed))
        # As it comes back from another process.
        back = pickle.loads(pickle.dumps(caught.value))
        assert (type(back), str(back)) == (kind, str(caught.value))


def test_the_size_of_rows() -> None:
    check_size([], 1)
    check_size([b"12"], 2)
    with pytest.raises(MessageTooLargeError, match="found 3 bytes"):
        check_size([b"1", b"123"], 2)
