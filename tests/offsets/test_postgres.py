"""Tests of `pglogical_cdc.offsets.postgres`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from pglogical_cdc.errors import ConfigurationError, OffsetStoreError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import Offset, PostgresOffsets

if TYPE_CHECKING:
    from tests.servers import Database, Server

APPLICATION: Final = "offsets_under_test"


def at(slot: str, position: int) -> Offset:
    return Offset("18446744073709551615", 2**32 - 1, slot, LSN(position), LSN(position // 2))


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigurationError, match="conninfo is neither") as caught:
        PostgresOffsets("password='canary")
    assert "canary" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"expected \"schema\.table\""):
        PostgresOffsets("host=127.0.0.1", table="offsets; DROP TABLE t")
    store = PostgresOffsets("host=127.0.0.1 password=canary", table='"my.""s".t')
    assert repr(store) == '<PostgresOffsets "my.""s"."t">'
    with pytest.raises(ConfigurationError, match="not the slot of the offset"):
        store.save("other", at("shop", 5))
    with pytest.raises(ConfigurationError, match="slot name"):
        store.load("No slot")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [("port=1", "connection to server"), ("connect_timeout=soon", "connect_timeout")],
)
def test_no_connection(wrong: str, reason: str) -> None:
    store = PostgresOffsets(f"host=127.0.0.1 user=u password=canary {wrong}")
    with pytest.raises(OffsetStoreError, match=f"cannot read the offset of slot 'shop'.*{reason}"):
        store.load("shop")
    with pytest.raises(
        OffsetStoreError, match=f"cannot save the offset of slot 's'.*{reason}"
    ) as c:
        store.save("s", at("s", 5))
    assert "canary" not in str(c.value)
    assert c.value.__suppress_context__


@pytest.mark.pg
def test_offsets_of_slots(database: Database) -> None:
    # What the database has set counts less than what a store needs.
    database.execute(
        f"ALTER DATABASE {database.name} SET synchronous_commit = off;"
        f"ALTER DATABASE {database.name} SET default_transaction_isolation = serializable;"
        'CREATE SCHEMA "odd %s.""schema"'
    )
    table = '"odd %s.""schema".offsets%d'
    highest = at("high", 2**64 - 1)

    def first_use(slot: str) -> Offset | None:
        with PostgresOffsets(database.dsn, table=table) as store:
            barrier.wait()
            found = store.load(slot)
            store.save(slot, at(slot, 4))
            return found

    slots = [f"slot_{number}" for number in range(6)]
    barrier = threading.Barrier(len(slots))
    with ThreadPoolExecutor(len(slots)) as pool:
        assert list(pool.map(first_use, slots)) == [None] * len(slots)

    with PostgresOffsets(database.dsn, table=table) as store:
        assert store.load("shop") is None
        for offset in (at("shop", 5), highest, at("shop", 3)):  # going back is allowed
            store.save(offset.slot, offset)
        assert store.load("shop") == at("shop", 3)
        assert store.load("high") == highest
        assert [store.load(slot) for slot in slots] == [at(slot, 4) for slot in slots]

        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda n: store.save("shop", at("shop", n)), range(40)):
                found = store.load("shop")
                assert found is not None
                assert found == at("shop", found.position)

        database.execute(
            "CREATE TABLE seen (a text, b text);"
            "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO public.seen VALUES (current_setting('synchronous_commit'),"
            " current_setting('transaction_isolation')); RETURN NEW; END $$;"
            'CREATE TRIGGER look BEFORE UPDATE ON "odd %s.""schema"."offsets%d"'
            " FOR EACH ROW EXECUTE FUNCTION look();"
            f"ALTER DATABASE {database.name} SET synchronous_commit = remote_apply"
        )
        store.save("shop", at("shop", 7))
    with PostgresOffsets(database.dsn, table=table) as stricter:
        stricter.save("shop", at("shop", 8))
    assert database.execute("SELECT * FROM seen") == [
        ("on", "read committed"),
        ("remote_apply", "read committed"),
    ]
    store.close()
    with pytest.raises(OffsetStoreError, match="the store is closed"):
        store.load("shop")


@pytest.mark.pg
def test_a_lost_connection_is_opened_once_more(database: Database) -> None:
    name = database.name
    dsn = database.server.dsn(name, application_name=APPLICATION, password="canary")
    database.connect()  # which stays when no other may come

    def end_sessions() -> None:
        ended = database.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            [APPLICATION],
        )
        assert ended == [(True,)]

    with PostgresOffsets(dsn) as store:
        store.save("shop", at("shop", 5))
        end_sessions()
        store.save("shop", at("shop", 6))
        end_sessions()
        assert store.load("shop") == at("shop", 6)
        end_sessions()
        with psycopg.connect(database.server.dsn(), autocommit=True) as other:
            other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            try:
                with pytest.raises(OffsetStoreError, match="not currently accepting") as caught:
                    store.save("shop", at("shop", 7))
            finally:
                other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        assert "canary" not in str(caught.value)
        assert caught.value.__suppress_context__
        assert store.load("shop") == at("shop", 6)


@contextmanager
def _role(database: Database) -> Iterator[str]:
    role = f"{database.name}_role"
    database.execute(f"CREATE ROLE {role} LOGIN")
    try:
        yield role
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.pg
def test_privileges(database: Database) -> None:
    database.execute("CREATE SCHEMA kept")
    with _role(database) as role:
        dsn = database.server.dsn(database.name, user=role)
        with PostgresOffsets(dsn, table="kept.offsets") as store:
            with pytest.raises(OffsetStoreError, match=r"schema kept.*needs SELECT, INSERT"):
                store.load("shop")
            database.execute(f"GRANT USAGE ON SCHEMA kept TO {role}")
            with pytest.raises(OffsetStoreError, match=r"schema kept.*needs SELECT, INSERT"):
                store.save("shop", at("shop", 5))
            with PostgresOffsets(database.dsn, table="kept.offsets") as owner:
                owner.save("shop", at("shop", 5))
            with pytest.raises(OffsetStoreError, match=r"table offsets.*needs SELECT, INSERT"):
                store.load("shop")
            database.execute(f"GRANT SELECT, INSERT, UPDATE ON kept.offsets TO {role}")
            store.save("shop", at("shop", 6))
            assert store.load("shop") == at("shop", 6)
            # Rows that a policy hides are not rows that are not there.
            database.execute("ALTER TABLE kept.offsets ENABLE ROW LEVEL SECURITY")
            with pytest.raises(OffsetStoreError, match="row-level security"):
                store.load("shop")
        with (
            PostgresOffsets(dsn, table="no_schema.offsets") as store,
            pytest.raises(OffsetStoreError, match='schema "no_schema" does not exist'),
        ):
            store.load("shop")


@pytest.mark.pg
def test_tables_of_other_kinds(database: Database) -> None:
    database.execute(
        "CREATE TABLE loose (slot text, system_identifier text, timeline text, position text,"
        " transaction_end text, snapshot text);"
        "INSERT INTO loose VALUES ('null', NULL, NULL, NULL, NULL),"
        " ('twice', '7', 1, '0/5', '0/5'), ('twice', '7', 1, '0/5', '0/5'),"
        " ('text', '7', '1', '0/5', '0/5'),"
        " ('canary', '7', 1, 'canary', '0/5');"
        "CREATE TABLE other (id int);"
        "CREATE TABLE tight (slot text PRIMARY KEY, system_identifier text, timeline int,"
        " position pg_lsn CHECK (position < '0/10'), transaction_end pg_lsn,"
        " snapshot text);"
        "CREATE TABLE dropping (LIKE tight INCLUDING ALL);"
        "CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER t BEFORE INSERT ON dropping FOR EACH ROW EXECUTE FUNCTION drop_row()"
    )
    with PostgresOffsets(database.dsn, table="public.loose") as store:
        assert store.load("nobody") is None
        for slot in ("null", "twice", "text", "canary"):
            with pytest.raises(OffsetStoreError, match="expected one row with an offset") as caught:
                store.load(slot)
            assert caught.value.__cause__ is None
            assert str(caught.value).count("canary") == (slot == "canary")
        with pytest.raises(OffsetStoreError, match=r"no unique or exclusion .*SQLSTATE 42P10"):
            store.save("shop", at("shop", 5))
    with (
        PostgresOffsets(database.dsn, table="public.other") as store,
        pytest.raises(OffsetStoreError, match=r'column "system_identifier" does not exist'),
    ):
        store.load("shop")
    with PostgresOffsets(database.dsn, table="public.tight") as store:
        with pytest.raises(OffsetStoreError, match=r'"tight": NumericValueOutOfRange \(SQLSTATE'):
            store.save("shop", at("shop", 5))
        with pytest.raises(OffsetStoreError, match=r'"tight": CheckViolation \(SQLSTATE 23514\)$'):
            store.save("shop", Offset("7", 1, "shop", LSN(0x11)))
        store.save("shop", Offset("7", 1, "shop", LSN(0x9)))
        assert store.load("shop") == Offset("7", 1, "shop", LSN(0x9))
    with (
        PostgresOffsets(database.dsn, table="public.dropping") as store,
        pytest.raises(OffsetStoreError, match="has written 0 rows; look for triggers"),
    ):
        store.save("shop", Offset("7", 1, "shop", LSN(0x9)))


@pytest.mark.pg(18)
def test_a_commit_that_waits_in_vain_for_its_standby_is_not_durable(
    private_server: Server,
) -> None:
    with (
        PostgresOffsets(private_server.dsn()) as store,
        psycopg.connect(private_server.dsn(), autocommit=True) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        store.save("shop", at("shop", 5))
        other.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        other.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 30
        saving = pool.submit(store.save, "shop", at("shop", 6))
        while True:
            assert time.monotonic() < deadline
            if saving.done():  # the server has not read its settings yet
                saving.result()
                saving = pool.submit(store.save, "shop", at("shop", 6))
            cancelled = other.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            ).fetchall()
            if cancelled:
                break
        with pytest.raises(OffsetStoreError, match="cancelled the wait for the standby"):
            saving.result(30)
        assert store.load("shop") == at("shop", 6)
        other.execute("ALTER SYSTEM RESET synchronous_standby_names")
        other.execute("SELECT pg_reload_conf()")
        store.save("shop", at("shop", 7))
