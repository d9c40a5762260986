"""DmsParser: typed events of the records of AWS DMS."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

from psycopg.adapt import AdaptersMap

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    Relation,
    Row,
    SchemaChange,
    SnapshotRead,
    Tombstone,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters.dms.settings import BeforeImage
from pglogical_cdc.formatters.option_check import check_option, check_text
from pglogical_cdc.parsers.dms.control import Control, read_control
from pglogical_cdc.parsers.dms.images import (
    BeforeColumns,
    deleted_raw,
    inserted_raw,
    old_raw,
    updated_raw,
)
from pglogical_cdc.parsers.dms.message import Message, read_message
from pglogical_cdc.parsers.dms.metadata import Metadata, TableName
from pglogical_cdc.parsers.dms.row_key import RowKey, read_row_key
from pglogical_cdc.parsers.dms.tables import Tables
from pglogical_cdc.postgres.loaders import PsycopgLoaders

__all__ = ("AbsentInUpdate", "DmsParser", "parse_dms")

AbsentInUpdate: TypeAlias = Literal["unchanged", "null"]


class DmsParser:
    """Makes typed events of the records that AWS DMS writes to Kafka and Kinesis, in JSON.

    ``load`` gives `SnapshotRead`; ``insert``, ``update`` and ``delete`` give the changes of these
    names, ``truncate-table`` (which `DmsFormatter` writes and AWS does not) gives `Truncate`, and
    every other control record `SchemaChange`. Of a table with a ``table-def``
    (``IncludeControlDetails``) the columns have its types. Else they have those of the JSON:
    ``bool``, ``int8``, ``numeric`` with exactly the digits that are there, and ``text``; they
    become wider when values do not fit, and more columns when rows show more.

    What the JSON does not have:

    - **Which column identifies a row.** It is told, in this order, by a key that `Tombstones` has
      written (``key="json"``), by ``primary-key`` of a ``table-def``, by `primary_keys`, or by
      what all deleted rows had in common, as long as no column of them was null. Else a change
      has no key. The values are those that the row has: of a key column that a transform has left
      out or masked, the record's key has another.
    - **Whether a column that is left out is NULL**, unless ``IncludeNullAndEmpty`` is on: in a new
      row it is; of an update see `absent`.
    - **Whether a deleted row is whole.** One of which only the key has values counts as the image
      of a key: its other columns are `NOT_SENT`. So is every column that is left out, which under
      REPLICA IDENTITY FULL may have been NULL.
    - **The old key of an update**, unless the task writes before images: without one it counts as
      not changed. ``{}`` and no member at all are the same.
    - **Whether an old value in a column (``BI_``) is NULL or was not sent.** Where only the key has
      old values, or nothing tells the key, those that are null count as not sent.
    - **The LSN of the commit.** A transaction has in its place the first LSN of
      ``stream-position``, and an event has the second for its own: the same at every reading, but
      not the positions that a reader gives, and in the order of the first changes, not of the
      commits. The ordinal is ``transaction-record-id``. Without ``IncludeTransactionDetails`` all
      positions are 0/0:0, and the time of the commit is that of the transaction's first record.
      The stream positions of other engines are 0/0 as well. Rows of a load, and control records,
      have no transaction.
    - **The database**: it is empty.
    - **timestamp or timestamptz.** DMS writes both in UTC with a ``Z``, so with a ``table-def``
      both are ``timestamptz``. It names the types of PostgreSQL but roughly: what is text in the
      JSON (uuid, json, intervals, arrays, ...) is ``text`` or ``varchar``, and ``timetz`` is
      ``time``.
    - **Numbers that are not finite**: DMS writes null for them.
    - **Digits that DMS has rounded**: without ``UseLargeIntegerValue`` an ``int8`` of more than 16
      digits comes as the number that its double means.
    - Without a ``table-def``: **dates, times and bytea**, which are text as they stand there; so
      are booleans without ``MapBooleanAsBoolean``.
    - Without ``IncludeControlDetails``: **what a control record is about**. After ``add-column``
      the table keeps its columns until rows show the new one; after all other operations it has
      none until rows show them.
    - ``cascade`` and ``restart_identity`` of a truncate: they are False.

    Records of ``map-record-to-document`` (all columns in ``_doc``) are refused.

    A parser keeps the tables that it has seen: use one for as long as you read.

    Args:
        adapters: psycopg adapters whose loaders make the Python values; by default psycopg's
            global ones.
        field_name: ``FieldName`` of ``BeforeImageSettings``: name of the member with the before
            image.
        column_prefix: ``column-prefix`` of ``add-before-image-columns``, with which old values are
            columns of ``data``: ``"BI_"``. Columns of such names are taken out of the row. If it
            and `column_suffix` are empty there are none.
        column_suffix: ``column-suffix``.
        primary_keys: names of the columns of primary keys in their order, by ``schema.table``.
        absent: what a column is that the table has and an update's ``data`` does not.
            ``"unchanged"``: `UNCHANGED`, because it may be a TOASTed value that the server did not
            send, which `DmsFormatter` leaves out; but NULL if the ``table-def`` gives it a type
            that is never TOASTed, or the before image has it. ``"null"``: NULL, for records of AWS
            without ``IncludeNullAndEmpty``, because AWS reads such values from the table.

    Raises:
        ConfigurationError: a value of an option that is not supported.
    """

    def __init__(
        self,
        *,
        adapters: AdaptersMap | None = None,
        field_name: str = "before-image",
        column_prefix: str = "",
        column_suffix: str = "",
        primary_keys: Mapping[str, Sequence[str]] | None = None,
        absent: AbsentInUpdate = "unchanged",
    ) -> None:
        self._before_image: Final = BeforeImage(field_name).field_name
        check_text("column_prefix", column_prefix)
        check_text("column_suffix", column_suffix)
        check_option("absent", absent, *get_args(AbsentInUpdate))
        self._null_for_absent: Final = absent == "null"
        self._before_columns: Final = BeforeColumns(column_prefix, column_suffix)
        keys = {name: _key(name, key) for name, key in (primary_keys or {}).items()}
        self._tables: Final = Tables(PsycopgLoaders(adapters), keys)
        self._transaction: Transaction | None = None

    def parse(
        self, value: bytes | str | None, key: bytes | str | None = None
    ) -> Change | Tombstone:
        """Return the event of one record.

        Args:
            value: the record's value, in either ``MessageFormat``.
            key: the record's key.

        Raises:
            RecordFormatError: the record is none of DMS, or it is damaged.
            ValueDecodeError: a loader of `adapters` failed on the key of a tombstone.
        """
        row_key = None if key is None else read_row_key(key)
        if value is None:
            return self._tombstone(row_key)
        message = read_message(value, self._before_image)
        return self._control(message) if message.is_control else self._change(message, row_key)

    # -- rows

    def _change(self, message: Message, row_key: RowKey | None) -> Change:
        metadata, operation = message.metadata, message.operation
        name = metadata.table
        data, old_columns = self._before_columns.divided(message.data)
        before = old_columns or message.before
        if operation != "update":
            if operation == "delete":
                old = {column: each for column, each in before.items() if data.get(column) is None}
                data = {**data, **old}
            before = {}
        member = "data" if old_columns else self._before_image
        transaction, start = self._transaction_of(metadata), metadata.position[1]
        ordinal = metadata.ordinal
        table = self._tables.at(name)
        table.see([("data", data), (member, before)])
        if row_key is not None and (row_key.schema, row_key.table) == name:
            table.see_key(row_key.columns({*data, *before}))
        if operation == "delete" and data and None not in data.values():
            table.see_deleted(list(data))
        relation, columns = table.relation, table.columns
        if operation == "delete":
            raw = deleted_raw(columns, relation.key_columns, data)
            return Delete(start, transaction, ordinal, relation, Row(relation, raw))
        if operation == "update":
            if old_columns:
                before = self._before_columns.sent(before, relation.key_columns)
            image = Row(relation, old_raw(member, columns, before)) if before else None
            raw = updated_raw(columns, data, before, null_for_absent=self._null_for_absent)
            return Update(start, transaction, ordinal, relation, image, Row(relation, raw))
        row = Row(relation, inserted_raw(columns, data))
        if operation == "load":
            return SnapshotRead(start, transaction, ordinal, relation, row)
        return Insert(start, transaction, ordinal, relation, row)

    def _tombstone(self, row_key: RowKey | None) -> Tombstone:
        if row_key is None:
            return Tombstone(None)
        name = TableName(row_key.schema, row_key.table)
        table = self._tables.get(name)
        known = () if table is None else [column.name for column in table.columns]
        key = dict(zip(row_key.columns(known), row_key.members.values(), strict=True))
        return Tombstone(self._tables.key_values(name, key), *name)

    # -- tables

    def _control(self, message: Message) -> Change:
        metadata, operation = message.metadata, message.operation
        name = metadata.table
        transaction, start = self._transaction_of(metadata), metadata.position[1]
        ordinal = metadata.ordinal
        if operation == "truncate-table":
            relation = self._tables.at(name).relation
            return Truncate(start, transaction, ordinal, relation, False, False)
        if operation == "drop-table":
            previous, relation = self._tables.drop(name)
        else:
            control = read_control(operation, message.control)
            previous, relation = self._altered(operation, name, control)
        return SchemaChange(start, transaction, ordinal, relation, previous)

    def _altered(
        self, operation: str, name: TableName, control: Control
    ) -> tuple[Relation, Relation]:
        """Return a table's version before a control record, and the one after it."""
        old = control.old_name or name
        previous = self._tables.at(old).relation
        table = self._tables.rename(old, name)
        if control.definition is not None:
            table.define(self._before_columns.left_out(control.definition))
        elif operation != "add-column":
            table.forget()
        return previous, table.relation

    def _transaction_of(self, metadata: Metadata) -> Transaction | None:
        xid = metadata.xid
        if xid is None:
            return None
        commit, time = metadata.position[0], metadata.commit_timestamp
        last = self._transaction
        if (
            last is None
            or (last.xid, last.commit_lsn) != (xid, commit)
            or time not in (None, last.commit_timestamp)
        ):
            time = metadata.time("timestamp") if time is None else time
            last = self._transaction = Transaction(xid, commit, time)
        return last


def _key(name: str, key: Sequence[str]) -> tuple[str, ...]:
    if isinstance(key, str) or not key or not all(isinstance(each, str) for each in key):
        raise ConfigurationError(
            f"primary_keys must have a sequence of the names of columns for {name!r}, not {key!r}"
        )
    return tuple(key)


_parser = functools.cache(DmsParser)


def parse_dms(value: bytes | str | None, key: bytes | str | None = None) -> Change | Tombstone:
    """Return the event of one record of AWS DMS, by a `DmsParser` with default options.

    The whole program shares that parser, which remembers tables by their names: for topics of
    several databases, for long runs and for threads make a `DmsParser` each.

    Args:
        value: the record's value, in either ``MessageFormat``.
        key: the record's key.

    Raises:
        RecordFormatError: the record is none of DMS, or it is damaged.
    """
    return _parser().parse(value, key)
