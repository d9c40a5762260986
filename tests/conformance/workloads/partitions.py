"""Partitions, published themselves or as their root; lists of columns; generated columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.conformance.workloads.workload import CHANGES, SCHEMAS, UNWRAP, Properties, Workload

__all__ = ("COLUMN_LISTS", "PARTITIONS", "ROOTS")

_LONG: Final = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 300) g)"
_SCHEMA: Final = """
    CREATE TABLE p (id int, r text, v int DEFAULT 5, long text, PRIMARY KEY (id, r))
        PARTITION BY LIST (r);
    CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
    CREATE TABLE p_b (v int DEFAULT 7, r text NOT NULL, id int NOT NULL, long text,
        PRIMARY KEY (id, r));
    ALTER TABLE p ATTACH PARTITION p_b FOR VALUES IN ('b');
    CREATE TABLE p_s PARTITION OF p FOR VALUES IN ('s1', 's2') PARTITION BY LIST (r);
    CREATE TABLE p_s1 PARTITION OF p_s FOR VALUES IN ('s1');
    CREATE TABLE p_s2 PARTITION OF p_s DEFAULT;
    CREATE TABLE q (id int, k int, v text DEFAULT 'q') PARTITION BY RANGE (k);
    CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (10);
    CREATE TABLE q2 PARTITION OF q FOR VALUES FROM (10) TO (20);
    CREATE TABLE q3 PARTITION OF q DEFAULT;
    ALTER TABLE q1 ADD PRIMARY KEY (id);
    ALTER TABLE q2 REPLICA IDENTITY FULL;
    ALTER TABLE q3 REPLICA IDENTITY FULL;
    CREATE TABLE whole (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
    CREATE TABLE whole1 PARTITION OF whole FOR VALUES IN (1);
    CREATE TABLE whole2 PARTITION OF whole FOR VALUES IN (2);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    ALTER TABLE whole1 REPLICA IDENTITY FULL;
"""
_PARTS: Final[Sequence[tuple[str, str]]] = (
    (
        "p",
        f"""
        INSERT INTO p (id, r, long)
            VALUES (1, 'a', {_LONG}), (2, 'b', {_LONG}), (3, 's1', NULL), (4, 's2', NULL);
        BEGIN;
        UPDATE p SET v = v + 1;
        UPDATE p SET v = NULL WHERE id = 1;
        UPDATE p SET id = id + 10;
        COMMIT;
        UPDATE p SET r = 'b' WHERE r = 'a';
        UPDATE p SET r = 's2' WHERE r = 's1';
        DELETE FROM p WHERE id = 12;
        TRUNCATE p;
        """,
    ),
    (
        "q",
        """
        INSERT INTO q VALUES (1, 1, NULL), (2, 11, NULL), (3, 100, 'z');
        UPDATE q2 SET v = 'y';
        UPDATE q1 SET id = 5;
        UPDATE q2 SET id = 6;
        UPDATE q SET k = 15 WHERE id = 5;
        DELETE FROM q WHERE k = 15;
        UPDATE q3 SET v = v;
        DELETE FROM q3;
        TRUNCATE q2;
        TRUNCATE ONLY q1;
        """,
    ),
    (
        "whole",
        """
        INSERT INTO whole VALUES (1, 1, 'a'), (2, 2, 'b');
        UPDATE whole1 SET v = 'x';
        UPDATE whole2 SET v = 'x';
        UPDATE whole SET k = 2 WHERE k = 1;
        DELETE FROM whole;
        """,
    ),
)


def _configurations(publication: str) -> Mapping[str, Properties]:
    given = {"publication.name": publication}
    return {
        "metadata": {
            **given,
            **SCHEMAS,
            "provide.transaction.metadata": "true",
            "skipped.operations": "none",
        },
        "unwrapped": {
            **given,
            **UNWRAP,
            "transforms.unwrap.add.fields": "op,table,before.v",
            "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
        },
        "chosen_keys": {
            **given,
            **SCHEMAS,
            "skip.messages.without.change": "true",
            "message.key.columns": "public.p.*:id;public.q.*:k",
            "column.exclude.list": r"public.p.*\.v",
        },
    }


PARTITIONS: Final = Workload(_SCHEMA, _PARTS, _configurations("dbz_pub"))
ROOTS: Final = Workload(_SCHEMA, _PARTS, _configurations("dbz_pub_root"), "dbz_pub_root")

_SOME: Final = {"publication.name": "some_columns"}
COLUMN_LISTS: Final = Workload(
    schema="""
        CREATE TABLE listed (id int, k int NOT NULL DEFAULT 3, a text DEFAULT 'q', b int,
            e int GENERATED ALWAYS AS (b + 1) STORED, PRIMARY KEY (id, k));
        CREATE TABLE made (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED,
            s text GENERATED ALWAYS AS ('x' || 'y') STORED NOT NULL);
        CREATE TABLE filtered (id int PRIMARY KEY, v int NOT NULL DEFAULT 7);
        ALTER TABLE filtered REPLICA IDENTITY FULL;
        CREATE TABLE public.sync_marker (id int PRIMARY KEY, note text);
        CREATE PUBLICATION some_columns FOR TABLE listed (k, id, b), made (id, g, s),
            filtered WHERE (v > 5), public.sync_marker;
    """,
    parts=(
        (
            "listed",
            """
            INSERT INTO listed (id, b) VALUES (1, 1), (2, NULL);
            UPDATE listed SET a = 'z';
            UPDATE listed SET b = 7;
            UPDATE listed SET k = 9 WHERE id = 1;
            DELETE FROM listed;
            TRUNCATE listed;
            """,
        ),
        (
            "made",
            """
            INSERT INTO made (id, a) VALUES (1, 2), (2, NULL);
            UPDATE made SET a = 5;
            UPDATE made SET id = 9 WHERE id = 2;
            DELETE FROM made;
            """,
        ),
        (
            "filtered",
            """
            INSERT INTO filtered VALUES (1, 1), (2, 10);
            UPDATE filtered SET v = 20 WHERE id = 1;
            UPDATE filtered SET v = 1;
            DELETE FROM filtered;
            """,
        ),
    ),
    configurations={
        "metadata": {
            **_SOME,
            **SCHEMAS,
            "provide.transaction.metadata": "true",
            "skipped.operations": "none",
        },
        "chosen_keys": {**_SOME, **SCHEMAS, "message.key.columns": "public.listed:b,id"},
        "dropped": {
            **_SOME,
            **CHANGES,
            "transforms.unwrap.drop.fields.header.name": "Unchanged",
            "transforms.unwrap.drop.fields.keep.schema.compatible": "false",
        },
    },
    publication="some_columns",
)
