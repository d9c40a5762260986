"""What the recorded workload has not: origins, messages side by side, savepoints, words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.conformance.workloads.workload import SCHEMAS, Workload

__all__ = ("MORE",)

_SCHEMA: Final = """
    CREATE TABLE words (id int PRIMARY KEY, exact varchar(4), wide varchar(20), fixed char(6));
    CREATE TABLE numbers (n numeric(10, 2) PRIMARY KEY, v numeric, m money, tiny numeric(10, 9),
        a numeric(8, 3)[], big numeric(20, 0) NOT NULL, x money NOT NULL, z numeric(4, 3) NOT NULL);
    CREATE TABLE one (id int PRIMARY KEY, v text);
    CREATE TABLE two (id int PRIMARY KEY, v text);
    ALTER TABLE two REPLICA IDENTITY FULL;
    SELECT pg_replication_origin_create('up"stream');
"""

_PARTS: Final[Sequence[tuple[str, str]]] = (
    (
        "origin",
        """
        SELECT pg_replication_origin_session_setup('up"stream');
        BEGIN;
        SELECT pg_replication_origin_xact_setup('A/BCDEF012', '2020-02-03 04:05:06.789012+00');
        INSERT INTO one VALUES (1, 'from afar');
        SELECT pg_logical_emit_message(true, 'p', 'of an origin');
        COMMIT;
        INSERT INTO one VALUES (2, 'without a position');
        SELECT pg_replication_origin_session_reset();
        INSERT INTO one VALUES (3, 'from here');
        """,
    ),
    (
        "messages",
        """
        SELECT pg_logical_emit_message(false, 'outside', 'before all');
        BEGIN;
        SELECT pg_logical_emit_message(true, 'first', 'a');
        INSERT INTO one VALUES (10, 'a');
        SELECT pg_logical_emit_message(true, 'second', '\\x00ff'::bytea);
        SELECT pg_logical_emit_message(false, 'outside', 'in the middle');
        INSERT INTO two VALUES (10, 'b');
        UPDATE one SET id = 11 WHERE id = 10;
        SELECT pg_logical_emit_message(true, 'third', '');
        COMMIT;
        SELECT pg_logical_emit_message(false, 'outside', 'after it');
        INSERT INTO two VALUES (12, 'c');
        """,
    ),
    (
        "words",
        """
        INSERT INTO words VALUES (1, 'abcd', 'abcdefgh', 'abc'), (2, 'ab', 'ab', ''),
            (3, '日本語é', 'ä😀ö😀ü', 'é😀'), (4, NULL, NULL, NULL);
        UPDATE words SET wide = 'xyz' WHERE id = 1;
        DELETE FROM words;
        """,
    ),
    (
        "numbers",
        """
        INSERT INTO numbers VALUES (1.50, 2.5, '$3.10', 0.000000001, '{1.5,NULL}',
            12345678901234567890, 3, 1.25), (0, 0, 0, 0, '{}', 0, 0, 0);
        UPDATE numbers SET n = 2 WHERE n = 1.5;
        DELETE FROM numbers;
        """,
    ),
    (
        "skipped",
        """
        INSERT INTO two VALUES (40, 'a');
        UPDATE two SET id = 41 WHERE id = 40;
        UPDATE two SET v = v WHERE id = 41;
        DELETE FROM two WHERE id = 41;
        """,
    ),
    (
        "subtransactions",
        """
        BEGIN;
        INSERT INTO two VALUES (1, 'kept');
        SAVEPOINT s;
        INSERT INTO two VALUES (2, 'gone');
        ROLLBACK TO s;
        INSERT INTO two VALUES (3, 'kept');
        UPDATE two SET v = v;
        UPDATE two SET id = id + 100;
        TRUNCATE one, two;
        COMMIT;
        """,
    ),
)

MORE: Final = Workload(
    schema=_SCHEMA,
    parts=_PARTS,
    configurations={
        "precise_txmeta": {
            **SCHEMAS,
            "provide.transaction.metadata": "true",
            "skipped.operations": "none",
        },
        "double_connect": {
            **SCHEMAS,
            "decimal.handling.mode": "double",
            "time.precision.mode": "connect",
            "binary.handling.mode": "hex",
            "skipped.operations": "u,d",
            "provide.transaction.metadata": "true",
            "column.truncate.to.4.chars": r"public\.words\.(exact|wide|fixed)",
        },
        "string_iso": {
            **SCHEMAS,
            "decimal.handling.mode": "string",
            "time.precision.mode": "isostring",
            "skip.messages.without.change": "true",
            "skipped.operations": "none",
            "column.mask.with.3.chars": r"public\.words\..*",
            "column.mask.hash.SHA-512.with.salt.s": r"public\.two\.v",
        },
        "numbers": {
            **SCHEMAS,
            "key.converter.decimal.format": "NUMERIC",
            "value.converter.decimal.format": "NUMERIC",
            "header.converter.decimal.format": "NUMERIC",
            "extended.headers.enabled": "false",
        },
        "nanoseconds": {
            "time.precision.mode": "nanoseconds",
            "binary.handling.mode": "base64-url-safe",
            "tombstones.on.delete": "false",
            "column.include.list": r"public\.(one|words|sync_marker)\..*",
        },
    },
)
