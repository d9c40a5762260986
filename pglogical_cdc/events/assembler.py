"""ChangeAssembler: from protocol messages to changes.

Holds what a message does not say by itself: the open transaction, the relations described so far,
the types named so far. It knows no connection; whoever drives it may hand in a table's catalog
together with its Relation message.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from pglogical_cdc.absent import UNCHANGED, Absent
from pglogical_cdc.errors import ProtocolError, UnknownRelationError
from pglogical_cdc.events.builtin_types import BUILTIN_TYPE_NAMES, BUILTIN_TYPES
from pglogical_cdc.events.catalog import TableCatalog
from pglogical_cdc.events.change import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    SchemaChange,
    Truncate,
    Update,
)
from pglogical_cdc.events.relation import (
    Column,
    PlainLoaders,
    Relation,
    ReplicaIdentity,
    ValueLoaders,
)
from pglogical_cdc.events.row import RawValue, Row, key_image
from pglogical_cdc.events.transaction import POSTGRES_EPOCH_US, Transaction
from pglogical_cdc.lsn import LSN, wire_lsn
from pglogical_cdc.protocol import (
    BeginMessage,
    CommitMessage,
    DeleteMessage,
    InsertMessage,
    LogicalDecodingMessage,
    Message,
    OriginMessage,
    RelationMessage,
    StreamAbortMessage,
    TruncateMessage,
    TypeMessage,
    UpdateMessage,
    splitter,
)

__all__ = ("ChangeAssembler",)

_IDENTITY_FLAG: Final = 1
"""Relation message, flags of a column: "marks the column as part of the key"."""

_ROW_MESSAGE: Final = struct.Struct(">BQ16xBIBH").unpack_from
"""What Insert, Update and Delete begin with in version 1: XLogData's kind and start LSN, its end
LSN and time, the message's type, OID, kind and number of columns of the first tuple."""

_TUPLE: Final = struct.Struct(">BH").unpack_from
"""Kind and number of columns of the second tuple."""

_VALUES: Final = 33
"""Where the values of the first tuple begin."""

_XLOG_DATA, _INSERT, _UPDATE, _DELETE, _NEW, _KEY, _OLD = b"wIUDNKO"

_RELATION_LIMIT: Final = 4096
"""Far more tables than most databases have; those of a stream that makes tables all the time, and
drops them, would else be remembered for ever."""


