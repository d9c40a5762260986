"""Tests of `pglogical_cdc.postgres.reselect`."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    CatalogColumn,
    CatalogType,
    Insert,
    TableCatalog,
    Update,
)
from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter, UnwrappedFormatter
from pglogical_cdc.postgres.blocking import converse
from pglogical_cdc.postgres.parameters import SESSION_SETTINGS, parameters
from pglogical_cdc.postgres.reselect import reselected, snapshot_sees, unsent_values
from pglogical_cdc.replication import ReplicationReader
from tests.feed import Feed
from tests.postgres.sessions import connect, connect_beside
from tests.reading import make_slot, read, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from pglogical_cdc.events import Change
    from pglogical_cdc.formatters import Formatter
    from tests.servers import Database

_BODY: Final = "€" + "b" * 4000

# -- what there is to look for


def _feed(
    *columns: tuple[str, int], identity: str = "d", catalog: TableCatalog | None = None
) -> Feed:
    feed = Feed()
    feed.begin()
    key = ("id",) if identity == "d" else ()
    feed.table(
        1, "public", "t", [*columns, ("body", 25)], key=key, identity=identity, catalog=catalog
    )
    return feed


def test_whole_rows_and_other_changes_lack_nothing() -> None:
    feed = _feed(("id", 23))
    for change in (feed.insert(1, "1", "b"), feed.update(1, "1", None), feed.delete(1, key="1n")):
        assert unsent_values(change) is None
    full = _feed(("id", 23), identity="f")
    assert unsent_values(full.update(1, "1", UNCHANGED, old=["1", "b"])) is None


def test_values_and_their_row() -> None:
    feed = _feed(("id", 23))
    for change in (feed.update(1, "canary", UNCHANGED), feed.insert(1, "canary", UNCHANGED)):
        unsent = unsent_values(change)
        assert unsent is not None
        assert unsent.change is change
        assert unsent.positions == (1,)
        assert unsent.xid == feed.transaction.xid
        assert unsent.key.as_string(None) == (
            't."id" OPERATOR("pg_catalog".=) \'canary\'::"pg_catalog"."int4"'
        )
        assert "canary" not in repr(unsent)


def test_key_that_only_the_old_row_has() -> None:
    unsent = unsent_values(_feed(("id", 25)).update(1, UNCHANGED, UNCHANGED, key=["old", None]))
    assert unsent is not None
    assert "'old'" in unsent.key.as_string(None)
    assert unsent.positions == (1,)


@pytest.mark.parametrize("key", [UNCHANGED, None, b"\xe9"])
def test_row_whose_key_is_not_known(key: Any) -> None:
    assert unsent_values(_feed(("id", 25)).update(1, key, UNCHANGED)) is None


def test_row_that_nothing_identifies() -> None:
    assert unsent_values(_feed(("id", 25), identity="n").update(1, "1", UNCHANGED)) is None


def _catalog(*types: CatalogType) -> TableCatalog:
    columns = tuple(
        CatalogColumn(name, number, oid, -1, "", True, None, "", "")
        for number, (name, oid) in enumerate([("id", 900_000), ("body", 25)], 1)
    )
    return TableCatalog(
        "shop", 1, "public", "t", columns, ("id",), types={each.oid: each for each in types}
    )


@pytest.mark.parametrize(
    ("types", "operators", "type_name"),
    [
        ([CatalogType(900_000, "s", "base", "b")], "s", '"s"."base"'),
        ([CatalogType(900_000, "s", "_base", "b", element_oid=9)], "pg_catalog", '"s"."_base"'),
        ([CatalogType(900_000, "s", "mood", "e")], "pg_catalog", '"s"."mood"'),
        ([CatalogType(900_000, "s", "pair", "c")], "pg_catalog", '"s"."pair"'),
        ([CatalogType(900_000, "s", "r", "r")], "pg_catalog", '"s"."r"'),
        (
            [CatalogType(900_000, "s", "word", "d", base_oid=1043)],
            "pg_catalog",
            '"pg_catalog"."varchar"',
        ),
        (
            [
                CatalogType(900_000, "s", "outer", "d", base_oid=900_001),
                CatalogType(900_001, "other", "base", "b"),
            ],
            "other",
            '"other"."base"',
        ),
    ],
)
def test_operators_are_those_of_the_type(
    types: list[CatalogType], operators: str, type_name: str
) -> None:
    feed = _feed(("id", 900_000), catalog=_catalog(*types))
    unsent = unsent_values(feed.update(1, "1", UNCHANGED))
    assert unsent is not None
    assert unsent.key.as_string(None) == f't."id" OPERATOR("{operators}".=) \'1\'::{type_name}'


def test_key_of_a_type_that_nobody_knows() -> None:
    assert unsent_values(_feed(("id", 900_000)).update(1, "1", UNCHANGED)) is None


@pytest.mark.parametrize(
    ("snapshot", "xid", "seen"),
    [
        ("10:20:", 9, True),
        ("10:20:", 19, True),
        ("10:20:", 20, False),
        ("10:20:", 25, False),
        ("10:20:10,12", 10, False),
        ("10:20:10,12", 11, True),
        ("10:20:10,12", 12, False),
        # In epoch 1: transaction IDs have begun anew.
        ("4294967290:4294967306:4294967300", 4294967290, True),
        ("4294967290:4294967306:4294967300", 4, False),
        ("4294967290:4294967306:4294967300", 5, True),
        ("4294967290:4294967306:4294967300", 10, False),
    ],
)
def test_snapshot_sees_what_was_committed_before_it(snapshot: str, xid: int, seen: bool) -> None:
    assert snapshot_sees(snapshot, xid) is seen


# -- reading it


def _first(changes: list[Change]) -> dict[str, Update]:
    """The first update of each table, by its name."""
    found: dict[str, Update] = {}
    for change in changes:
        if isinstance(change, Update):
            found.setdefault(change.table, change)
    return found


@contextmanager
def _beside(database: Database) -> Iterator[psycopg.Connection[Any]]:
    given = parameters(database.dsn)
    with connect(given) as main, connect_beside(given, main) as connection:
        yield connection


def _reselect(connection: psycopg.Connection[Any], change: Update) -> Update:
    unsent = unsent_values(change)
    assert unsent is not None
    found = converse(connection, reselected(unsent, "UTF8"))
    assert isinstance(found, Update)
    return found


def _table(name: str, columns: str = "id int PRIMARY KEY", values: str = "1") -> str:
    """SQL for a table with a value that is not sent: that of ``body``, at the update of ``n``."""
    return f"""
        CREATE TABLE {name} ({columns}, n int, body varchar(9000));
        ALTER TABLE {name} ALTER body SET STORAGE EXTERNAL;
        INSERT INTO {name} VALUES ({values}, 1, '{_BODY}');
        UPDATE {name} SET n = 2;
    """


_EVIL: Final = """
    CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE SCHEMA evil;
