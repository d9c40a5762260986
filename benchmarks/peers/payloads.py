"""A file of pgoutput's messages: of each its length, four bytes big-endian, and its bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

__all__ = ("read_payloads", "write_payloads")

_LENGTH: Final = struct.Struct("!I")


def write_payloads(path: Path, payloads: Iterable[bytes]) -> None:
    """Write a file of messages."""
    with path.open("wb") as file:
        for payload in payloads:
            file.write(_LENGTH.pack(len(payload)))
            file.write(payload)


def read_payloads(path: Path) -> Iterator[bytes]:
    """Read what `write_payloads` wrote."""
    content = path.read_bytes()
    position = 0
    while position < len(content):
        (length,) = _LENGTH.unpack_from(content, position)
        position += _LENGTH.size
        yield content[position : position + length]
        position += length
