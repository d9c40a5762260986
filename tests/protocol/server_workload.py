"""SQL that makes a server send every kind of pgoutput message, and how to fetch the messages.

`python -m tests.protocol.server_workload FOLDER` writes them to files, as they are in
`tests/golden/`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import new_database, run_server

if TYPE_CHECKING:
    from tests.servers import Database

__all__ = ("STREAMS", "fetch", "prepare", "run")

STREAMS = {
    "plain_v1": {"proto_version": "1", "messages": "on"},
    "streamed_v2": {"proto_version": "2", "messages": "on", "streaming": "on"},
    "streamed_v2_binary": {
        "proto_version": "2",
        "messages": "on",
        "streaming": "on",
        "binary": "on",
    },
    "two_phase_v3": {
        "proto_version": "3",
        "messages": "on",
        "streaming": "on",
        "two_phase": "on",
    },
    "parallel_v4": {
        "proto_version": "4",
        "messages": "on",
        "streaming": "parallel",
        "two_phase": "on",
    },
}
"""Name of a stream: the options given to pgoutput."""

_FIRST_VERSION = {"1": 14, "2": 14, "3": 15, "4": 16}
"""Protocol version: the PostgreSQL that brought it."""

_SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN short AS varchar(10);
CREATE TABLE plain (id int PRIMARY KEY, body text, feeling mood, code short, price numeric(8, 2));
CREATE TABLE whole (id int, body text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE keyless (id int);
ALTER TABLE keyless REPLICA IDENTITY NOTHING;
CREATE TABLE by_index (id int NOT NULL, body text);
CREATE UNIQUE INDEX by_index_id ON by_index (id);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
ALTER TABLE plain ALTER body SET STORAGE EXTERNAL;
CREATE PUBLICATION everything FOR TABLE plain, whole, keyless, by_index;
SELECT pg_replication_origin_create('elsewhere');
"""

_BIG = "INSERT INTO by_index SELECT g, repeat('x', 1000) FROM generate_series({}, {}) g"

# Each entry is one simple query, and so one transaction where it has no BEGIN.
_WORKLOAD = (
    "INSERT INTO plain VALUES (1, repeat('long', 1000), 'ok', 'abc', 1.50), "
    "(2, NULL, NULL, NULL, 'NaN')",
    "UPDATE plain SET code = 'def' WHERE id = 1",
    "UPDATE plain SET id = 3 WHERE id = 2",
    "DELETE FROM plain WHERE id = 3",
    "INSERT INTO whole VALUES (1, 'a'), (2, NULL)",
    "UPDATE whole SET body = 'b' WHERE id = 1",
    "DELETE FROM whole WHERE id = 2",
    "INSERT INTO keyless VALUES (1)",
    "SELECT pg_logical_emit_message(true, 'in', 'text')",
    "SELECT pg_logical_emit_message(false, 'out', '\\x00ff'::bytea)",
    "TRUNCATE whole, keyless RESTART IDENTITY CASCADE",
    # A transaction from elsewhere: Origin.
    "SELECT pg_replication_origin_session_setup('elsewhere')",
    "BEGIN; SELECT pg_replication_origin_xact_setup('0/ABCD', '2020-02-02 00:00+00'); "
    "INSERT INTO whole VALUES (9, 'from elsewhere'); COMMIT",
    "SELECT pg_replication_origin_session_reset()",
    # Bigger than logical_decoding_work_mem: sent in blocks while it runs.
    "BEGIN; " + _BIG.format(1, 150) + "; SAVEPOINT s; " + _BIG.format(151, 300) + "; "
    "ROLLBACK TO s; SELECT pg_logical_emit_message(true, 'in a block', 'x'); "
    "UPDATE by_index SET body = 'y', id = -1 WHERE id = 7; TRUNCATE keyless; COMMIT",
    "BEGIN; " + _BIG.format(501, 650) + "; ROLLBACK",
    # The stray Stream Abort of PostgreSQL 18.
    "BEGIN; SAVEPOINT s; INSERT INTO whole VALUES (3, 'c'); RELEASE s; "
    + _BIG.format(701, 850)
    + "; ROLLBACK",
    "BEGIN; INSERT INTO whole VALUES (5, 'p'); PREPARE TRANSACTION 'small'",
    "COMMIT PREPARED 'small'",
    "BEGIN; INSERT INTO whole VALUES (6, 'r'); PREPARE TRANSACTION 'undone'",
    "ROLLBACK PREPARED 'undone'",
    "BEGIN; " + _BIG.format(1001, 1150) + "; PREPARE TRANSACTION 'big'",
    "COMMIT PREPARED 'big'",
)


def prepare(database: Database) -> list[str]:
    """Make the tables, and a slot for each stream that the server can give; give their names."""
    version = database.server.version
    names = [n for n, o in STREAMS.items() if version >= _FIRST_VERSION[o["proto_version"]]]
    database.execute(_SCHEMA)
    for name in names:
        database.execute(
            "SELECT pg_create_logical_replication_slot(%s, 'pgoutput', true, %s)",
            [_slot(database, name), "two_phase" in STREAMS[name]],
        )
    return names


def run(database: Database) -> None:
    """Make the changes."""
    for statements in _WORKLOAD:
        database.execute(statements)


def fetch(database: Database, name: str) -> list[tuple[str, str, bytes]]:
    """Fetch LSN, transaction ID and payload of all messages of a stream."""
    database.execute("SET logical_decoding_work_mem = '64kB'")
    options = {**STREAMS[name], "publication_names": "everything"}
    flat = [text for pair in options.items() for text in pair]
    return database.execute(
        "SELECT lsn::text, xid::text, data FROM "
        "pg_logical_slot_peek_binary_changes(%s, NULL, NULL, VARIADIC %s)",
        [_slot(database, name), flat],
    )


def _slot(database: Database, name: str) -> str:
    return f"{database.name}_{name}"


def _write(folder: Path) -> None:
    with run_server("embedded") as server, new_database(server) as database:
        names = prepare(database)
        run(database)
        for name in names:
            with (folder / f"{name}.jsonl").open("w") as file:
                for lsn, xid, data in fetch(database, name):
                    line = {"lsn": lsn, "xid": xid, "hex": data.hex()}
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
