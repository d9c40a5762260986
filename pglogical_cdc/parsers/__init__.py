"""Record to change: from the formats that the world writes back to typed events."""

from pglogical_cdc.parsers.debezium import DebeziumParser, parse_debezium
from pglogical_cdc.parsers.dms import DmsParser, parse_dms

__all__ = ("DebeziumParser", "DmsParser", "parse_debezium", "parse_dms")
