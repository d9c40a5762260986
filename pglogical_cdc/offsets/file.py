"""FileOffsets: the offset of one slot in a file.

The file is a JSON object, for people to read and, while no reader runs, to edit::

    {"version":1,"system_identifier":"7301234567890123456","timeline":1,"slot":"shop_cdc",
     "position":"0/16B3748","transaction_end":"0/16B3700"}

On one line, all members there, and no others; while a resumable snapshot is being taken also
``snapshot``. ``version`` is that of the format.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pglogical_cdc.errors import ConfigurationError, OffsetStoreError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets.base import Offset, check_key

__all__ = ("FileOffsets",)

_VERSION: Final = 1
_TYPES: Final[dict[str, type]] = {
    "version": int,
    "system_identifier": str,
    "timeline": int,
    "slot": str,
    "position": str,
    "transaction_end": str,
}
"""The members of version 1, and what Python reads each of them as."""
_SNAPSHOT: Final = {**_TYPES, "snapshot": str}
"""The same while a snapshot is being taken."""
_MAX_BYTES: Final = 1 << 24
"""No offset is nearly as long; what is there may be anything."""
_KINDS: Final = {
    bool: "a boolean",
    int: "a number",
    float: "a number with a fraction",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


class FileOffsets:
    """Keeps the offset of one slot in a file of its own.

    `save` writes a new file beside the old one, syncs it, and renames it: the file at `path` is
    always a whole one. It is private (mode 0600). A process that is killed in the middle of it may
    leave a file ``.NAME.*.tmp`` behind, which nothing reads: delete it.

    `path` must not be a symbolic link, and is never followed if it has become one. Any number of
    threads may use one object; only one process may save to one file, as only one can stream from
    a slot.

    Args:
        path: the file. Its folder must be there; the file comes with the first `save`.

    Raises:
        ConfigurationError: `path` is not the path of a file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        text = os.fspath(path)
        # Absolute, so that a process that goes to another folder does not lose its file.
        self._path = Path(text).absolute()
        if not Path(text).name or text.endswith((os.sep, f"{os.sep}.")) or "\0" in text:
            raise ConfigurationError(f"path {text!r}: expected the path of a file")
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<FileOffsets {str(self._path)!r}>"

    def load(self, key: str) -> Offset | None:
        """Return the offset in the file; None if there is no file.

        Raises:
            OffsetStoreError: the folder is not there; the file cannot be read, is not of this
                class, or is that of another slot.
        """
        with self._errors("read"), self._folder() as folder:
            return self._read(folder, key)

    def save(self, key: str, offset: Offset) -> None:
        """Replace the file; return when the new one is on the disk.

        Raises:
            ConfigurationError: `key` is not the slot of `offset`.
            OffsetStoreError: the disk is full, or the file cannot be written otherwise; or the one
                that is there is not of this class, or is that of another slot, and stays.
        """
        check_key(key, offset)
        with self._lock, self._errors("write"), self._folder() as folder:
            self._read(folder, key)
            self._replace(folder, _json(offset))

    @contextlib.contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OffsetStoreError(
                f"cannot {verb} the offset file {self._path}: {error.strerror or error}"
            ) from error

    @contextlib.contextmanager
    def _folder(self) -> Iterator[int]:
        # It is opened first, so that a folder that is not there, for example because its disk is
        # not mounted, is not taken for a file that is not there yet.
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise OffsetStoreError(
                f"the folder of the offset file {self._path} does not exist: make or mount it "
                f"({error.strerror})"
            ) from None
        try:
            yield folder
        finally:
            os.close(folder)

    def _read(self, folder: int, key: str) -> Offset | None:
        content = self._content(folder)
        if content is None:
            return None
        try:
            offset = _parse(content)
        except _UnexpectedError as error:
            raise self._unreadable(error.expected, error.found) from None
        if offset.slot != key:
            raise OffsetStoreError(
                f"the offset file {self._path} is that of slot {offset.slot!r}, not of {key!r}: "
                "give each slot a file of its own"
            )
        return offset

    def _content(self, folder: int) -> bytes | None:
        # O_NONBLOCK: a named pipe would have open() wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        try:
            fd = os.open(self._path.name, flags, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            # Linux and macOS say ELOOP, FreeBSD says EMLINK.
            if error.errno in (errno.ELOOP, errno.EMLINK):
                raise self._unreadable("a regular file", "a symbolic link") from None
            raise
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                found = "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
                raise self._unreadable("a regular file", found)
            content = b""
            while len(content) <= _MAX_BYTES:
                part = os.read(fd, _MAX_BYTES + 1 - len(content))
                if not part:
                    break
                content += part
            return content
        finally:
            os.close(fd)

    def _unreadable(self, expected: str, found: str) -> OffsetStoreError:
        return OffsetStoreError(
            f"the offset file {self._path} cannot be used: expected {expected}, found {found}. "
            "It is left as it is: restore it, or choose another path, or move it away to start "
            "where the server has the slot (confirmed_flush_lsn)"
        )

    def _replace(self, folder: int, content: bytes) -> None:
        name = self._path.name
        temporary = f".{name}.{os.urandom(8).hex()}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            try:
                os.fchmod(fd, 0o600)  # whatever the umask has taken away
                while content:
                    content = content[os.write(fd, content) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that has no fsync of folders
                raise


class _UnexpectedError(Exception):
    """Content that is not that of an offset file."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found


def _json(offset: Offset) -> bytes:
    members = {
        "version": _VERSION,
        "system_identifier": offset.system_identifier,
        "timeline": offset.timeline,
        "slot": offset.slot,
        "position": str(offset.position),
        "transaction_end": str(offset.transaction_end),
    }
    if offset.snapshot:
        members["snapshot"] = offset.snapshot
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def _parse(content: bytes) -> Offset:
    members = _members(content)
    version = members.get("version")
    if type(version) is int and version != _VERSION:
        raise _UnexpectedError(
            f"version {_VERSION} of the format", f"version {version}, of another release"
        )
    types = _SNAPSHOT if "snapshot" in members else _TYPES
    if members.keys() != types.keys():
        absent = [name for name in _TYPES if name not in members]
        raise _UnexpectedError(
            f"an object of {', '.join(_TYPES)}",
            f"one without {', '.join(absent)}" if absent else "one with more members",
        )
    for name, kind in types.items():
        if type(members[name]) is not kind:
            raise _UnexpectedError(f"{_KINDS[kind]} as {name}", _KINDS[type(members[name])])
    try:
        return Offset(
            members["system_identifier"],
            members["timeline"],
            members["slot"],
            _lsn("position", members["position"]),
            _lsn("transaction_end", members["transaction_end"]),
            members.get("snapshot", ""),
        )
    except ConfigurationError as error:
        raise _UnexpectedError("the values of an offset", str(error)) from None


def _members(content: bytes) -> dict[str, Any]:
    expected = "a JSON object"
    if not content:
        raise _UnexpectedError(expected, "an empty file")
    if len(content) > _MAX_BYTES:
        raise _UnexpectedError(expected, f"more than {_MAX_BYTES} bytes")
    try:
        pairs = json.loads(content.decode(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        # The parser's own words hold all that it was to parse.
        raise _UnexpectedError(expected, f"{len(content)} bytes that are not JSON") from None
    if not isinstance(pairs, _Pairs):
        raise _UnexpectedError(expected, _KINDS[type(pairs)])
    members = {name: {} if isinstance(value, _Pairs) else value for name, value in pairs}
    if len(members) != len(pairs):
        raise _UnexpectedError(expected, "one that has a member twice")
    return members


class _Pairs(list[tuple[str, Any]]):
    """The members of an object, as often as they are there."""


def _lsn(name: str, text: str) -> LSN:
    try:
        return LSN.parse(text)
    except ValueError:
        raise _UnexpectedError(
            f"an LSN as {name}, of the form 16/B374D848",
            f"a string of {len(text)} characters that is none",
        ) from None
