"""Change to record: the formats that the world already reads. Pure."""

from pglogical_cdc.formatters.base import ControlRecord, Formatter, Record
from pglogical_cdc.formatters.debezium import DebeziumFormatter, UnwrappedFormatter
from pglogical_cdc.formatters.dms import BeforeImage, BeforeImageColumns, DmsFormatter
from pglogical_cdc.formatters.tombstone import Tombstones

__all__ = (
    "Formatter",
    "Record",
    "ControlRecord",
    "DebeziumFormatter",
    "UnwrappedFormatter",
    "DmsFormatter",
    "BeforeImage",
    "BeforeImageColumns",
    "Tombstones",
)
