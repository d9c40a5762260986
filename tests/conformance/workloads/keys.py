"""Keys: unique indexes of every kind, chosen columns, NULL in them, and changes that leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.conformance.workloads.workload import SCHEMAS, UNWRAP, Workload

__all__ = ("KEYS",)

_AB: Final = "a int NOT NULL, b text NOT NULL"
_INDEXES: Final[Mapping[str, tuple[str, str]]] = {
    "nullable": ("a int, b text", "CREATE UNIQUE INDEX z ON t (a)"),
    "nullable_first": (
        "a int, b text NOT NULL",
        "CREATE UNIQUE INDEX t_a ON t (a); CREATE UNIQUE INDEX t_b ON t (b)",
    ),
    "by_name": (_AB, "CREATE UNIQUE INDEX t_b ON t (a); CREATE UNIQUE INDEX t_a ON t (b)"),
    "in_either_case": (_AB, 'CREATE UNIQUE INDEX "t_Z" ON t (a); CREATE UNIQUE INDEX t_a ON t (b)'),
    "partial": (
        _AB,
        "CREATE UNIQUE INDEX t_a ON t (a) WHERE b <> 'x'; CREATE UNIQUE INDEX t_b ON t (b)",
    ),
    "on_expression": (
        _AB,
        "CREATE UNIQUE INDEX t_a ON t (lower(b)); CREATE UNIQUE INDEX t_b ON t (a)",
    ),
    "only_on_expression": (_AB, "CREATE UNIQUE INDEX t_a ON t (lower(b))"),
    "partly_on_expression": (
        _AB,
        "CREATE UNIQUE INDEX t_a ON t (a, lower(b)); CREATE UNIQUE INDEX t_b ON t (b)",
    ),
    "including": (_AB, "CREATE UNIQUE INDEX t_a ON t (a) INCLUDE (b)"),
    "nulls_not_distinct": ("a int, b text", "CREATE UNIQUE INDEX t_a ON t (a) NULLS NOT DISTINCT"),
    "deferred": (
        _AB,
        "ALTER TABLE t ADD UNIQUE (a) DEFERRABLE; CREATE UNIQUE INDEX z ON t (b)",
    ),
    "deferrable_key": (_AB, "ALTER TABLE t ADD PRIMARY KEY (a) DEFERRABLE"),
    "key_including": (_AB, "ALTER TABLE t ADD PRIMARY KEY (a) INCLUDE (b)"),
    "clustered": (
        _AB,
        "CREATE UNIQUE INDEX t_a ON t (a); CREATE UNIQUE INDEX t_b ON t (b); CLUSTER t USING t_b",
    ),
    "descending": (_AB, 'CREATE UNIQUE INDEX t_a ON t (a DESC NULLS LAST, b COLLATE "C")'),
    "excluding": (
        f"{_AB}, r int4range",
        "ALTER TABLE t ADD EXCLUDE USING gist (r WITH &&)",
    ),
    "with_default": ("a int DEFAULT 5, b text NOT NULL", "CREATE UNIQUE INDEX t_a ON t (a)"),
    "invalid": (
        _AB,
        "CREATE UNIQUE INDEX t_a ON t (a); CREATE UNIQUE INDEX t_b ON t (b);"
        " UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_a'::regclass",
    ),
    "generated": (
        f"{_AB}, c int GENERATED ALWAYS AS (a + 1) STORED",
        "CREATE UNIQUE INDEX t_c ON t (c, a)",
    ),
    "generated_key": (
        f"{_AB}, c int GENERATED ALWAYS AS (a + 1) STORED",
        "ALTER TABLE t ADD PRIMARY KEY (b, c, a)",
    ),
}


def _schema_of(name: str, columns: str, indexes: str) -> str:
    statements = f"CREATE TABLE t ({columns}); {indexes}; ALTER TABLE t REPLICA IDENTITY FULL;"
    # Each table, with its indexes, in a schema of its own.
    return f"CREATE SCHEMA {name}; SET search_path = {name}; {statements} RESET search_path;"


def _part_of(name: str, columns: str) -> tuple[str, str]:
    script = f"""
        SET search_path = {name};
        INSERT INTO t (a, b) VALUES (1, 'x1'), (2, 'x2');
        """
    if "GENERATED" not in columns:
        script += """
            UPDATE t SET a = 7 WHERE a = 1;
            UPDATE t SET b = 'y' WHERE a = 7;
            DELETE FROM t;
            """
    if not columns.startswith(_AB):
        script += """
            INSERT INTO t (b) VALUES ('x3');
            UPDATE t SET a = NULL WHERE b = 'x3';
            UPDATE t SET b = 'x4' WHERE b = 'x3';
            DELETE FROM t;
            """
    return name, script


_CHOSEN: Final = """
    CREATE TABLE chosen (
        id int PRIMARY KEY, a text, i int DEFAULT 5, "A b" int, "É" int, "a٣" int, "K" text
    );
    ALTER TABLE chosen REPLICA IDENTITY FULL;
    CREATE TABLE two (id int, k text, v text, PRIMARY KEY (id, k));
    CREATE TABLE beside (id int PRIMARY KEY, u int NOT NULL UNIQUE, w int);
    ALTER TABLE beside REPLICA IDENTITY USING INDEX beside_u_key;
    CREATE TABLE unknown (m int4multirange PRIMARY KEY, x int);
    CREATE TABLE partly_unknown (m int4multirange, id int, x int, PRIMARY KEY (m, id));
    CREATE TABLE bare ();
    CREATE TABLE bare_full ();
    ALTER TABLE bare_full REPLICA IDENTITY FULL;
