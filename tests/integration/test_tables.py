"""Tables as the reader meets them: identities, TOAST, ALTER, DROP, on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import Delete, Insert, ReplicaIdentity, SchemaChange, Update
from tests.reading import make_slot, read, reader

if TYPE_CHECKING:
    from pglogical_cdc.events import Change, Row
    from tests.servers import Database

pytestmark = pytest.mark.pg

_BIG = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 300) g)"


def _plain(row: Row | None) -> dict[str, object] | None:
    return None if row is None else dict(row)


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL", "INDEX", "NOTHING"])
def test_before_is_what_the_replica_identity_gives(
    database: Database, slot_name: str, identity: str
) -> None:
    make_slot(
        database,
        slot_name,
        "CREATE TABLE i (id int PRIMARY KEY, code text NOT NULL, n int);"
        "CREATE UNIQUE INDEX i_code ON i (code)",
    )
    clause = "USING INDEX i_code" if identity == "INDEX" else identity
    database.execute(f"ALTER TABLE i REPLICA IDENTITY {clause}")
    database.execute("INSERT INTO i VALUES (1, 'a', 10)")
    if identity != "NOTHING":
        database.execute("UPDATE i SET n = 11")
        database.execute("UPDATE i SET id = 2, code = 'b'")
        database.execute("DELETE FROM i")
    changes = read(database, slot_name)
    old_row = {"id": 1, "code": "a", "n": 11}
    expected: dict[str, list[dict[str, object] | None]] = {
        "DEFAULT": [
            None,
            {"id": 1, "code": NOT_SENT, "n": NOT_SENT},
            {"id": 2, "code": NOT_SENT, "n": NOT_SENT},
        ],
        "FULL": [{"id": 1, "code": "a", "n": 10}, old_row, {"id": 2, "code": "b", "n": 11}],
        "INDEX": [
            None,
            {"id": NOT_SENT, "code": "a", "n": NOT_SENT},
            {"id": NOT_SENT, "code": "b", "n": NOT_SENT},
        ],
        "NOTHING": [],
    }
    assert [_plain(change.before) for change in changes[1:]] == expected[identity]
    first = changes[0]
    assert isinstance(first, Insert)
    assert first.relation.replica_identity is ReplicaIdentity[identity]
    assert first.key == {"id": 1}
    if identity in ("DEFAULT", "FULL"):
        update = changes[2]
        assert isinstance(update, Update)
        assert update.key_changed
        assert (update.old_key, update.key) == ({"id": 1}, {"id": 2})
        assert changes[3].key == {"id": 2}


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_value_that_was_not_sent_is_never_null(
    database: Database, slot_name: str, identity: str
) -> None:
    make_slot(database, slot_name)
    database.execute("ALTER TABLE t ADD n int; ALTER TABLE t ALTER v SET STORAGE EXTERNAL")
    database.execute(f"ALTER TABLE t REPLICA IDENTITY {identity}")
    database.execute(f"INSERT INTO t VALUES (1, {_BIG}, 1)")
    database.execute("UPDATE t SET n = 2")
    insert, update = read(database, slot_name)
    assert insert.after is not None
    assert update.after is not None
    big = insert.after["v"]
    assert len(str(big)) == 9600
    assert update.after["v"] == (big if identity == "FULL" else UNCHANGED)
    assert update.after["n"] == 2
    assert update.after.is_complete is (identity == "FULL")


def test_catalog_is_there_from_the_first_change(database: Database, slot_name: str) -> None:
    make_slot(
        database,
        slot_name,
        "CREATE TYPE mood AS ENUM ('sad', 'ok');"
        "CREATE TABLE c (a int, b int, m mood DEFAULT 'ok', PRIMARY KEY (b, a))",
    )
    database.execute("INSERT INTO c VALUES (1, 2)")
    (change,) = read(database, slot_name)
    assert isinstance(change, Insert)
    catalog = change.relation.catalog
    assert catalog is not None
    assert catalog.primary_key == ("b", "a")
    assert [column.not_null for column in catalog.columns] == [True, True, False]
    assert catalog.columns[2].default == "'ok'::mood"
    assert catalog.types[change.relation.columns[2].type_oid].labels == ("sad", "ok")
    assert list((change.key or {}).items()) == [("b", 2), ("a", 1)]
    assert dict(change.after)["m"] == "ok"


def test_alter_in_the_middle_is_told_and_described(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1, 'a')")
        first = next(loop)
        database.execute("ALTER TABLE t ADD w int NOT NULL DEFAULT 5; ALTER TABLE t DROP v")
        database.execute("INSERT INTO t VALUES (2, 6)")
        change, second = next(loop), next(loop)
    assert isinstance(first, Insert)
    assert isinstance(change, SchemaChange)
    assert isinstance(second, Insert)
    assert (change.added, change.dropped) == (["w"], ["v"])
    assert change.previous is first.relation
    assert change.relation is second.relation
    assert change.position == second.position
    assert change.transaction is second.transaction
    catalog = second.relation.catalog
    assert catalog is not None
    described = {column.name: column for column in catalog.columns}
    assert described["w"].not_null
    assert described["w"].default == "5"
    assert dict(second.after) == {"id": 2, "w": 6}


def test_renamed_table_and_column(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1, 'a')")
        next(loop)
        database.execute("ALTER TABLE t RENAME TO renamed")
        database.execute("ALTER TABLE renamed RENAME id TO number")
        database.execute("INSERT INTO renamed VALUES (2, 'b')")
        change, row = next(loop), next(loop)
    assert isinstance(change, SchemaChange)
    assert (row.table, row.key) == ("renamed", {"number": 2})


def test_table_dropped_before_its_changes_are_read(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1, 'a')")
    database.execute("DELETE FROM t; DROP TABLE t")
    insert, delete = read(database, slot_name)
    assert isinstance(insert, Insert)
    assert isinstance(delete, Delete)
    assert dict(insert.after) == {"id": 1, "v": "a"}
    assert insert.relation.catalog is None
    assert insert.key == delete.key == {"id": 1}


def test_table_dropped_while_it_is_known(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("CREATE TABLE other (id int PRIMARY KEY)")
    with reader(database, slot_name) as made:
        database.execute("INSERT INTO t VALUES (1, 'a')")
        database.execute("DROP TABLE t")
        change = next(iter(made))
        assert isinstance(change, Insert)
        # Known from the start, and kept.
        assert change.relation.catalog is not None
        assert change.relation.catalog.primary_key == ("id",)


def test_two_tables_of_one_name_one_after_the_other(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t VALUES (1, 'a')")
    database.execute("DROP TABLE t; CREATE TABLE t (id text PRIMARY KEY)")
    database.execute("INSERT INTO t VALUES ('x')")
    first, second = (change for change in read(database, slot_name) if change.op == "insert")
    assert (_plain(first.after), _plain(second.after)) == ({"id": 1, "v": "a"}, {"id": "x"})


def test_truncate_of_several_is_one_change_each(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, "CREATE TABLE u (id int)")
    database.execute("TRUNCATE t, u RESTART IDENTITY CASCADE")
    changes: list[Change] = read(database, slot_name)
    assert [(change.op, change.table, change.position.ordinal) for change in changes] == [
        ("truncate", "t", 1),
        ("truncate", "u", 2),
    ]


def test_released_savepoint_of_a_big_rollback_is_nothing(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    database.execute(f"ALTER DATABASE {database.name} SET logical_decoding_work_mem = '64kB'")
    database.execute(
        "BEGIN; SAVEPOINT s; INSERT INTO t VALUES (-1); RELEASE s;"
        "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g; ROLLBACK"
    )
    database.execute("INSERT INTO t VALUES (1)")
    (change,) = read(database, slot_name)
    assert change.key == {"id": 1}
