"""Tests of `pglogical_cdc.postgres.publications`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from pglogical_cdc.errors import ConfigurationError, PublicationNotFoundError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.blocking import converse
from pglogical_cdc.postgres.publications import usable_publications
from pglogical_cdc.postgres.server import Server

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg

HOSTILE = (
    "a\"b'c",
    "x; DROP TABLE t; --",
    "back\\slash",
    "comma,comma",
    "é" * 31 + "x",
    " ",
    "%s {}",
)


def _server(database: Database) -> Server:
    return Server(
        system_identifier="1",
        timeline=1,
        position=LSN(0),
        in_recovery=False,
        database=database.name,
        version=database.server.version * 10000,
        encoding="UTF8",
        wal_sender_timeout=60,
    )


def _check(database: Database, names: list[str], **options: Any) -> None:
    converse(database.connect(), usable_publications(names, _server(database), **options))


def test_missing_one_is_named(database: Database) -> None:
    database.execute("CREATE PUBLICATION here")
    with pytest.raises(PublicationNotFoundError) as caught:
        _check(database, ["here", "gone", "lost"])
    assert "'gone', 'lost'" in str(caught.value)
    assert "'here'" not in str(caught.value)


def test_missing_one_is_created_with_its_tables(database: Database) -> None:
    database.execute("CREATE TABLE a (); CREATE TABLE b (); CREATE SCHEMA s; CREATE TABLE s.c ()")
    _check(database, ["pub"], create=True, tables=[("public", "a"), ("s", "c")])
    assert database.execute(
        "SELECT schemaname, tablename FROM pg_publication_tables ORDER BY 1"
    ) == [("public", "a"), ("s", "c")]
    _check(database, ["pub"], create=True, tables=[("s", "c"), ("public", "a")])


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names(database: Database, name: str) -> None:
    database.execute("CREATE TABLE t ()")
    with database.connect().cursor() as cursor:
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(name, name)))
    with pytest.raises(PublicationNotFoundError):
        _check(database, [name])
    for _ in range(2):
        _check(database, [name], create=True, tables=[(name, name)])
    assert database.execute("SELECT pubname, schemaname, tablename FROM pg_publication_tables") == [
        (name, name, name)
    ]
    assert database.execute("SELECT count(*) FROM pg_class WHERE relname = 't'") == [(1,)]


def test_other_tables_are_told_and_left(database: Database) -> None:
    database.execute(
        "CREATE TABLE a (); CREATE TABLE b (); CREATE TABLE c ();"
        "CREATE PUBLICATION pub FOR TABLE a, b"
    )
    with pytest.raises(ConfigurationError) as caught:
        _check(database, ["pub"], create=True, tables=[("public", "b"), ("public", "c")])
    assert "does not publish public.c and also publishes public.a" in str(caught.value)
    assert database.execute("SELECT count(*) FROM pg_publication_tables") == [(2,)]


def test_all_tables_are_not_some(database: Database) -> None:
    database.execute("CREATE TABLE a (); CREATE PUBLICATION pub FOR ALL TABLES")
    with pytest.raises(ConfigurationError, match="publishes all tables"):
        _check(database, ["pub"], tables=[("public", "a")])


@pytest.mark.pg(15)
def test_tables_of_a_published_schema_count(database: Database) -> None:
    database.execute(
        "CREATE SCHEMA s; CREATE TABLE s.a (); CREATE PUBLICATION pub FOR TABLES IN SCHEMA s"
    )
    _check(database, ["pub"], tables=[("s", "a")])
    database.execute("CREATE TABLE s.b ()")
    with pytest.raises(ConfigurationError, match=r"also publishes s\.b"):
        _check(database, ["pub"], tables=[("s", "a")])


def test_partitioned_table_is_one_table(database: Database) -> None:
    database.execute(
        "CREATE TABLE p (id int) PARTITION BY LIST (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)"
    )
    for _ in range(2):
        _check(database, ["pub"], create=True, tables=[("public", "p")])


def test_table_that_does_not_exist(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="'pub' cannot be created"):
        _check(database, ["pub"], create=True, tables=[("public", "nowhere")])


def test_privilege_to_publish_all_tables(database: Database) -> None:
    role = f"{database.name}_role"
    database.execute(
        f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {database.name} TO {role}"
    )
    try:
        conversation = usable_publications(["pub"], _server(database), create=True)
        with pytest.raises(ConfigurationError, match="only a superuser"):
            converse(database.connect(user=role), conversation)
    finally:
        database.execute(f"REVOKE ALL ON DATABASE {database.name} FROM {role}; DROP ROLE {role}")


def test_nothing_is_created_beside_one_that_does_not_fit(database: Database) -> None:
    database.execute("CREATE TABLE a (); CREATE TABLE b (); CREATE PUBLICATION pub FOR TABLE a")
    with pytest.raises(ConfigurationError, match=r"does not publish public\.b"):
        _check(database, ["pub", "new"], create=True, tables=[("public", "a"), ("public", "b")])
    assert database.execute("SELECT pubname FROM pg_publication") == [("pub",)]


def test_publications_of_no_table_are_refused(database: Database) -> None:
    database.execute('CREATE TABLE a (); CREATE PUBLICATION empty; CREATE PUBLICATION "pub""2"')
    for names in (["empty"], ["empty", 'pub"2']):
        with pytest.raises(ConfigurationError, match="publishes no table: add some") as caught:
            _check(database, names)
        assert ", ".join(map(repr, names)) in str(caught.value)
        _check(database, names, may_be_empty=True)
    with pytest.raises(ConfigurationError, match="publishes no table"):
        _check(database, ["empty"], create=True)

    # One with a table is enough, and one that may get tables by itself has some.
    database.execute("CREATE PUBLICATION one FOR TABLE a; CREATE PUBLICATION every FOR ALL TABLES")
    _check(database, ["empty", "one"])
    database.execute("DROP TABLE a")
    with pytest.raises(ConfigurationError, match="publishes no table"):
        _check(database, ["empty", "one"])
    _check(database, ["every"])
    _check(database, ["one", "every"])
    if database.server.version >= 15:
        database.execute("CREATE SCHEMA s; CREATE PUBLICATION later FOR TABLES IN SCHEMA s")
        _check(database, ["later"])
        _check(database, ["empty", "later"])

    # Whatever is created publishes something.
    _check(database, ["empty", "made"], create=True)