class ChangeAssembler:
    """Turns the messages of one stream, in their order, into changes.

    Args:
        database: name of the database, for ``relation.database``.
        loaders: gives the functions that make Python values; by default text stays `str`.
        relation_limit: remember so many relations, those that were used last. A server describes a
            relation once in a stream, so that a change of one that was given up is an
            `UnknownRelationError`, and only a new stream helps.
    """

    def __init__(
        self,
        *,
        database: str = "",
        loaders: ValueLoaders | None = None,
        relation_limit: int = _RELATION_LIMIT,
    ) -> None:
        self._database = database
        self._loaders = PlainLoaders() if loaders is None else loaders
        self.relation_limit = relation_limit
        """So many relations are remembered; those that were used last."""
        self.evicted: list[int] = []
        """OIDs of the relations that were given up for others; may be cleared."""
        self._relations: dict[int, Relation] = {}
        self._type_names: dict[int, str] = {}
        self._replaced: dict[int, Relation | None] = {}
        """Of the relations that the open transaction has described: what they were before it."""
        self._transaction: Transaction | None = None
        self._last: Transaction | None = None
        self._ordinal = 0
        self._previous_end_lsn: LSN | None = None
        self._assemble: dict[type, Callable[..., Sequence[Change]]] = {
            BeginMessage: self._begin,
            CommitMessage: self._commit,
            OriginMessage: self._origin,
            TypeMessage: self._type,
            RelationMessage: self._relation,
            InsertMessage: self._insert,
            UpdateMessage: self._update,
            DeleteMessage: self._delete,
            TruncateMessage: self._truncate,
            LogicalDecodingMessage: self._message,
            StreamAbortMessage: self._stream_abort,
        }

    @property
    def transaction(self) -> Transaction | None:
        """The transaction whose changes are being read; None between transactions."""
        return self._transaction

    @property
    def ordinal(self) -> int:
        """How many changes the open transaction has had so far; more may be added to it."""
        return self._ordinal

    @ordinal.setter
    def ordinal(self, ordinal: int) -> None:
        self._ordinal = ordinal

    def relation(self, oid: int) -> Relation | None:
        """Return the latest version of a relation, or None if no message has described it."""
        return self._relations.get(oid)

    def is_described_as(self, message: RelationMessage) -> bool:
        """Tell whether the latest version of a relation is what a message says."""
        relation = self._relations.get(message.relation_id)
        return relation is not None and relation.has_shape_of(
            self._version(message, relation.catalog)
        )

    def rewind(self) -> None:
        """Go back to the start of the open transaction: it may come again, from its Begin.

        Relations are again what they were before it, so that every `SchemaChange` is the same the
        second time. The transaction itself stays the same object.
        """
        for oid, before in self._replaced.items():
            if before is None:
                self._relations.pop(oid, None)
            else:
                self._relations[oid] = before
        self._replaced.clear()
        self._type_names.clear()
        self._transaction = None

    def assemble(
        self, message: Message, wal_start: int, catalog: TableCatalog | None = None
    ) -> Sequence[Change]:
        """Take the next message and return the changes that it makes, usually none or one.

        Args:
            message: the message, as `PgoutputParser.parse` returns it.
            wal_start: start LSN of the XLogData that carried it.
            catalog: with a Relation message, what the catalog says of the table. Without it the
                catalog of the table's previous version holds on.

        Raises:
            ProtocolError: the message cannot come here: a row outside a transaction, a relation
                that was not described, tuples that do not fit it.
        """
        if catalog is not None and isinstance(message, RelationMessage):
            return self._relation(message, wal_start, catalog)
        try:
            assemble = self._assemble[type(message)]
        except KeyError:
            raise ProtocolError(
                type(message).__name__,
                0,
                expected="a message of protocol version 1",
                found="a message of a streamed or prepared transaction",
            ) from None
        return assemble(message, wal_start)

    def take_rows(
        self, messages: deque[bytes], changes: list[Change], limit: int, room: int
    ) -> bytes | None:
        """Take the Insert, Update and Delete messages that are first in a queue, the short way.

        It makes of them what `PgoutputParser.parse` and `assemble` make, without an object for
        envelope and message. It stops before the first message that is another one, that belongs
        to a streamed transaction, or that anything is wrong with: that is for them to say.

        Args:
            messages: CopyData messages, which are taken from the left.
            changes: where the changes go.
            limit: take so many messages at most.
            room: take so many bytes at most.

        Returns:
            The last message that was taken; None if none was.
        """
        transaction, last = self._transaction, None
        if transaction is None:
            return None
        relations, ordinal = self._relations, self._ordinal
        # The order of use counts only where somebody may have to go.
        crowded = len(relations) > self.relation_limit // 2
        relation_id, relation, width, split = -1, None, -1, splitter(0)
        change: Change
        try:
            for _ in range(min(limit, len(messages))):
                data = messages[0]
                xlog_data, wal_start, code, oid, kind, columns = _ROW_MESSAGE(data)
                room -= len(data)
                if xlog_data != _XLOG_DATA or room < 0:
                    break
                if oid != relation_id:
                    relation = relations[oid]
                    if crowded:
                        relations[oid] = relations.pop(oid)
                    relation_id = oid
                    if len(relation.columns) != width:
                        width = len(relation.columns)
                        split = splitter(width)
                assert relation is not None
                if columns != width:
                    break
                values: Sequence[RawValue]
                values, end = split(data, _VALUES)
                before = None
                if kind != _NEW:
                    if kind == _KEY:
                        values = key_image(relation, values)
                    elif kind != _OLD:
                        break
                    before = Row(relation, values)
                    if code == _UPDATE:
                        kind, columns = _TUPLE(data, end)
                        if columns != width:
                            break
                        new, end = split(data, end + 3)
                        values = _completed(values, new)
                if end != len(data):
                    break
                ordinal += 1
                if code == _DELETE and before is not None:
                    change = Delete(wal_start, transaction, ordinal, relation, before)
                elif kind != _NEW:
                    break
                elif code == _UPDATE:
                    after = Row(relation, values)
                    change = Update(wal_start, transaction, ordinal, relation, before, after)
                elif code == _INSERT and before is None:
                    change = Insert(
                        wal_start, transaction, ordinal, relation, Row(relation, values)
                    )
                else:
                    break
                changes.append(change)
                self._ordinal = ordinal
                last = messages.popleft()
        except (KeyError, ValueError, IndexError, struct.error):
            pass
        return last

    # -- transactions

    def begin(self, final_lsn: int, commit_timestamp: int, xid: int, wal_start: int) -> None:
        """Take a Begin message by its fields.

        Raises:
            ProtocolError: a transaction is open.
        """
        if self._transaction is not None:
            raise _out_of_place("Begin", "no open transaction", "one that has not been committed")
        self._ordinal = 0
        self._replaced.clear()
        last = self._last
        if last is not None and last.commit_lsn == final_lsn and last.xid == xid:
            self._transaction = last  # it comes again, see rewind
            return
        self._transaction = self._last = Transaction(
            xid,
            wire_lsn(final_lsn),
            commit_timestamp + POSTGRES_EPOCH_US,
            wire_lsn(wal_start),
            self._previous_end_lsn,
        )

    def commit(self, commit_lsn: int, end_lsn: int) -> None:
        """Take a Commit message by its fields.

        Raises:
            ProtocolError: no transaction is open, or another one.
        """
        transaction = self._open("Commit")
        if transaction.commit_lsn != commit_lsn:
            raise ProtocolError(
                "Commit",
                2,
                expected=f"the commit LSN of its Begin, {transaction.commit_lsn}",
                found=str(LSN(commit_lsn)),
            )
        transaction.end_lsn = self._previous_end_lsn = wire_lsn(end_lsn)
        self._transaction = None
        self._replaced.clear()

    def _begin(self, message: BeginMessage, wal_start: int) -> Sequence[Change]:
        self.begin(message.final_lsn, message.commit_timestamp, message.xid, wal_start)
        return ()

    def _commit(self, message: CommitMessage, wal_start: int) -> Sequence[Change]:
        self.commit(message.commit_lsn, message.end_lsn)
        return ()

    def _origin(self, message: OriginMessage, wal_start: int) -> Sequence[Change]:
        transaction = self._open("Origin")
        transaction.origin = message.name
        transaction.origin_lsn = LSN(message.commit_lsn)
        return ()

    def _stream_abort(self, message: StreamAbortMessage, wal_start: int) -> Sequence[Change]:
        # PostgreSQL 18 sends it in version 1 too, for a rolled-back transaction whose
        # sub-transaction was released: nothing of it was ever sent, so nothing is to be undone.
        return ()

    # -- relations

    def _type(self, message: TypeMessage, wal_start: int) -> Sequence[Change]:
        # Of a domain the server names the type below it (logicalrep_write_typ takes the base
        # type), under the OID of the domain. A type of the user's that has the name of a built-in
        # one keeps its schema, so that it is not taken for that one.
        name = message.name
        if message.namespace not in ("", "pg_catalog") and name in BUILTIN_TYPE_NAMES:
            name = f"{message.namespace}.{name}"
        self._type_names[message.type_oid] = name
        return ()

    def _relation(
        self, message: RelationMessage, wal_start: int, catalog: TableCatalog | None = None
    ) -> Sequence[Change]:
        previous = self._relations.get(message.relation_id)
        if catalog is None and previous is not None:
            catalog = previous.catalog
        relation = self._version(message, catalog)
        # The names of its types came with it, and would come again.
        self._type_names.clear()
        if previous is not None and previous.has_shape_of(relation):
            # The server repeats a description whenever its own cache was invalidated, also when
            # nothing changed. Keep the version, so that what was made for it stays good.
            if previous.catalog != catalog:
                self._relations[relation.oid] = relation
            return ()
        if self._transaction is not None:
            self._replaced.setdefault(relation.oid, previous)
        self._relations[relation.oid] = relation
        if len(self._relations) > self.relation_limit:
            oldest = next(iter(self._relations))
            del self._relations[oldest]
            self.evicted.append(oldest)
        if previous is None or self._transaction is None:
            return ()
        return (SchemaChange(wal_start, self._transaction, self._ordinal + 1, relation, previous),)

    def _version(self, message: RelationMessage, catalog: TableCatalog | None) -> Relation:
        return Relation(
            oid=message.relation_id,
            schema=message.namespace,
            name=message.relation_name,
            columns=tuple(
                Column(
                    name=column.name,
                    type_oid=column.type_oid,
                    type_modifier=column.type_modifier,
                    type_name=self._type_name(column.type_oid, catalog),
                    is_identity=bool(column.flags & _IDENTITY_FLAG),
                )
                for column in message.columns
            ),
            replica_identity=ReplicaIdentity(message.replica_identity),
            database=self._database,
            catalog=catalog,
            loaders=self._loaders,
        )

    def _type_name(self, oid: int, catalog: TableCatalog | None) -> str | None:
        name = BUILTIN_TYPES.get(oid)
        if name is None and catalog is not None and oid in catalog.types:
            name = catalog.types[oid].name
        return self._type_names.get(oid) if name is None else name

    # -- changes

    def _insert(self, message: InsertMessage, wal_start: int) -> Sequence[Change]:
        transaction = self._open("Insert")
        relation = self._described("Insert", message.relation_id)
        new = message.new_tuple
        if len(new) != len(relation.columns):
            raise _misfit("Insert", relation, new)
        self._ordinal += 1
        return (Insert(wal_start, transaction, self._ordinal, relation, Row(relation, new)),)

    def _update(self, message: UpdateMessage, wal_start: int) -> Sequence[Change]:
        transaction = self._open("Update")
        relation = self._described("Update", message.relation_id)
        new: Sequence[RawValue] = message.new_tuple
        if len(new) != len(relation.columns):
            raise _misfit("Update", relation, new)
        before = None
        if message.old_tuple is not None:
            old = self._old("Update", relation, message.old_tuple_kind, message.old_tuple)
            before = Row(relation, old)
            new = _completed(old, new)
        self._ordinal += 1
        after = Row(relation, new)
        return (Update(wal_start, transaction, self._ordinal, relation, before, after),)

    def _delete(self, message: DeleteMessage, wal_start: int) -> Sequence[Change]:
        transaction = self._open("Delete")
        relation = self._described("Delete", message.relation_id)
        old = self._old("Delete", relation, message.old_tuple_kind, message.old_tuple)
        self._ordinal += 1
        return (Delete(wal_start, transaction, self._ordinal, relation, Row(relation, old)),)

    def _old(
        self, name: str, relation: Relation, kind: str | None, values: Sequence[RawValue]
    ) -> Sequence[RawValue]:
        if len(values) != len(relation.columns):
            raise _misfit(name, relation, values)
        return key_image(relation, values) if kind == "K" else values

    def _truncate(self, message: TruncateMessage, wal_start: int) -> Sequence[Change]:
        transaction = self._open("Truncate")
        relations = [self._described("Truncate", oid) for oid in message.relation_ids]
        changes: list[Change] = []
        for relation in relations:
            self._ordinal += 1
            changes.append(
                Truncate(
                    wal_start,
                    transaction,
                    self._ordinal,
                    relation,
                    message.cascade,
                    message.restart_identity,
                )
            )
        return changes

    def _message(self, message: LogicalDecodingMessage, wal_start: int) -> Sequence[Change]:
        prefix, content = message.prefix, message.content
        if not message.transactional:
            # Sent when it is read from the WAL, not at a commit: its own LSN is its place.
            return (LogicalMessage(message.lsn, None, 0, prefix, content, self._database),)
        transaction = self._open("Message")
        self._ordinal += 1
        return (
            LogicalMessage(wal_start, transaction, self._ordinal, prefix, content, self._database),
        )

    # -- checks

    def _open(self, name: str) -> Transaction:
        if self._transaction is None:
            raise _out_of_place(name, "an open transaction", "no Begin before it")
        return self._transaction

    def _described(self, name: str, oid: int) -> Relation:
        relations = self._relations
        try:
            relation = relations[oid]
        except KeyError:
            raise UnknownRelationError(
                name, 1, expected="a relation that was described before", found=f"OID {oid}"
            ) from None
        if len(relations) > self.relation_limit // 2:
            # The order of use counts only where somebody may have to go.
            relations[oid] = relations.pop(oid)
        return relation


def _completed(old: Sequence[RawValue], new: Sequence[RawValue]) -> Sequence[RawValue]:
    """Return a new row with the old row's values where TOASTed ones were not sent again."""
    if UNCHANGED not in new:
        return new
    return [
        old[i] if value is UNCHANGED and not isinstance(old[i], Absent) else value
        for i, value in enumerate(new)
    ]


def _out_of_place(name: str, expected: str, found: str) -> ProtocolError:
    return ProtocolError(name, 0, expected=expected, found=found)


def _misfit(name: str, relation: Relation, values: Sequence[RawValue]) -> ProtocolError:
    return ProtocolError(
        name,
        5,
        expected=f"{len(relation.columns)} columns of {relation.schema}.{relation.name}",
        found=f"{len(values)}",
    )
