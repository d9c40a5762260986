"""What AWS DMS writes to Kafka and Kinesis."""

from pglogical_cdc.formatters.dms.formatter import DmsFormatter

__all__ = ("DmsFormatter",)