"""
_CHOSEN_PARTS: Final[Sequence[tuple[str, str]]] = (
    (
        "chosen",
        """
        INSERT INTO chosen VALUES (1, 'x', NULL, 1, 2, 3, 'k'), (2, NULL, 5, NULL, NULL, NULL, '');
        UPDATE chosen SET i = 5 WHERE id = 1;
        UPDATE chosen SET a = a;
        UPDATE chosen SET i = NULL;
        UPDATE chosen SET id = id + 10;
        UPDATE chosen SET "K" = 'other';
        DELETE FROM chosen;
        """,
    ),
    (
        "two",
        """
        INSERT INTO two VALUES (1, 'k', NULL), (2, 'k', 'v');
        UPDATE two SET k = 'l';
        UPDATE two SET id = id + 10;
        DELETE FROM two;
        INSERT INTO beside VALUES (0, 1, NULL), (5, 6, 7);
        UPDATE beside SET u = u + 100;
        UPDATE beside SET w = w;
        UPDATE beside SET id = id + 1, u = 0 WHERE id = 0;
        DELETE FROM beside;
        """,
    ),
    (
        "unknown",
        """
        INSERT INTO unknown VALUES ('{[1,2)}', 1);
        UPDATE unknown SET x = 2;
        UPDATE unknown SET m = '{}';
        DELETE FROM unknown;
        INSERT INTO partly_unknown VALUES ('{[1,2)}', 1, 1);
        UPDATE partly_unknown SET m = '{}';
        DELETE FROM partly_unknown;
        """,
    ),
    (
        "bare",
        """
        INSERT INTO bare DEFAULT VALUES;
        INSERT INTO bare_full DEFAULT VALUES;
        DELETE FROM bare_full;
        TRUNCATE bare;
        """,
    ),
)
_UNCHANGED: Final = {"skip.messages.without.change": "true"}

KEYS: Final = Workload(
    schema="".join(_schema_of(name, *each) for name, each in _INDEXES.items()) + _CHOSEN,
    parts=(
        *(_part_of(name, columns) for name, (columns, _) in _INDEXES.items()),
        *_CHOSEN_PARTS,
    ),
    configurations={
        "indexes": {"provide.transaction.metadata": "true", "skipped.operations": "none"},
        "indexes_schemas": {**SCHEMAS, **_UNCHANGED, "tombstones.on.delete": "false"},
        "expressions": {
            **SCHEMAS,
            **_UNCHANGED,
            "message.key.columns": r"PUBLIC.CHOSEN:a.*,ID;public.two: v ;(.*).t:b,nothing",
        },
        "alternatives": {
            **SCHEMAS,
            "message.key.columns": r"public.chosen:k|é;public.(two|chosen):(id|i)",
            "column.exclude.list": r"public.chosen.é,public.chosen.A\w*,public.two.k,.*\.w",
        },
        "left_out": {
            **SCHEMAS,
            **_UNCHANGED,
            "column.exclude.list": "public.two.k,public.beside.u,public.chosen.(i|id)",
        },
        "unwrapped": {
            **UNWRAP,
            **_UNCHANGED,
            "key.converter.replace.null.with.default": "false",
            "value.converter.replace.null.with.default": "false",
            "message.key.columns": "public.chosen:i,k",
            "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
        },
    },
)
