"""UnwrappedFormatter: the row alone, as Debezium's ExtractNewRecordState leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

from typing_extensions import Unpack

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Row, RowChange
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.formatters.debezium.formatter import DebeziumFormatter, Headers
from pglogical_cdc.formatters.debezium.options import DebeziumOptions
from pglogical_cdc.formatters.debezium.source import SOURCE_FIELDS
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.option_check import check_option
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = ("DeleteTombstoneMode", "UnwrappedFormatter")

DeleteTombstoneMode: TypeAlias = Literal[
    "drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone"
]

_CLOCK_FIELDS: Final = {"ts_ms": 1_000_000, "ts_us": 1000, "ts_ns": 1}
_TRANSACTION_FIELDS: Final = ("id", "total_order", "data_collection_order")
_REWRITE: Final = ("rewrite", "rewrite-with-tombstone")


@record
class _Added:
    """A field of the envelope that is kept, as a field of the row or as a header."""

    name: str
    struct: str
    """``source``, ``transaction``, or empty for the envelope itself."""
    field: str


class UnwrappedFormatter(DebeziumFormatter):
    """Makes the records of `DebeziumFormatter` as ExtractNewRecordState passes them on.

    The value is the row after the change. Truncates are dropped; logical messages pass as they
    are.

    Args:
        topic_prefix: as for `DebeziumFormatter`.
        delete_tombstone_handling_mode: what becomes of a delete and its tombstone:

            - ``drop``: nothing is sent;
            - ``tombstone``: one record whose value is the JSON ``null`` (4 bytes: the record keeps
              its schema, so that it is no tombstone to Kafka);
            - ``rewrite``: one record with the old row, and ``__deleted`` in every row;
            - ``rewrite-with-tombstone``: the same and then the tombstone;
            - ``delete-to-tombstone``: one record without a value.
        add_fields: fields of the envelope to add to the row: ``op``, ``ts_ms``, ``table`` or
            ``source.table``, ``transaction.id``. Several names, or as Debezium has it one string
            with commas: ``"op,source.ts_ms"``. To rename a field (``op:NEW``) is not supported.
        add_headers: the same, to add as headers.
        options: all other options of `DebeziumFormatter`.

    Raises:
        ConfigurationError: a value of an option that is not supported.
    """

    def __init__(
        self,
        *,
        topic_prefix: str,
        delete_tombstone_handling_mode: DeleteTombstoneMode = "tombstone",
        add_fields: str | Sequence[str] = (),
        add_headers: str | Sequence[str] = (),
        **options: Unpack[DebeziumOptions],
    ) -> None:
        check_option(
            "delete_tombstone_handling_mode",
            delete_tombstone_handling_mode,
            *get_args(DeleteTombstoneMode),
        )
        super().__init__(topic_prefix=topic_prefix, **options)
        self._mode: DeleteTombstoneMode = delete_tombstone_handling_mode
        self._fields = _all_added("add_fields", add_fields)
        self._headers = _all_added("add_headers", add_headers)

    def _removal(
        self,
        change: RowChange,
        table: TableFormat,
        key: bytes | None,
        before: Row,
        headers: Headers,
    ) -> Sequence[Record]:
        if self._mode == "drop":
            return ()
        records = self._data(change, table, "d", key, before, None, headers)
        if self._mode != "rewrite-with-tombstone" or not self._tombstones:
            return records
        return (*records, Record(table.topic, key, None, headers, change.position))

    def _data(
        self,
        change: RowChange,
        table: TableFormat,
        op: str,
        key: bytes | None,
        before: Row | None,
        after: Row | None,
        headers: Headers,
    ) -> Sequence[Record]:
        if op == "t":
            return ()
        now = self._clock() if self._fields or self._headers else 0
        if self._headers:
            headers = (
                *headers,
                *((added.name, self._value(added, change, op, now)) for added in self._headers),
            )
        value = self._row(change, table, op, after if op != "d" else before, now)
        return (Record(table.topic, key, value, headers, change.position),)

    def _row(
        self, change: RowChange, table: TableFormat, op: str, row: Row | None, now: int
    ) -> bytes | None:
        if op == "d" and self._mode not in _REWRITE:
            return None if self._mode == "delete-to-tombstone" else b"null"
        members: list[bytes] = []
        if self._mode in _REWRITE:
            members.append(b'"__deleted":"true"' if op == "d" else b'"__deleted":"false"')
        members += [
            b"%b:%b" % (json_text(added.name), self._value(added, change, op, now))
            for added in self._fields
        ]
        content = b"{}" if row is None else table.row(row.raw)
        if content != b"{}":
            members.insert(0, content[1:-1])
        return b"{%b}" % b",".join(members)

    def _value(self, added: _Added, change: RowChange, op: str, now: int) -> bytes:
        """Return the JSON of a field of the envelope."""
        if added.struct == "source":
            source = self._source_of(change, change.relation.database)
            return source.field(added.field, change.schema, change.table, change.wal_start)
        if added.struct:
            return b"null"
        if added.field == "op":
            return json_text(op)
        return b"%d" % (now // _CLOCK_FIELDS[added.field])


def _all_added(option: str, names: str | Sequence[str]) -> tuple[_Added, ...]:
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")] if names.strip() else ()
    return tuple(_added(option, name) for name in names)


def _added(option: str, name: str) -> _Added:
    """Find the field that a name means, and what it is called in the record.

    Raises:
        ConfigurationError: there is none.
    """
    struct, dot, field = name.rpartition(".")
    if not dot:
        struct = "" if field == "op" or field in _CLOCK_FIELDS else "source"
        known: Sequence[str] = ("op", *_CLOCK_FIELDS, *SOURCE_FIELDS)
    else:
        known = {"source": SOURCE_FIELDS, "transaction": _TRANSACTION_FIELDS}.get(struct, ())
    if field not in known:
        raise ConfigurationError(
            f"{option}: {name!r} is not supported; it is op, {', '.join(_CLOCK_FIELDS)}, a field "
            "of source (source.lsn), or transaction.id"
        )
    return _Added(f"__{name.replace('.', '_')}", struct, field)
