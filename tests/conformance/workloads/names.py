"""Odd names of columns, keys, tables, schemas, enums, prefixes of messages; wide tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tests.conformance.workloads.workload import CHANGES, SCHEMAS, Properties, Workload

__all__ = ("ADJUSTED_NAMES", "NAMES")

_ALL: Final = (
    *("before", "after", "op", "schema", "table", "payload", "id", "source", "ts_ms", "1a", "a$b"),
    *("a.b", 'a"b', "a'b", "a\\b", "日本", "😀", "A b", "a%b", "a-b", "a/b", "a,b", "a:b", "a;b"),
    *("tab\tb", "\x01c", "ſ", "K", "_", "__", "..", "-", "%s", "{x}", "٣", "₂", "²", "a\u0301"),
    *("x" * 60 + "_63", "é" * 31, "null", "true", "fields", "type", "name", "optional"),
)


def _unadjusted(name: str) -> str:
    units = "".join("__" if character > "\uffff" else character for character in name)
    adjusted = re.sub(r"\W", "_", units, flags=re.ASCII)
    return f"_{adjusted}" if adjusted[0].isdecimal() else adjusted


_ADJUSTED_ONCE: Final = tuple({_unadjusted(name): name for name in reversed(_ALL)}.values())
"""Names that are no two the same after adjustment, at which Debezium stops."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _workload(names: Sequence[str], configurations: dict[str, Properties]) -> Workload:
    columns = ", ".join(f"{_quoted(name)} int" for name in names)
    numbers = ", ".join(str(number) for number in range(len(names) + 1))
    schemas = [name for name in names if len(name) < 30]
    schema = f"""
        CREATE TABLE columns_by_key (pk int PRIMARY KEY, {columns});
        CREATE TABLE columns_whole (pk int PRIMARY KEY, {columns});
        ALTER TABLE columns_whole REPLICA IDENTITY FULL;
        CREATE TABLE wide ({", ".join(f"c{i} int" for i in range(600))}, PRIMARY KEY (c599, c3));
    """
    schema += "".join(
        f'CREATE TABLE {_quoted(name)} ({_quoted(name)} int PRIMARY KEY, "x y" text);'
        for name in names
    )
    schema += "".join(
        f"""
        CREATE SCHEMA {_quoted(name)};
        CREATE TYPE {_quoted(name)}.{_quoted("e" + name)} AS ENUM ('x', {_literal(name)});
        CREATE TABLE {_quoted(name)}.t (
            id int PRIMARY KEY, v text DEFAULT 'd', e int,
            en {_quoted(name)}.{_quoted("e" + name)} DEFAULT 'x'
        );
        """
        for name in schemas
    )
    parts = [
        (
            table,
            f"""
            INSERT INTO {table} VALUES ({numbers});
            UPDATE {table} SET pk = 7, {_quoted("id")} = 9;
            UPDATE {table} SET {_quoted("before")} = 77;
            DELETE FROM {table};
            """,
        )
        for table in ("columns_by_key", "columns_whole")
    ]
    parts.append(
        (
            "tables",
            "".join(
                f"""
                INSERT INTO {_quoted(name)} VALUES (1, 'q');
                UPDATE {_quoted(name)} SET {_quoted(name)} = 2;
                DELETE FROM {_quoted(name)};
                """
                for name in names
            ),
        )
    )
    parts.append(
        (
            "schemas",
            "".join(
                f"""
                INSERT INTO {_quoted(name)}.t (id) VALUES (1);
                UPDATE {_quoted(name)}.t SET e = 4;
                DELETE FROM {_quoted(name)}.t;
                TRUNCATE {_quoted(name)}.t;
                """
                for name in schemas
            ),
        )
    )
    parts.append(
        (
            "messages",
            "".join(
                f"SELECT pg_logical_emit_message(true, {_literal(name)}, {_literal(name)});"
                for name in names
            ),
        )
    )
    parts.append(
        (
            "wide",
            """
            INSERT INTO wide (c599, c3) VALUES (1, 2);
            UPDATE wide SET c1 = 5;
            UPDATE wide SET c3 = 9;
            DELETE FROM wide;
            """,
        )
    )
    return Workload(schema, parts, configurations)


_METADATA: Final = {"provide.transaction.metadata": "true", "skipped.operations": "none"}

NAMES: Final = _workload(
    _ALL,
    {
        "metadata": {**SCHEMAS, **_METADATA},
        "noted": {
            **SCHEMAS,
            "column.propagate.source.type": r"public\..*",
            "topic.delimiter": "_",
            "message.key.columns": r"public.columns_whole:id,before,A b;public\.before:x y",
        },
        "left_out": {
            "skip.messages.without.change": "true",
            "column.exclude.list": r"public\.columns_.*\.(before|id|😀|a\.b|A b|日本|K),.*\.T\.E",
            "message.key.columns": "PUBLIC.COLUMNS_WHOLE:AFTER,ID;public.columns_whole: op ,nope",
            "topic.delimiter": "_",
            "topic.transaction": "t.x",
        },
    },
)
ADJUSTED_NAMES: Final = _workload(
    _ADJUSTED_ONCE,
    {
        "avro": {
            **SCHEMAS,
            **_METADATA,
            "field.name.adjustment.mode": "avro",
            "schema.name.adjustment.mode": "avro",
        },
        "avro_unicode": {
            **SCHEMAS,
            **_METADATA,
            "field.name.adjustment.mode": "avro_unicode",
            "schema.name.adjustment.mode": "avro_unicode",
            "topic.delimiter": "-",
            "message.key.columns": "public.columns_whole:id,before,A b",
            "column.propagate.source.type": ".*",
        },
        "unwrapped": {
            **SCHEMAS,
            **CHANGES,
            "transforms.unwrap.drop.fields.header.name": "Unchanged",
            "transforms.unwrap.drop.fields.from.key": "true",
            "transforms.unwrap.add.fields": "op,before.id,table",
            "transforms.unwrap.add.headers": "after.A b,op",
            "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
            "field.name.adjustment.mode": "avro",
            "schema.name.adjustment.mode": "avro",
        },
    },
)
