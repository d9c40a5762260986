"""What the demo does to its database: one transaction for each thing worth seeing."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from typing_extensions import LiteralString

from pglogical_cdc._attrs import record

__all__ = ("STEPS", "TABLES", "Step", "create_tables", "perform")

TABLES: Final = (
    "public.customer",
    "public.account",
    "public.document",
    "public.purchase",
    "public.purchase_line",
    "public.audit",
)
"""What the demo's publication is for."""

_SCHEMA: Final[LiteralString] = """
CREATE TABLE customer (
    id integer PRIMARY KEY, name text NOT NULL, email text, credit numeric(10,2),
    tags text[], profile jsonb, since timestamptz
);
-- The server logs the whole old row.
CREATE TABLE account (id bigint PRIMARY KEY, owner integer NOT NULL, balance numeric(12,2));
ALTER TABLE account REPLICA IDENTITY FULL;
-- Long values are stored out of line and not compressed.
CREATE TABLE document (id integer PRIMARY KEY, title text, body text);
ALTER TABLE document ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE purchase (id integer PRIMARY KEY, customer integer, total numeric(10,2));
-- No primary key; a unique index identifies a row.
CREATE TABLE purchase_line (purchase integer NOT NULL, line smallint NOT NULL, article text);
CREATE UNIQUE INDEX purchase_line_identity ON purchase_line (purchase, line);
ALTER TABLE purchase_line REPLICA IDENTITY USING INDEX purchase_line_identity;
-- Nothing identifies a row: good for INSERT only.
CREATE TABLE audit (noted timestamptz, what text);
"""


@record
class Step:
    """One transaction of the demo."""

    title: str
    statements: tuple[LiteralString, ...]


STEPS: Final = (
    Step(
        "Insert: many types, and text in any script",
        (
            "INSERT INTO customer VALUES (1, 'Zoë 北京', 'zoe@example.org', 120.50,"
            ' \'{new,"très chic"}\', \'{"plan": "pro", "seats": 3}\','
            " '2026-01-31 12:30:00.123456+01')",
        ),
    ),
    Step(
        "Update under REPLICA IDENTITY DEFAULT: the old row is not sent",
        ("UPDATE customer SET credit = 99.90, email = NULL WHERE id = 1",),
    ),
    Step(
        "Change of the primary key: the old key is sent; to Debezium a delete and a create",
        ("UPDATE customer SET id = 2 WHERE id = 1",),
    ),
    Step(
        "Insert of a long text, which the server stores out of line (TOAST)",
        (
            "INSERT INTO document VALUES (1, 'Draft',"
            " repeat('The quick brown fox jumps over the lazy dog. ', 50))",
        ),
    ),
    Step(
        "Update that leaves the long text alone: the server does not send it, and it is not NULL",
        ("UPDATE document SET title = 'Final' WHERE id = 1",),
    ),
    Step(
        "One transaction over several tables",
        (
            "INSERT INTO account VALUES (7000000000000000001, 2, 500)",
            "INSERT INTO purchase VALUES (10, 2, 42.00)",
            "INSERT INTO purchase_line VALUES (10, 1, 'lamp'), (10, 2, 'bulb')",
            "UPDATE account SET balance = balance - 42 WHERE owner = 2",
            "INSERT INTO audit VALUES ('2026-02-01 00:00:00+00', 'purchase 10')",
        ),
    ),
    Step(
        "Delete under REPLICA IDENTITY USING INDEX",
        ("DELETE FROM purchase_line WHERE purchase = 10 AND line = 2",),
    ),
    Step(
        "Delete under REPLICA IDENTITY FULL: the whole old row is sent",
        ("DELETE FROM account",),
    ),
    Step("Delete under REPLICA IDENTITY DEFAULT", ("DELETE FROM customer WHERE id = 2",)),
    Step("Truncate of two tables", ("TRUNCATE purchase, purchase_line",)),
)


def create_tables(connection: psycopg.Connection[Any]) -> None:
    """Make the tables; the connection is in autocommit mode."""
    connection.execute(_SCHEMA)


def perform(connection: psycopg.Connection[Any]) -> dict[int, Step]:
    """Do all steps.

    Returns:
        Each step by the ID of its transaction.
    """
    done: dict[int, Step] = {}
    for step in STEPS:
        with connection.transaction():
            row = connection.execute("SELECT txid_current() % 4294967296").fetchone()
            assert row is not None
            done[int(row[0])] = step
            for statement in step.statements:
                connection.execute(statement)
    return done
