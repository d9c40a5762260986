"""A publication that is missing where the slot reads: an error, and nothing is passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.errors import PublicationNotFoundError
from pglogical_cdc.lsn import LSN
from tests.reading import confirmed, keys, make_slot, reader

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


def test_dropped_while_streaming(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1)")
        assert keys([next(loop)]) == [1]
        database.execute("DROP PUBLICATION pub")
        database.execute("INSERT INTO t VALUES (2)")
        ((behind,),) = database.execute("SELECT pg_current_wal_insert_lsn()::text")
        with pytest.raises(PublicationNotFoundError, match="pub") as caught:
            next(loop)
        with pytest.raises(PublicationNotFoundError):
            next(iter(made))
        assert not caught.value.retryable
    assert 0 < confirmed(database, slot_name) < LSN.parse(behind)


def test_dropped_before_the_start(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("DROP PUBLICATION pub")
    with pytest.raises(PublicationNotFoundError, match="create it before the slot"):
        reader(database, slot_name).open()


def test_one_of_two_dropped_while_streaming(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, "CREATE PUBLICATION second FOR TABLE t")
    with reader(database, slot_name, publications=["pub", "second"]) as made:
        database.execute("INSERT INTO t VALUES (1)")
        loop = iter(made)
        next(loop)
        database.execute("DROP PUBLICATION second; INSERT INTO t VALUES (2)")
        with pytest.raises(PublicationNotFoundError, match="second"):
            next(loop)


def test_created_after_the_slot(database: Database, slot_name: str) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    database.execute("INSERT INTO t VALUES (1)")
    database.execute("CREATE PUBLICATION pub FOR TABLE t")
    start = confirmed(database, slot_name)
    for _ in range(2):
        with reader(database, slot_name) as made, pytest.raises(PublicationNotFoundError) as caught:
            next(iter(made))
        assert "where" in str(caught.value)
    assert confirmed(database, slot_name) == start
    # The way out that the message names.
    database.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [slot_name])
    database.execute("INSERT INTO t VALUES (2)")
    with reader(database, slot_name, until="now") as made:
        assert keys(list(made)) == [2]
