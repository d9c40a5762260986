"""Publications that are missing, dropped, and altered under a reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc import (
    ConfigurationError,
    DecodingFailedError,
    PublicationNotFoundError,
    slots,
)
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.load import Ledger
from tests.faults.scene import Notes, end_of_wal, quiet_load
from tests.reading import confirmed, wait_until

if TYPE_CHECKING:
    from tests.servers import Database


@pytest.mark.pg
@pytest.mark.fault(7)
@pytest.mark.versions(14, 15, 16, 17, 18)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_missing(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    dsn = database.dsn
    with quiet_load(dsn, slot_name) as load:
        ledger = Ledger()
        with Consumer(flavour, dsn, slot_name, ledger) as consumer:
            load.run(20)
            last = load.mark()
            wait_until(lambda: ledger.saw(last))
            # Not yet read, but the publication is there: it has to come.
            load.run(10)
            load.mark()
            before = load.expected()
            database.execute("DROP PUBLICATION pub")
            load.mark()
            past_the_first_lost = end_of_wal(dsn)
            load.run(10)
            error = consumer.failure(20)
        _check_missing(error, database)
        assert ledger.verdict(before).is_clean
        assert 0 < confirmed(database, slot_name) < past_the_first_lost

        missing = Consumer(flavour, dsn, slot_name, ledger)
        with missing, pytest.raises(PublicationNotFoundError, match="create it before the slot"):
            raise missing.failure()

        # It is looked for where the slot reads, and there it is missing for ever.
        database.execute("CREATE PUBLICATION pub FOR TABLE load, load_commits")
        load.run(10)
        for _ in range(2):
            ledger.begin_again()
            with Consumer(flavour, dsn, slot_name, ledger) as consumer:
                error = consumer.failure(20)
            _check_missing(error, database)
            assert "slots.advance" in str(error)
            assert ledger.verdict(before).is_clean
            assert confirmed(database, slot_name) < past_the_first_lost
        tally("publication dropped while it was streamed from", 1, ledger.verdict(before))

        # The way out that the message names.
        slots.advance(dsn, slot_name, to="now")
        rows = load.expected().rows
        ledger = Ledger()
        ledger.rows.update({key: dict(row) for key, row in rows.items()})
        load.run(10)
        with Consumer(flavour, dsn, slot_name, ledger) as consumer:
            consumer.finish(load.mark())
        assert ledger.rows == load.expected().rows


def _check_missing(error: BaseException, database: Database) -> None:
    assert isinstance(error, PublicationNotFoundError)
    assert not error.retryable
    assert "pub" in str(error)
    # An error of the server up to 17, and a warning in the stream from 18 on.
    assert error.sqlstate == ("55000" if database.server.version >= 18 else "42704")


@pytest.mark.pg
@pytest.mark.fault(7)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_dropped_before_what_was_published_is_read(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    with quiet_load(database.dsn, slot_name) as load:
        load.run(20)
        load.mark()
        before = load.expected()
        database.execute("DROP PUBLICATION pub")
        load.mark()
        past_the_first_lost = end_of_wal(database.dsn)
        load.run(5)
        database.execute("CREATE PUBLICATION pub FOR TABLE load, load_commits")
        ledger = Ledger()
        with Consumer(flavour, database.dsn, slot_name, ledger) as consumer:
            _check_missing(consumer.failure(20), database)
        assert confirmed(database, slot_name) < past_the_first_lost
        tally("publication dropped and created while nobody read", 1, ledger.verdict(before))


@pytest.mark.pg
@pytest.mark.fault(7)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_replaced_at_once(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    with quiet_load(database.dsn, slot_name) as load:
        ledger = Ledger()
        with Consumer(flavour, database.dsn, slot_name, ledger) as consumer:
            for _ in range(3):
                load.run(5)
                database.execute(
                    "BEGIN; DROP PUBLICATION pub;"
                    "CREATE PUBLICATION pub FOR TABLE load, load_commits; COMMIT"
                )
            load.run(5)
            consumer.finish(load.mark())
        tally("publication replaced in one transaction", 3, ledger.verdict(load.expected()))


@pytest.mark.pg
@pytest.mark.fault(7)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_without_tables(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    with quiet_load(database.dsn, slot_name) as load:
        database.execute("CREATE PUBLICATION empty")
        empty = Consumer(flavour, database.dsn, slot_name, Ledger(), publications="empty")
        with empty, pytest.raises(ConfigurationError, match="publishes no table"):
            raise empty.failure()
        ledger = Ledger()
        with Consumer(
            flavour, database.dsn, slot_name, ledger, publications=["empty", "pub"]
        ) as consumer:
            load.run(10)
            last = load.mark()
            wait_until(lambda: ledger.saw(last))
            # All of them taken out while it is streamed from: nothing comes, and it is no error.
            database.execute("ALTER PUBLICATION pub DROP TABLE load, load_commits")
            database.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
            database.execute("ALTER PUBLICATION pub ADD TABLE load, load_commits")
            load.run(10)
            consumer.finish(load.mark())
        tally("publication without tables for a while", 1, ledger.verdict(load.expected()))


@pytest.mark.pg
@pytest.mark.fault(8)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_altered(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    notes, expected = Notes(), list[tuple[str, dict[str, object]]]()
    number = 0

    def change(*wanted: str, alter: str = "") -> None:
        """Alter the publication, then insert, update and delete a row of t, amid the load."""
        nonlocal number
        number += 1
        load.run(3)
        database.execute(alter)
        load.run(3)
        database.execute(f"INSERT INTO t VALUES ({number}, 'a', 1)")
        database.execute(f"UPDATE t SET v = 'b', n = n + 1 WHERE id = {number}")
        database.execute(f"DELETE FROM t WHERE id = {number}")
        row: dict[str, object] = {"id": number, "v": "a", "n": 1}
        images: dict[str, dict[str, object]] = {
            "insert": row,
            "update": {**row, "v": "b", "n": 2},
            "delete": {"id": number},
        }
        expected.extend((op, images[op]) for op in wanted)

    with quiet_load(database.dsn, slot_name) as load:
        database.execute(
            "CREATE TABLE t (id int PRIMARY KEY, v text, n int); CREATE TABLE u (id int)"
        )
        with Consumer(flavour, database.dsn, slot_name, notes) as consumer:
            change()
            change("insert", "update", "delete", alter="ALTER PUBLICATION pub ADD TABLE t, u")
            change(alter="ALTER PUBLICATION pub DROP TABLE t")
            # What it publishes holds for all tables, so the load has to wait.
            load_is_done = load.mark()
            wait_until(lambda: notes.saw(load_is_done) or consumer.error is not None)
            database.execute("ALTER PUBLICATION pub ADD TABLE t")
            database.execute("ALTER PUBLICATION pub SET (publish = 'insert')")
            database.execute(
                "INSERT INTO t VALUES (-1); UPDATE t SET n = 0; DELETE FROM t; TRUNCATE t"
            )
            database.execute("ALTER PUBLICATION pub SET (publish = 'truncate, delete')")
            database.execute("INSERT INTO t VALUES (-2); DELETE FROM t; TRUNCATE t")
            expected += [
                ("insert", {"id": -1, "v": None, "n": None}),
                ("delete", {"id": -2}),
                ("truncate", {}),
            ]
            publish = "SET (publish = 'insert, update, delete, truncate')"
            database.execute(f"ALTER PUBLICATION pub {publish}")
            change("insert", "update", "delete")
            if database.server.version >= 15:
                _filter(database, expected)
            load.run(3)
            consumer.finish(load.mark())
        assert notes.rows_of("t") == expected
        tally("publication altered while streamed from", 6, notes.verdict(load.expected()))


def _filter(database: Database, expected: list[tuple[str, dict[str, object]]]) -> None:
    rest = "TABLE load, load_commits"
    # A row that begins to match is inserted, one that ceases to is deleted.
    database.execute(f"ALTER PUBLICATION pub SET {rest}, TABLE t WHERE (id > 100)")
    database.execute("INSERT INTO t VALUES (50), (150); UPDATE t SET id = id + 75 WHERE id = 50")
    database.execute("UPDATE t SET id = id - 100 WHERE id = 150; DELETE FROM t WHERE id = 50")
    expected += [
        ("insert", {"id": 150, "v": None, "n": None}),
        ("insert", {"id": 125, "v": None, "n": None}),
        ("delete", {"id": 150}),
    ]
    database.execute(f"ALTER PUBLICATION pub SET {rest}, TABLE t (id, n)")
    database.execute("INSERT INTO t VALUES (200, 'x', 1); UPDATE t SET v = 'y' WHERE id = 200")
    expected += [("insert", {"id": 200, "n": 1}), ("update", {"id": 200, "n": 1})]
    database.execute(f"ALTER PUBLICATION pub SET {rest}, TABLE t")
    database.execute("INSERT INTO t VALUES (201, 'x', 1)")
    expected += [("insert", {"id": 201, "v": "x", "n": 1})]


@pytest.mark.pg(15)
@pytest.mark.fault(8)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_different_column_lists(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    both = ["pub", "other"]
    with quiet_load(database.dsn, slot_name) as load:
        database.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b int)")
        database.execute("ALTER PUBLICATION pub ADD TABLE t (id, a)")
        database.execute("CREATE PUBLICATION other FOR TABLE t (id, a)")
        notes = Notes()
        with Consumer(flavour, database.dsn, slot_name, notes, publications=both) as consumer:
            load.run(5)
            database.execute("INSERT INTO t VALUES (1, 1, 1)")
            notes.wait_for(1)
            load.mark()
            before = load.expected()
            database.execute("ALTER PUBLICATION other SET TABLE t (id, b)")
            database.execute("INSERT INTO t VALUES (2, 2, 2)")
            past_the_poison = end_of_wal(database.dsn)
            load.run(5)
            error = consumer.failure(20)
        assert isinstance(error, DecodingFailedError)
        assert "cannot use different column lists" in str(error)
        assert (error.sqlstate, error.slot) == ("0A000", slot_name)
        assert notes.verdict(before).is_clean
        assert notes.rows_of("t") == [("insert", {"id": 1, "a": 1})]
        assert confirmed(database, slot_name) < past_the_poison

        # To go on: mend the publication, and give up the transactions that it was wrong for.
        database.execute("ALTER PUBLICATION other SET TABLE t (id, a)")
        poisoned = slots.poisoned(database.dsn, slot_name, both)
        assert poisoned is not None
        assert error.commit_lsn in (None, poisoned)
        slots.advance(database.dsn, slot_name, to=poisoned + 1)
        database.execute("INSERT INTO t VALUES (3, 3, 3)")
        notes.begin_again()
        with Consumer(flavour, database.dsn, slot_name, notes, publications=both) as consumer:
            consumer.finish(load.mark())
        assert notes.rows_of("t")[1:] == [("insert", {"id": 3, "a": 3})]
        tally("publications with different column lists", 1, notes.verdict(load.expected()))
