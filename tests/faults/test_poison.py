"""Transactions that the server cannot decode, and messages that it should not send."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc import DecodingFailedError, slots
from pglogical_cdc.lsn import LSN
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.load import Ledger
from tests.faults.scene import Notes, end_of_wal, quiet_load
from tests.reading import confirmed, wait_until

if TYPE_CHECKING:
    from tests.servers import Database


@pytest.mark.pg
@pytest.mark.fault(19)
@pytest.mark.versions(14, 15, 16, 17, 18)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_value_without_a_binary_form(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    tally: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dsn = database.dsn
    with quiet_load(dsn, slot_name) as load:
        database.execute("CREATE TABLE bad (id int PRIMARY KEY, v aclitem[])")
        database.execute("ALTER PUBLICATION pub ADD TABLE bad")
        notes = Notes()
        with Consumer(flavour, dsn, slot_name, notes, binary=True) as consumer:
            load.run(10)
            load.mark()
            before = load.expected()
            poison = "INSERT INTO bad VALUES (1, NULL), (2, '{postgres=r/postgres}'), (3, NULL)"
            database.execute(poison)
            past_the_poison = end_of_wal(dsn)
            load.run(10)
            with caplog.at_level(logging.WARNING):
                error = consumer.failure(20)
        assert isinstance(error, DecodingFailedError)
        assert not error.retryable
        assert (error.sqlstate, error.slot) == ("42883", slot_name)
        assert error.commit_lsn is not None
        assert f"commits at {error.commit_lsn}" in str(error)
        assert f"slots.advance(conninfo, {slot_name!r}, to='{LSN(error.commit_lsn + 1)}')" in str(
            error
        )
        # It may be a lack of memory, so it is tried again; but not for ever.
        assert consumer.reader.stats.reconnects == 2
        attempts = [one for one in caplog.records if "cannot decode" in one.getMessage()]
        assert len(attempts) == 2
        assert notes.verdict(before).is_clean
        # What could be decoded of it was delivered, once.
        assert [row for _, row in notes.rows_of("bad")] == [{"id": 1, "v": None}]
        assert confirmed(database, slot_name) < past_the_poison
        assert slots.poisoned(dsn, slot_name, "pub", binary=True) == error.commit_lsn

        # The way out that the message names gives up that transaction, and no other.
        slots.advance(dsn, slot_name, to=error.commit_lsn + 1)
        database.execute("INSERT INTO bad VALUES (4, NULL)")
        load.run(5)
        notes.begin_again()
        with Consumer(flavour, dsn, slot_name, notes, binary=True) as consumer:
            consumer.finish(load.mark())
        assert [row for _, row in notes.rows_of("bad")[1:]] == [{"id": 4, "v": None}]
        tally("transaction that the server cannot decode", 1, notes.verdict(load.expected()))


@pytest.mark.pg
@pytest.mark.fault(19)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_poison_that_is_cured_meanwhile(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    with quiet_load(database.dsn, slot_name) as load:
        database.execute("CREATE TABLE bad (id int PRIMARY KEY, v aclitem[])")
        database.execute("ALTER PUBLICATION pub ADD TABLE bad")
        load.run(10)
        load.mark()
        before = load.expected()
        database.execute("INSERT INTO bad VALUES (1, '{postgres=r/postgres}')")
        load.run(10)
        notes = Notes()
        with Consumer(flavour, database.dsn, slot_name, notes, binary=True) as consumer:
            assert isinstance(consumer.failure(20), DecodingFailedError)
        assert notes.verdict(before).is_clean
        # As text it can be had, and nothing was passed.
        notes.begin_again()
        with Consumer(flavour, database.dsn, slot_name, notes) as consumer:
            consumer.finish(load.mark())
        assert notes.rows_of("bad") == [("insert", {"id": 1, "v": ["postgres=r/postgres"]})]
        tally(
            "transaction that can be decoded with other options", 1, notes.verdict(load.expected())
        )


_BIG_ROLLBACK = (
    "BEGIN; SAVEPOINT s; INSERT INTO load VALUES (-1, 0, 'x'); RELEASE s;"
    "INSERT INTO load SELECT -g, 0, repeat('x', 100) FROM generate_series(2, 5000) g; ROLLBACK"
)


@pytest.mark.pg
@pytest.mark.fault(37)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_stray_stream_abort(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    with quiet_load(database.dsn, slot_name) as load:
        database.execute(f"ALTER DATABASE {database.name} SET logical_decoding_work_mem = '64kB'")
        for _ in range(3):
            load.run(5)
            database.execute(_BIG_ROLLBACK)
        last = load.mark()
        decoder = database.connect(options="-c logical_decoding_work_mem=64kB")
        ((aborts,),) = decoder.execute(
            "SELECT count(*) FILTER (WHERE get_byte(data, 0) = ascii('A'))"
            " FROM pg_logical_slot_peek_binary_changes(%s, NULL, NULL,"
            " 'proto_version', '1', 'publication_names', 'pub')",
            [slot_name],
        ).fetchall()
        assert aborts == (3 if database.server.version >= 18 else 0)
        ledger = Ledger()
        with Consumer(flavour, database.dsn, slot_name, ledger) as consumer:
            wait_until(lambda: ledger.saw(last) or consumer.error is not None)
            database.execute(_BIG_ROLLBACK)
            load.run(5)
            consumer.finish(load.mark())
            assert consumer.reader.stats.reconnects == 0
        tally("stray Stream Abort in protocol version 1", 4, ledger.verdict(load.expected()))
