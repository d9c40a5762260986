"""Where the client keeps a reader's position, beside the one that the slot has on the server."""

from __future__ import annotations

from pglogical_cdc.offsets.base import AsyncOffsetStore, Offset, OffsetStore
from pglogical_cdc.offsets.file import FileOffsets
from pglogical_cdc.offsets.postgres import PostgresOffsets

__all__ = (
    "AsyncOffsetStore",
    "FileOffsets",
    "Offset",
    "OffsetStore",
    "PostgresOffsets",
)
