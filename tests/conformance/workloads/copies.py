"""Rows that transforms copy: defaults for NULL, added and dropped fields, topics from fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.conformance.workloads.workload import CHANGES, SCHEMAS, UNWRAP, Workload

__all__ = ("COPIES",)

_LONG: Final = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 300) g)"
_COLUMNS: Final = """
    id int PRIMARY KEY, v int DEFAULT 5, n int NOT NULL DEFAULT 7, note text DEFAULT 'there',
    z int NOT NULL, long text NOT NULL DEFAULT 'L', x text, q text NOT NULL,
    b bit(3) DEFAULT '101', a int[] DEFAULT '{1}'
"""


def _part(table: str) -> tuple[str, str]:
    return (
        table,
        f"""
        INSERT INTO {table} (id, v, note, z, long, x, q, b, a)
            VALUES (1, NULL, NULL, 3, {_LONG}, NULL, 'q', NULL, NULL),
                (2, 1, 'k', 3, 's', 'x', 'q', '111', '{{2}}');
        UPDATE {table} SET v = NULL;
        UPDATE {table} SET v = 5, note = 'there' WHERE id = 1;
        UPDATE {table} SET v = 4, note = NULL, b = '101';
        UPDATE {table} SET id = id + 10;
        UPDATE {table} SET note = 'r', x = 'new';
        DELETE FROM {table};
        """,
    )


_NULLS: Final = {
    "key.converter.replace.null.with.default": "false",
    "value.converter.replace.null.with.default": "false",
}
_ADDED: Final = (
    "op,before.v,after.v,before.n,after.n,before.note,after.note,before.long,before.x,after.q,"
    "before.nothing,source.schema,schema,source.snapshot,table"
)


def _unwrap(**options: str) -> Mapping[str, str]:
    return {f"transforms.unwrap.{name.replace('_', '.')}": text for name, text in options.items()}


COPIES: Final = Workload(
    schema=f"""
        CREATE TABLE by_key ({_COLUMNS});
        CREATE TABLE whole ({_COLUMNS});
        ALTER TABLE whole REPLICA IDENTITY FULL;
    """,
    parts=(_part("by_key"), _part("whole")),
    configurations={
        "rewritten": {
            **SCHEMAS,
            **UNWRAP,
            **_unwrap(
                add_fields=_ADDED,
                add_headers=_ADDED,
                delete_tombstone_handling_mode="rewrite-with-tombstone",
            ),
        },
        "rewritten_nulls": {
            **SCHEMAS,
            **UNWRAP,
            **_NULLS,
            **_unwrap(add_fields=_ADDED, delete_tombstone_handling_mode="rewrite"),
        },
        "added_nulls": {
            **UNWRAP,
            **_NULLS,
            **_unwrap(add_fields=_ADDED, delete_tombstone_handling_mode="drop"),
        },
        "dropped_nulls": {
            **SCHEMAS,
            **CHANGES,
            **_NULLS,
            **_unwrap(
                drop_fields_header_name="Unchanged",
                drop_fields_from_key="true",
                delete_tombstone_handling_mode="delete-to-tombstone",
            ),
            "message.key.columns": "public.whole:v,note",
        },
        "dropped": {
            **SCHEMAS,
            **CHANGES,
            **_unwrap(
                drop_fields_header_name="Changed",
                drop_fields_keep_schema_compatible="false",
                add_headers="op,after.v",
                add_fields="before.v:old,op",
                add_fields_prefix="",
                delete_tombstone_handling_mode="rewrite",
            ),
        },
        "adjusted": {
            **SCHEMAS,
            **UNWRAP,
            **_unwrap(add_fields="op:o p,before.v:1x,after.v: y", add_headers="op:é,lsn"),
            "field.name.adjustment.mode": "avro",
            "schema.name.adjustment.mode": "avro",
            "column.mask.with.3.chars": r".*\.(note|q)",
            "column.exclude.list": r".*\.x",
        },
        "routed": {
            **UNWRAP,
            **_unwrap(
                route_by_field="note", delete_tombstone_handling_mode="rewrite-with-tombstone"
            ),
        },
        "routed_nulls": {
            **UNWRAP,
            **_NULLS,
            **_unwrap(route_by_field="note", delete_tombstone_handling_mode="tombstone"),
        },
    },
)
