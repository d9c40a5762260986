"""Change to record: the formats that the world already reads. Pure."""

from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.formatters.debezium import DebeziumFormatter
from pglogical_cdc.formatters.dms import DmsFormatter
from pglogical_cdc.formatters.tombstone import Tombstones
from pglogical_cdc.formatters.unwrapped import UnwrappedFormatter

__all__ = (
    "Formatter",
    "Record",
    "DebeziumFormatter",
    "UnwrappedFormatter",
    "DmsFormatter",
    "Tombstones",
)
