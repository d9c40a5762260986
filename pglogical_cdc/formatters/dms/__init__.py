"""What AWS DMS writes to Kafka and Kinesis."""

from pglogical_cdc.formatters.dms.formatter import DmsFormatter
from pglogical_cdc.formatters.dms.settings import BeforeImage, BeforeImageColumns

__all__ = ("DmsFormatter", "BeforeImage", "BeforeImageColumns")
