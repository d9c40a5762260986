"""EventLines: a sink of changes, one line of text each (``--format repr``)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from pglogical_cdc.cli.event_text import event_text
from pglogical_cdc.errors import SinkError
from pglogical_cdc.events import Change

__all__ = ("EventLines",)


class EventLines:
    """Writes the typed events as text, values included.

    Args:
        to: a stream, which stays the caller's, or the path of a file, to which lines are appended.

    Raises:
        SinkError: the file cannot be opened.
    """

    def __init__(self, to: BinaryIO | Path) -> None:
        self._is_ours = isinstance(to, Path)
        with _as_sink_error():
            self._stream = _opened(to) if isinstance(to, Path) else to

    def write(self, items: Sequence[Change], /) -> None:
        """Write a line for each change.

        Raises:
            SinkError: the stream does not take it, for example because its reader is gone.
        """
        with _as_sink_error():
            for change in items:
                self._stream.write(event_text(change).encode() + b"\n")

    def flush(self) -> None:
        """Hand what was written to the operating system, and of a file to the disk.

        Raises:
            SinkError: the stream does not take it.
        """
        with _as_sink_error():
            self._stream.flush()
            if self._is_ours:
                os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file; a stream belongs to somebody else."""
        if self._is_ours:
            with _as_sink_error():
                self._stream.close()


def _opened(path: Path) -> BinaryIO:
    # Readable by its owner only, because rows may be private.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


@contextlib.contextmanager
def _as_sink_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkError(f"cannot write the events: {error.strerror or error}") from error
