"""Standard output of the commands: a pipe that may be closed, or a terminal that is shared."""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO

from pglogical_cdc.errors import ConfigurationError, SinkError

__all__ = ("abandon_stdout", "is_broken_pipe", "is_terminal", "stdout_bytes")


def stdout_bytes() -> BinaryIO:
    """Return standard output as a binary stream with a buffer.

    Raises:
        ConfigurationError: it is closed.
    """
    stream: BinaryIO | None = getattr(sys.stdout, "buffer", None)
    if stream is None:
        raise ConfigurationError("there is no standard output to write to")
    if isinstance(stream, io.RawIOBase):
        # PYTHONUNBUFFERED, usual in containers: such a stream may take a part of a line and leave
        # the rest, when a signal comes.
        return io.BufferedWriter(io.FileIO(stream.fileno(), "wb", closefd=False))
    return stream


def is_terminal(descriptor: int) -> bool:
    """Tell whether a file descriptor, 1 or 2, is a terminal."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def is_broken_pipe(error: BaseException) -> bool:
    """Tell whether the reader of our output has gone, as ``| head`` does."""
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, SinkError) and isinstance(error.__cause__, BrokenPipeError)
    )


def abandon_stdout() -> None:
    """Drop what standard output still buffers, so that the interpreter's exit does not meet it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
