"""Which tables a snapshot reads, and what of them, on real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.postgres import converse
from pglogical_cdc.snapshot import SelectedTable, select_tables

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


def _selected(database: Database, *publications: str) -> dict[str, SelectedTable]:
    version = database.connect().info.server_version
    tables = converse(database.connect(), select_tables(publications, version))
    return {str(table): table for table in tables}


def test_what_all_tables_are(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (a int, b int, g int GENERATED ALWAYS AS (a) STORED);"
        "ALTER TABLE t DROP COLUMN b; CREATE TABLE none ();"
        "CREATE UNLOGGED TABLE unlogged (a int); CREATE VIEW v AS SELECT 1 AS a;"
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;"
        "CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);"
        "CREATE TABLE p (a int) PARTITION BY LIST (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
        "CREATE PUBLICATION pub FOR ALL TABLES; INSERT INTO t (a) VALUES (1), (2); ANALYZE t"
    )
    found = _selected(database, "pub")
    assert {name: sorted(table.columns) for name, table in found.items()} == {
        "public.child": ["a", "b"],
        "public.none": [],
        "public.p1": ["a"],
        "public.parent": ["a"],
        "public.t": ["a"],
    }
    assert not any(table.is_partitioned or table.row_filter for table in found.values())
    table = found["public.t"]
    assert table.estimated_rows == 2
    assert table.bytes == 8192


@pytest.mark.pg(18)
def test_generated_columns_that_are_published(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (a int, g int GENERATED ALWAYS AS (a) STORED);"
        "CREATE PUBLICATION stored FOR TABLE t WITH (publish_generated_columns = stored);"
        "CREATE PUBLICATION listed FOR TABLE t (g)"
    )
    assert _selected(database, "stored")["public.t"].columns == {"a", "g"}
    assert _selected(database, "listed")["public.t"].columns == {"g"}


def test_the_root_stands_for_its_partitions(database: Database) -> None:
    database.execute(
        "CREATE TABLE p (a int) PARTITION BY LIST (a);"
        "CREATE TABLE q PARTITION OF p FOR VALUES IN (1, 2) PARTITION BY LIST (a);"
        "CREATE TABLE q1 PARTITION OF q FOR VALUES IN (1);"
        "CREATE TABLE q2 PARTITION OF q DEFAULT; CREATE TABLE p3 PARTITION OF p DEFAULT;"
        "CREATE PUBLICATION root FOR TABLE p WITH (publish_via_partition_root = true);"
        "CREATE PUBLICATION leaf FOR TABLE q1; CREATE PUBLICATION leaves FOR TABLE p"
    )
    assert list(_selected(database, "root", "leaf")) == ["public.p"]
    assert _selected(database, "root")["public.p"].is_partitioned
    assert list(_selected(database, "leaves", "leaf")) == ["public.p3", "public.q1", "public.q2"]


@pytest.mark.pg(15)
def test_column_lists_and_row_filters(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (a int PRIMARY KEY, b int, c text);"
        "CREATE PUBLICATION one FOR TABLE t (a, b) WHERE (a > 1);"
        "CREATE PUBLICATION two FOR TABLE t (a, b) WHERE (a < 0);"
        "CREATE PUBLICATION whole FOR TABLE t; CREATE PUBLICATION every FOR ALL TABLES"
    )
    one = _selected(database, "one")["public.t"]
    assert one.columns == {"a", "b"}
    assert one.row_filter == "(a > 1)"
    both = _selected(database, "one", "two")["public.t"]
    assert set((both.row_filter or "").split(" OR ")) == {"((a > 1))", "((a < 0))"}
    assert _selected(database, "whole", "every")["public.t"].row_filter is None
    with pytest.raises(ConfigurationError, match=r"different columns of table public\.t"):
        _selected(database, "one", "whole")


def test_the_order_is_that_of_java(database: Database) -> None:
    names = ("a", "a b", "A", "é", "\uffee", "\U0001f600", "_", "1")
    for name in names:
        database.execute(f'CREATE TABLE "{name}" ()')
    database.execute('CREATE SCHEMA "public-2"; CREATE TABLE "public-2".a ()')
    database.execute("CREATE PUBLICATION pub FOR ALL TABLES")
    assert list(_selected(database, "pub")) == [
        "public-2.a",
        *(f"public.{name}" for name in ("1", "A", "_", "a", "a b", "é", "\U0001f600", "\uffee")),
    ]


def test_estimates_of_partitions_add_up(database: Database) -> None:
    database.execute(
        "CREATE TABLE p (a int) PARTITION BY LIST (a);"
        "CREATE TABLE q PARTITION OF p FOR VALUES IN (1, 2) PARTITION BY LIST (a);"
        "CREATE TABLE q1 PARTITION OF q FOR VALUES IN (1);"
        "CREATE TABLE q2 PARTITION OF q DEFAULT; CREATE TABLE p3 PARTITION OF p DEFAULT;"
        "INSERT INTO p SELECT i % 4 FROM generate_series(1, 4000) i; ANALYZE q1; ANALYZE p3;"
        "CREATE PUBLICATION root FOR TABLE p WITH (publish_via_partition_root = true)"
    )
    assert _selected(database, "root")["public.p"].estimated_rows is None
    database.execute("ANALYZE q2")
    table = _selected(database, "root")["public.p"]
    assert table.estimated_rows == 4000
    # Nothing is locked by it, although the snapshot's transaction goes on.
    with database.connect() as holder, holder.transaction():
        converse(holder, select_tables(["root"], holder.info.server_version))
        locks = database.execute(
            "SELECT relation::regclass::text FROM pg_locks WHERE pid = %s AND relation >= 16384",
            [holder.info.backend_pid],
        )
    assert locks == []
    ((size,),) = database.execute(
        "SELECT pg_table_size('q1') + pg_table_size('q2') + pg_table_size('p3')"
    )
    assert table.bytes == size > 4000 * 4


def test_a_table_is_known_to_be_empty_without_an_estimate(database: Database) -> None:
    database.execute(
        "CREATE TABLE empty (a text); CREATE TABLE filled (a text);"
        "INSERT INTO filled VALUES ('a');CREATE PUBLICATION pub FOR ALL TABLES"
    )
    found = _selected(database, "pub")
    assert found["public.empty"].estimated_rows == 0
    assert found["public.filled"].estimated_rows is None
