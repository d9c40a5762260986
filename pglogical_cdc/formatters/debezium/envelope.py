"""The schemas of the structs around a row: source, transaction block, envelope, message."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from pglogical_cdc.formatters.debezium.connect_schema import (
    BYTES,
    INT64,
    STRING,
    ConnectSchema,
    array_of,
    semantic,
    struct,
)
from pglogical_cdc.formatters.wire.binary import BinaryMode

__all__ = (
    "HEARTBEAT_KEY_SCHEMA",
    "HEARTBEAT_SCHEMA",
    "MESSAGE_KEY_SCHEMA",
    "SOURCE_SCHEMA",
    "TRANSACTION_BLOCK_SCHEMA",
    "TRANSACTION_KEY_SCHEMA",
    "TRANSACTION_SCHEMA",
    "envelope_schema",
    "message_schema",
)

_OPTIONAL_INT64: Final = INT64.as_optional()
_OPTIONAL_STRING: Final = STRING.as_optional()
_SNAPSHOT: Final = evolve(
    semantic(
        "string",
        "io.debezium.data.Enum",
        (
            "allowed",
            "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental",
        ),
    ),
    optional=True,
    default=b'"false"',
)

SOURCE_SCHEMA: Final = struct(
    ("version", STRING),
    ("connector", STRING),
    ("name", STRING),
    ("ts_ms", INT64),
    ("snapshot", _SNAPSHOT),
    ("db", STRING),
    ("sequence", _OPTIONAL_STRING),
    ("ts_us", _OPTIONAL_INT64),
    ("ts_ns", _OPTIONAL_INT64),
    ("schema", STRING),
    ("table", STRING),
    ("txId", _OPTIONAL_INT64),
    ("lsn", _OPTIONAL_INT64),
    ("xmin", _OPTIONAL_INT64),
    ("origin", _OPTIONAL_STRING),
    ("origin_lsn", _OPTIONAL_INT64),
    name="io.debezium.connector.postgresql.Source",
)
"""``source``: where a change comes from."""

TRANSACTION_BLOCK_SCHEMA: Final = struct(
    ("id", STRING),
    ("total_order", INT64),
    ("data_collection_order", INT64),
    name="event.block",
    optional=True,
)
"""``transaction``: where in its transaction a change stands."""


def envelope_schema(name: str, before: ConnectSchema, after: ConnectSchema) -> ConnectSchema:
    """Return the schema of data change events.

    Args:
        name: of the struct.
        before: schema of the row before; the same as that of the row after, unless a value of
            one of them does not fit the schema of its column.
        after: schema of the row after.
    """
    return struct(
        ("before", before),
        ("after", after),
        ("source", SOURCE_SCHEMA),
        ("transaction", TRANSACTION_BLOCK_SCHEMA),
        ("op", STRING),
        ("ts_ms", _OPTIONAL_INT64),
        ("ts_us", _OPTIONAL_INT64),
        ("ts_ns", _OPTIONAL_INT64),
        name=name,
        version=2,
    )


MESSAGE_KEY_SCHEMA: Final = struct(
    ("prefix", _OPTIONAL_STRING), name="io.debezium.connector.postgresql.MessageKey"
)


def message_schema(binary_handling_mode: BinaryMode) -> ConnectSchema:
    """Return the schema of logical decoding messages."""
    content = BYTES if binary_handling_mode == "bytes" else STRING
    message = struct(
        ("prefix", _OPTIONAL_STRING),
        ("content", content.as_optional()),
        name="io.debezium.connector.postgresql.Message",
    )
    return struct(
        ("op", STRING),
        ("ts_ms", _OPTIONAL_INT64),
        ("source", SOURCE_SCHEMA),
        ("transaction", TRANSACTION_BLOCK_SCHEMA),
        ("message", message),
        name="io.debezium.connector.postgresql.MessageValue",
    )


TRANSACTION_KEY_SCHEMA: Final = struct(
    ("id", STRING), name="io.debezium.connector.common.TransactionMetadataKey"
)
TRANSACTION_SCHEMA: Final = struct(
    ("status", STRING),
    ("id", STRING),
    ("event_count", _OPTIONAL_INT64),
    (
        "data_collections",
        array_of(
            struct(
                ("data_collection", STRING),
                ("event_count", INT64),
                name="event.collection",
                optional=True,
            )
        ).as_optional(),
    ),
    ("ts_ms", INT64),
    name="io.debezium.connector.common.TransactionMetadataValue",
)
HEARTBEAT_KEY_SCHEMA: Final = struct(
    ("serverName", STRING), name="io.debezium.connector.common.ServerNameKey"
)
HEARTBEAT_SCHEMA: Final = struct(("ts_ms", INT64), name="io.debezium.connector.common.Heartbeat")
