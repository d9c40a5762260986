"""A database whose encoding is SQL_ASCII takes any bytes, and none of them stops the reader."""

from __future__ import annotations

import json

import psycopg
import pytest
from psycopg import sql

from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter
from pglogical_cdc.replication import ReplicationReader
from tests.servers import Database

__all__ = ()


@pytest.mark.pg
def test_bytes_that_are_not_utf8(database: Database, slot_name: str) -> None:
    name = f"{database.name}_ascii"
    database.execute(
        sql.SQL("CREATE DATABASE {} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0").format(
            sql.Identifier(name)
        )
    )
    dsn = database.server.dsn(name)
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
            with ReplicationReader(
                dsn, slot=slot_name, publications="pübli", create=True, until="now"
            ) as reader:
                connection.execute("SET client_encoding TO 'SQL_ASCII'")
                connection.execute(b"INSERT INTO t VALUES (1, '\xe9'), (2, '\xc3\xa9')")
                changes = list(reader)
            connection.execute("CREATE TABLE long (id text PRIMARY KEY, n int, v text)")
            connection.execute("ALTER TABLE long ALTER v SET STORAGE EXTERNAL")
            connection.execute(b"INSERT INTO long VALUES ('\xc3\xa9', 1, repeat('\xe9', 5000))")
            connection.execute("UPDATE long SET n = 2")
            with ReplicationReader(
                dsn, slot=slot_name, publications="pübli", until="now", reselect=True
            ) as reader:
                (_, update) = reader
            assert update.after is not None
            assert update.after["v"] == b"\xe9" * 5000
        rows = [change.after for change in changes]
        assert [dict(row) for row in rows if row is not None] == [
            {"id": 1, "v": b"\xe9"},
            {"id": 2, "v": "é"},
        ]
        debezium = DebeziumFormatter(topic_prefix="x")
        for formatter in (debezium, DmsFormatter()):
            values = [record.value for each in changes for record in formatter.format(each)]
            assert len(values) == 2
            for value in values:
                assert value is not None
                json.loads(value.decode("utf-8"))
        assert "\ufffd" in values[0].decode("utf-8")  # type: ignore[union-attr]
    finally:
        database.execute("SELECT pg_drop_replication_slot(%s)", [slot_name])
        database.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
