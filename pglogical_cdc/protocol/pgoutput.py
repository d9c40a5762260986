"""`PgoutputParser`: the bytes of one pgoutput message in, one message object out.

Manual: "Logical Replication Message Formats" and "Logical Streaming Replication Protocol". One
function for each message, in the manual's order, and the table of which version has which message.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from pglogical_cdc.errors import (
    ConfigurationError,
    ProtocolError,
    TruncatedMessageError,
    UnknownMessageError,
)
from pglogical_cdc.protocol.buffer import MessageBuffer, check_end
from pglogical_cdc.protocol.messages import (
    BeginMessage,
    BeginPrepareMessage,
    CommitMessage,
    CommitPreparedMessage,
    DeleteMessage,
    InsertMessage,
    LogicalDecodingMessage,
    Message,
    OldTupleKind,
    OriginMessage,
    PrepareMessage,
    RelationColumn,
    RelationMessage,
    ReplicaIdentityCode,
    RollbackPreparedMessage,
    StreamAbortMessage,
    StreamCommitMessage,
    StreamPrepareMessage,
    StreamStartMessage,
    StreamStopMessage,
    TruncateMessage,
    TypeMessage,
    UpdateMessage,
)
from pglogical_cdc.protocol.splitter import SPLITTERS, split_tuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("PgoutputParser",)

_STREAM_START: Final = ord("S")
_BLOCK_ENDS: Final = frozenset(b"SE")

_NEW: Final = ord("N")
_OLD_KINDS: Final[dict[int, OldTupleKind]] = {ord("K"): "K", ord("O"): "O"}
_REPLICA_IDENTITIES: Final = frozenset(b"dnfi")

_ROW: Final = struct.Struct(">xIBH").unpack_from
_CHANGE: Final = struct.Struct(">xIB").unpack_from
_STREAMED_CHANGE: Final = struct.Struct(">xIIB").unpack_from

_ODD: Final = (LookupError, ValueError, struct.error)
"""Raised by a splitter, or for want of one."""


def _xid(buffer: MessageBuffer, streamed: bool) -> int | None:
    return buffer.uint32("xid") if streamed else None


def _namespace(buffer: MessageBuffer) -> str:
    # Manual, Relation and Type: an empty string stands for pg_catalog.
    return buffer.string("namespace") or "pg_catalog"


def _change(data: bytes, streamed: bool, name: str) -> tuple[int | None, int, int, int]:
    """What Insert, Update and Delete begin with: xid, relation, kind of tuple; and the offset."""
    xid: int | None = None
    try:
        if streamed:
            xid, relation_id, kind = _STREAMED_CHANGE(data)
            return xid, relation_id, kind, 10
        relation_id, kind = _CHANGE(data)
    except struct.error:
        raise TruncatedMessageError(
            name,
            len(data),
            expected=f"{'xid, ' if streamed else ''}relation ID and kind of tuple",
            found=f"{len(data)} bytes in all",
        ) from None
    return xid, relation_id, kind, 6


def _wrong_kind(name: str, offset: int, expected: str, kind: int) -> ProtocolError:
    return ProtocolError(name, offset, expected=expected, found=f"kind byte 0x{kind:02X}")


def _begin(data: bytes, streamed: bool) -> BeginMessage:
    buffer = MessageBuffer(data, "Begin")
    final_lsn = buffer.uint64("final LSN")
    commit_timestamp = buffer.int64("commit timestamp")
    xid = buffer.uint32("xid")
    buffer.end()
    return BeginMessage(final_lsn, commit_timestamp, xid)


def _logical_decoding_message(data: bytes, streamed: bool) -> LogicalDecodingMessage:
    buffer = MessageBuffer(data, "Message")
    xid = _xid(buffer, streamed)
    flags = buffer.uint8("flags")
    lsn = buffer.uint64("LSN")
    prefix = buffer.string("prefix")
    content = buffer.content(buffer.count32("length of the content"), "content")
    buffer.end()
    return LogicalDecodingMessage(flags, lsn, prefix, content, xid)


def _commit(data: bytes, streamed: bool) -> CommitMessage:
    buffer = MessageBuffer(data, "Commit")
    flags = buffer.uint8("flags")
    commit_lsn = buffer.uint64("commit LSN")
    end_lsn = buffer.uint64("end LSN")
    commit_timestamp = buffer.int64("commit timestamp")
    buffer.end()
    return CommitMessage(flags, commit_lsn, end_lsn, commit_timestamp)


def _origin(data: bytes, streamed: bool) -> OriginMessage:
    buffer = MessageBuffer(data, "Origin")
    commit_lsn = buffer.uint64("commit LSN")
    name = buffer.string("name")
    buffer.end()
    return OriginMessage(commit_lsn, name)


def _relation(data: bytes, streamed: bool) -> RelationMessage:
    buffer = MessageBuffer(data, "Relation")
    xid = _xid(buffer, streamed)
    relation_id = buffer.uint32("relation ID")
    namespace = _namespace(buffer)
    relation_name = buffer.string("relation name")
    replica_identity = buffer.uint8("replica identity")
    if replica_identity not in _REPLICA_IDENTITIES:
        raise ProtocolError(
            "Relation",
            buffer.offset - 1,
            expected="replica identity 'd', 'n', 'f' or 'i'",
            found=f"byte 0x{replica_identity:02X}",
        )
    columns = tuple(
        [
            RelationColumn(
                buffer.uint8("column flags"),
                buffer.string("column name"),
                buffer.uint32("type OID"),
                buffer.int32("type modifier"),
            )
            for _ in range(buffer.count16("column count"))
        ]
    )
    buffer.end()
    identity = cast("ReplicaIdentityCode", chr(replica_identity))
    return RelationMessage(relation_id, namespace, relation_name, identity, columns, xid)


def _type(data: bytes, streamed: bool) -> TypeMessage:
    buffer = MessageBuffer(data, "Type")
    xid = _xid(buffer, streamed)
    type_oid = buffer.uint32("type OID")
    namespace = _namespace(buffer)
    name = buffer.string("name")
    buffer.end()
    return TypeMessage(type_oid, namespace, name, xid)


# Insert, Update without an old tuple, and Delete are nearly all that comes: each is tried once
# without a look at what may be wrong with it.


def _insert(data: bytes, streamed: bool) -> InsertMessage:
    if not streamed:
        try:
            relation_id, kind, columns = _ROW(data)
            new_tuple, offset = SPLITTERS[columns](data, 8)
            if kind == _NEW and offset == len(data):
                return InsertMessage(relation_id, new_tuple)
        except _ODD:
            pass
    xid, relation_id, kind, offset = _change(data, streamed, "Insert")
    if kind != _NEW:
        raise _wrong_kind("Insert", offset - 1, "a new tuple ('N')", kind)
    new_tuple, offset = split_tuple(data, offset, "Insert")
    check_end(data, offset, "Insert")
    return InsertMessage(relation_id, new_tuple, xid)


def _update(data: bytes, streamed: bool) -> UpdateMessage:
    if not streamed:
        try:
            relation_id, kind, columns = _ROW(data)
            if kind == _NEW:
                new_tuple, offset = SPLITTERS[columns](data, 8)
                if offset == len(data):
                    return UpdateMessage(relation_id, None, None, new_tuple)
        except _ODD:
            pass
    xid, relation_id, kind, offset = _change(data, streamed, "Update")
    old_kind = old_tuple = None
    if kind != _NEW:
        old_kind = _OLD_KINDS.get(kind)
        if old_kind is None:
            raise _wrong_kind("Update", offset - 1, "a tuple of kind 'K', 'O' or 'N'", kind)
        old_tuple, offset = split_tuple(data, offset, "Update")
        if offset == len(data):
            raise TruncatedMessageError(
                "Update", offset, expected="a new tuple ('N')", found="0 bytes"
            )
        if data[offset] != _NEW:
            raise _wrong_kind("Update", offset, "a new tuple ('N')", data[offset])
        offset += 1
    new_tuple, offset = split_tuple(data, offset, "Update")
    check_end(data, offset, "Update")
    return UpdateMessage(relation_id, old_kind, old_tuple, new_tuple, xid)


def _delete(data: bytes, streamed: bool) -> DeleteMessage:
    if not streamed:
        try:
            relation_id, kind, columns = _ROW(data)
            old_tuple, offset = SPLITTERS[columns](data, 8)
            if offset == len(data):
                return DeleteMessage(relation_id, _OLD_KINDS[kind], old_tuple)
        except _ODD:
            pass
    xid, relation_id, kind, offset = _change(data, streamed, "Delete")
    old_kind = _OLD_KINDS.get(kind)
    if old_kind is None:
        raise _wrong_kind("Delete", offset - 1, "an old tuple ('K' or 'O')", kind)
    old_tuple, offset = split_tuple(data, offset, "Delete")
    check_end(data, offset, "Delete")
    return DeleteMessage(relation_id, old_kind, old_tuple, xid)


def _truncate(data: bytes, streamed: bool) -> TruncateMessage:
    buffer = MessageBuffer(data, "Truncate")
    xid = _xid(buffer, streamed)
    count = buffer.count32("relation count")
    options = buffer.uint8("options")
    relation_ids = buffer.uint32_array(count, "relation IDs")
    buffer.end()
    return TruncateMessage(relation_ids, options, xid)


def _stream_start(data: bytes, streamed: bool) -> StreamStartMessage:
    buffer = MessageBuffer(data, "Stream Start")
    xid = buffer.uint32("xid")
    first_segment = buffer.uint8("first segment") == 1
    buffer.end()
    return StreamStartMessage(xid, first_segment)


def _stream_stop(data: bytes, streamed: bool) -> StreamStopMessage:
    check_end(data, 1, "Stream Stop")
    return StreamStopMessage()


def _stream_commit(data: bytes, streamed: bool) -> StreamCommitMessage:
    buffer = MessageBuffer(data, "Stream Commit")
    xid = buffer.uint32("xid")
    flags = buffer.uint8("flags")
    commit_lsn = buffer.uint64("commit LSN")
    end_lsn = buffer.uint64("end LSN")
    commit_timestamp = buffer.int64("commit timestamp")
    buffer.end()
    return StreamCommitMessage(xid, flags, commit_lsn, end_lsn, commit_timestamp)


def _stream_abort(data: bytes, streamed: bool) -> StreamAbortMessage:
    buffer = MessageBuffer(data, "Stream Abort")
    xid = buffer.uint32("xid")
    subxid = buffer.uint32("subxid")
    buffer.end()
    return StreamAbortMessage(xid, subxid)


def _stream_abort_parallel(data: bytes, streamed: bool) -> StreamAbortMessage:
    buffer = MessageBuffer(data, "Stream Abort")
    xid = buffer.uint32("xid")
    subxid = buffer.uint32("subxid")
    if not buffer.remaining:
        return StreamAbortMessage(xid, subxid)
    # Manual, Stream Abort: the last two fields come only with streaming = parallel, which the
    # parser is not told; they are the only bytes that can follow.
    abort_lsn = buffer.uint64("abort LSN")
    abort_timestamp = buffer.int64("abort timestamp")
    buffer.end()
    return StreamAbortMessage(xid, subxid, abort_lsn, abort_timestamp)


def _begin_prepare(data: bytes, streamed: bool) -> BeginPrepareMessage:
    buffer = MessageBuffer(data, "Begin Prepare")
    prepare_lsn = buffer.uint64("prepare LSN")
    end_lsn = buffer.uint64("end LSN")
    prepare_timestamp = buffer.int64("prepare timestamp")
    xid = buffer.uint32("xid")
    gid = buffer.string("GID")
    buffer.end()
    return BeginPrepareMessage(prepare_lsn, end_lsn, prepare_timestamp, xid, gid)


def _two_phase(data: bytes, name: str) -> tuple[int, int, int, int, int, str]:
    """What Prepare, Commit Prepared and Stream Prepare have in common, which is everything."""
    buffer = MessageBuffer(data, name)
    flags = buffer.uint8("flags")
    lsn = buffer.uint64("LSN")
    end_lsn = buffer.uint64("end LSN")
    timestamp = buffer.int64("timestamp")
    xid = buffer.uint32("xid")
    gid = buffer.string("GID")
    buffer.end()
    return flags, lsn, end_lsn, timestamp, xid, gid


def _prepare(data: bytes, streamed: bool) -> PrepareMessage:
    return PrepareMessage(*_two_phase(data, "Prepare"))


def _commit_prepared(data: bytes, streamed: bool) -> CommitPreparedMessage:
    return CommitPreparedMessage(*_two_phase(data, "Commit Prepared"))


def _rollback_prepared(data: bytes, streamed: bool) -> RollbackPreparedMessage:
    buffer = MessageBuffer(data, "Rollback Prepared")
    flags = buffer.uint8("flags")
    prepare_end_lsn = buffer.uint64("end LSN of the prepared transaction")
    rollback_end_lsn = buffer.uint64("end LSN of the rollback")
    prepare_timestamp = buffer.int64("prepare timestamp")
    rollback_timestamp = buffer.int64("rollback timestamp")
    xid = buffer.uint32("xid")
    gid = buffer.string("GID")
    buffer.end()
    return RollbackPreparedMessage(
        flags, prepare_end_lsn, rollback_end_lsn, prepare_timestamp, rollback_timestamp, xid, gid
    )


def _stream_prepare(data: bytes, streamed: bool) -> StreamPrepareMessage:
    return StreamPrepareMessage(*_two_phase(data, "Stream Prepare"))


_Read: TypeAlias = "Callable[[bytes, bool], Message]"
_Place: TypeAlias = Literal["outside", "inside", "both"]

# Type byte: name in the manual, first version, where it may come (outside a streamed block,
# inside, or in both), and how it is read.
_MESSAGES: Final[dict[str, tuple[str, int, _Place, _Read]]] = {
    "B": ("Begin", 1, "outside", _begin),
    "M": ("Message", 1, "both", _logical_decoding_message),
    "C": ("Commit", 1, "outside", _commit),
    "O": ("Origin", 1, "both", _origin),
    "R": ("Relation", 1, "both", _relation),
    "Y": ("Type", 1, "both", _type),
    "I": ("Insert", 1, "both", _insert),
    "U": ("Update", 1, "both", _update),
    "D": ("Delete", 1, "both", _delete),
    "T": ("Truncate", 1, "both", _truncate),
    "S": ("Stream Start", 2, "outside", _stream_start),
    "E": ("Stream Stop", 2, "inside", _stream_stop),
    "c": ("Stream Commit", 2, "outside", _stream_commit),
    # The manual has it from version 2 on; PostgreSQL 18 sends it in version 1, too, for a
    # subtransaction of an aborted transaction bigger than logical_decoding_work_mem.
    "A": ("Stream Abort", 1, "outside", _stream_abort),
    "b": ("Begin Prepare", 3, "outside", _begin_prepare),
    "P": ("Prepare", 3, "outside", _prepare),
    "K": ("Commit Prepared", 3, "outside", _commit_prepared),
    "r": ("Rollback Prepared", 3, "outside", _rollback_prepared),
    "p": ("Stream Prepare", 3, "outside", _stream_prepare),
}


def _readers(version: int, place: _Place) -> dict[int, _Read]:
    readers = {
        ord(code): read
        for code, (_, first_version, allowed, read) in _MESSAGES.items()
        if first_version <= version and allowed in (place, "both")
    }
    if version >= 4 and place == "outside":
        readers[ord("A")] = _stream_abort_parallel
    return readers


_OUTSIDE: Final = {version: _readers(version, "outside") for version in (1, 2, 3, 4)}
_INSIDE: Final = {version: _readers(version, "inside") for version in (1, 2, 3, 4)}


class PgoutputParser:
    """Parses messages of pgoutput, one at a time and in the order of the stream.

    A parser knows nothing but the protocol version and whether it is between Stream Start and
    Stream Stop, where the server puts a transaction ID into every message. A message that cannot
    be parsed leaves it as it was. Use a new one for each START_REPLICATION.

    >>> PgoutputParser().parse(bytes.fromhex("42 0000000000000010 0000000000000001 000002fa"))
    BeginMessage(final_lsn=16, commit_timestamp=1, xid=762)

    Args:
        protocol_version: the option ``proto_version`` given to pgoutput, 1 to 4.

    Raises:
        ConfigurationError: there is no such version.
    """

    __slots__ = ("_in_stream", "_protocol_version", "_readers")

    def __init__(self, protocol_version: int = 1) -> None:
        if protocol_version not in _OUTSIDE:
            raise ConfigurationError(
                f"pgoutput has protocol versions 1 to 4, not {protocol_version!r}"
            )
        self._protocol_version = protocol_version
        self._in_stream = False
        self._readers: Mapping[int, _Read] = _OUTSIDE[protocol_version]

    @property
    def protocol_version(self) -> int:
        """The protocol version, 1 to 4."""
        return self._protocol_version

    @property
    def in_stream(self) -> bool:
        """Whether the last message was between Stream Start and Stream Stop."""
        return self._in_stream

    def parse(self, payload: bytes | memoryview | bytearray) -> Message:
        """Parse one whole message.

        Args:
            payload: the message from its type byte on, that is `XLogData.payload`.

        Raises:
            TruncatedMessageError: the message ends before its last field.
            UnknownMessageError: the protocol version has no message of this type.
            ProtocolError: anything else that breaks the protocol.
        """
        # memoryview() refuses what has no bytes; bytes() alone would take an int as a size.
        data = payload if type(payload) is bytes else bytes(memoryview(payload))
        if not data:
            raise TruncatedMessageError(
                "pgoutput message", 0, expected="a type byte", found="0 bytes"
            )
        code = data[0]
        read = self._readers.get(code)
        if read is None:
            raise self._refusal(code)
        message = read(data, self._in_stream)
        if code in _BLOCK_ENDS:
            self._in_stream = code == _STREAM_START
            places = _INSIDE if self._in_stream else _OUTSIDE
            self._readers = places[self._protocol_version]
        return message

    def _refusal(self, code: int) -> ProtocolError:
        known = _MESSAGES.get(chr(code))
        if known is None:
            return UnknownMessageError(
                "pgoutput message",
                0,
                expected=f"a message type of protocol version {self._protocol_version}",
                found=f"type byte 0x{code:02X}",
            )
        name, first_version, place, _ = known
        if first_version > self._protocol_version:
            return UnknownMessageError(
                name,
                0,
                expected=f"a message type of protocol version {self._protocol_version}",
                found=f"type byte '{chr(code)}', which exists from version {first_version} on",
            )
        return ProtocolError(
            name,
            0,
            expected=f"this message only {place} a streamed block",
            found=f"type byte '{chr(code)}' {'inside' if self._in_stream else 'outside'} one",
        )
