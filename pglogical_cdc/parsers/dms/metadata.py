"""``metadata``: what a record says of itself, read with checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.lsn import LSN
from pglogical_cdc.parsers.debezium.connect_json import is_text
from pglogical_cdc.parsers.dms.iso_times import microseconds
from pglogical_cdc.parsers.dms.number_text import integer_text
from pglogical_cdc.parsers.dms.strict_json import Number, json_type, not_dms

__all__ = ("Metadata", "TableName")

_POSITION: Final = re.compile(
    r"([0-9A-F]{8}/[0-9A-F]{8})\.\d+\.([0-9A-F]{8}/[0-9A-F]{8})", re.ASCII | re.IGNORECASE
)
_NUMBERS: Final = range(1 << 64)


class TableName(NamedTuple):
    """What a table is called."""

    schema: str
    table: str


@record
class Metadata:
    """The member ``metadata`` of a record."""

    content: Mapping[str, Any] = field(repr=False)

    @property
    def table(self) -> TableName:
        """``schema-name``, which may be empty, and ``table-name``."""
        table = self.text("table-name")
        if not table:
            raise not_dms("a name as metadata.table-name", "an empty string")
        return TableName(self.text("schema-name"), table)

    @property
    def xid(self) -> int | None:
        """``transaction-id``; None if it is not there."""
        return self.number("transaction-id")

    @property
    def ordinal(self) -> int:
        """``transaction-record-id``; 0 if it is not there."""
        return self.number("transaction-record-id") or 0

    @property
    def commit_timestamp(self) -> int | None:
        """``commit-timestamp`` in microseconds since 1970-01-01 UTC; None if it is not there."""
        if self.content.get("commit-timestamp") is None:
            return None
        return self.time("commit-timestamp")

    @property
    def position(self) -> tuple[LSN, LSN]:
        """The two LSNs of ``stream-position``; 0 if it is not there, or not of PostgreSQL."""
        if self.content.get("stream-position") is None:
            return LSN(0), LSN(0)
        match = _POSITION.fullmatch(self.text("stream-position"))
        return (LSN(0), LSN(0)) if match is None else (LSN.parse(match[1]), LSN.parse(match[2]))

    def text(self, name: str) -> str:
        """Return a string."""
        found = self.content.get(name)
        if type(found) is not str:
            raise not_dms(f"a string as metadata.{name}", json_type(found))
        if not is_text(found):
            raise not_dms(f"text as metadata.{name}", "half a character")
        return found

    def time(self, name: str) -> int:
        """Return a time in microseconds since 1970-01-01 UTC."""
        try:
            return microseconds(self.text(name))
        except ValueError:
            raise not_dms(f"a time in UTC as metadata.{name}", "a string of another form") from None

    def number(self, name: str) -> int | None:
        """Return a number from 0 on, or None if it is not there."""
        found = self.content.get(name)
        if found is None:
            return None
        try:
            number = int(integer_text(found)) if type(found) is Number else -1
        except ValueError:
            number = -1
        if number not in _NUMBERS:
            raise not_dms(f"an integer from 0 on as metadata.{name}", json_type(found))
        return number