""" + "".join(
    f"""
    CREATE FUNCTION evil.no({name}, {name}) RETURNS bool LANGUAGE plpgsql
      AS $$BEGIN RAISE EXCEPTION 'called'; END$$;
    CREATE OPERATOR evil.= (LEFTARG = {name}, RIGHTARG = {name}, FUNCTION = evil.no);
    """
    for name in ("int4", "varchar", "uuid", "numeric", "citext", "hstore")
)
"""Operators that the statement must not call."""

_TYPES: Final = {
    "text": "repeat('ä\"\\', 999)",
    "varchar(9000)": "repeat('x ', 3000)",
    "char(3000)": "'ends in blanks'",
    "blanks": "'ends in blanks'",
    "long": "repeat('domain', 999)",
    "citext": "repeat('Cc', 1500)",
    "bytea": "convert_to(repeat('€', 999), 'UTF8')",
    "json": "json_build_object('b', repeat('x', 3000), 'a', 1.50)",
    "jsonb": "json_build_object('b', repeat('x', 3000), 'a', 1.50)",
    "hstore": "hstore('k', repeat('\"', 3000))",
    "numeric": "(repeat('12345', 1000) || '.50')::numeric",
    "varbit": "repeat('10', 9000)::varbit",
    "tsvector": "(SELECT string_agg('w' || g, ' ') FROM generate_series(1, 600) g)::tsvector",
    "polygon": "polygon(200, circle '<(0.1,1),3>')",
    "pair": "ROW(1, repeat('x, ', 999))",
    "mood[]": "array_fill('so so'::mood, ARRAY[800])",
    "text[]": "array_fill('a,\"'::text, ARRAY[2,500], ARRAY[0,1])",
    "bool[]": "array_fill(true, ARRAY[3000])",
    "float8[]": "array_fill(0.1::float8 + 0.2, ARRAY[400])",
    "timestamptz[]": "array_fill(timestamptz '2024-02-29 12:00+02', ARRAY[400])",
    "interval[]": "array_fill(interval '1 mon -2 days 03:00', ARRAY[400])",
    "money[]": "array_fill(1234.5::money, ARRAY[400])",
    "bytea[]": "array_fill('\\x00ff'::bytea, ARRAY[400])",
    "regclass[]": "array_fill('t'::regclass, ARRAY[800])",
    "int4range[]": "array_fill(int4range(1, 5), ARRAY[300])",
}
_SESSION: Final = {
    "datestyle": "'German, DMY'",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "timezone": "'Asia/Tokyo'",
    "search_path": "evil, pg_catalog, public",
}


@pytest.mark.pg
def test_values_are_what_would_have_been_sent(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, _EVIL)
    database.execute("""
        CREATE DOMAIN long AS text; CREATE DOMAIN blanks AS char(3000);
        CREATE TYPE mood AS ENUM ('so so'); CREATE TYPE pair AS (a int, b text);
    """)
    columns = ", ".join(f"c{i} {name}" for i, name in enumerate(_TYPES))
    storage = ", ".join(f"ALTER c{i} SET STORAGE EXTERNAL" for i in range(len(_TYPES)))
    database.execute(f"CREATE TABLE types (n int, id int PRIMARY KEY, {columns})")
    database.execute(f"ALTER TABLE types {storage}")
    database.execute(f"INSERT INTO types VALUES (1, 1, {', '.join(_TYPES.values())})")
    database.execute("UPDATE types SET n = 2")
    for name, value in _SESSION.items():
        database.execute(f"ALTER DATABASE {database.name} SET {name} = {value}")
    inserted, plain = read(database, slot_name, ack="manual")
    assert inserted.after is not None
    assert plain.after is not None
    assert plain.after.missing == tuple(f"c{i}" for i in range(len(_TYPES)))
    _, change = read(database, slot_name, ack="manual", reselect=True)
    assert change.after is not None
    assert change.after.raw[1:] == inserted.after.raw[1:]
    assert dict(change.after) == {**inserted.after, "n": 2}
    assert isinstance(change, Update)
    assert (change.position, change.lsn, change.key) == (plain.position, plain.lsn, plain.key)
    assert change.before is None


_KEYS: Final = {
    "int": "-7",
    "bigint": "'9223372036854775807'",
    "text": "E'it''s \\\\ %s {} \"€\" '",
    "varchar(20)": "'x '",
    "char(7)": "'ab'",
    '"char"': "'c'",
    "name": "'a name'",
    "uuid": "'6f3f9e6c-8f0a-4b52-9a3e-0d6f2f1c9b11'",
    "bool": "true",
    "bytea": "'\\x00ff27'",
    "numeric(20,5)": "1.5",
    "float4": "0.1",
    "money": "12.5",
    "bit(3)": "B'101'",
    "inet": "'10.0.0.1/8'",
    "date": "'0044-03-15 BC'",
    "timestamp": "'infinity'",
    "timestamptz": "'2024-02-29 12:00+02'",
    "timetz": "'24:00:00-05'",
    "interval": "'1 mon -1 day'",
    "jsonb": "'{\"a\": [1, null]}'",
    "int[]": "'[0:1]={1,2}'",
    "int4range": "'[1,5)'",
    "mood": "'so ''so'''",
    "mood[]": "ARRAY['so ''so''']::mood[]",
    "pair": "ROW(1, 'x \"y')",
    "citext": "'Caseless'",
    "hstore": "'k=>NULL'",
    "word": "'domain'",
    "caseless": "'Domain'",
}


@pytest.mark.pg
def test_keys_of_any_type_and_name(database: Database, slot_name: str) -> None:
    weird = "a.\"b'%s {}"
    make_slot(database, slot_name, _EVIL)
    database.execute("""
        ALTER PUBLICATION pub SET (publish_via_partition_root = true);
        CREATE TYPE mood AS ENUM ('so ''so'''); CREATE TYPE pair AS (a int, b text);
        CREATE DOMAIN word AS varchar(9); CREATE DOMAIN caseless AS citext;
    """)
    for i, (name, value) in enumerate(_KEYS.items()):
        database.execute(_table(f"t{i}", f"id {name} PRIMARY KEY", value))
    quoted = '"' + weird.replace('"', '""') + '"'
    database.execute(f"CREATE SCHEMA {quoted}")
    columns = f"{quoted} text, id int, PRIMARY KEY (id, {quoted})"
    database.execute(_table(f"{quoted}.{quoted}", columns, "'it''s', 7"))
    # A key that is changed by the update itself, and one that only the old row has.
    database.execute(
        _table("rekeyed").replace("n = 2", "id = 2")
        + "CREATE TABLE big_key (id text PRIMARY KEY, n int, body text);"
        "ALTER TABLE big_key ALTER id SET STORAGE EXTERNAL, ALTER body SET STORAGE EXTERNAL;"
        f"INSERT INTO big_key VALUES (repeat('k', 2500), 1, '{_BODY}'); UPDATE big_key SET n = 2"
    )
    # A partitioned table that is published as such.
    database.execute("""
        CREATE TABLE parted (id int PRIMARY KEY, n int, body varchar(9000))
          PARTITION BY RANGE (id);
        CREATE TABLE part_1 (body varchar(9000), n int, id int NOT NULL);
        ALTER TABLE part_1 ALTER body SET STORAGE EXTERNAL;
        ALTER TABLE parted ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (10);
    """)
    database.execute(f"INSERT INTO parted VALUES (1, 1, '{_BODY}')")
    database.execute("UPDATE parted SET n = 2")
    database.execute(f"ALTER DATABASE {database.name} SET search_path = evil, pg_catalog, public")
    plain = _first(read(database, slot_name, ack="manual"))
    assert len(plain) == len(_KEYS) + 4
    missing = {name: change.after.missing for name, change in plain.items()}
    assert missing == dict.fromkeys(plain, ("body",))
    changes = _first(read(database, slot_name, ack="manual", reselect=True))
    bodies = {name: change.after["body"] for name, change in changes.items()}
    assert bodies == dict.fromkeys(plain, _BODY)


_SETUP: Final = {
    "labelled": "CREATE SCHEMA labelled; CREATE TYPE labelled.mood AS ENUM ('canary');"
    + _table("public.labelled", "id labelled.mood PRIMARY KEY", "'canary'"),
    "type_gone": "CREATE TYPE mood AS ENUM ('so so');"
    + _table("type_gone", "id mood PRIMARY KEY", "'so so'"),
    "schema_gone": "CREATE SCHEMA old; CREATE TYPE old.mood AS ENUM ('so so');"
    + _table("schema_gone", "id old.mood PRIMARY KEY", "'so so'"),
    "split": f"""
        CREATE TABLE split (id int PRIMARY KEY, n int, body varchar(9000)) PARTITION BY RANGE (id);
        CREATE TABLE half PARTITION OF split FOR VALUES FROM (0) TO (9);
        ALTER TABLE half ALTER body SET STORAGE EXTERNAL;
        INSERT INTO split VALUES (1, 1, '{_BODY}');
        UPDATE split SET n = 2;
    """,
}
"""What is not made by `_table`."""

_AFTERWARDS: Final[dict[str, tuple[str, object]]] = {
    "same": ("", _BODY),
    "emptied": ("UPDATE emptied SET body = ''", ""),
    "nulled": ("UPDATE nulled SET body = NULL", None),
    "deleted": ("DELETE FROM deleted", UNCHANGED),
    "moved": ("UPDATE moved SET id = 9", UNCHANGED),
    "reused": ("DELETE FROM reused; INSERT INTO reused VALUES (1, 0, 'another')", "another"),
    "column_gone": ("ALTER TABLE column_gone DROP body", UNCHANGED),
    "column_renamed": ("ALTER TABLE column_renamed RENAME body TO text", UNCHANGED),
    "column_retyped": ("ALTER TABLE column_retyped ALTER body TYPE text", UNCHANGED),
    "column_longer": ("ALTER TABLE column_longer ALTER body TYPE varchar(9001)", UNCHANGED),
    "key_widened": ("ALTER TABLE key_widened ALTER id TYPE bigint", _BODY),
    "key_retyped": ("ALTER TABLE key_retyped ALTER id TYPE text", UNCHANGED),
    "key_gone": (
        "ALTER TABLE key_gone DROP CONSTRAINT key_gone_pkey;"
        "INSERT INTO key_gone VALUES (1, 1, 'twin')",
        UNCHANGED,
    ),
    "gone": ("DROP TABLE gone", UNCHANGED),
    "renamed": ("ALTER TABLE renamed RENAME TO away", UNCHANGED),
    "elsewhere": ("CREATE SCHEMA s; ALTER TABLE elsewhere SET SCHEMA s", UNCHANGED),
    "replaced": (
        "ALTER TABLE replaced RENAME TO original; CREATE TABLE replaced (LIKE original);"
        "INSERT INTO replaced VALUES (1, 1, 'other')",
        UNCHANGED,
    ),
    "viewed": (
        "ALTER TABLE viewed RENAME TO hidden; CREATE VIEW viewed AS SELECT * FROM hidden",
        UNCHANGED,
    ),
    "indexed": (
        "ALTER TABLE indexed RENAME TO other; CREATE INDEX indexed ON other (n)",
        UNCHANGED,
    ),
    "parent": (
        "CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1, 1, 'child')",
        _BODY,
    ),
    "orphaned": (
        "CREATE TABLE orphan () INHERITS (orphaned); INSERT INTO orphan VALUES (1, 1, 'orphan');"
        "DELETE FROM ONLY orphaned",
        UNCHANGED,
    ),
    "labelled": ("ALTER TYPE labelled.mood RENAME VALUE 'canary' TO 'bird'", UNCHANGED),
    "type_gone": ("ALTER TABLE type_gone ALTER id TYPE text; DROP TYPE mood", UNCHANGED),
    "schema_gone": (
        "ALTER TABLE schema_gone ALTER id TYPE text; DROP SCHEMA old CASCADE",
        UNCHANGED,
    ),
    "split": (
        "ALTER TABLE split RENAME TO whole; CREATE TABLE split (LIKE whole);"
        "INSERT INTO split VALUES (1, 1, 'other')",
        UNCHANGED,
    ),
}
"""By table: what happens to it before its update is read, and what is read."""


@pytest.mark.pg
def test_value_is_that_of_now_or_stays_unchanged(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_slot(database, slot_name)
    database.execute("ALTER PUBLICATION pub SET (publish_via_partition_root = true)")
    for name in _AFTERWARDS:
        database.execute(_SETUP.get(name) or _table(name))
    earlier = _first(read(database, slot_name, ack="manual"))
    for statements, _ in _AFTERWARDS.values():
        database.execute(statements)
    expected = {name: value for name, (_, value) in _AFTERWARDS.items()}
    with caplog.at_level(logging.DEBUG), _beside(database) as beside:
        # Of a reader that knows the tables as they were, and of one that starts now.
        found = [_reselect(beside, earlier[name]) for name in _AFTERWARDS]
        later = _first(read(database, slot_name, reselect=True))
    assert {change.table: change.after["body"] for change in found} == expected
    assert {name: later[name].after["body"] for name in _AFTERWARDS} == expected
    assert "public.gone could not be read: UndefinedTable (SQLSTATE 42P01)" in caplog.text
    assert "public.labelled could not be read" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.pg
@pytest.mark.newest
def test_lock_is_not_waited_for(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_slot(database, slot_name)
    database.execute(_table("free") + _table("locked"))
    with database.connect().transaction() as blocking, _beside(database) as beside:
        blocking.connection.execute("LOCK TABLE locked")
        began = time.monotonic()
        changes = _first(read(database, slot_name, reselect=True))
        assert time.monotonic() - began < 10
        bodies = [changes[name].after["body"] for name in ("free", "locked")]
        assert bodies == [_BODY, UNCHANGED]

        # What statement_timeout would do:
        def cancel() -> None:
            while not ended.is_set():
                if database.execute(
                    "SELECT FROM pg_locks WHERE relation = 'locked'::regclass AND NOT granted"
                ):
                    beside.cancel_safe()
                    return
                time.sleep(0.01)

        def is_cancelled() -> bool:
            ended.clear()
            canceller = threading.Thread(target=cancel)
            canceller.start()
            try:
                assert _reselect(beside, changes["locked"]) is changes["locked"]
            finally:
                ended.set()
                canceller.join()
            return "public.locked could not be read: QueryCanceled" in caplog.text

        ended = threading.Event()
        with caplog.at_level(logging.INFO):
            wait_until(is_cancelled)  # unless lock_timeout was faster


@contextmanager
def _role(database: Database) -> Iterator[str]:
    role = f"{database.name}_role"
    database.execute(f"CREATE ROLE {role} LOGIN REPLICATION")
    try:
        yield role
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.pg
def test_role_needs_select_only_where_values_are_missing(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name)
    full = _table("whole").replace("UPDATE", "ALTER TABLE whole REPLICA IDENTITY FULL; UPDATE")
    database.execute(full + _table("part", "id text PRIMARY KEY", "'canary'"))
    with _role(database) as role:

        def read_as_role(changes: list[Change]) -> None:
            with ReplicationReader(
                database.server.dsn(database.name, user=role),
                slot=slot_name,
                publications="pub",
                until="now",
                ack="manual",
                reselect=True,
            ) as made:
                changes.extend(made)

        changes: list[Change] = []
        with pytest.raises(ConfigurationError, match=r"public\.part.*grant .* SELECT") as caught:
            read_as_role(changes)
        assert "canary" not in "".join(traceback.format_exception(caught.value))
        assert _first(changes)["whole"].after["body"] == _BODY
        database.execute(f"GRANT SELECT ON part TO {role}")
        changes = []
        read_as_role(changes)
        assert _first(changes)["part"].after["body"] == _BODY
        database.execute("ALTER TABLE part ENABLE ROW LEVEL SECURITY")
        changes = []
        read_as_role(changes)
        assert _first(changes)["part"].after["body"] is UNCHANGED


@pytest.mark.pg(15)  # row filters
def test_insert_that_was_an_update(database: Database, slot_name: str) -> None:
    database.execute("CREATE PUBLICATION filtered")
    make_slot(database, slot_name, _table("t2").replace("UPDATE t2 SET n = 2", ""))
    database.execute("ALTER PUBLICATION filtered ADD TABLE t2 WHERE (id > 5)")
    database.execute("UPDATE t2 SET id = 6")
    options: dict[str, Any] = {"publications": "filtered", "ack": "manual"}
    (plain,) = read(database, slot_name, **options)
    (change,) = read(database, slot_name, reselect=True, **options)
    assert isinstance(plain, Insert)
    assert isinstance(change, Insert)
    assert (plain.after["body"], change.after["body"]) == (UNCHANGED, _BODY)


@pytest.mark.pg
def test_formats_have_the_value(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(_table("t2"))
    (_, plain) = read(database, slot_name, ack="manual")
    (_, change) = read(database, slot_name, reselect=True)

    def record(formatter: Formatter, change: Change) -> Any:
        (made,) = formatter.format(change)
        assert made.value is not None
        return json.loads(made.value)

    debezium = DebeziumFormatter(topic_prefix="x")
    unwrapped = UnwrappedFormatter(topic_prefix="x")
    for given, value in ((plain, "__debezium_unavailable_value"), (change, _BODY)):
        assert record(debezium, given)["after"]["body"] == value
        assert record(unwrapped, given)["body"] == value
    assert "body" not in record(DmsFormatter(), plain)["data"]
    assert record(DmsFormatter(), change)["data"]["body"] == _BODY


@pytest.mark.pg
def test_change_that_is_not_visible_is_waited_for(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute(_table("t2"))
    unsent = unsent_values(read(database, slot_name)[-1])
    assert unsent is not None
    running = database.connect()
    running.execute("BEGIN")
    ((xid,),) = running.execute("SELECT pg_current_xact_id()::xid::text::bigint").fetchall()
    waiting = evolve(unsent, xid=xid)
    with _beside(database) as beside:
        assert converse(beside, reselected(waiting, "UTF8")) is unsent.change
        commit = threading.Timer(0.1, running.execute, ["COMMIT"])
        began = time.monotonic()
        commit.start()
        found = converse(beside, reselected(waiting, "UTF8"))
        assert 0.1 <= time.monotonic() - began < 5
        commit.join()
        assert found.after is not None
        assert found.after["body"] == _BODY
        # The session is as it was.
        for name, value in SESSION_SETTINGS.items():
            if name.endswith("_timeout"):
                assert beside.execute(f"SHOW {name}").fetchall() == [(value,)]
