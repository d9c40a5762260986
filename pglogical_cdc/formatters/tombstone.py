"""Tombstones: log compaction for any format.

A compacted topic keeps the last record of each key, and forgets a key after a record without
value. For that the keys must identify rows, and a deleted row must be followed by its tombstone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Final, Literal, TypeAlias, get_args

import attrs

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import Absent
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    RawValue,
    Relation,
    ReplicaIdentity,
    SnapshotRead,
    Transaction,
    Update,
    base_type,
)
from pglogical_cdc.formatters.base import ControlRecord, Formatter, Record
from pglogical_cdc.formatters.option_check import check_option
from pglogical_cdc.formatters.wire.binary_form import binary_form_error

__all__ = ("TombstoneKey", "Tombstones")

TombstoneKey: TypeAlias = Literal["json", "formatter"]

_Write: TypeAlias = Callable[[bytes], bytes]


@record
class _Key:
    """Where in a row of one relation version its identity is."""

    relation: Relation
    positions: tuple[int, ...]
    names: tuple[bytes, ...]
    """What stands before each value in the JSON key."""
    writers: tuple[_Write, ...]

    def json(self, raw: Sequence[RawValue]) -> bytes:
        parts: list[bytes] = []
        for position, name, write in zip(self.positions, self.names, self.writers, strict=True):
            value = raw[position]
            if type(value) is not bytes:
                raise self.unusable(value)
            parts.append(name + write(value))
        return b"".join(parts) + b"}"

    def unusable(self, value: RawValue) -> ConfigurationError:
        if isinstance(value, bytes):
            return binary_form_error(self.relation)
        what = "is NULL" if value is None else "was not sent by the server"
        return ConfigurationError(
            f"a row of {_name(self.relation)} cannot be identified: a column of its key {what}"
        )


class Tombstones:
    """Adds to any format what a compacted topic needs.

    After the record of a delete comes one with the same key and no value; after a change of the
    key, one with the old key. Where the formatter has written that record itself none is added, and
    none where it writes nothing at all for a delete: the topic is not known then.

    The keys of all records of rows identify the row. Records that belong to no row (transaction
    marks, heartbeats, messages, a truncate, a `ControlRecord`, if the format has them) stay as they
    are. Note that a compacted topic does not forget what has no delete: the rows of a table that
    was truncated or dropped, and those under the old name of a table or of a key's column.

    With ``key="json"`` a key is ``{"schema":...,"table":...,<column>:<value>,...}``: the columns of
    the primary key in its order, or those of the replica identity's index where the server does
    not send the primary key of deleted rows. Integers and booleans come as such, all else as the
    string of PostgreSQL's text. The same row has the same bytes, always. A key column that is
    itself called ``schema`` or ``table`` is written with its table before it:
    ``"orders.schema"``.

    With ``key="formatter"`` the keys are the formatter's own. A formatter may have

    - ``identifies_rows: bool``: whether its keys can identify rows (else they are taken to);
    - ``row_key(relation, raw) -> bytes | None``: the key of a row, None if it would be ambiguous;
      needed for the old key when the format writes a change of the key as one record.

    Args:
        formatter: makes the records.
        key: ``"json"`` or ``"formatter"``.

    Raises:
        ConfigurationError: `key` is ``"formatter"`` and the formatter's keys cannot identify rows
            (as with DMS's schema-table), or is none of the two.
    """

    identifies_rows: Final = True

    def __init__(self, formatter: Formatter, *, key: TombstoneKey = "json") -> None:
        check_option("key", key, *get_args(TombstoneKey))
        if key == "formatter" and not getattr(formatter, "identifies_rows", True):
            raise ConfigurationError(
                f"the keys of {type(formatter).__name__} do not identify a row, as tombstones "
                "need it: use key='json', or options that put the primary key into its keys"
            )
        self._formatter = formatter
        self._json = key == "json"
        self._row_key: Callable[[Relation, Sequence[RawValue]], bytes | None] | None = getattr(
            formatter, "row_key", None
        )
        self._keys: dict[int, _Key] = {}

    def format(self, change: Change) -> Sequence[Record]:
        """Return the formatter's records with keys and tombstones as needed.

        Raises:
            ConfigurationError: nothing identifies the rows of the table.
        """
        records = self._formatter.format(change)
        if not isinstance(change, (Insert, Update, Delete, SnapshotRead)):
            return records
        controls = [each for each in records if isinstance(each, ControlRecord)]
        rows = records[len(controls) :]  # they come after what tells of their table
        if not rows:
            return records
        return [*controls, *self._of_row(rows, change)] if controls else self._of_row(rows, change)

    def _of_row(
        self, records: Sequence[Record], change: Insert | Update | Delete | SnapshotRead
    ) -> Sequence[Record]:
        relation = change.relation.base or change.relation
        key = self._keys.get(relation.oid)
        if key is None or key.relation is not relation:
            key = self._keys[relation.oid] = _find_key(relation, own=not self._json)
        if isinstance(change, Update):
            return self._update(key, records, change)
        row = change.before if isinstance(change, Delete) else change.after
        identity = self._identity(key, records[-1], row.base.raw)
        if self._json:
            records = [attrs.evolve(each, key=identity) for each in records]
        return _forgetting(records, identity) if isinstance(change, Delete) else records

    def begin(self, transaction: Transaction) -> Sequence[Record]:
        """Return what the formatter does."""
        return self._formatter.begin(transaction)

    def commit(
        self, transaction: Transaction, counts: Mapping[tuple[str, str], int]
    ) -> Sequence[Record]:
        """Return what the formatter does."""
        return self._formatter.commit(transaction, counts)

    def heartbeat(self, time: int) -> Sequence[Record]:
        """Return what the formatter does."""
        return self._formatter.heartbeat(time)

    def _update(self, key: _Key, records: Sequence[Record], change: Update) -> Sequence[Record]:
        new = _filled(change.after.base.raw, change)
        identity = self._identity(key, records[-1], new)
        old = identity
        if change.before is not None:
            before = _filled(change.before.base.raw, change)
            if any(before[position] != new[position] for position in key.positions):
                old = self._old_identity(key, records, before)
        # A format may write a change of the key as the end of one row and the start of another;
        # its own keys tell which record is of which.
        own = records[-1].key
        if self._json:
            records = [
                attrs.evolve(each, key=identity if each.key == own else old) for each in records
            ]
        return records if old == identity else _forgetting(records, old)

    def _identity(self, key: _Key, own: Record, raw: Sequence[RawValue]) -> bytes:
        if self._json:
            return key.json(raw)
        found = own.key if self._row_key is None else self._row_key(key.relation, raw)
        if found is None:
            raise ConfigurationError(
                f"the formatter's key does not identify a row of {_name(key.relation)}: "
                "use key='json'"
            )
        return found

    def _old_identity(self, key: _Key, records: Sequence[Record], raw: Sequence[RawValue]) -> bytes:
        if not self._json and self._row_key is None:
            for each in records:
                if each.key is not None and each.key != records[-1].key:
                    return each.key
            raise ConfigurationError(
                f"the key of a row of {_name(key.relation)} changed, and "
                f"{type(self._formatter).__name__} does not tell the old one: use key='json'"
            )
        return self._identity(key, records[-1], raw)


def _forgetting(records: Sequence[Record], key: bytes) -> Sequence[Record]:
    """Add the tombstone of a key, if it is not there already."""
    if any(each.value is None and each.key == key for each in records):
        return records
    last = records[-1]
    return [*records, Record(last.topic, key, None, (), last.position)]


def _filled(raw: Sequence[RawValue], change: Update) -> Sequence[RawValue]:
    """Take from the other image what is absent in one: it has not changed."""
    if change.before is None or not any(isinstance(value, Absent) for value in raw):
        return raw
    before, after = change.before.base.raw, change.after.base.raw
    other = after if raw is before else before
    return [
        second if isinstance(first, Absent) else first
        for first, second in zip(raw, other, strict=True)
    ]


def _find_key(relation: Relation, *, own: bool) -> _Key:
    """Find the columns that identify a row in every image of it that the server sends.

    Args:
        relation: the version of the table.
        own: the formatter's own keys, which are taken to be made of the relation's key.
    """
    positions = relation.key_positions
    identity = tuple(i for i, column in enumerate(relation.columns) if column.is_identity)
    # Of a table without replica identity nothing is ever updated or deleted.
    never_old = relation.replica_identity is ReplicaIdentity.NOTHING
    if positions is not None and not never_old and not set(positions) <= set(identity):
        positions = None if own else identity or None
    if positions is None:
        raise ConfigurationError(
            f"tombstones need a key, and nothing that the server sends identifies a row of "
            f"{_name(relation)}: give it a primary key, or REPLICA IDENTITY USING INDEX, or leave "
            "it out"
        )
    names: list[bytes] = []
    for position in positions:
        name = relation.columns[position].name
        if name in ("schema", "table"):
            name = f"{relation.name}.{name}"
        names.append(b"," + _json(name.encode()) + b":")
    head = b'{"schema":%b,"table":%b' % (
        _json(relation.schema.encode()),
        _json(relation.name.encode()),
    )
    names[0] = head + names[0]
    writers = tuple(_writer(base_type(relation, relation.columns[i])[0]) for i in positions)
    return _Key(relation, positions, tuple(names), writers)


def _writer(type_name: str | None) -> _Write:
    if type_name in ("int2", "int4", "int8", "oid"):
        return _integer
    return _boolean if type_name == "bool" else _json


def _integer(value: bytes) -> bytes:
    return value if value.removeprefix(b"-").isdigit() else _json(value)


def _boolean(value: bytes) -> bytes:
    if value == b"t":
        return b"true"
    return b"false" if value == b"f" else _json(value)


def _json(text: bytes) -> bytes:
    # U+FFFD for what is no UTF-8 would make different keys equal.
    return encode_basestring(text.decode("utf-8", "backslashreplace")).encode()


def _name(relation: Relation) -> str:
    return f"{relation.schema}.{relation.name}"
