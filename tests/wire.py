"""Builds wire bytes from plain values: the counterpart of the parser, and independent of it.

Written after the PostgreSQL manual ("Logical Replication Message Formats", "Streaming Replication
Protocol"), from which the order of the arguments comes. `build` makes the bytes of a message
object. It shares no code with `pglogical_cdc.protocol` but the classes that hold the values.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from typing_extensions import assert_never

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.protocol import messages as m
from pglogical_cdc.protocol.tuples import BinaryValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pglogical_cdc.protocol.tuples import ColumnValue

__all__ = (
    "string",
    "tuple_data",
    "begin",
    "logical_decoding_message",
    "commit",
    "origin",
    "relation",
    "type_",
    "insert",
    "update",
    "delete",
    "truncate",
    "stream_start",
    "stream_stop",
    "stream_commit",
    "stream_abort",
    "begin_prepare",
    "prepare",
    "commit_prepared",
    "rollback_prepared",
    "stream_prepare",
    "build",
    "xlog_data",
    "primary_keepalive",
    "standby_status_update",
)


def _int8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def _int16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _uint32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _uint64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _int64(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)


def _xid(xid: int | None) -> bytes:
    """The transaction ID that only messages of a streamed block have."""
    return b"" if xid is None else _uint32(xid)


def string(text: str) -> bytes:
    """A String: the text and a zero byte."""
    return text.encode() + b"\0"


def _namespace(namespace: str) -> bytes:
    return string("" if namespace == "pg_catalog" else namespace)


def _value(value: ColumnValue | str) -> bytes:
    if value is None:
        return b"n"
    if value is UNCHANGED:
        return b"u"
    if isinstance(value, str):
        value = value.encode()
    kind = b"b" if isinstance(value, BinaryValue) else b"t"
    return kind + _uint32(len(value)) + value


def tuple_data(values: Sequence[ColumnValue | str]) -> bytes:
    """TupleData; a str is a value in text form."""
    return _int16(len(values)) + b"".join(map(_value, values))


def begin(final_lsn: int = 0x1000, commit_timestamp: int = 0, xid: int = 700) -> bytes:
    return b"B" + _uint64(final_lsn) + _int64(commit_timestamp) + _uint32(xid)


def logical_decoding_message(
    prefix: str,
    content: bytes,
    *,
    flags: int = 1,
    lsn: int = 0x1000,
    xid: int | None = None,
) -> bytes:
    head = b"M" + _xid(xid) + _int8(flags) + _uint64(lsn)
    return head + string(prefix) + _uint32(len(content)) + content


def commit(
    commit_lsn: int = 0x1000, end_lsn: int = 0x1030, commit_timestamp: int = 0, *, flags: int = 0
) -> bytes:
    return b"C" + _int8(flags) + _uint64(commit_lsn) + _uint64(end_lsn) + _int64(commit_timestamp)


def origin(commit_lsn: int, name: str) -> bytes:
    return b"O" + _uint64(commit_lsn) + string(name)


def relation(
    relation_id: int,
    namespace: str,
    relation_name: str,
    columns: Iterable[tuple[int, str, int, int]],
    *,
    replica_identity: str = "d",
    xid: int | None = None,
) -> bytes:
    """Columns are flags, name, type OID and type modifier."""
    listed = [
        _int8(flags) + string(name) + _uint32(type_oid) + struct.pack(">i", type_modifier)
        for flags, name, type_oid, type_modifier in columns
    ]
    head = b"R" + _xid(xid) + _uint32(relation_id) + _namespace(namespace) + string(relation_name)
    return head + replica_identity.encode() + _int16(len(listed)) + b"".join(listed)


def type_(type_oid: int, namespace: str, name: str, *, xid: int | None = None) -> bytes:
    return b"Y" + _xid(xid) + _uint32(type_oid) + _namespace(namespace) + string(name)


def insert(
    relation_id: int, new_tuple: Sequence[ColumnValue | str], *, xid: int | None = None
) -> bytes:
    return b"I" + _xid(xid) + _uint32(relation_id) + b"N" + tuple_data(new_tuple)


def update(
    relation_id: int,
    new_tuple: Sequence[ColumnValue | str],
    *,
    key: Sequence[ColumnValue | str] | None = None,
    old: Sequence[ColumnValue | str] | None = None,
    xid: int | None = None,
) -> bytes:
    """With `key` the old tuple is the old key (K), with `old` the old row (O)."""
    before = b""
    if key is not None:
        before = b"K" + tuple_data(key)
    elif old is not None:
        before = b"O" + tuple_data(old)
    return b"U" + _xid(xid) + _uint32(relation_id) + before + b"N" + tuple_data(new_tuple)


def delete(
    relation_id: int,
    *,
    key: Sequence[ColumnValue | str] | None = None,
    old: Sequence[ColumnValue | str] = (),
    xid: int | None = None,
) -> bytes:
    """With `key` the old tuple is the old key (K), else the old row (O)."""
    before = b"O" + tuple_data(old) if key is None else b"K" + tuple_data(key)
    return b"D" + _xid(xid) + _uint32(relation_id) + before


def truncate(relation_ids: Sequence[int], *, options: int = 0, xid: int | None = None) -> bytes:
    head = b"T" + _xid(xid) + _uint32(len(relation_ids)) + _int8(options)
    return head + b"".join(map(_uint32, relation_ids))


def stream_start(xid: int, *, first_segment: bool = True) -> bytes:
    return b"S" + _uint32(xid) + _int8(first_segment)


def stream_stop() -> bytes:
    return b"E"


def stream_commit(
    xid: int,
    commit_lsn: int = 0x1000,
    end_lsn: int = 0x1030,
    commit_timestamp: int = 0,
    *,
    flags: int = 0,
) -> bytes:
    head = b"c" + _uint32(xid) + _int8(flags)
    return head + _uint64(commit_lsn) + _uint64(end_lsn) + _int64(commit_timestamp)


def stream_abort(
    xid: int,
    subxid: int,
    *,
    abort_lsn: int | None = None,
    abort_timestamp: int | None = None,
) -> bytes:
    """The last two fields come in protocol 4 with ``streaming = parallel``."""
    head = b"A" + _uint32(xid) + _uint32(subxid)
    if abort_lsn is None or abort_timestamp is None:
        return head
    return head + _uint64(abort_lsn) + _int64(abort_timestamp)


def begin_prepare(
    prepare_lsn: int, end_lsn: int, prepare_timestamp: int, xid: int, gid: str
) -> bytes:
    head = b"b" + _uint64(prepare_lsn) + _uint64(end_lsn) + _int64(prepare_timestamp)
    return head + _uint32(xid) + string(gid)


def _two_phase(
    code: bytes, flags: int, lsn: int, end_lsn: int, timestamp: int, xid: int, gid: str
) -> bytes:
    head = code + _int8(flags) + _uint64(lsn) + _uint64(end_lsn) + _int64(timestamp)
    return head + _uint32(xid) + string(gid)


def prepare(
    prepare_lsn: int, end_lsn: int, prepare_timestamp: int, xid: int, gid: str, *, flags: int = 0
) -> bytes:
    return _two_phase(b"P", flags, prepare_lsn, end_lsn, prepare_timestamp, xid, gid)


def commit_prepared(
    commit_lsn: int, end_lsn: int, commit_timestamp: int, xid: int, gid: str, *, flags: int = 0
) -> bytes:
    return _two_phase(b"K", flags, commit_lsn, end_lsn, commit_timestamp, xid, gid)


def rollback_prepared(
    prepare_end_lsn: int,
    rollback_end_lsn: int,
    prepare_timestamp: int,
    rollback_timestamp: int,
    xid: int,
    gid: str,
    *,
    flags: int = 0,
) -> bytes:
    head = b"r" + _int8(flags) + _uint64(prepare_end_lsn) + _uint64(rollback_end_lsn)
    times = _int64(prepare_timestamp) + _int64(rollback_timestamp)
    return head + times + _uint32(xid) + string(gid)


def stream_prepare(
    prepare_lsn: int, end_lsn: int, prepare_timestamp: int, xid: int, gid: str, *, flags: int = 0
) -> bytes:
    return _two_phase(b"p", flags, prepare_lsn, end_lsn, prepare_timestamp, xid, gid)


def build(message: m.Message) -> bytes:
    """The bytes that the server would send for a message object."""
    match message:
        case m.BeginMessage():
            return begin(message.final_lsn, message.commit_timestamp, message.xid)
        case m.LogicalDecodingMessage():
            return logical_decoding_message(
                message.prefix,
                message.content,
                flags=message.flags,
                lsn=message.lsn,
                xid=message.xid,
            )
        case m.CommitMessage():
            return commit(
                message.commit_lsn,
                message.end_lsn,
                message.commit_timestamp,
                flags=message.flags,
            )
        case m.OriginMessage():
            return origin(message.commit_lsn, message.name)
        case m.RelationMessage():
            return relation(
                message.relation_id,
                message.namespace,
                message.relation_name,
                [(c.flags, c.name, c.type_oid, c.type_modifier) for c in message.columns],
                replica_identity=message.replica_identity,
                xid=message.xid,
            )
        case m.TypeMessage():
            return type_(message.type_oid, message.namespace, message.name, xid=message.xid)
        case m.InsertMessage():
            return insert(message.relation_id, message.new_tuple, xid=message.xid)
        case m.UpdateMessage():
            return update(
                message.relation_id,
                message.new_tuple,
                key=message.old_tuple if message.old_tuple_kind == "K" else None,
                old=message.old_tuple if message.old_tuple_kind == "O" else None,
                xid=message.xid,
            )
        case m.DeleteMessage():
            if message.old_tuple_kind == "K":
                return delete(message.relation_id, key=message.old_tuple, xid=message.xid)
            return delete(message.relation_id, old=message.old_tuple, xid=message.xid)
        case m.TruncateMessage():
            return truncate(message.relation_ids, options=message.options, xid=message.xid)
        case m.StreamStartMessage():
            return stream_start(message.xid, first_segment=message.first_segment)
        case m.StreamStopMessage():
            return stream_stop()
        case m.StreamCommitMessage():
            return stream_commit(
                message.xid,
                message.commit_lsn,
                message.end_lsn,
                message.commit_timestamp,
                flags=message.flags,
            )
        case m.StreamAbortMessage():
            return stream_abort(
                message.xid,
                message.subxid,
                abort_lsn=message.abort_lsn,
                abort_timestamp=message.abort_timestamp,
            )
        case _:
            return _build_two_phase(message)


def _build_two_phase(
    message: m.BeginPrepareMessage
    | m.PrepareMessage
    | m.CommitPreparedMessage
    | m.RollbackPreparedMessage
    | m.StreamPrepareMessage,
) -> bytes:
    xid, gid = message.xid, message.gid
    match message:
        case m.BeginPrepareMessage():
            return begin_prepare(
                message.prepare_lsn, message.end_lsn, message.prepare_timestamp, xid, gid
            )
        case m.PrepareMessage():
            return prepare(
                message.prepare_lsn,
                message.end_lsn,
                message.prepare_timestamp,
                xid,
                gid,
                flags=message.flags,
            )
        case m.CommitPreparedMessage():
            return commit_prepared(
                message.commit_lsn,
                message.end_lsn,
                message.commit_timestamp,
                xid,
                gid,
                flags=message.flags,
            )
        case m.RollbackPreparedMessage():
            return rollback_prepared(
                message.prepare_end_lsn,
                message.rollback_end_lsn,
                message.prepare_timestamp,
                message.rollback_timestamp,
                xid,
                gid,
                flags=message.flags,
            )
        case m.StreamPrepareMessage():
            return stream_prepare(
                message.prepare_lsn,
                message.end_lsn,
                message.prepare_timestamp,
                xid,
                gid,
                flags=message.flags,
            )
        case _:
            assert_never(message)


def xlog_data(
    payload: bytes, start_lsn: int = 0x1000, end_lsn: int = 0x1000, send_time: int = 0
) -> bytes:
    return b"w" + _uint64(start_lsn) + _uint64(end_lsn) + _int64(send_time) + payload


def primary_keepalive(
    end_lsn: int = 0x1000, send_time: int = 0, *, reply_requested: bool = False
) -> bytes:
    return b"k" + _uint64(end_lsn) + _int64(send_time) + _int8(reply_requested)


def standby_status_update(
    write_lsn: int,
    flush_lsn: int,
    apply_lsn: int,
    client_time: int,
    *,
    reply_requested: bool = False,
) -> bytes:
    lsns = _uint64(write_lsn) + _uint64(flush_lsn) + _uint64(apply_lsn)
    return b"r" + lsns + _int64(client_time) + _int8(reply_requested)
