"""DebeziumParser: typed events of Debezium's records."""

from __future__ import annotations

import base64
import functools
from typing import Final, Literal, cast, get_args

from psycopg.adapt import AdaptersMap

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    RawValue,
    Row,
    SnapshotMarker,
    SnapshotRead,
    Tombstone,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters.debezium.options import placeholder_bytes
from pglogical_cdc.formatters.option_check import check_option
from pglogical_cdc.formatters.wire.binary import BinaryMode
from pglogical_cdc.lsn import LSN
from pglogical_cdc.parsers.debezium.connect_json import ConnectJson, ConnectRecord, json_type
from pglogical_cdc.parsers.debezium.envelope import (
    Envelope,
    RecordHeaders,
    not_debezium,
    read_envelope,
)
from pglogical_cdc.parsers.debezium.old_image import is_key_image
from pglogical_cdc.parsers.debezium.placeholder import Placeholder
from pglogical_cdc.parsers.debezium.shapes import Shape, Shapes
from pglogical_cdc.parsers.debezium.tables import Table, TableName, Tables
from pglogical_cdc.postgres.loaders import PsycopgLoaders

__all__ = ("DebeziumParser", "parse_debezium")

_Image = Literal["before", "after"]


class DebeziumParser:
    """Makes typed events of the records that Debezium's PostgreSQL connector writes as JSON.

    With schemas the columns have the types that the schemas tell. Without, they have those of the
    JSON: ``bool``, ``int8``, ``float8``, ``numeric`` for integers beyond ``int8``, ``text``, and
    ``jsonb`` for arrays and objects; a date is then a number, as it is in the JSON.

    What the JSON does not have:

    - **The LSN of the commit.** A transaction has in its place the end of the one before it
      (``source.sequence``), and an event has for its ordinal its LSN, or
      ``transaction.total_order`` if ``provide.transaction.metadata`` adds that. So positions
      ascend as the stream did and are the same at every reading, but they are not those that a
      reader gives. Two events of one LSN (rows of one COPY) are told apart only by
      ``total_order``. Without a sequence (the first transaction of a connector, snapshots,
      unwrapped rows) the event's own LSN is all there is.
    - **Whether an old row is whole.** One of which only the key has values counts as the image of
      a key: its other columns are `NOT_SENT`.
    - **NULL in a column with a default**: Debezium writes the default.
    - **Whether bits are of ``bit`` or ``varbit``**, and how many zeros were before them.
    - **A placeholder that a transform has cut or hashed**: it is a value like any other.
    - Without schemas, **which columns a table has**: one that an update or delete does not name,
      and an earlier record did, counts as not sent.
    - ``cascade`` and ``restart_identity`` of a truncate: they are False.

    A parser keeps the versions of the tables that it has seen: use one for as long as you read.

    Args:
        adapters: psycopg adapters whose loaders make the Python values; by default psycopg's
            global ones.
        unavailable_value_placeholder: what the connector writes for a value that the server did
            not send.
        binary_handling_mode: how the connector writes the content of messages.

    Raises:
        ConfigurationError: a value of an option that is not supported.
    """

    def __init__(
        self,
        *,
        adapters: AdaptersMap | None = None,
        unavailable_value_placeholder: str = "__debezium_unavailable_value",
        binary_handling_mode: BinaryMode = "bytes",
    ) -> None:
        check_option("binary_handling_mode", binary_handling_mode, *get_args(BinaryMode))
        self._json = ConnectJson("Debezium JSON")
        self._shapes = Shapes()
        placeholder = Placeholder(placeholder_bytes(unavailable_value_placeholder))
        self._tables = Tables(PsycopgLoaders(adapters), placeholder)
        self._binary: Final = binary_handling_mode
        self._transaction: Transaction | None = None

    def parse(
        self,
        value: bytes | str | None,
        key: bytes | str | None = None,
        headers: RecordHeaders = (),
    ) -> Change | Tombstone:
        """Return the event of one record.

        A change of a key comes back as what it is there: a delete, a tombstone and an insert.

        A row that ExtractNewRecordState has unwrapped is an event if its added fields, or
        `headers`, tell ``op`` and, unless the name of its schema does, ``schema`` and ``table``.
        Members that are called as added fields are (``__op``, ``__lsn``, ``__source_name``) are no
        columns. Without ``lsn`` all positions are 0/0.

        Args:
            value: the record's value: JSON, with or without its schema.
            key: the record's key; without it no event has a key.
            headers: the record's headers, for what ``add.headers`` has put there.

        Raises:
            RecordFormatError: the record is neither a change nor a message nor a tombstone
                (heartbeats and transaction marks come on topics of their own), or it is damaged.
            ValueDecodeError: a loader of `adapters` failed on the key of a tombstone.
        """
        identity = None if key is None else self._json.read("key", key)
        if identity is not None and identity.payload is None:
            identity = None
        if identity is not None and not isinstance(identity.payload, dict):
            raise not_debezium("an object as key", json_type(identity.payload))
        record = None if value is None else self._json.read("value", value)
        if record is None or record.payload is None:
            return self._tombstone(identity)
        event = read_envelope(record, headers)
        return self._message(event) if event.op == "m" else self._change(event, identity)

    # -- rows

    def _change(self, event: Envelope, identity: ConnectRecord | None) -> Change:
        name = TableName(
            event.text("name"), event.text("db"), event.text("schema"), event.text("table")
        )
        if not name.table:
            raise not_debezium("the name of a table as source.table", "none")
        images = [image for image in (event.before, event.after) if image is not None]
        if event.row_schema is not None:
            shape = self._shapes.of_schema(event.row_schema, unwrapped=event.is_unwrapped)
        else:
            whole = event.op in ("c", "r")
            shape = self._shapes.of_values(("row", name), *images, whole=whole)
        key_shape: Shape | None = None
        key: list[RawValue] = []
        if identity is not None:
            key_shape, key = self._key(name, identity)
        elif event.op == "t":
            # No key comes with a truncate.
            known = self._tables.known(name)
            key_shape = None if known is None else known.key
        table = self._tables.table(name, shape, key_shape)
        previous = event.previous_end_lsn
        transaction = self._transaction_of(event, previous)
        start, order, relation = event.lsn, _ordinal(event, previous), table.relation
        row = functools.partial(self._row, event, table, key)
        if event.op == "c":
            return Insert(start, transaction, order, relation, row("after"))
        if event.op == "u":
            before = None if event.before is None else row("before")
            return Update(start, transaction, order, relation, before, row("after"))
        if event.op == "d":
            return Delete(start, transaction, order, relation, row("before"))
        if event.op == "r":
            return SnapshotRead(start, transaction, order, relation, row("after"), _snapshot(event))
        if event.op == "t":
            return Truncate(start, transaction, order, relation, False, False)
        raise not_debezium("c, u, d, r, t or m as op", "another")

    def _row(self, event: Envelope, table: Table, key: list[RawValue], image: _Image) -> Row:
        content = event.after if image == "after" else event.before
        if content is None:
            raise not_debezium(f"an object as {image} where op is {event.op}", "null")
        absent = UNCHANGED if image == "after" else NOT_SENT
        raw = self._tables.raw(image, table.shape, content, absent)
        if image == "before" and table.key and is_key_image(table.shape, table.key, content):
            names = {column.name for column in table.key}
            raw = [
                value if column.name in names else NOT_SENT
                for column, value in zip(table.shape, raw, strict=True)
            ]
        return table.row(raw, key)

    def _key(self, owner: object, identity: ConnectRecord) -> tuple[Shape, list[RawValue]]:
        if identity.schema is not None:
            shape = self._shapes.of_schema(identity.schema)
        else:
            shape = self._shapes.of_values(("key", owner), identity.payload, whole=True)
        return shape, self._tables.raw("key", shape, identity.payload, NOT_SENT)

    # -- all else

    def _tombstone(self, identity: ConnectRecord | None) -> Tombstone:
        if identity is None:
            return Tombstone(None)
        shape, raw = self._key(None, identity)
        return Tombstone(dict(self._tables.key_row(shape, raw)))

    def _message(self, event: Envelope) -> LogicalMessage:
        message = event.message or {}
        prefix, content = message.get("prefix"), message.get("content")
        if not isinstance(prefix, str) or not isinstance(content, str):
            raise not_debezium("prefix and content as strings in message", "something else")
        previous = event.previous_end_lsn
        try:
            return LogicalMessage(
                event.lsn,
                self._transaction_of(event, previous),
                _ordinal(event, previous),
                prefix,
                self._bytes(content),
                event.text("db"),
            )
        except ValueError:
            raise not_debezium(
                f"the content of a message in binary_handling_mode={self._binary!r}",
                "a string of another form",
            ) from None

    def _bytes(self, content: str) -> bytes:
        if self._binary == "hex":
            return bytes.fromhex(content)
        altchars = b"-_" if self._binary == "base64-url-safe" else None
        return base64.b64decode(content, altchars, validate=True)

    def _transaction_of(self, event: Envelope, previous: LSN | None) -> Transaction | None:
        xid = event.xid
        if xid is None:
            return None
        commit = event.lsn if previous is None else previous
        last = self._transaction
        if last is None or (last.xid, last.commit_lsn) != (xid, commit):
            origin_lsn = event.number("origin_lsn")
            last = self._transaction = Transaction(
                xid,
                commit,
                event.timestamp,
                previous_end_lsn=previous,
                origin=event.text("origin") or None,
                origin_lsn=None if origin_lsn is None else LSN(origin_lsn),
            )
        return last


def _ordinal(event: Envelope, previous: LSN | None) -> int:
    """Return what orders an event in its transaction."""
    if event.total_order or event.op == "r" or previous is None:
        return event.total_order
    return event.lsn


def _snapshot(event: Envelope) -> SnapshotMarker:
    marker = event.text("snapshot")
    return cast("SnapshotMarker", marker) if marker in get_args(SnapshotMarker) else "true"


_parser = functools.cache(DebeziumParser)


def parse_debezium(
    value: bytes | str | None,
    key: bytes | str | None = None,
    headers: RecordHeaders = (),
) -> Change | Tombstone:
    """Return the event of one of Debezium's records, by a `DebeziumParser` with default options.

    The whole program shares that parser, which remembers tables by their names: for long runs and
    for threads make a `DebeziumParser` each.

    Args:
        value: the record's value: JSON, with or without its schema.
        key: the record's key; without it no event has a key.
        headers: the record's headers, for what ``add.headers`` has put there.

    Raises:
        RecordFormatError: the record is neither a change nor a message nor a tombstone, or it is
            damaged.
    """
    return _parser().parse(value, key, headers)
