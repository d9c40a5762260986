"""Envelope: what stands around a row or message, read with checks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.parsers.debezium.connect_json import ConnectRecord, is_text, json_type
from pglogical_cdc.parsers.debezium.unwrapped import as_envelope

__all__ = ("Envelope", "RecordHeaders", "not_debezium", "read_envelope")

RecordHeaders: TypeAlias = Iterable[tuple[str, "bytes | str | None"]]

_NAMES_SHOWN: Final = 10
_CONNECTOR: Final = "postgresql"
_LONGS: Final = range(1 << 63)


def not_debezium(expected: str, found: str) -> RecordFormatError:
    """Return the error of a record that is not what it should be."""
    return RecordFormatError("Debezium JSON", expected, found)


@record
class Envelope:
    """An event around its rows."""

    op: str
    source: Mapping[str, Any] = field(repr=False)
    before: Mapping[str, Any] | None = field(repr=False)
    after: Mapping[str, Any] | None = field(repr=False)
    message: Mapping[str, Any] | None = field(repr=False)
    row_schema: Mapping[str, Any] | None = field(repr=False)
    """Schema of the rows; None without schemas."""
    total_order: int
    is_unwrapped: bool

    @property
    def lsn(self) -> LSN:
        """``source.lsn``; 0 if it is not there."""
        return LSN(self.number("lsn") or 0)

    @property
    def xid(self) -> int | None:
        """``source.txId``."""
        return self.number("txId")

    @property
    def timestamp(self) -> int:
        """``source.ts_us``, or before Debezium 2.5 ``source.ts_ms``, in microseconds."""
        found = self.number("ts_us")
        return (self.number("ts_ms") or 0) * 1000 if found is None else found

    @property
    def previous_end_lsn(self) -> LSN | None:
        """First element of ``source.sequence``."""
        text = self.text("sequence")
        if not text:
            return None
        try:
            first, _ = json.loads(text)
            return None if first is None else LSN(int(first))
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            raise not_debezium("two numbers in source.sequence", "something else") from None

    def number(self, name: str) -> int | None:
        """Return a number from 0 on in `source`, or None."""
        found = self.source.get(name)
        if found is None:
            return None
        if type(found) is not int or found not in _LONGS:
            raise not_debezium(f"a number from 0 on as source.{name}", json_type(found))
        return found

    def text(self, name: str) -> str:
        """Return a string in `source`, empty if it is not there."""
        found = self.source.get(name)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise not_debezium(f"a string as source.{name}", json_type(found))
        if not is_text(found):
            raise not_debezium(f"text as source.{name}", "half a character")
        return found


def read_envelope(value: ConnectRecord, headers: RecordHeaders) -> Envelope:
    """Read the value of a record: an envelope, or a row that was taken out of one.

    Raises:
        RecordFormatError: it is neither.
    """
    content = value.payload
    if not isinstance(content, dict):
        raise not_debezium("an object as value", json_type(content))
    row_schema = value.schema
    is_unwrapped = "op" not in content or not isinstance(content.get("source"), dict)
    if not is_unwrapped:
        row_schema = None if value.schema is None else _field(value.schema, "after")
    else:
        given = None if value.schema is None else value.schema.get("name")
        name = given if isinstance(given, str) else None
        found = as_envelope(content, name, [(key, _decoded(text)) for key, text in headers])
        if found is None:
            raise not_debezium(
                "op and source, or in a row alone what add_fields=op,schema,table adds",
                f"an object with {_names(content)}",
            )
        content = found
    source, op = content["source"], content["op"]
    if source.get("connector", _CONNECTOR) != _CONNECTOR:
        raise not_debezium("an event of the connector for PostgreSQL", "one of another connector")
    block = content.get("transaction")
    return Envelope(
        op=op if isinstance(op, str) else json_type(op),
        source=source,
        before=_object(content, "before"),
        after=_object(content, "after"),
        message=_object(content, "message"),
        row_schema=row_schema,
        total_order=_total_order(block) if isinstance(block, dict) else 0,
        is_unwrapped=is_unwrapped,
    )


def _total_order(block: Mapping[str, Any]) -> int:
    order = block.get("total_order", 0)
    if type(order) is not int or order < 0:
        raise not_debezium("a number from 0 on as transaction.total_order", json_type(order))
    return order


def _field(schema: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the schema of a field of a struct."""
    fields = schema.get("fields")
    for each in fields if isinstance(fields, list) else ():
        if isinstance(each, dict) and each.get("field") == name:
            return each
    return None


def _object(content: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    found = content.get(name)
    if found is not None and not isinstance(found, dict):
        raise not_debezium(f"an object as {name}", json_type(found))
    return found


def _decoded(text: bytes | str | None) -> Any:
    """Return the value of a header: JSON, or the text as it stands."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text if isinstance(text, str) else (text or b"").decode(errors="replace")


def _names(content: Mapping[str, Any]) -> str:
    names = [json.dumps(name) for name in content]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "no members") + more
