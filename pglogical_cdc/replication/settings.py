"""Settings: a reader's arguments, checked once, the same for every kind of reader."""

from __future__ import annotations

import inspect
import operator
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final, Literal, TypeAlias, cast, get_args

from psycopg.adapt import AdaptersMap

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import CdcError, ConfigurationError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.name_patterns import NamePatterns
from pglogical_cdc.offsets import AsyncOffsetStore, OffsetStore
from pglogical_cdc.postgres import Server, Slot, publication_names, qualified_name, slot_name
from pglogical_cdc.replication.backoff import Backoff

__all__ = (
    "AckMode",
    "OffsetMismatchPolicy",
    "Origin",
    "ReaderEvent",
    "ReaderState",
    "Settings",
    "SnapshotMode",
    "check_chunk_rows",
    "check_settings",
)

AckMode: TypeAlias = Literal["auto", "manual"]
Origin: TypeAlias = Literal["any", "none"]
OffsetMismatchPolicy: TypeAlias = Literal["raise", "trust_slot", "trust_offset", "resnapshot"]
ReaderState: TypeAlias = Literal["connecting", "snapshot", "streaming", "retrying", "stopped"]
SnapshotMode: TypeAlias = Literal["never", "initial", "initial_only", "when_needed", "always"]

_LONGEST_STATUS_INTERVAL: Final = 10.0
"""Seconds; the default of ``wal_receiver_status_interval``."""

CHUNK_ROWS: Final = 10_000
"""Rows of a table that are read at once, beside the stream."""

_LONGEST_CHUNK: Final = 1_000_000
"""Rows; they are in memory until the stream has got to them."""

DEFAULT_MEMORY_LIMIT: Final = 64 * 1024 * 1024
DEFAULT_MAX_MESSAGE_BYTES: Final = 1024 * 1024 * 1024


@record
class ReaderEvent:
    """A change of state of a reader, as given to ``on_event``."""

    state: ReaderState
    slot: str
    error: CdcError | None = None
    """Why, where the state is the result of an error."""
    attempt: int = 0
    """With ``retrying``: the number of the attempt that follows, 1 for the first in a row."""
    delay: float | None = None
    """With ``retrying``: seconds until that attempt."""


@record
class Settings:
    """The arguments of a reader, checked; see `ReplicationReader` for their meaning."""

    slot: str
    publications: tuple[str, ...]
    create: bool
    tables: tuple[tuple[str, str], ...] | None
    temporary: bool
    failover: bool
    snapshot: SnapshotMode
    snapshot_resumable: bool
    snapshot_chunk_rows: int
    snapshot_include: NamePatterns | None
    snapshot_exclude: NamePatterns
    snapshot_executor: Executor | None
    snapshot_workers: int
    ack: AckMode
    until: LSN | Literal["now"] | None
    idle_timeout: float | None
    binary: bool
    messages: bool
    reselect: bool
    origin: Origin
    max_message_bytes: int
    status_interval: float | None
    reconnect: Backoff | None
    offsets: OffsetStore | AsyncOffsetStore | None
    on_offset_mismatch: OffsetMismatchPolicy
    adapters: AdaptersMap | None
    on_event: Callable[[ReaderEvent], None] | None

    def check_server(self, server: Server) -> None:
        """Check what depends on the server's version.

        Raises:
            ConfigurationError: this server cannot do it.
        """
        if self.origin != "any" and server.version < 160000:
            raise ConfigurationError("origin='none' needs PostgreSQL 16 or later")
        if self.failover and server.version < 170000:
            raise ConfigurationError("failover slots need PostgreSQL 17 or later")
        if self.status_interval and 0 < server.wal_sender_timeout <= self.status_interval:
            raise ConfigurationError(
                f"status_interval is {self.status_interval} s, but the server drops a client that "
                f"is silent for {server.wal_sender_timeout} s (wal_sender_timeout)"
            )

    @property
    def resnapshots(self) -> bool:
        """Whether a new snapshot is taken where reading cannot go on from what was read."""
        return self.on_offset_mismatch == "resnapshot" or (
            self.snapshot == "when_needed" and self.on_offset_mismatch == "raise"
        )

    def wants_snapshot(self, slot: Slot | None, *, known: bool, resumes: bool = False) -> bool:
        """Tell whether the mode asks for a snapshot before reading begins.

        Args:
            slot: the slot; None if it is not there.
            known: whether reading has begun before, as far as the store of positions knows.
            resumes: whether it knows of a snapshot that was not read to its end.
        """
        if resumes and slot is not None and not slot.invalidated:
            return False
        if self.snapshot in ("always", "initial_only"):
            return True
        if self.snapshot == "when_needed":
            return slot is None or slot.invalidated
        return self.snapshot == "initial" and slot is None and self.create and not known

    def status_seconds(self, server: Server) -> float:
        """Return the seconds between status updates: a third of the server's patience."""
        if self.status_interval is not None:
            return self.status_interval
        if server.wal_sender_timeout <= 0:
            return _LONGEST_STATUS_INTERVAL
        return min(server.wal_sender_timeout / 3, _LONGEST_STATUS_INTERVAL)


