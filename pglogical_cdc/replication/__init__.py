"""The stream itself: reading it, delivering its changes, acknowledging them."""

from pglogical_cdc.replication.backoff import Backoff
from pglogical_cdc.replication.iteration import AsyncTransactionChanges, TransactionChanges
from pglogical_cdc.replication.reader import AsyncReplicationReader, ReplicationReader
from pglogical_cdc.replication.settings import ReaderEvent, SnapshotMode
from pglogical_cdc.replication.stats import ReaderStats

__all__ = (
    "AsyncReplicationReader",
    "AsyncTransactionChanges",
    "Backoff",
    "ReaderEvent",
    "ReaderStats",
    "ReplicationReader",
    "SnapshotMode",
    "TransactionChanges",
)
