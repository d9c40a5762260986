"""Worker: what reads a chunk of a table, wherever an executor has put it.

All that goes there and back can be pickled. A chunk gets a connection and a transaction of its own:
nothing of a worker outlives it, so that nothing stays behind when the worker is lost.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import psycopg
from attrs import field
from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import MessageTooLargeError
from pglogical_cdc.events import Relation, SnapshotPoint, SnapshotRows
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    AnyConnection,
    Blocking,
    Conversation,
    CopyOut,
    Parameters,
    connect_plain,
    diagnose,
    exchange,
    run,
    set_client_encoding,
)
from pglogical_cdc.protocol import CopyRowParser, TupleData
from pglogical_cdc.snapshot.opening import begin_under
from pglogical_cdc.snapshot.table_connection import prepare

__all__ = (
    "RangeTask",
    "RowMessages",
    "RowRecords",
    "RangeRows",
    "RecordMaking",
    "RowKit",
    "check_size",
    "read_range",
)

_WAIT: Final = 1.0
"""Seconds."""


class RecordMaking(Protocol):
    """Makes records of rows; it can be pickled."""

    takes_rows: bool
    """Whether it makes the records of many rows with less effort than those of each."""

    def pack(self, rows: SnapshotRows) -> Any:
        """Return the records of some rows, in a form that is pickled at little cost."""
        ...

    def unpack(self, packed: Any) -> Sequence[object]:
        """Return the records."""
        ...


@record
class RowKit:
    """What it takes to make records of the rows of a table."""

    maker: RecordMaking
    run: int
    """Rows whose records come together, at most."""
    relation: Relation
    lsn: LSN
    point: SnapshotPoint


@record
class RangeTask:
    """What is to be read, and how."""

    given: Parameters
    """Where to connect. They have a password, which `repr` does not show."""
    slot: str
    snapshot: str
    """Name of the snapshot."""
    command: sql.Composed
    """The COPY."""
    columns: int
    binary: bool
    client_encoding: str
    max_message_bytes: int
    kit: bytes | None = field(repr=False)
    """A pickled `RowKit`, if records are to be made of the rows."""


@record
class RowMessages:
    """The rows of a chunk, as the server sent them."""

    messages: list[bytes] = field(repr=False)
    """CopyData messages."""


@record
class RowRecords:
    """The rows of a chunk as records, but the first and the last.

    Those may have another marker, and they are what a formatter tells of the table with.
    """

    size: int
    """Bytes, as the server sent them."""
    first: TupleData | None = field(repr=False)
    """None if there is no row."""
    runs: list[tuple[int, Any]] = field(repr=False)
    """Numbers of rows, and their packed records."""
    last: TupleData | None = field(repr=False)
    """None if there is but one row."""


RangeRows: TypeAlias = "RowMessages | RowRecords | None"
"""None if the table could not be locked: somebody waits to alter it, and will as long as the
connection that has opened it keeps it locked."""


def read_range(task: RangeTask) -> RangeRows:
    """Read a chunk, over a connection that is made for it.

    Raises:
        CdcError: it cannot be read.
    """
    flavour = Blocking()
    try:
        return run(_read(task, flavour))
    except psycopg.errors.LockNotAvailable:
        return None
    except psycopg.Error as error:
        # Not chained: psycopg's error may quote a row.
        raise diagnose(error, slot=task.slot) from None
    finally:
        flavour.close()


async def _read(task: RangeTask, flavour: Blocking) -> RangeRows:
    connection = await connect_plain(task.given, flavour)
    try:
        await exchange(connection, prepare(), flavour)
        await exchange(connection, begin_under(task.snapshot), flavour)
        await exchange(connection, _lock_timeout(), flavour)
        if task.client_encoding != "UTF8":
            encoding = set_client_encoding(task.client_encoding, local=True)
            await exchange(connection, encoding, flavour)
        rows = _Messages() if task.kit is None else _Records(task, _kit(task.kit))
        await _copy(connection, task, rows, flavour)
        return rows.all()
    finally:
        connection.pgconn.finish()


def _lock_timeout() -> Conversation[None]:
    yield sql.SQL("SET LOCAL lock_timeout = '500ms'")


async def _copy(
    connection: AnyConnection, task: RangeTask, rows: _Messages | _Records, flavour: Blocking
) -> None:
    copy = await CopyOut.start(connection, task.command, flavour)
    while not copy.ended:
        messages = copy.read()
        if messages:
            check_size(messages, task.max_message_bytes)
            rows.take(messages)
        elif not copy.ended:
            await flavour.wait(copy.socket, _WAIT)


def check_size(messages: Sequence[bytes], limit: int) -> None:
    """Check the size of rows.

    Raises:
        MessageTooLargeError: one is bigger than the limit.
    """
    size = max(map(len, messages), default=0)
    if size > limit:
        raise MessageTooLargeError(
            "CopyData",
            0,
            expected=f"at most {limit} bytes (max_message_bytes)",
            found=f"{size} bytes",
        )


class _Messages:
    """Keeps the messages."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []

    def take(self, messages: list[bytes]) -> None:
        self._messages += messages

    def all(self) -> RowMessages:
        return RowMessages(self._messages)


class _Records:
    """Makes records of the rows as they come."""

    def __init__(self, task: RangeTask, kit: RowKit) -> None:
        self._kit = kit
        self._parser = CopyRowParser(task.columns, binary=task.binary)
        self._bytes = 0
        self._first: TupleData | None = None
        self._runs: list[tuple[int, Any]] = []
        self._last: TupleData | None = None

    def take(self, messages: list[bytes]) -> None:
        self._bytes += sum(map(len, messages))
        rows = self._parser.rows(messages)
        if self._first is None and rows:
            self._first, rows = rows[0], rows[1:]
            # With the first row a formatter may tell of its table: whoever gets the records makes
            # that one, and this one has told it then.
            self._pack([self._first])
        if rows:
            if self._last is not None:
                self._add([self._last])
            self._last = rows[-1]
            for start in range(0, len(rows) - 1, self._kit.run):
                self._add(rows[start : min(start + self._kit.run, len(rows) - 1)])

    def all(self) -> RowRecords:
        return RowRecords(self._bytes, self._first, self._runs, self._last)

    def _add(self, rows: Sequence[TupleData]) -> None:
        self._runs.append((len(rows), self._pack(rows)))

    def _pack(self, rows: Sequence[TupleData]) -> Any:
        kit = self._kit
        return kit.maker.pack(SnapshotRows(kit.relation, kit.lsn, kit.point, rows))


class _Kits(threading.local):
    """The last kit of each thread: to make one takes as long as some hundred rows."""

    pickled: bytes | None = None
    kit: RowKit


_kits: Final = _Kits()


def _kit(pickled: bytes) -> RowKit:
    if _kits.pickled != pickled:
        kit = pickle.loads(pickled)
        assert isinstance(kit, RowKit)
        _kits.kit, _kits.pickled = kit, pickled
    return _kits.kit
