"""One class for each message of pgoutput, named and laid out as in the PostgreSQL manual.

Manual: "Logical Replication Message Formats". The messages say what the wire says and no more:

- an LSN is an unsigned 64-bit integer (`pglogical_cdc.lsn.LSN` makes text of it);
- a timestamp is a number of microseconds since 2000-01-01 00:00 UTC, with a sign;
- OIDs and transaction IDs are unsigned 32-bit integers;
- `xid` of a change is filled only between Stream Start and Stream Stop (protocol 2 and above);
  elsewhere the transaction is that of the Begin message before, and `xid` is None.

The `repr` of a message shows no value of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import field

from pglogical_cdc._attrs import record

if TYPE_CHECKING:
    from pglogical_cdc.protocol.tuples import TupleData

__all__ = (
    "BeginMessage",
    "LogicalDecodingMessage",
    "CommitMessage",
    "OriginMessage",
    "ReplicaIdentityCode",
    "RelationColumn",
    "RelationMessage",
    "TypeMessage",
    "InsertMessage",
    "OldTupleKind",
    "UpdateMessage",
    "DeleteMessage",
    "TruncateMessage",
    "StreamStartMessage",
    "StreamStopMessage",
    "StreamCommitMessage",
    "StreamAbortMessage",
    "BeginPrepareMessage",
    "PrepareMessage",
    "CommitPreparedMessage",
    "RollbackPreparedMessage",
    "StreamPrepareMessage",
    "Message",
)

ReplicaIdentityCode: TypeAlias = Literal["d", "n", "f", "i"]
"""``pg_class.relreplident``: default (primary key), nothing, full, index."""

OldTupleKind: TypeAlias = Literal["K", "O"]
"""What an old tuple is: ``K`` the columns of the replica identity, ``O`` the whole old row."""


def _tuple_shape(values: TupleData | None) -> str:
    return "None" if values is None else f"<{len(values)} columns>"


def _content_size(content: bytes) -> str:
    return f"<{len(content)} bytes>"


@record
class BeginMessage:
    """``B``: a transaction begins. All its changes follow, and then its Commit."""

    final_lsn: int
    """LSN of the transaction's commit record."""

    commit_timestamp: int
    """When the transaction committed."""

    xid: int
    """The transaction's ID."""


@record
class LogicalDecodingMessage:
    """``M``: written by ``pg_logical_emit_message``; in the manual its name is Message."""

    flags: int
    """Bit 1: the message belongs to a transaction."""

    lsn: int
    """Where the message is in the WAL."""

    prefix: str
    """The first text argument of ``pg_logical_emit_message``: says whom the message is for."""

    content: bytes = field(repr=_content_size)
    """The message itself."""

    xid: int | None = None
    """The streamed transaction; None outside a streamed block."""

    @property
    def transactional(self) -> bool:
        """Whether the message is part of a transaction and comes only if that commits."""
        return bool(self.flags & 1)


@record
class CommitMessage:
    """``C``: the transaction of the last Begin is complete."""

    flags: int
    """Unused by PostgreSQL so far: 0."""

    commit_lsn: int
    """LSN of the commit record; equal to `BeginMessage.final_lsn`."""

    end_lsn: int
    """LSN just behind the transaction: the position that acknowledges it."""

    commit_timestamp: int
    """When the transaction committed."""


@record
class OriginMessage:
    """``O``: the transaction came to this server by replication, from another one."""

    commit_lsn: int
    """LSN of the commit on the server of origin; 0 inside a streamed block."""

    name: str
    """Name of the replication origin."""


@record
class RelationColumn:
    """One column of a Relation message. Generated columns come only if they are published."""

    flags: int
    """Bit 1: the column is part of the replica identity."""

    name: str
    """The column's name."""

    type_oid: int
    """OID of the column's type."""

    type_modifier: int
    """``atttypmod``, with a sign: -1 where the type has no modifier."""

    @property
    def is_key(self) -> bool:
        """Whether the column is part of the replica identity."""
        return bool(self.flags & 1)


@record
class RelationMessage:
    """``R``: describes a table; comes before its first change, and again after it was altered."""

    relation_id: int
    """The table's OID, by which changes refer to it."""

    namespace: str
    """The table's schema."""

    relation_name: str
    """The table's name."""

    replica_identity: ReplicaIdentityCode
    """What the server logs of old rows."""

    columns: tuple[RelationColumn, ...]
    """The published columns, in the order of every tuple of this table."""

    xid: int | None = None
    """The streamed transaction; None outside a streamed block."""


@record
class TypeMessage:
    """``Y``: names a type that is not built in; comes before a Relation that uses it."""

    type_oid: int
    """The type's OID."""

    namespace: str
    """Schema of the type that `name` is about."""

    name: str
    """The type's name; of a domain, that of the type below it."""

    xid: int | None = None
    """The streamed transaction; None outside a streamed block."""


@record
class InsertMessage:
    """``I``: a row was inserted."""

    relation_id: int
    """OID of the table."""

    new_tuple: TupleData = field(repr=_tuple_shape)
    """The row."""

    xid: int | None = None
    """The streamed transaction; None outside a streamed block."""


@record
class UpdateMessage:
    """``U``: a row was updated."""

    relation_id: int
    """OID of the table."""

    old_tuple_kind: OldTupleKind | None
    """What `old_tuple` is; None if it was not sent."""

    old_tuple: TupleData | None = field(repr=_tuple_shape)
    """The old row under replica identity FULL (``O``); the old key if the update changed it, or if
    it has a TOASTed value (``K``: the other columns are NULL); else None."""

    new_tuple: TupleData = field(repr=_tuple_shape)
    """The row after the update; TOASTed values that did not change are UNCHANGED."""

    xid: int | None = None
    """The streamed transaction; None outside a streamed block."""


