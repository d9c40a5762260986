"""Bytes to messages and back, exactly as the PostgreSQL manual lays them out.

No connection, no clock, no state but that of the protocol itself: usable on its own, with bytes
from anywhere.
"""

from __future__ import annotations

from pglogical_cdc.protocol.buffer import MessageBuffer, check_end
from pglogical_cdc.protocol.copy_rows import CopyRowParser, TextColumns, TextRows
from pglogical_cdc.protocol.messages import (
    BeginMessage,
    BeginPrepareMessage,
    CommitMessage,
    CommitPreparedMessage,
    DeleteMessage,
    InsertMessage,
    LogicalDecodingMessage,
    Message,
    OldTupleKind,
    OriginMessage,
    PrepareMessage,
    RelationColumn,
    RelationMessage,
    ReplicaIdentityCode,
    RollbackPreparedMessage,
    StreamAbortMessage,
    StreamCommitMessage,
    StreamPrepareMessage,
    StreamStartMessage,
    StreamStopMessage,
    TruncateMessage,
    TypeMessage,
    UpdateMessage,
)
from pglogical_cdc.protocol.pgoutput import PgoutputParser
from pglogical_cdc.protocol.splitter import Split, split_tuple, splitter, splitter_source
from pglogical_cdc.protocol.tuples import BinaryValue, ColumnValue, TupleData, read_tuple
from pglogical_cdc.protocol.walsender import (
    PrimaryKeepalive,
    StandbyStatusUpdate,
    WalsenderMessage,
    XLogData,
    parse_walsender_message,
    xlog_data_header,
)

__all__ = (
    # pgoutput
    "PgoutputParser",
    "Message",
    "BeginMessage",
    "LogicalDecodingMessage",
    "CommitMessage",
    "OriginMessage",
    "RelationMessage",
    "RelationColumn",
    "ReplicaIdentityCode",
    "TypeMessage",
    "InsertMessage",
    "UpdateMessage",
    "DeleteMessage",
    "OldTupleKind",
    "TruncateMessage",
    "StreamStartMessage",
    "StreamStopMessage",
    "StreamCommitMessage",
    "StreamAbortMessage",
    "BeginPrepareMessage",
    "PrepareMessage",
    "CommitPreparedMessage",
    "RollbackPreparedMessage",
    "StreamPrepareMessage",
    # rows
    "BinaryValue",
    "ColumnValue",
    "CopyRowParser",
    "TextColumns",
    "TextRows",
    "TupleData",
    "read_tuple",
    "Split",
    "split_tuple",
    "splitter",
    "splitter_source",
    # walsender
    "XLogData",
    "PrimaryKeepalive",
    "StandbyStatusUpdate",
    "WalsenderMessage",
    "parse_walsender_message",
    "xlog_data_header",
    # bytes
    "MessageBuffer",
    "check_end",
)
