"""From the records that Debezium writes, or this library as Debezium would, to typed events."""

from pglogical_cdc.parsers.debezium.parser import DebeziumParser, parse_debezium

__all__ = ("DebeziumParser", "parse_debezium")
