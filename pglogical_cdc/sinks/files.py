"""StdoutSink and FileSink: JSON Lines.

One line for each record::

    {"topic":"dbz.public.t","key":{"id":1},"value":{...},"headers":{},"position":"0/16B3748:3"}

A ``value`` that begins with ``{`` and ends with ``}``, or with ``[`` and ``]``, is taken for JSON
and is there as such, without the tabs and line ends that stand in it. It is not read: a formatter
whose values look so must make JSON of them, as all of this package do. A ``key``, which may be any
text, is there as such only if it is read and found to be a JSON object or array. Any other bytes
are a JSON string of their text. Bytes that are not UTF-8 are in it as U+DC80 to U+DCFF, so that in
Python ``json.loads(line)["value"].encode("utf-8", "surrogateescape")`` gives them back. None is
null: a record with ``"value":null`` is a tombstone. Header values are strings; a header that comes
more than once has an array of them. ``position`` is null for a record that belongs to no change.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import BinaryIO, Final

from pglogical_cdc.errors import ConfigurationError, SinkError
from pglogical_cdc.formatters.base import Record

__all__ = ("FileSink", "StdoutSink", "json_line")

_BUFFER_BYTES: Final = 1 << 18
_START: Final = b'{"topic":'
"""How each line starts: by this the rest of a torn line is known as ours."""


def json_line(item: Record) -> bytes:
    """Return the line of a record, with its line end.

    The line is JSON if the value is, where it begins and ends like an object or an array.

    Raises:
        ConfigurationError: `item` is no record.
    """
    if not isinstance(item, Record):
        raise ConfigurationError("this sink takes records: give the pipeline a formatter")
    key, value = item.key, item.value
    key_is_json = key is not None and key[:1] in (b"{", b"[") and _is_json(key)
    value_is_json = value is not None and value[:1] + value[-1:] in (b"{}", b"[]")
    headers: dict[str, str | list[str]] = {}
    for name, content in item.headers:
        text = content.decode("utf-8", "surrogateescape")
        earlier = headers.get(name)
        if earlier is None:
            headers[name] = text
        else:
            headers[name] = [*([earlier] if isinstance(earlier, str) else earlier), text]
    return b'%b%b,"key":%b,"value":%b,"headers":%b,"position":%b}\n' % (
        _START,
        encode_basestring_ascii(item.topic).encode(),
        _member(key, is_json=key_is_json),
        _member(value, is_json=value_is_json),
        json.dumps(headers, separators=(",", ":")).encode(),
        b"null" if item.position is None else b'"%b"' % str(item.position).encode(),
    )


def _member(content: bytes | None, *, is_json: bool) -> bytes:
    if content is None:
        return b"null"
    if is_json:
        # Inside of strings JSON has no raw control characters, so these stand between tokens.
        return content.translate(None, b"\t\n\r")
    return encode_basestring_ascii(content.decode("utf-8", "surrogateescape")).encode()


def _is_json(content: bytes) -> bool:
    try:
        # Numbers stay text: Python limits the digits of an int that it reads.
        json.loads(
            content.decode(), parse_int=str, parse_float=str, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@contextlib.contextmanager
def _as_sink_error(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkError(f"{what}: {error.strerror or error}") from error


class StdoutSink:
    """Writes records to standard output, or to another binary stream, as JSON Lines.

    A value that begins and ends like a JSON object or array is taken for one and not read.
    `flush` hands the lines to the operating system, which is all that a pipe or a terminal can be
    asked for. `close` leaves the stream open.

    Args:
        stream: where to write; by default standard output.

    Raises:
        ConfigurationError: standard output takes no bytes, as in some notebooks.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        if stream is None:
            stream = getattr(sys.stdout, "buffer", None)
            if stream is None:
                raise ConfigurationError("standard output takes no bytes here: hand in a stream")
        self._stream = stream

    def write(self, items: Sequence[Record], /) -> None:
        """Write a line for each record.

        Raises:
            ConfigurationError: an item is no record.
            SinkError: the stream does not take it, for example because its reader is gone.
        """
        rest = memoryview(b"".join(map(json_line, items)))
        with self._errors():
            while rest:
                # A raw stream, as standard output is under ``python -u``, may take a part only.
                written = self._stream.write(rest)
                if written is None:
                    raise SinkError("cannot write to the stream: it does not wait for its reader")
                rest = rest[written:]

    def flush(self) -> None:
        """Hand what was written to the operating system.

        Raises:
            SinkError: the stream does not take it.
        """
        with self._errors():
            self._stream.flush()

    def close(self) -> None:
        """Do nothing: the stream belongs to somebody else."""

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        with _as_sink_error("cannot write to the stream"):
            if self._stream.closed:
                raise SinkError("cannot write to the stream: it is closed")
            yield


