"""Counting what a snapshot has read, and telling the log of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.snapshot import SelectedTable, SnapshotProgress, TableProgress
from tests.reading import reader

if TYPE_CHECKING:
    from tests.servers import Database


def _table(oid: int, rows: int | None) -> SelectedTable:
    return SelectedTable(
        oid=oid,
        schema="s",
        name=f"t{oid}",
        is_partitioned=False,
        columns=frozenset({"a"}),
        row_filter=None,
        estimated_rows=rows,
        bytes=8192,
    )


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _progress(*rows: int | None) -> tuple[SnapshotProgress, list[SelectedTable], _Clock]:
    tables = [_table(oid, estimate) for oid, estimate in enumerate(rows, 1)]
    clock = _Clock()
    return SnapshotProgress("snapshot 'x'", tables, clock), tables, clock


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the log of snapshots is told."""
    caplog.set_level(logging.INFO, "pglogical_cdc.snapshot")
    return caplog


def test_each_table_from_its_beginning_to_its_end() -> None:
    progress, (one, two), clock = _progress(10, 100)
    stats = progress.stats
    assert (stats.tables, stats.tables_read, stats.table) == (2, 0, "s.t1")
    assert (stats.estimated_rows, stats.bytes_on_disk, stats.rows_per_second) == (110, 16384, 0)
    assert [table.seconds for table in stats.each] == [None, None]

    progress.begin(one)
    clock.now += 2
    progress.add(one, 7, 70)
    first, second = progress.stats.each
    assert (first.table, first.rows, first.bytes, first.seconds) == ("s.t1", 7, 70, 2.0)
    assert first.is_being_read
    assert second.seconds is None

    progress.end(one)
    progress.begin(two)
    clock.now += 1
    progress.add(two, 3, 30)
    stats = progress.stats
    assert stats.each[0] == TableProgress("s.t1", 7, 70, 10, 8192, 2.0, is_read=True)
    assert (stats.tables_read, stats.table, stats.rows, stats.bytes) == (1, "s.t2", 10, 100)
    # Of the first by what was read, of the second by its estimate.
    assert stats.estimated_rows == 107

    progress.end(two)
    progress.end_all()
    clock.now += 1000
    stats = progress.stats
    assert (stats.table, stats.tables_read, stats.estimated_rows) == (None, 2, 10)
    assert (stats.seconds, stats.seconds_left) == (3.0, 0)
    assert stats.rows_per_second == pytest.approx(10 / 3)
    assert all(table.is_read for table in stats.each)


def test_several_tables_at_a_time() -> None:
    progress, (one, two, three), _ = _progress(10, 10, 10)
    progress.begin(two)
    progress.begin(one)
    progress.add(two, 15, 1)
    progress.add(one, 5, 1)
    stats = progress.stats
    assert [table.is_being_read for table in stats.each] == [True, True, False]
    assert [table.rows for table in stats.each] == [5, 15, 0]
    # More than the estimate of one table says nothing of the others.
    assert stats.estimated_rows == 35
    progress.end(two)
    assert [table.is_read for table in progress.stats.each] == [False, True, False]
    assert progress.stats.table == "s.t1"
    progress.begin(three)
    assert progress.stats.estimated_rows == 35


def test_a_table_without_an_estimate_leaves_the_whole_unknown_until_it_is_read() -> None:
    progress, (one, _), _ = _progress(None, 10)
    progress.begin(one)
    progress.add(one, 4, 4)
    assert progress.stats.estimated_rows is None
    progress.end(one)
    assert progress.stats.estimated_rows == 14


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    progress, (table,), clock = _progress(10**9)
    progress.begin(table)
    for _ in range(200):
        clock.now += 0.5
        progress.add(table, 100, 1)
    assert progress.stats.rows_per_second == pytest.approx(200)
    for _ in range(22):
        clock.now += 0.5
        progress.add(table, 1000, 1)
    assert progress.stats.rows_per_second == pytest.approx(2000)


