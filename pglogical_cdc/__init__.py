"""Change data capture from PostgreSQL inside a Python program.

Reads the built-in ``pgoutput`` plugin of logical replication; no server extension, no broker.
"""

from __future__ import annotations

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
    DecodingFailedError,
    MessageTooLargeError,
    OffsetStoreError,
    ProtocolError,
    PublicationNotFoundError,
    SinkError,
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
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters import (
    DebeziumFormatter,
    DmsFormatter,
    Formatter,
    Record,
    Tombstones,
    UnwrappedFormatter,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.pipeline import Pipeline, Transform
from pglogical_cdc.replication import (
    ReaderEvent,
    ReaderStats,
    ReplicationReader,
    TransactionChanges,
)
from pglogical_cdc.sinks import FileSink, Sink, StdoutSink

__version__ = "0.1.0.dev0"

__all__ = (
    # reading
    "ReplicationReader",
    "ReaderStats",
    "ReaderEvent",
    "TransactionChanges",
    "LSN",
    "Position",
    # events
    "Change",
    "Insert",
    "Update",
    "Delete",
    "Truncate",
    "SnapshotRead",
    "LogicalMessage",
    "SchemaChange",
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
    "DebeziumFormatter",
    "UnwrappedFormatter",
    "DmsFormatter",
    "Tombstones",
    # sinks and pipeline
    "Sink",
    "FileSink",
    "StdoutSink",
    "Pipeline",
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
    "SourceError",
    "ConnectionLostError",
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
    "SinkError",
)

# Tracebacks and docs show the public path, whatever room a name lives in.
for _name in __all__:
    _object = globals()[_name]
    # Python 3.10 takes Callable[...] for a type.
    if isinstance(_object, type) and not hasattr(_object, "__origin__"):
        _object.__module__ = __name__
del _name, _object
