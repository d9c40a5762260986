"""Change data capture from PostgreSQL inside a Python program.

Reads the built-in ``pgoutput`` plugin of logical replication; no server extension, no broker.
"""

from __future__ import annotations

import importlib
import sys
from types import FunctionType as _FunctionType
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
    DecodingFailedError,
    MessageTooLargeError,
    OffsetStoreError,
    OffsetStoreUnavailableError,
    ProtocolError,
    PublicationNotFoundError,
    RecordFormatError,
    SilentServerError,
    SinkError,
    SinkUnavailableError,
    SlotGapError,
    SlotInUseError,
    SlotInvalidatedError,
    SlotNotFoundError,
    SnapshotError,
    SourceError,
    SystemMismatchError,
    TableAlteredError,
    TimelineDivergedError,
    TruncatedMessageError,
    UnknownMessageError,
    UnknownRelationError,
    ValueDecodeError,
)

if TYPE_CHECKING:
    from pglogical_cdc import slots
    from pglogical_cdc.absent import NOT_SENT, UNCHANGED
    from pglogical_cdc.events import (
        Change,
        Column,
        Delete,
        Insert,
        LogicalMessage,
        Position,
        Relation,
        ReplicaIdentity,
        Row,
        SchemaChange,
        SnapshotPoint,
        SnapshotRead,
        TableCatalog,
        Tombstone,
        Transaction,
        Truncate,
        Update,
    )
    from pglogical_cdc.formatters import (
        BeforeImage,
        BeforeImageColumns,
        ControlRecord,
        DebeziumFormatter,
        DmsFormatter,
        Formatter,
        Record,
        Tombstones,
        UnwrappedFormatter,
    )
    from pglogical_cdc.handlers import (
        ChangeHandler,
        KeyChanges,
        Upsert,
        UpsertHandler,
        key_of,
        upsert_of,
    )
    from pglogical_cdc.lsn import LSN
    from pglogical_cdc.offsets import (
        AsyncOffsetStore,
        FileOffsets,
        Offset,
        OffsetStore,
        PostgresOffsets,
    )
    from pglogical_cdc.parsers import DebeziumParser, DmsParser, parse_debezium, parse_dms
    from pglogical_cdc.pipeline import AsyncPipeline, Pipeline, Transform
    from pglogical_cdc.replication import (
        AsyncReplicationReader,
        AsyncTransactionChanges,
        Backoff,
        ReaderEvent,
        ReaderStats,
        ReplicationReader,
        TransactionChanges,
    )
    from pglogical_cdc.sinks import AsyncSink, FileSink, Sink, StdoutSink
    from pglogical_cdc.snapshot import IncrementalSnapshot, SnapshotStats, TableProgress
    from pglogical_cdc.transforms import (
        ExcludeColumns,
        HashColumns,
        IncludeColumns,
        MaskColumns,
        TruncateColumns,
    )

__version__ = "0.1.0.dev0"

__all__ = (
    # reading
    "ReplicationReader",
    "AsyncReplicationReader",
    "Backoff",
    "ReaderStats",
    "IncrementalSnapshot",
    "SnapshotStats",
    "TableProgress",
    "ReaderEvent",
    "TransactionChanges",
    "AsyncTransactionChanges",
    "LSN",
    "Position",
    # slots
    "slots",
    # offsets
    "Offset",
    "OffsetStore",
    "AsyncOffsetStore",
    "FileOffsets",
    "PostgresOffsets",
    # events
    "Change",
    "Insert",
    "Update",
    "Delete",
    "Truncate",
    "SnapshotRead",
    "SnapshotPoint",
    "LogicalMessage",
    "SchemaChange",
    "Tombstone",
    "Transaction",
    "Relation",
    "Column",
    "ReplicaIdentity",
    "TableCatalog",
    "Row",
    "UNCHANGED",
    "NOT_SENT",
    # formats
    "Formatter",
    "Record",
    "ControlRecord",
    "DebeziumFormatter",
    "UnwrappedFormatter",
    "DmsFormatter",
    "BeforeImage",
    "BeforeImageColumns",
    "Tombstones",
    "parse_debezium",
    "DebeziumParser",
    "parse_dms",
    "DmsParser",
    # transforms
    "IncludeColumns",
    "ExcludeColumns",
    "MaskColumns",
    "HashColumns",
    "TruncateColumns",
    # handlers
    "ChangeHandler",
    "UpsertHandler",
    "Upsert",
    "upsert_of",
    "key_of",
    "KeyChanges",
    # sinks and pipeline
    "Sink",
    "AsyncSink",
    "FileSink",
    "StdoutSink",
    "Pipeline",
    "AsyncPipeline",
    "Transform",
    # errors
    "CdcError",
    "ConfigurationError",
    "ProtocolError",
    "TruncatedMessageError",
    "UnknownMessageError",
    "UnknownRelationError",
    "MessageTooLargeError",
    "ValueDecodeError",
    "RecordFormatError",
    "SourceError",
    "ConnectionLostError",
    "SilentServerError",
    "SlotInUseError",
    "SlotNotFoundError",
    "SlotInvalidatedError",
    "SlotGapError",
    "TimelineDivergedError",
    "SystemMismatchError",
    "PublicationNotFoundError",
    "DecodingFailedError",
    "SnapshotError",
    "TableAlteredError",
    "OffsetStoreError",
    "OffsetStoreUnavailableError",
    "SinkError",
    "SinkUnavailableError",
)

