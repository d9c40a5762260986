"""Replays a recorded stream into a formatter, with the catalog as it was at each moment."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from pglogical_cdc.events import (
    CatalogColumn,
    CatalogType,
    Change,
    ChangeAssembler,
    TableCatalog,
    UniqueIndex,
)
from pglogical_cdc.formatters import Formatter, Record
from pglogical_cdc.protocol import PgoutputParser, RelationMessage
from tests.golden import catalog, pg_types, raw_messages

__all__ = ("masked", "replay", "replay_changes", "streamed")


@functools.cache
def _types() -> dict[int, CatalogType]:
    labels = {name.partition(".")[2]: enum for name, enum in catalog("after")["enums"].items()}
    return {
        row["oid"]: CatalogType(
            oid=row["oid"],
            schema="public",
            name=row["typname"],
            kind=row["typtype"],
            array_oid=row["typarray"],
            element_oid=row["typelem"] if row["typcategory"] == "A" else 0,
            base_oid=row["typbasetype"],
            base_modifier=row["typtypmod"],
            labels=tuple(labels.get(row["typname"], ())),
        )
        for row in pg_types()
        if row["oid"] >= 16384
    }


def _dumped(message: RelationMessage) -> tuple[dict[str, Any], bool]:
    """Find the dump of a table, and whether the table is as the dump says."""
    name = f"{message.namespace}.{message.relation_name}"
    names = [column.name for column in message.columns]
    dumps = [catalog("before")["tables"].get(name), catalog("after")["tables"].get(name)]
    if name == "public.ddl_t":
        # It was renamed in the end; its columns meanwhile are those of either dump.
        dumps.append(catalog("after")["tables"]["public.ddl_t2"])
    found = [dump for dump in dumps if dump is not None]
    for dump in found:
        if names == [column["name"] for column in dump["columns"] if not column["generated"]]:
            return dump, dump is dumps[0] or dumps[0] is None
    return found[-1], False


def table_catalog(message: RelationMessage) -> TableCatalog:
    """Return the catalog of a table when its Relation message was sent."""
    dump, exact = _dumped(message)
    dumped = {column["name"]: column for column in dump["columns"]}
    identity = tuple(column.name for column in message.columns if column.is_key)
    columns = []
    for number, column in enumerate(message.columns, 1):
        known = dumped.get(column.name, {})
        columns.append(
            CatalogColumn(
                name=column.name,
                attnum=known.get("attnum", number),
                type_oid=column.type_oid,
                type_modifier=column.type_modifier,
                type_text=known.get("type", ""),
                not_null=known.get("not_null", False) if exact else column.is_key,
                default=known.get("default"),
                generated=known.get("generated", ""),
                identity=known.get("identity", ""),
            )
        )
    primary_key = dump["primary_key"]
    return TableCatalog(
        database="cap",
        oid=message.relation_id,
        schema=message.namespace,
        table=message.relation_name,
        columns=tuple(columns),
        # Of the tables that were altered meanwhile, all have the default replica identity.
        primary_key=(None if primary_key is None else tuple(primary_key)) if exact else identity,
        unique_indexes=tuple(
            UniqueIndex(index["name"], tuple(index["columns"]))
            for index in dump["unique_not_null_indexes"]
        ),
        types=_types(),
    )


@functools.cache
def replay_changes(stream: str = "raw_pgoutput_v1") -> tuple[Change, ...]:
    """Return the changes of a recorded stream."""
    parser = PgoutputParser(protocol_version=1)
    assembler = ChangeAssembler(database="cap")
    changes: list[Change] = []
    for lsn, _xid, payload in raw_messages(stream):
        message = parser.parse(payload)
        known = table_catalog(message) if isinstance(message, RelationMessage) else None
        changes += assembler.assemble(message, lsn, known)
    return tuple(changes)


def replay(formatter: Formatter, stream: str = "raw_pgoutput_v1") -> list[Record]:
    """Return the records that a formatter makes of a recorded stream."""
    return [record for change in replay_changes(stream) for record in formatter.format(change)]


_CLOCK = re.compile(r'(?<=,)"ts_ms":\d+,"ts_us":\d+,"ts_ns":\d+(?=}$)|(?<={"op":"m",)"ts_ms":\d+')
_UNWRAPPED_CLOCK = re.compile(r'"__ts_ms":\d+')
_JAVA_OBJECTS = re.compile(r'"a_text_2d":\["[^\]]*\]')


def masked(value: str | None) -> str | None:
    """Return a value without what no other program can write.

    That is the connector's clock, and the identities of Java objects, into which Debezium turns
    the one array of arrays of text.
    """
    if value is None:
        return None
    value = _CLOCK.sub('"clock":0', value)
    value = _UNWRAPPED_CLOCK.sub('"__ts_ms":0', value)
    return _JAVA_OBJECTS.sub('"a_text_2d":[]', value)


def streamed(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the records of a Debezium engine that come from the stream, not from the snapshot.

    Heartbeats are left out: when one is sent depends on the clock.
    """
    for record in records:
        is_heartbeat = record["topic"].startswith("__debezium-heartbeat")
        if not is_heartbeat and "snapshot" not in record["source_offset"]:
            yield record
