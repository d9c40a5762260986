"""Which of the published tables a snapshot reads, on real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import SnapshotRead
from pglogical_cdc.name_patterns import NamePatterns
from pglogical_cdc.postgres import converse
from pglogical_cdc.snapshot import choose_tables, select_tables
from tests.reading import reader, wait_until
from tests.replication.stores import MemoryOffsets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Database

pytestmark = [pytest.mark.pg, pytest.mark.slow]


def _chosen(
    database: Database, include: str | Sequence[str] | None, exclude: str | Sequence[str] = ()
) -> list[str]:
    connection = database.connect()
    published = converse(connection, select_tables(["pub"], connection.info.server_version))
    included = None if include is None else NamePatterns.read("snapshot_include", include)
    excluded = NamePatterns.read("snapshot_exclude", exclude)
    return [
        str(table) for table in converse(connection, choose_tables(published, included, excluded))
    ]


def test_patterns_match_the_whole_name_in_either_case(database: Database) -> None:
    database.execute(
        'CREATE SCHEMA "Shop"; CREATE TABLE "Shop"."Item" (); CREATE TABLE "Shop"."ItemLog" ();'
        "CREATE TABLE item (); CREATE TABLE item_log (); CREATE TABLE other ();"
        'CREATE TABLE "a,b" (); CREATE PUBLICATION pub FOR ALL TABLES'
    )
    everything = _chosen(database, None)
    assert len(everything) == 6
    assert _chosen(database, ["public.item"]) == ["public.item"]
    assert _chosen(database, [r"shop\.item"]) == ["Shop.Item"]
    assert _chosen(database, r"shop\..*, public\.other") == [
        "Shop.Item",
        "Shop.ItemLog",
        "public.other",
    ]
    # In the order of the names, whatever that of the patterns is.
    assert _chosen(database, ["public.other", "public.item"]) == ["public.item", "public.other"]
    assert _chosen(database, r"public\.a\,b") == ["public.a,b"]
    assert _chosen(database, None, [r".*log"]) == [
        name for name in everything if not name.lower().endswith("log")
    ]
    assert _chosen(database, ["public.item.*"], ["public.item_log"]) == ["public.item"]
    # What is excluded need not be there.
    assert _chosen(database, ["public.item"], ["no.such", "item"]) == ["public.item"]
    assert _chosen(database, ["public.item"], [".*"]) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("v", "public.v is a view: views are never published"),
        ("m", "public.m is a materialized view: materialized views are never published"),
        ("f", "public.f is a foreign table: foreign tables are never published"),
        ("u", "public.u is an unlogged table, which is never published"),
        ("left_out", "public.left_out is a table that is not published: add it with ALTER PUBL"),
        ("p", "public.p is a partitioned table that is not published as such: name its parti"),
        ("r1", "public.r1 is a partition that is not published by itself"),
        ("nothing", "nor anything else in the database"),
        ("T", "public.t2 is"),
    ],
)
def test_what_is_not_published_is_refused_with_the_reason(
    database: Database, name: str, reason: str
) -> None:
    database.execute(
        "CREATE TABLE t (id int); CREATE VIEW v AS SELECT * FROM t; CREATE TABLE left_out ();"
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM t; CREATE UNLOGGED TABLE u ();"
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        "CREATE FOREIGN TABLE f (a int) SERVER s;"
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p DEFAULT;"
        "CREATE TABLE r (a int) PARTITION BY LIST (a); CREATE TABLE r1 PARTITION OF r DEFAULT;"
        "CREATE TABLE t2 ();"
        "CREATE PUBLICATION pub FOR TABLE t, p;"
        "CREATE PUBLICATION root FOR TABLE r WITH (publish_via_partition_root = true)"
    )
    pattern = rf"public\.{name}" if name != "T" else "PUBLIC.T2"
    with pytest.raises(ConfigurationError) as caught:
        _chosen(database, ["public.t", pattern])
    assert str(caught.value).startswith(
        f"snapshot_include: {pattern!r} matches no table of the pub"
    )
    assert reason in str(caught.value)


def test_a_message_names_a_few_of_many(database: Database) -> None:
    tables = "".join(f"CREATE TABLE x{i} ();" for i in range(8))
    database.execute(f"{tables} CREATE TABLE t (); CREATE PUBLICATION pub FOR TABLE t")
    with pytest.raises(ConfigurationError, match=r"x4 is .*; and so on for 3 more$"):
        _chosen(database, r"public\.x.*")


def test_what_is_not_read_is_streamed(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);"
        "CREATE TABLE c (id int PRIMARY KEY); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);"
        "INSERT INTO c VALUES (1); CREATE PUBLICATION pub FOR ALL TABLES"
    )
    with reader(
        database,
        slot_name,
        create=True,
        snapshot="initial",
        snapshot_include="public.[ab]",
        snapshot_exclude=["public.a"],
        idle_timeout=1,
    ) as made:
        changes = iter(made)
        first = next(changes)
        database.execute("INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)")
        rest = [(change.op, change.table) for change in changes]
        stats = made.stats.snapshot
    assert isinstance(first, SnapshotRead)
    assert (first.table, first.snapshot) == ("b", "last")
    assert rest == [("insert", "a"), ("insert", "b")]
    assert stats is not None
    assert [table.table for table in stats.each] == ["public.b"]


def test_a_resumable_snapshot_reads_the_same_tables(database: Database, slot_name: str) -> None:
    database.execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);"
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); CREATE PUBLICATION pub FOR ALL TABLES"
    )
    options = {
        "create": True,
        "snapshot": "initial",
        "snapshot_resumable": True,
        "offsets": MemoryOffsets(),
        "idle_timeout": 1,
    }
    refused = reader(database, slot_name, **options, snapshot_include="public.c")
    with pytest.raises(ConfigurationError, match=r"'public\.c' matches no table"), refused:
        pass
    # The next start, with what is right, still begins with the rows.
    with reader(database, slot_name, **options, snapshot_include="public.b") as made:
        assert [(change.op, change.table) for change in made] == [("read", "b")]


def test_a_refusal_leaves_no_slot(database: Database, slot_name: str) -> None:
    database.execute("CREATE TABLE t (); CREATE PUBLICATION pub FOR ALL TABLES")
    made = reader(database, slot_name, create=True, snapshot="initial", snapshot_include="t")
    with pytest.raises(ConfigurationError, match=r'names are "schema\.table"'):
        made.open()
    made.close()
    slots = "SELECT slot_name FROM pg_replication_slots WHERE database = %s"
    wait_until(lambda: database.execute(slots, [database.name]) == [])