def check_settings(
    *,
    slot: str,
    publications: str | Sequence[str],
    create: bool,
    tables: Sequence[str] | None,
    temporary: bool,
    failover: bool,
    two_phase: bool,
    snapshot: str,
    snapshot_resumable: bool,
    snapshot_chunk_rows: int,
    snapshot_include: str | Sequence[str] | None,
    snapshot_exclude: str | Sequence[str],
    snapshot_executor: Executor | None,
    snapshot_workers: int,
    ack: str,
    until: LSN | int | str | None,
    idle_timeout: float | None,
    protocol: int | str,
    streaming: str,
    binary: bool,
    messages: bool,
    reselect: bool,
    origin: str,
    memory_limit: int,
    max_message_bytes: int,
    status_interval: float | None,
    reconnect: Backoff | None,
    offsets: OffsetStore | AsyncOffsetStore | None,
    on_offset_mismatch: str,
    adapters: AdaptersMap | None,
    on_event: Callable[[ReaderEvent], None] | None,
) -> Settings:
    """Check a reader's arguments.

    Raises:
        ConfigurationError: an argument is wrong; the message says which and what it may be.
    """
    typed: tuple[tuple[str, object, tuple[type, ...]], ...] = (
        ("slot", slot, (str,)),
        ("create", create, (bool,)),
        ("temporary", temporary, (bool,)),
        ("failover", failover, (bool,)),
        ("snapshot_resumable", snapshot_resumable, (bool,)),
        ("snapshot_chunk_rows", snapshot_chunk_rows, (int,)),
        ("binary", binary, (bool,)),
        ("messages", messages, (bool,)),
        ("reselect", reselect, (bool,)),
        ("snapshot_executor", snapshot_executor, (Executor, type(None))),
        ("snapshot_workers", snapshot_workers, (int,)),
        ("max_message_bytes", max_message_bytes, (int,)),
        ("reconnect", reconnect, (Backoff, type(None))),
        ("adapters", adapters, (AdaptersMap, type(None))),
    )
    for name, argument, kinds in typed:
        if not isinstance(argument, kinds):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigurationError(f"{name} is {argument!r}; expected {expected}")
    if on_event is not None and not callable(on_event):
        raise ConfigurationError("on_event is not callable")
    if on_event is not None and inspect.iscoroutinefunction(inspect.unwrap(on_event)):
        raise ConfigurationError("on_event is a coroutine function, and nobody would await it")
    if offsets is not None and not isinstance(offsets, OffsetStore):
        raise ConfigurationError(
            f"offsets is a {type(offsets).__name__}; expected an OffsetStore: load(key), "
            "save(key, offset)"
        )
    for name, value, only in (
        ("two_phase", two_phase, False),
        ("streaming", streaming, "off"),
        ("memory_limit", memory_limit, DEFAULT_MEMORY_LIMIT),
    ):
        if value != only:
            raise ConfigurationError(
                f"{name} is {value!r}; this version of pglogical_cdc supports only {only!r}"
            )
    if protocol not in ("auto", 1) or protocol is True:
        raise ConfigurationError(
            f"protocol is {protocol!r}; this version of pglogical_cdc reads 1 (or 'auto')"
        )
    if temporary and failover:
        raise ConfigurationError("a temporary slot cannot be a failover slot")
    if snapshot_resumable and (offsets is None or temporary):
        raise ConfigurationError(
            "snapshot_resumable=True needs offsets, where it is stored what has been read, and a "
            "slot that is not temporary"
        )
    if snapshot_resumable and snapshot_executor is not None:
        raise ConfigurationError(
            "snapshot_executor cannot be had with snapshot_resumable=True, whose rows come with "
            "the stream"
        )
    if snapshot_resumable and snapshot in ("never", "initial_only"):
        raise ConfigurationError(
            f"snapshot_resumable=True cannot be had with snapshot={snapshot!r}; expected "
            "'initial', 'when_needed' or 'always'"
        )
    if binary and reselect:
        raise ConfigurationError("binary=True cannot be had with reselect=True, which reads text")
    return Settings(
        slot=slot_name(slot),
        publications=publication_names(publications),
        create=create,
        tables=_tables(tables),
        temporary=temporary,
        failover=failover,
        snapshot=cast("SnapshotMode", _one_of("snapshot", snapshot, SnapshotMode)),
        snapshot_resumable=snapshot_resumable,
        snapshot_chunk_rows=check_chunk_rows("snapshot_chunk_rows", snapshot_chunk_rows),
        snapshot_include=_included(snapshot_include),
        snapshot_exclude=NamePatterns.read("snapshot_exclude", snapshot_exclude),
        snapshot_executor=snapshot_executor,
        snapshot_workers=_positive("snapshot_workers", snapshot_workers, "chunks"),
        ack=cast("AckMode", _one_of("ack", ack, AckMode)),
        until=_until(until),
        idle_timeout=_seconds("idle_timeout", idle_timeout),
        binary=binary,
        messages=messages,
        reselect=reselect,
        origin=cast("Origin", _one_of("origin", origin, Origin)),
        max_message_bytes=_positive("max_message_bytes", max_message_bytes, "bytes"),
        status_interval=_seconds("status_interval", status_interval),
        reconnect=reconnect,
        offsets=offsets,
        on_offset_mismatch=cast(
            "OffsetMismatchPolicy",
            _one_of("on_offset_mismatch", on_offset_mismatch, OffsetMismatchPolicy),
        ),
        adapters=adapters,
        on_event=on_event,
    )