@record
class DeleteMessage:
    """``D``: a row was deleted."""

    relation_id: int
    """OID of the table."""

    old_tuple_kind: OldTupleKind
    """What `old_tuple` is."""

    old_tuple: TupleData = field(repr=_tuple_shape)
    """The old row under replica identity FULL (``O``), or its key (``K``: other columns are
    NULL)."""

    xid: int | None = None
    """The streamed transaction; None outside a streamed block."""


@record
class TruncateMessage:
    """``T``: one or more tables were truncated together."""

    relation_ids: tuple[int, ...]
    """OIDs of the tables."""

    options: int
    """Bit 1: CASCADE; bit 2: RESTART IDENTITY."""

    xid: int | None = None
    """The streamed transaction; None outside a streamed block."""

    @property
    def cascade(self) -> bool:
        """Whether the command said CASCADE."""
        return bool(self.options & 1)

    @property
    def restart_identity(self) -> bool:
        """Whether the command said RESTART IDENTITY."""
        return bool(self.options & 2)


@record
class StreamStartMessage:
    """``S``: a block of changes of a transaction that is still in progress begins."""

    xid: int
    """The transaction's ID."""

    first_segment: bool
    """Whether this is the transaction's first block."""


@record
class StreamStopMessage:
    """``E``: the block ends; other transactions may come before the next one."""


@record
class StreamCommitMessage:
    """``c``: a transaction that came in blocks has committed."""

    xid: int
    """The transaction's ID."""

    flags: int
    """Unused by PostgreSQL so far: 0."""

    commit_lsn: int
    """LSN of the commit record."""

    end_lsn: int
    """LSN just behind the transaction: the position that acknowledges it."""

    commit_timestamp: int
    """When the transaction committed."""


@record
class StreamAbortMessage:
    """``A``: a transaction that came in blocks, or one of its subtransactions, was rolled back.

    PostgreSQL 18 also sends it in version 1, for a subtransaction of which nothing was sent.
    """

    xid: int
    """The transaction's ID."""

    subxid: int
    """ID of the subtransaction that was rolled back; equal to `xid` if it was all of it."""

    abort_lsn: int | None = None
    """LSN of the abort; sent only in version 4 with ``streaming = parallel``."""

    abort_timestamp: int | None = None
    """When it was rolled back; sent only in version 4 with ``streaming = parallel``."""


@record
class BeginPrepareMessage:
    """``b``: a transaction that is to be prepared for two-phase commit begins."""

    prepare_lsn: int
    """LSN of the prepare record."""

    end_lsn: int
    """LSN just behind the prepared transaction."""

    prepare_timestamp: int
    """When the transaction was prepared."""

    xid: int
    """The transaction's ID."""

    gid: str
    """The name given in PREPARE TRANSACTION."""


@record
class PrepareMessage:
    """``P``: the transaction of the last Begin Prepare is complete and prepared."""

    flags: int
    """Unused by PostgreSQL so far: 0."""

    prepare_lsn: int
    """LSN of the prepare record."""

    end_lsn: int
    """LSN just behind the prepared transaction: the position that acknowledges it."""

    prepare_timestamp: int
    """When the transaction was prepared."""

    xid: int
    """The transaction's ID."""

    gid: str
    """The name given in PREPARE TRANSACTION."""


@record
class CommitPreparedMessage:
    """``K``: a prepared transaction was committed."""

    flags: int
    """Unused by PostgreSQL so far: 0."""

    commit_lsn: int
    """LSN of the COMMIT PREPARED record."""

    end_lsn: int
    """LSN just behind that record: the position that acknowledges it."""

    commit_timestamp: int
    """When the transaction was committed."""

    xid: int
    """The transaction's ID."""

    gid: str
    """The name given in PREPARE TRANSACTION."""


@record
class RollbackPreparedMessage:
    """``r``: a prepared transaction was rolled back."""

    flags: int
    """Unused by PostgreSQL so far: 0."""

    prepare_end_lsn: int
    """LSN just behind the prepared transaction; equal to `PrepareMessage.end_lsn`."""

    rollback_end_lsn: int
    """LSN just behind the ROLLBACK PREPARED record: the position that acknowledges it."""

    prepare_timestamp: int
    """When the transaction was prepared."""

    rollback_timestamp: int
    """When the transaction was rolled back."""

    xid: int
    """The transaction's ID."""

    gid: str
    """The name given in PREPARE TRANSACTION."""


@record
class StreamPrepareMessage:
    """``p``: a transaction that came in blocks was prepared for two-phase commit."""

    flags: int
    """Unused by PostgreSQL so far: 0."""

    prepare_lsn: int
    """LSN of the prepare record."""

    end_lsn: int
    """LSN just behind the prepared transaction: the position that acknowledges it."""

    prepare_timestamp: int
    """When the transaction was prepared."""

    xid: int
    """The transaction's ID."""

    gid: str
    """The name given in PREPARE TRANSACTION."""


Message: TypeAlias = (
    BeginMessage
    | LogicalDecodingMessage
    | CommitMessage
    | OriginMessage
    | RelationMessage
    | TypeMessage
    | InsertMessage
    | UpdateMessage
    | DeleteMessage
    | TruncateMessage
    | StreamStartMessage
    | StreamStopMessage
    | StreamCommitMessage
    | StreamAbortMessage
    | BeginPrepareMessage
    | PrepareMessage
    | CommitPreparedMessage
    | RollbackPreparedMessage
    | StreamPrepareMessage
)
"""Any message of pgoutput."""
