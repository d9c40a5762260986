"""What comes with every transaction, however small: CopyData of one size, taken apart at once.

After a pause each function on the way of a message costs several times what it costs in a loop, and
a change waits for the keepalive and the Begin before it. Only data of exactly these sizes and types
may be given to these; everything else is for `parse_walsender_message` and `PgoutputParser`.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = (
    "BEGIN",
    "BEGIN_SIZE",
    "COMMIT",
    "COMMIT_SIZE",
    "KEEPALIVE",
    "KEEPALIVE_SIZE",
    "PAYLOAD",
    "XLOG_DATA",
    "begin_fields",
    "commit_fields",
    "keepalive_fields",
)

XLOG_DATA: Final = ord("w")
"""The first byte of what carries a message of pgoutput."""

PAYLOAD: Final = 25
"""Where that message begins, with its type."""

KEEPALIVE: Final = ord("k")
"""The first byte of a keepalive."""

BEGIN, COMMIT = b"BC"

_KEEPALIVE: Final = struct.Struct(">xQqB")
_BEGIN: Final = struct.Struct(">xQQqxQqI")
_COMMIT: Final = struct.Struct(">xQQqxxQQq")

KEEPALIVE_SIZE: Final = _KEEPALIVE.size
BEGIN_SIZE: Final = _BEGIN.size
COMMIT_SIZE: Final = _COMMIT.size

keepalive_fields: Final = _KEEPALIVE.unpack
"""End LSN, time, whether a reply is requested."""

begin_fields: Final = _BEGIN.unpack
"""XLogData's start LSN, end LSN and time; Begin's final LSN, commit timestamp and xid."""

commit_fields: Final = _COMMIT.unpack
"""XLogData's start LSN, end LSN and time; Commit's commit LSN, end LSN and commit timestamp."""