class FileSink:
    """Appends records to a file as JSON Lines.

    A value that begins and ends like a JSON object or array is taken for one and not read.
    `flush` returns when the lines are on the disk (fsync). After a crash the file may end in the
    middle of a line; opening it again cuts that off, because its record was not acknowledged and
    comes again. The file is locked: two sinks cannot write to one file.

    With `max_bytes` a file that would grow beyond it is renamed to ``<path>.000001``, ``.000002``
    and so on, always counting up, and a new one is begun. A record is never divided; one that is
    bigger than `max_bytes` has a file of its own. In order of their numbers, and then `path`
    itself, the files are the whole output.

    Args:
        path: the file; it is created if need be, readable by its owner only, because rows may be
            private. A device or a pipe will do, if `max_bytes` is None.
        max_bytes: size at which the file is rotated; None for never.

    Raises:
        ConfigurationError: `max_bytes` is not positive, or `path` cannot be rotated or is the file
            of something else.
        SinkError: the file cannot be opened, or another sink writes to it.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int | None = None) -> None:
        if max_bytes is not None and max_bytes < 1:
            raise ConfigurationError(f"max_bytes must be at least 1, not {max_bytes}")
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._failed = False
        self._fd: int | None = None
        try:
            with self._errors():
                self._open()
        except BaseException:
            self.close()
            raise

    def write(self, items: Sequence[Record], /) -> None:
        """Take a line for each record; it may stay in memory until `flush`.

        Raises:
            ConfigurationError: an item is no record. The sink cannot be used again.
            SinkError: the disk is full, or the file fails otherwise. The sink cannot be used again.
        """
        limit = self._max_bytes
        with self._errors():
            for item in items:
                line = json_line(item)
                if limit is not None and self._size > 0 and self._size + len(line) > limit:
                    self._rotate()
                self._buffer += line
                self._size += len(line)
            if len(self._buffer) >= _BUFFER_BYTES:
                self._write_out()

    def flush(self) -> None:
        """Return when everything written before is on the disk.

        Raises:
            SinkError: it is not. The sink cannot be used again: what an fsync that failed has
                left on the disk is not known.
        """
        with self._errors():
            self._write_out()
            self._sync()

    def close(self) -> None:
        """Close the file, without what was not flushed."""
        self._buffer.clear()
        self._close_file()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        if self._failed:
            raise SinkError(f"{self._path} failed before and is not written any more")
        try:
            with _as_sink_error(f"cannot write {self._path}"):
                yield
        except BaseException:
            self._failed = True
            raise

    def _opened(self) -> int:
        if self._fd is None:
            raise SinkError(f"cannot write {self._path}: the sink is closed")
        return self._fd

    def _close_file(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _open(self) -> None:
        self._open_path()
        while self._is_file and not self._lock():
            self._close_file()
            self._open_path()
        if self._is_file:
            # Its size is known from here on: nobody else writes any more.
            self._size = os.fstat(self._opened()).st_size
            if self._size:
                self._cut_torn_line()
            else:
                self._sync_folder()  # which the file may be new in
        elif self._max_bytes is not None:
            raise ConfigurationError(f"{self._path} is no file that max_bytes could rotate")

    def _open_path(self) -> None:
        if not self._path.exists() or self._path.is_file():
            self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        else:
            # Whoever could read a pipe too would never learn that its reader is gone.
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._size = 0

    def _lock(self) -> bool:
        """Lock the file; tell whether it is still the one at the path, and not rotated away."""
        fd = self._opened()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SinkError(f"another sink writes to {self._path}") from None
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _cut_torn_line(self) -> None:
        fd, end = self._opened(), self._size
        tail = b""
        while end > 0 and b"\n" not in tail:
            start = max(0, end - _BUFFER_BYTES)
            tail = os.pread(fd, end - start, start) + tail
            end = start
        torn = tail[tail.rfind(b"\n") + 1 :]
        if not torn:
            return
        # After a power failure the end of a file can be zeros.
        if torn.strip(b"\0") and not torn.startswith(_START[: len(torn)]):
            raise ConfigurationError(
                f"{self._path} ends in the middle of a line that is not of this sink: it is left "
                "as it is; choose another file"
            )
        self._size -= len(torn)
        os.ftruncate(fd, self._size)
        os.fsync(fd)

    def _write_out(self) -> None:
        fd = self._opened()
        while self._buffer:
            written = os.write(fd, self._buffer)
            del self._buffer[:written]

    def _sync(self) -> None:
        if self._is_file:
            os.fsync(self._opened())

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that has no fsync of folders
                raise
        finally:
            os.close(folder)

    def _rotate(self) -> None:
        self._write_out()
        self._sync()
        prefix = f"{self._path.name}."
        numbers = [
            int(number)
            for name in os.listdir(self._path.parent)
            if name.startswith(prefix)
            and (number := name[len(prefix) :]).isascii()
            and number.isdigit()
        ]
        target = self._path.with_name(f"{prefix}{max(numbers, default=0) + 1:06d}")
        os.rename(self._path, target)
        self._close_file()
        self._open()
