"""Tests of `pglogical_cdc.snapshot.tid_ranges`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.postgres import converse
from pglogical_cdc.snapshot import Extent, TidRange, measure, select_tables, split

if TYPE_CHECKING:
    from tests.servers import Database


@given(
    blocks=st.integers(0, 2000),
    toast=st.integers(0, 10**9),
    chunk=st.integers(1, 10**8),
)
def test_ranges_cover_the_table_once(blocks: int, toast: int, chunk: int) -> None:
    ranges = split(Extent(blocks, blocks * 8192 + toast, is_heap=True), chunk)
    assert ranges[0].start is None
    assert ranges[-1].stop is None
    bounds = [each.start for each in ranges[1:]]
    assert bounds == [each.stop for each in ranges[:-1]]
    numbers = [bound for bound in bounds if bound is not None]
    assert len(numbers) == len(bounds)
    assert numbers == sorted(set(numbers))
    assert all(0 < number < blocks for number in numbers)


@pytest.mark.parametrize(
    ("extent", "chunk", "stops"),
    [
        (Extent(0, 0, is_heap=True), 8192, [None]),
        (Extent(1, 8192, is_heap=True), 1, [None]),
        (Extent(100, 819200, is_heap=True), 819200, [None]),
        (Extent(100, 819200, is_heap=False), 8192, [None]),
        (Extent(100, 819200, is_heap=True), 40 * 8192, [40, 80, None]),
        # Nine tenths of it are in TOAST tables, or in the other partitions.
        (Extent(100, 8192000, is_heap=True), 400 * 8192, [40, 80, None]),
        (Extent(3, 10**9, is_heap=True), 8192, [1, 2, None]),
    ],
)
def test_size_of_chunks(extent: Extent, chunk: int, stops: list[int | None]) -> None:
    assert [each.stop for each in split(extent, chunk)] == stops


@pytest.mark.parametrize(
    ("tids", "condition"),
    [
        (TidRange(None, 5), "ctid OPERATOR(pg_catalog.<) '(5,0)'::pg_catalog.tid"),
        (TidRange(5, None), "ctid OPERATOR(pg_catalog.>=) '(5,0)'::pg_catalog.tid"),
        (
            TidRange(5, 9),
            "ctid OPERATOR(pg_catalog.>=) '(5,0)'::pg_catalog.tid"
            " AND ctid OPERATOR(pg_catalog.<) '(9,0)'::pg_catalog.tid",
        ),
    ],
)
def test_conditions(tids: TidRange, condition: str) -> None:
    assert tids.condition.as_string(None) == condition


_TABLES = (
    "CREATE TABLE t (id int PRIMARY KEY, v text);"
    "INSERT INTO t SELECT i, 'row' FROM generate_series(1, 5000) i;"
    "CREATE TABLE none (id int);"
    "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);"
    "CREATE TABLE p2 PARTITION OF p DEFAULT PARTITION BY LIST (id);"
    "CREATE TABLE p21 PARTITION OF p2 DEFAULT;"
    "INSERT INTO p SELECT i, 'row' FROM generate_series(1, 5000) i;"
    "CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);"
    "INSERT INTO child SELECT generate_series(1, 5000);"
    "CREATE TABLE big (id int, v text); ALTER TABLE big ALTER v SET STORAGE EXTERNAL;"
    "INSERT INTO big SELECT i, repeat('x', 10000) FROM generate_series(1, 100) i;"
    "CREATE PUBLICATION pub FOR TABLE t, none, p, parent, big"
    " WITH (publish_via_partition_root = true)"
)


@pytest.mark.pg
def test_extents(database: Database) -> None:
    database.execute(_TABLES)
    connection = database.connect()
    tables = converse(connection, select_tables(["pub"], connection.info.server_version))
    found = {table.name: converse(connection, measure(table)) for table in tables}
    blocks = {
        name: size // 8192
        for name, size in database.execute(
            "SELECT relname, pg_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    }
    assert found["none"] == Extent(0, found["none"].bytes, is_heap=True)
    assert found["t"].blocks == blocks["t"] > 20
    assert found["p"].blocks == blocks["p21"] > blocks["p1"]
    assert found["p"].bytes >= 8192 * (blocks["p21"] + blocks["p1"])
    assert found["parent"].blocks == 0  # a child is a table of its own
    assert found["big"].blocks == blocks["big"] == 1
    assert found["big"].bytes > 1_000_000
    assert all(extent.is_heap for extent in found.values())


@pytest.mark.pg
def test_another_access_method(database: Database) -> None:
    database.execute(
        "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;"
        "CREATE TABLE t (id int) USING other; CREATE PUBLICATION pub FOR TABLE t"
    )
    connection = database.connect()
    (table,) = converse(connection, select_tables(["pub"], connection.info.server_version))
    assert not converse(connection, measure(table)).is_heap


@pytest.mark.pg
@pytest.mark.parametrize(
    ("what", "scans"),
    [
        ("ONLY t WHERE {}", {"Tid Range Scan"}),
        ("ONLY t WHERE (length(v) > 1) AND {}", {"Tid Range Scan"}),
        ("p WHERE {}", {"Append", "Tid Range Scan"}),
    ],
)
def test_the_server_reads_the_blocks_of_a_range_alone(
    database: Database, what: str, scans: set[str]
) -> None:
    database.execute(_TABLES)
    condition = TidRange(5, 10).condition.as_string(None)
    ((plans,),) = database.execute(
        f"EXPLAIN (FORMAT json) SELECT id, v FROM {what.format(condition)}"
    )
    found = plans if isinstance(plans, list) else json.loads(plans)
    assert _nodes(found[0]["Plan"]) == scans


def _nodes(plan: dict[str, Any]) -> set[str]:
    return {plan["Node Type"]}.union(*map(_nodes, plan.get("Plans", ())))