def test_the_rate_of_a_reader_that_takes_some_rows_now_and_then() -> None:
    progress, (table,), clock = _progress(10**9)
    progress.begin(table)
    for _ in range(30):
        clock.now += 60
        progress.add(table, 600, 1)
    assert progress.stats.rows_per_second == pytest.approx(10)
    clock.now += 30
    assert 9 < progress.stats.rows_per_second < 10
    clock.now += 3600 * 24
    assert progress.stats.rows_per_second < 1


def test_the_log_is_told(lines: pytest.LogCaptureFixture) -> None:
    progress, (one, two), clock = _progress(2000, 20_000)
    progress.begin(one)
    clock.now += 4
    progress.add(one, 2000, 1)
    progress.end(one)
    progress.begin(two)
    for _ in range(4):
        clock.now += 4
        progress.add(two, 1000, 1)
    progress.end(two)
    progress.end_all()
    assert lines.messages == [
        "snapshot 'x' begins: 2 tables, about 22,000 rows",
        "snapshot 'x': table s.t1 is read (1 of 2): 2,000 rows in 4.0 s, 500 rows/s",
        "snapshot 'x': 4,000 of about 22,000 rows, 333 rows/s, table s.t2 (2 of 2), 0:00:54 left",
        "snapshot 'x': table s.t2 is read (2 of 2): 4,000 rows in 16.0 s, 250 rows/s",
        "snapshot 'x' is read: 6,000 rows in 20.0 s, 300 rows/s",
    ]


def test_the_log_is_told_while_nothing_comes(lines: pytest.LogCaptureFixture) -> None:
    progress, _, clock = _progress(None)
    progress.tell()
    clock.now += 10
    progress.tell()
    progress.tell()
    assert lines.messages == [
        "snapshot 'x' begins: 1 tables, an unknown number of rows",
        "snapshot 'x': 0 rows, 0 rows/s, table s.t1 (1 of 1)",
    ]


@pytest.mark.pg
@pytest.mark.newest
def test_a_snapshot_counts_and_tells(
    database: Database, slot_name: str, lines: pytest.LogCaptureFixture
) -> None:
    database.execute(
        "CREATE TABLE a (id int); CREATE TABLE b (id int, v text); CREATE TABLE c (id int);"
        "INSERT INTO a SELECT generate_series(1, 3000);"
        "INSERT INTO b SELECT i, 'canary_7c1' FROM generate_series(1, 2000) i;"
        "ANALYZE a; ANALYZE b; CREATE PUBLICATION pub FOR ALL TABLES"
    )
    seen = []
    with reader(database, slot_name, snapshot="initial_only") as made:
        for number, _ in enumerate(made):
            if number == 2500:
                seen.append(made.stats.snapshot)
        seen.append(made.stats.snapshot)
    during, after = seen
    assert during is not None
    assert during.table == "public.a"
    assert during.estimated_rows == 5000
    assert during.seconds_left is not None
    first, *others = during.each
    assert first.is_being_read
    assert first.estimated_rows == 3000
    assert first.bytes_on_disk >= 3000 * 4
    assert [table.seconds for table in others] == [None, None]
    assert after is not None
    assert after.table is None
    assert [(table.table, table.rows, table.is_read) for table in after.each] == [
        ("public.a", 3000, True),
        ("public.b", 2000, True),
        ("public.c", 0, True),
    ]
    # In text: a digit or more, a tab, the value, and the end of the line.
    assert after.each[0].bytes == sum(len(f"{i}\n") for i in range(1, 3001))
    assert after.each[1].bytes == sum(len(f"{i}\tcanary_7c1\n") for i in range(1, 2001))
    assert after.bytes == sum(table.bytes for table in after.each)
    told = lines.messages
    assert len(told) == 5
    assert "begins: 3 tables, about 5,000 rows" in told[0]
    assert "table public.b is read (2 of 3): 2,000 rows in" in told[2]
    assert "is read: 5,000 rows in" in told[4]
    assert "canary" not in "".join(told)
    assert "canary" not in repr(after)
