"""Change data capture from PostgreSQL inside a Python program.

Reads the built-in ``pgoutput`` plugin of logical replication; no server extension, no broker.
"""

from __future__ import annotations

from types import FunctionType as _FunctionType

from pglogical_cdc import slots
from pglogical_cdc.absent import NOT_SENT, UNCHANGED
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
    TimelineDivergedError,
    TruncatedMessageError,
    UnknownMessageError,
    UnknownRelationError,
    ValueDecodeError,
)
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
    "OffsetStoreError",
    "OffsetStoreUnavailableError",
    "SinkError",
    "SinkUnavailableError",
)

# Tracebacks and docs show the public path, whatever room a name lives in.
for _name in __all__:
    _object = globals()[_name]
    # Python 3.10 takes Callable[...] for a type.
    if isinstance(_object, type | _FunctionType) and not hasattr(_object, "__origin__"):
        _object.__module__ = __name__
del _FunctionType, _name, _object
