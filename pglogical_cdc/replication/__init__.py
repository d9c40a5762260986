"""The stream itself: reading it, delivering its changes, acknowledging them."""

from pglogical_cdc.replication.iteration import TransactionChanges
from pglogical_cdc.replication.reader import ReaderStats, ReplicationReader
from pglogical_cdc.replication.settings import ReaderEvent

__all__ = ("ReaderEvent", "ReaderStats", "ReplicationReader", "TransactionChanges")
