"""What Debezium's PostgreSQL connector and its ExtractNewRecordState write."""

from pglogical_cdc.formatters.debezium.formatter import DebeziumFormatter
from pglogical_cdc.formatters.debezium.unwrapped import UnwrappedFormatter

__all__ = ("DebeziumFormatter", "UnwrappedFormatter")
