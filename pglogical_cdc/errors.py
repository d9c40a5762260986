"""Every exception that this package raises on purpose.

::

    CdcError
    ├── ConfigurationError            the caller: wrong arguments, missing privilege or setting
    ├── ProtocolError                 the bytes: they break the protocol
    │   ├── TruncatedMessageError
    │   ├── UnknownMessageError
    │   ├── UnknownRelationError
    │   └── MessageTooLargeError
    ├── ValueDecodeError              a loader that the caller registered
    ├── RecordFormatError             a record that is read back: it is not of the format
    ├── SourceError                   the server
    │   ├── ConnectionLostError       (retryable)
    │   │   └── SilentServerError     (retryable)
    │   ├── SlotInUseError            (retryable)
    │   ├── SlotNotFoundError
    │   ├── SlotInvalidatedError
    │   ├── SlotGapError
    │   ├── TimelineDivergedError
    │   ├── SystemMismatchError
    │   ├── PublicationNotFoundError
    │   ├── DecodingFailedError
    │   └── SnapshotError
    │       └── TableAlteredError     (retryable)
    ├── OffsetStoreError              the store of positions
    │   └── OffsetStoreUnavailableError   (retryable)
    └── SinkError                     the destination
        └── SinkUnavailableError      (retryable)

No message holds a password, a key or a row value.
"""

from __future__ import annotations

from typing import ClassVar

from pglogical_cdc.lsn import LSN

__all__ = (
    "CdcError",
    "ConfigurationError",
    "ProtocolError",
    "TruncatedMessageError",
    "UnknownMessageError",
    "UnknownRelationError",
    "MessageTooLargeError",
    "ValueDecodeError",
    "RecordFormatError",
    "SourceError",
    "ConnectionLostError",
    "SilentServerError",
    "SlotInUseError",
    "SlotNotFoundError",
    "SlotInvalidatedError",
    "SlotGapError",
    "TimelineDivergedError",
    "SystemMismatchError",
    "PublicationNotFoundError",
    "DecodingFailedError",
    "SnapshotError",
    "TableAlteredError",
    "OffsetStoreError",
    "OffsetStoreUnavailableError",
    "SinkError",
    "SinkUnavailableError",
)


class CdcError(Exception):
    """Base of all errors of this package."""

    retryable: ClassVar[bool] = False
    """Whether the same attempt can succeed later without anybody changing anything."""


class ConfigurationError(CdcError, ValueError):
    """The caller's arguments, or the server's settings and privileges, do not allow this."""


class ProtocolError(CdcError):
    """Bytes of the server break the replication protocol.

    Attributes:
        message_name: the message being read, as the PostgreSQL manual names it.
        offset: where in the message, in bytes from its type byte.
        expected: what the protocol wants there.
        found: what was there; lengths, type bytes and counts only, never a value of a row.
    """

    def __init__(self, message_name: str, offset: int, expected: str, found: str) -> None:
        super().__init__(message_name, offset, expected, found)
        self.message_name = message_name
        self.offset = offset
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return (
            f"{self.message_name}, offset {self.offset}: "
            f"expected {self.expected}, found {self.found}"
        )


class TruncatedMessageError(ProtocolError):
    """A message ends before its last field."""


class UnknownMessageError(ProtocolError):
    """A message type that the protocol version in use does not have."""


class UnknownRelationError(ProtocolError):
    """A change of a relation that no Relation message has described."""


class MessageTooLargeError(ProtocolError):
    """A message is bigger than the limit that the caller set."""


class ValueDecodeError(CdcError):
    """A loader that the caller registered failed on a value.

    Attributes:
        table: ``schema.table``.
        column: name of the column.
        type_oid: OID of the column's type.
        loader: name of the loader's class.
        cause: name of the class of its exception. The exception itself is not chained, because
            its text is likely to quote the value.
    """

    def __init__(self, table: str, column: str, type_oid: int, loader: str, cause: str) -> None:
        super().__init__(table, column, type_oid, loader, cause)
        self.table = table
        self.column = column
        self.type_oid = type_oid
        self.loader = loader
        self.cause = cause

    def __str__(self) -> str:
        return (
            f"the loader {self.loader} failed with {self.cause} on a value of column "
            f"{self.column!r} of {self.table} (type OID {self.type_oid}); it must take every value "
            "that the type can have"
        )


class RecordFormatError(CdcError):
    """A record, read back from a topic or file, is not of the format that it should have.

    Attributes:
        format: name of the format.
        expected: what the format has there.
        found: what was there; names, types and lengths only, never a value of a row.
    """

    def __init__(self, format: str, expected: str, found: str) -> None:
        super().__init__(format, expected, found)
        self.format = format
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"not {self.format}: expected {self.expected}, found {self.found}"


class SourceError(CdcError):
    """The server refused, or cannot do, what the stream needs.

    Attributes:
        sqlstate: the server's five-character code, or None where it sent none.
        slot: the replication slot concerned, if any.
    """

    def __init__(
        self, message: str, *, sqlstate: str | None = None, slot: str | None = None
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.slot = slot


class ConnectionLostError(SourceError):
    """The connection broke, or the server shut down. Nothing unacknowledged is lost."""

    retryable = True


class SilentServerError(ConnectionLostError):
    """The server gave no sign of life for as long as it would wait for one of ours."""


class SlotInUseError(SourceError):
    """Another process streams from the slot."""

    retryable = True


class SlotNotFoundError(SourceError):
    """The slot does not exist."""


class SlotInvalidatedError(SourceError):
    """The server has removed WAL that the slot needs; the slot can never be used again."""


class SlotGapError(SourceError):
    """The slot has moved past the position that was stored: changes in between are gone."""


class TimelineDivergedError(SourceError):
    """The server's history split off before the end of what was delivered."""


class SystemMismatchError(SourceError):
    """This is another database cluster than the one the position was stored for."""


class PublicationNotFoundError(SourceError):
    """A publication does not exist, or did not yet where the slot reads."""


class DecodingFailedError(SourceError):
    """The server cannot decode a transaction.

    Attributes:
        commit_lsn: commit LSN of that transaction, or None where the server did not come far enough
            to name it. Moving the slot one byte further gives the transaction up, and no other.
    """

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str | None = None,
        slot: str | None = None,
        commit_lsn: LSN | None = None,
    ) -> None:
        super().__init__(message, sqlstate=sqlstate, slot=slot)
        self.commit_lsn = commit_lsn


class SnapshotError(SourceError):
    """The initial or incremental snapshot failed."""


class TableAlteredError(SnapshotError):
    """A table was altered or dropped after the snapshot was taken, and before it was read."""

    retryable = True


class OffsetStoreError(CdcError):
    """A stored position cannot be read or written."""


class OffsetStoreUnavailableError(OffsetStoreError):
    """The store cannot be reached, or cannot keep anything safe, at the moment.

    A store of your own raises it for what passes by itself: the reader tries again, as its
    ``reconnect`` says, and confirms nothing meanwhile.
    """

    retryable = True


class SinkError(CdcError):
    """The destination did not take what was written."""


class SinkUnavailableError(SinkError):
    """The destination cannot be reached, or cannot keep anything safe, at the moment."""

    retryable = True
