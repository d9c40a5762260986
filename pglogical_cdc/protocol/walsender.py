"""The envelope around pgoutput: what goes through COPY BOTH in each direction.

Formats: PostgreSQL manual, "Streaming Replication Protocol", START_REPLICATION. Each CopyData
message holds exactly one of these. Times are microseconds since 2000-01-01 00:00 UTC.
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import (
    ConfigurationError,
    ProtocolError,
    TruncatedMessageError,
    UnknownMessageError,
)

__all__ = (
    "XLogData",
    "PrimaryKeepalive",
    "StandbyStatusUpdate",
    "WalsenderMessage",
    "parse_walsender_message",
    "xlog_data_header",
)

_XLOG_DATA: Final = ord("w")
_PRIMARY_KEEPALIVE: Final = ord("k")

_XLOG_DATA_HEADER: Final = struct.Struct(">xQQq")
xlog_data_header: Final = _XLOG_DATA_HEADER.unpack_from
"""Start LSN, end LSN and time of the bytes of XLogData."""
_KEEPALIVE: Final = struct.Struct(">xQqB")
_STATUS_UPDATE: Final = struct.Struct(">cQQQqB")


def _payload_size(payload: bytes) -> str:
    return f"<{len(payload)} bytes>"


@record
class XLogData:
    """``w``: a piece of the stream; in logical replication one message of the output plugin."""

    start_lsn: int
    """Where the change is in the WAL; 0 for what has no place there."""

    end_lsn: int
    """The end of the WAL on the server; of logical slots PostgreSQL sends `start_lsn` again."""

    send_time: int
    """The server's clock when it sent this."""

    payload: bytes = field(repr=_payload_size)
    """The message of pgoutput."""


@record
class PrimaryKeepalive:
    """``k``: the server is there, and has read its WAL up to `end_lsn`."""

    end_lsn: int
    """The end of what the server has sent or had no reason to send."""

    send_time: int
    """The server's clock when it sent this."""

    reply_requested: bool
    """The server closes the connection unless it gets a status update soon."""


@record
class StandbyStatusUpdate:
    """``r``: tells the server how far the client is.

    Each LSN is that of the last byte plus 1, as is every `end_lsn`: a commit's `end_lsn` goes in
    as it is. 0 says nothing about a position.
    """

    write_lsn: int
    """Received up to here."""

    flush_lsn: int
    """Safe up to here: the server may forget what is before."""

    apply_lsn: int
    """Applied up to here; only shown in ``pg_stat_replication``."""

    client_time: int
    """The client's clock."""

    reply_requested: bool = False
    """Asks the server for a keepalive at once."""

    def encode(self) -> bytes:
        """Make the bytes of one CopyData message.

        Raises:
            ConfigurationError: an LSN or the time does not fit 64 bits.
        """
        try:
            return _STATUS_UPDATE.pack(
                b"r",
                self.write_lsn,
                self.flush_lsn,
                self.apply_lsn,
                self.client_time,
                self.reply_requested,
            )
        except struct.error:
            raise ConfigurationError(
                "the LSNs of a status update are unsigned, its time a signed 64-bit integer; got "
                f"{self.write_lsn}, {self.flush_lsn}, {self.apply_lsn}, {self.client_time}"
            ) from None


WalsenderMessage: TypeAlias = XLogData | PrimaryKeepalive
"""What the server sends in COPY BOTH."""


def parse_walsender_message(data: bytes | memoryview) -> WalsenderMessage:
    """Parse the content of one CopyData message.

    Args:
        data: all of it, as libpq gives it; a memoryview is copied, so that a small value that is
            kept does not keep libpq's buffer.

    Raises:
        TruncatedMessageError: it ends too early.
        UnknownMessageError: it is neither XLogData nor a keepalive.
        ProtocolError: a keepalive is too long.
    """
    size = len(data)
    if not size:
        raise TruncatedMessageError("CopyData", 0, expected="a type byte", found="0 bytes")
    kind = data[0]
    if kind == _XLOG_DATA:
        if size < _XLOG_DATA_HEADER.size:
            raise TruncatedMessageError(
                "XLogData", size, expected="two LSNs and a time", found=f"{size} bytes in all"
            )
        start_lsn, end_lsn, send_time = _XLOG_DATA_HEADER.unpack_from(data)
        return XLogData(start_lsn, end_lsn, send_time, bytes(data[_XLOG_DATA_HEADER.size :]))
    if kind == _PRIMARY_KEEPALIVE:
        if size < _KEEPALIVE.size:
            raise TruncatedMessageError(
                "Primary keepalive message",
                size,
                expected="an LSN, a time and a flag",
                found=f"{size} bytes in all",
            )
        if size > _KEEPALIVE.size:
            raise ProtocolError(
                "Primary keepalive message",
                _KEEPALIVE.size,
                expected="the end of the message",
                found=f"{size - _KEEPALIVE.size} more bytes",
            )
        end_lsn, send_time, reply_requested = _KEEPALIVE.unpack(data)
        return PrimaryKeepalive(end_lsn, send_time, bool(reply_requested))
    raise UnknownMessageError(
        "CopyData",
        0,
        expected="XLogData ('w') or a primary keepalive message ('k')",
        found=f"type byte 0x{kind:02X}",
    )