_ROOMS: dict[str, tuple[str, ...]] = {
    "absent": (
        "NOT_SENT",
        "UNCHANGED",
    ),
    "events": (
        "Change",
        "Column",
        "Delete",
        "Insert",
        "LogicalMessage",
        "Position",
        "Relation",
        "ReplicaIdentity",
        "Row",
        "SchemaChange",
        "SnapshotPoint",
        "SnapshotRead",
        "TableCatalog",
        "Tombstone",
        "Transaction",
        "Truncate",
        "Update",
    ),
    "formatters": (
        "BeforeImage",
        "BeforeImageColumns",
        "ControlRecord",
        "DebeziumFormatter",
        "DmsFormatter",
        "Formatter",
        "Record",
        "Tombstones",
        "UnwrappedFormatter",
    ),
    "handlers": (
        "ChangeHandler",
        "KeyChanges",
        "Upsert",
        "UpsertHandler",
        "key_of",
        "upsert_of",
    ),
    "lsn": ("LSN",),
    "offsets": (
        "AsyncOffsetStore",
        "FileOffsets",
        "Offset",
        "OffsetStore",
        "PostgresOffsets",
    ),
    "parsers": (
        "DebeziumParser",
        "DmsParser",
        "parse_debezium",
        "parse_dms",
    ),
    "pipeline": (
        "AsyncPipeline",
        "Pipeline",
        "Transform",
    ),
    "replication": (
        "AsyncReplicationReader",
        "AsyncTransactionChanges",
        "Backoff",
        "ReaderEvent",
        "ReaderStats",
        "ReplicationReader",
        "TransactionChanges",
    ),
    "sinks": (
        "AsyncSink",
        "FileSink",
        "Sink",
        "StdoutSink",
    ),
    "snapshot": ("IncrementalSnapshot", "SnapshotStats", "TableProgress"),
    "transforms": (
        "ExcludeColumns",
        "HashColumns",
        "IncludeColumns",
        "MaskColumns",
        "TruncateColumns",
    ),
}
"""Where the names are at home that are imported when they are first asked for: a program that reads
changes needs no parsers, and import time counts in a command or a function of a cloud."""


if not TYPE_CHECKING:  # else every misspelled name would have a type

    def __getattr__(name: str) -> object:
        for room, names in _ROOMS.items():
            if name in names:
                module = importlib.import_module(f"{__name__}.{room}")
                _bring_home(module, names)
                return globals()[name]
        if name in _ROOMS or name in ("postgres", "protocol", "slots"):
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _bring_home(module: _ModuleType, names: tuple[str, ...]) -> None:
    """Show names as those of the top level: so do tracebacks and docs, whatever their room."""
    for name in names:
        value = globals()[name] = getattr(module, name)
        # Python 3.10 takes Callable[...] for a type.
        if isinstance(value, type | _FunctionType) and not hasattr(value, "__origin__"):
            value.__module__ = __name__


_bring_home(sys.modules[f"{__name__}.errors"], tuple(n for n in __all__ if n.endswith("Error")))
