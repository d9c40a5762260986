"""Record to change: from the formats that the world writes back to typed events."""

from pglogical_cdc.parsers.debezium import DebeziumParser, parse_debezium

__all__ = ("DebeziumParser", "parse_debezium")
