"""Servers that go away, and slots that they give up."""

from __future__ import annotations

import logging
import threading
import time
import traceback
import uuid
from typing import TYPE_CHECKING

import pytest
from psycopg.conninfo import make_conninfo

from pglogical_cdc import ReplicationReader
from pglogical_cdc.errors import CdcError, ConfigurationError, ConnectionLostError
from pglogical_cdc.events import Insert, SchemaChange
from tests.reading import keys, make_slot, read, reader, wait_until
from tests.servers import new_database

if TYPE_CHECKING:
    from tests.servers import Database, Server

pytestmark = pytest.mark.pg


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_shutdown_is_a_lost_connection_and_nothing_is_lost(
    private_server: Server, slot_name: str, mode: str
) -> None:
    server = private_server.embedded
    with new_database(private_server) as database:
        make_slot(database, slot_name)
        database.execute("INSERT INTO t VALUES (1)")
        for used in database.connections:
            used.close()
        database.connections.clear()
        stopping = threading.Thread(target=server.stop, args=(mode,))
        with reader(database, slot_name, reconnect=None) as made:
            loop = iter(made)
            assert keys([next(loop)]) == [1]
            began = time.monotonic()
            threading.Timer(0.2, stopping.start).start()
            with pytest.raises(ConnectionLostError) as caught:
                next(loop)
            assert caught.value.retryable
            wait_until(lambda: server.pid is None)
            # A fast shutdown waits for its receivers, but this one has nothing to say.
            assert time.monotonic() - began < 5
            with pytest.raises(ConnectionLostError):
                next(loop)
        stopping.join()
        with pytest.raises(ConnectionLostError):
            reader(database, slot_name).open()
        server.start()
        database.execute("INSERT INTO t VALUES (2)")
        left = keys(read(database, slot_name))
        # Acknowledged to a server that crashed right then, it may come again; lost is nothing.
        assert left[-1] == 2
        assert left[:-1] in ([], [1])


def test_secret_is_nowhere(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_slot(database, slot_name)
    secret = f"canary_{uuid.uuid4().hex}"  # so that no line of this file holds it
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        changes: list[dict[str, str | int]] = [
            {},
            {"dbname": "nowhere"},
            {"user": "nobody_here"},
            {"port": 1},
            {"sslmode": "verify-full"},
            {"connect_timeout": "x"},
            {"options": "-c no_such_setting=1"},
        ]
        for changed in changes:
            given: dict[str, str | int] = {"dbname": database.name, "password": secret, **changed}
            dsn = make_conninfo(database.dsn, **given)
            for slot in (slot_name, slot_name + "x"):
                made = ReplicationReader(dsn, slot=slot, publications="pub", until="now")
                shown += [repr(made), str(made)]
                try:
                    with made:
                        list(made)
                except CdcError as error:
                    shown += [repr(error), *traceback.format_exception(error)]
        for broken in (f"{secret}", f"password={secret} host", f"postgresql://u:{secret}@h/?x=1"):
            with pytest.raises(ConfigurationError) as caught:
                ReplicationReader(broken, slot="s", publications="p").open()
            shown += traceback.format_exception(caught.value, chain=True)
    shown += [record.getMessage() for record in caplog.records]
    assert [text for text in shown if secret in text] == []
    assert len(shown) > 20


def test_connection_beside_that_was_killed_is_made_anew(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    with reader(database, slot_name) as made:
        loop = iter(made)
        database.execute("INSERT INTO t VALUES (1)")
        assert keys([next(loop)]) == [1]
        (killed,) = database.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND application_name = 'pglogical_cdc'"
        )
        assert killed == (1,)
        database.execute("ALTER TABLE t ADD w int NOT NULL DEFAULT 7")
        database.execute("INSERT INTO t VALUES (2)")
        schema, insert = next(loop), next(loop)
        assert (schema.op, insert.key) == ("schema", {"id": 2})
        catalog = schema.relation.catalog if isinstance(schema, SchemaChange) else None
        assert catalog is not None
        column = catalog.column("w")
        assert column is not None
        assert (column.not_null, column.default) == (True, "7")


def test_defaults_stay_known_while_the_table_is_locked(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("ALTER TABLE t ADD w int DEFAULT 7")
    locker = database.connect()
    with reader(database, slot_name) as made:
        loop = iter(made)
        database.execute("ALTER TABLE t ADD x int DEFAULT 8; INSERT INTO t VALUES (1)")
        with locker.transaction():
            locker.execute("LOCK TABLE t")
            change = next(loop)
        assert isinstance(change, Insert)
        catalog = change.relation.catalog
        assert catalog is not None
        assert [column.default for column in catalog.columns] == [None, None, "7", None]