def check_chunk_rows(name: str, rows: int) -> int:
    """Check how many rows of a table are to be read at once.

    Raises:
        ConfigurationError: they are too many, or none.
    """
    if type(rows) is not int or not 0 < rows <= _LONGEST_CHUNK:
        raise ConfigurationError(f"{name} is {rows!r}; expected 1 to {_LONGEST_CHUNK} rows")
    return rows


def _one_of(name: str, value: str, choices: object) -> str:
    allowed = get_args(choices)
    if value not in allowed:
        raise ConfigurationError(
            f"{name} is {value!r}; expected one of {', '.join(map(repr, allowed))}"
        )
    return value


def _tables(tables: Sequence[str] | None) -> tuple[tuple[str, str], ...] | None:
    if tables is None:
        return None
    if (
        not isinstance(tables, Sequence)
        or isinstance(tables, (str, bytes))
        or not tables
        or not all(isinstance(table, str) for table in tables)
    ):
        raise ConfigurationError('tables: expected a list of "schema.table", not empty')
    return tuple(dict.fromkeys(map(qualified_name, tables)))


def _included(patterns: str | Sequence[str] | None) -> NamePatterns | None:
    if patterns is None:
        return None
    read = NamePatterns.read("snapshot_include", patterns)
    if not read.patterns:
        # Nothing, or everything as in Debezium: whoever makes the list up may mean either.
        raise ConfigurationError(
            "snapshot_include is empty; leave it out for all tables, or pass snapshot='never'"
        )
    return read


def _until(until: LSN | int | str | None) -> LSN | Literal["now"] | None:
    if until is None:
        return None
    if until == "now":
        return "now"
    try:
        return LSN.parse(until) if isinstance(until, str) else LSN(operator.index(until))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"until: expected an LSN or 'now'; {error}") from None


def _seconds(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value <= threading.TIMEOUT_MAX:
        raise ConfigurationError(f"{name} is {value!r}; expected seconds, more than 0")
    return value


def _positive(name: str, value: int, unit: str) -> int:
    if value <= 0:
        raise ConfigurationError(f"{name} is {value!r}; expected a number of {unit}, more than 0")
    return value
