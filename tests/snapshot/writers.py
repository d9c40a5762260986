"""Random writers: what a snapshot must fit into without a gap and without a repeat."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

__all__ = ("TABLES", "create_tables", "writers")

TABLES: Final = ("orders", "items", "parts")
"""The last one is partitioned, and published as its root."""

_KEYS: Final = 5000
"""Keys are below that, so that writers meet the same rows."""

_Connection = psycopg.Connection[tuple[Any, ...]]


def create_tables(dsn: str, rows: int) -> None:
    """Make the tables with so many rows in each, and the publication ``pub``."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders (id int PRIMARY KEY, n int NOT NULL, v text);"
            "ALTER TABLE orders ALTER v SET STORAGE EXTERNAL;"
            "CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, v text);"
            "ALTER TABLE items REPLICA IDENTITY FULL;"
            "CREATE TABLE parts (id int PRIMARY KEY, n int NOT NULL, v text)"
            " PARTITION BY RANGE (id);"
            "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (2500);"
            "CREATE TABLE parts_2 PARTITION OF parts DEFAULT;"
            "CREATE PUBLICATION pub FOR TABLE orders, items, parts"
            " WITH (publish_via_partition_root = true)"
        )
        for table in TABLES:
            connection.execute(
                sql.SQL("INSERT INTO {} SELECT i, 0, repeat('x', i % 100)").format(
                    sql.Identifier(table)
                )
                + sql.SQL(" FROM generate_series(0, {} - 1) i").format(sql.Literal(rows))
            )


@contextlib.contextmanager
def writers(dsn: str, seed: int, *, count: int = 2) -> Iterator[None]:
    """Have so many threads write until the block is left."""
    stopping = threading.Event()
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                writer = _Writer(connection, random.Random(f"{seed}/{number}"), f"{dsn}/{number}")
                while not stopping.is_set():
                    writer.transaction()
                writer.finish()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)
    assert not failures, failures
    assert not any(thread.is_alive() for thread in threads)


class _Writer:
    def __init__(self, connection: _Connection, source: random.Random, name: str) -> None:
        self._connection = connection
        self._source = source
        self._name = name
        self._prepared: list[str] = []
        self._gids = 0

    def transaction(self) -> None:
        """Do something, in one transaction, that may be undone or left for later."""
        source, execute = self._source, self._connection.execute
        fate = source.random()
        try:
            execute("BEGIN")
            for _ in range(source.choice((1, 1, 2, 3, 8))):
                self._step(source.choice(TABLES))
                if source.random() < 0.05:
                    time.sleep(0.02)  # open while others commit
            if fate < 0.1:
                execute("ROLLBACK")
            elif fate < 0.15 and len(self._prepared) < 2:
                self._gids += 1
                gid = f"{self._name}/{self._gids}"
                execute(sql.SQL("PREPARE TRANSACTION {}").format(sql.Literal(gid)))
                self._prepared.append(gid)
            else:
                execute("COMMIT")
        except (
            psycopg.errors.DeadlockDetected,
            psycopg.errors.SerializationFailure,
            psycopg.errors.UniqueViolation,
        ):
            execute("ROLLBACK")
        except psycopg.errors.LockNotAvailable:
            # A prepared transaction of the other has the row, perhaps, or our own.
            execute("ROLLBACK")
            self.finish()
        if self._prepared and source.random() < 0.3:
            self.finish()

    def finish(self) -> None:
        """Bring what was prepared to its end."""
        for gid in self._prepared:
            end = "COMMIT" if self._source.random() < 0.7 else "ROLLBACK"
            self._connection.execute(
                sql.SQL("{} PREPARED {}").format(sql.SQL(end), sql.Literal(gid))
            )
        self._prepared.clear()

    def _step(self, name: str) -> None:
        source = self._source
        key, other = source.randrange(_KEYS), source.randrange(_KEYS)
        statements = {
            "INSERT INTO {t} VALUES ({a}, 1, 'new') ON CONFLICT DO NOTHING": 30,
            "UPDATE {t} SET n = n + 1 WHERE id = {a}": 30,
            "UPDATE {t} SET v = repeat('y', 3000) WHERE id = {a}": 5,
            "UPDATE {t} SET id = {b} WHERE id = {a}"
            " AND NOT EXISTS (SELECT FROM {t} WHERE id = {b})": 15,
            "DELETE FROM {t} WHERE id = {a}": 15,
            "UPDATE {t} SET n = n + 1 WHERE id BETWEEN {a} AND {a} + 500": 4,
            "DELETE FROM {t} WHERE id BETWEEN {a} AND {a} + 50": 2,
            "TRUNCATE {t}": 0.2,
            "INSERT INTO {t} SELECT i, 2, 'many' FROM generate_series({a}, {a} + 1500) i"
            " ON CONFLICT DO NOTHING": 2,
        }
        (chosen,) = source.choices(list(statements), list(statements.values()))
        self._connection.execute("SET lock_timeout = '200ms'")
        self._connection.execute(
            sql.SQL(chosen).format(t=sql.Identifier(name), a=sql.Literal(key), b=sql.Literal(other))
        )
