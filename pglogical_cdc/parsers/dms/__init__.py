"""From the records that AWS DMS writes, or this library as DMS would, to typed events."""

from pglogical_cdc.parsers.dms.parser import DmsParser, parse_dms

__all__ = ("DmsParser", "parse_dms")
