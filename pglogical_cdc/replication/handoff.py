"""Handoff: from the rows of a snapshot to the stream that goes on where they end."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

import psycopg
from attrs import evolve
from typing_extensions import Self

from pglogical_cdc.errors import CdcError, ConnectionLostError, SnapshotError
from pglogical_cdc.events import SnapshotRead
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    AnyConnection,
    Flavour,
    Parameters,
    PsycopgLoaders,
    connect,
    diagnose,
    exchange,
    permanent_slot,
    set_client_encoding,
    set_failover,
)
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.opening import Opened
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings
from pglogical_cdc.replication.stream import Stream

if TYPE_CHECKING:
    from pglogical_cdc.snapshot import InitialSnapshot

__all__ = ("Handoff",)

_LONGEST_WAIT: Final = 1.0
"""Seconds."""

_ROWS: Final = 64
"""Rows that are handed on at once."""

_SLOT_IS_GONE: Final = (
    psycopg.errors.UndefinedObject.sqlstate,
    psycopg.errors.ObjectNotInPrerequisiteState.sqlstate,
)
"""Of a `SnapshotError`: the temporary slot is not there, and so its stream has ended."""


class Handoff:
    """A snapshot that comes before a stream, until the slot of both is there for good.

    Args:
        session: what is known of the stream that follows.
        snapshot: the snapshot; it has been opened.
        opened: the connection that made the slot.
        settings: the reader's arguments.
        flavour: how to wait.
    """

    def __init__(
        self,
        session: Session,
        snapshot: InitialSnapshot,
        opened: Opened,
        settings: Settings,
        flavour: Flavour,
    ) -> None:
        self.session = session
        self.snapshot = snapshot
        self.opened = opened
        self._settings = settings
        self._flavour = flavour

    @classmethod
    async def begin(
        cls,
        opened: Opened,
        *,
        given: Parameters,
        settings: Settings,
        flavour: Flavour,
        beside: Beside,
    ) -> Self:
        """Take the snapshot over that a slot has exported.

        Args:
            opened: the connection that made the slot.
            given: where to connect.
            settings: the reader's arguments.
            flavour: how to wait.
            beside: asks the server outside the snapshot.

        Raises:
            CdcError: see `InitialSnapshot.open`.
            Stopped: the flavour was stopped.
        """
        # Most readers go on from a slot, and need half a megabyte less.
        from pglogical_cdc.snapshot import InitialSnapshot, ParallelSnapshot

        kind: Callable[..., InitialSnapshot] = InitialSnapshot
        if settings.snapshot_executor is not None:
            kind = functools.partial(
                ParallelSnapshot,
                executor=settings.snapshot_executor,
                workers=settings.snapshot_workers,
            )
        slot = opened.exported
        assert slot is not None
        session = Session(
            database=opened.server.database,
            loaders=PsycopgLoaders(settings.adapters),
            confirmed_flush=slot.consistent_point,
            max_message_bytes=settings.max_message_bytes,
            messages=settings.messages,
        )
        session.progress.begin_after(slot.consistent_point)
        snapshot = kind(
            slot,
            opened.connection,
            given=given,
            server=opened.server,
            publications=settings.publications,
            include=settings.snapshot_include,
            exclude=settings.snapshot_exclude,
            binary=settings.binary,
            max_message_bytes=settings.max_message_bytes,
            flavour=flavour,
            describe=session.describe_table,
            ask=beside.ask,
        )
        try:
            await snapshot.open()
        except BaseException:
            snapshot.close()
            raise
        return cls(session, snapshot, opened, settings, flavour)

    # -- the rows

    @property
    def is_read(self) -> bool:
        """Whether all rows were handed on by `read`."""
        return self.snapshot.is_complete and not self.snapshot.rows

    async def read(self, deadline: float | None) -> list[SnapshotRead] | None:
        """Return rows that come next, perhaps none yet; None when the deadline has passed.

        Args:
            deadline: by the monotonic clock.

        Raises:
            CdcError: see `InitialSnapshot.read`.
            Stopped: the flavour was stopped.
        """
        snapshot = self.snapshot
        if not snapshot.rows:
            await snapshot.read()
        if not (snapshot.rows or snapshot.is_complete):
            left = _LONGEST_WAIT if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return None
            await snapshot.wait(min(left, _LONGEST_WAIT))
        rows = snapshot.rows[:_ROWS]
        del snapshot.rows[:_ROWS]
        return rows

    # -- the stream

    async def stream(self, patience: float) -> Stream:
        """Start the stream of the slot of the snapshot, which is temporary.

        Args:
            patience: seconds for each answer.

        Raises:
            CdcError: the stream cannot be started.
            Stopped: the flavour was stopped.
        """
        server, connection = self.opened.server, self.opened.connection
        settings = evolve(self._settings, slot=self.snapshot.slot.name, temporary=True)
        try:
            if server.client_encoding != "UTF8":
                encoding = set_client_encoding(server.client_encoding)
                await exchange(connection, encoding, self._flavour, patience)
            stream = Stream(connection, server, self.session, settings, self._flavour)
            await stream.start(LSN(self.session.progress.delivered_end), patience)
        except psycopg.Error as error:
            raise diagnose(error, slot=settings.slot) from error
        return stream

    async def make_permanent(self, given: Parameters, beside: Beside, patience: float) -> None:
        """Give the slot of the snapshot its name.

        A slot that was there before, and is good, stays: reading goes on from the snapshot.

        Args:
            given: where to connect.
            beside: asks the server.
            patience: seconds for each answer.

        Raises:
            CdcError: it cannot be made.
            Stopped: the flavour was stopped.
        """
        opened, settings, flavour = self.opened, self._settings, self._flavour
        replaces = opened.slot is not None
        connection: AnyConnection | None = None
        try:
            if settings.failover:
                # Before the slot is made, so that it is not left without for want of a connection.
                connection = await connect(given, flavour, patience)
            await beside.ask(
                lambda: permanent_slot(
                    self.snapshot.slot, settings.slot, opened.server, replaces=replaces
                )
            )
            if connection is not None:
                await exchange(connection, set_failover(settings.slot), flavour, patience)
        finally:
            if connection is not None:
                connection.pgconn.finish()

    def close(self) -> None:
        """Disconnect from the snapshot and its slot, which is gone then."""
        self.snapshot.close()
        self.opened.connection.pgconn.finish()

    # -- errors

    def end(self, error: CdcError, stream: Stream | None) -> NoReturn:
        """Raise the error that has ended it.

        Args:
            error: what reading has failed with.
            stream: the stream of the temporary slot, if it has begun.

        Raises:
            CdcError: that error, or that of the stream: with any of its connection the server drops
                the slot, and all that is known of it later is that it is not there.
        """
        if stream is None:
            raise error
        try:
            if isinstance(error, SnapshotError) and error.sqlstate in _SLOT_IS_GONE:
                stream.find_error()
        except CdcError as found:
            error = found
        if isinstance(error, ConnectionLostError):
            raise ConnectionLostError(
                f"{error}. The slot was bound to it until the rows of the snapshot are "
                "acknowledged: open a new reader, which takes the snapshot anew",
                sqlstate=error.sqlstate,
                slot=self._settings.slot,
            ) from None
        raise error

    def interrupted(self) -> CdcError:
        """Return the error of reading that a signal has left in the middle of something."""
        return SnapshotError(
            "reading the snapshot was interrupted in the middle of something; open a new "
            "reader, which takes it anew",
            slot=self._settings.slot,
        )

    def left(self) -> CdcError:
        """Return the error of going on by other means than a pipeline that has failed."""
        return SnapshotError(
            "a pipeline has failed in the middle of the snapshot, and of some rows there are its "
            "records only: open a new reader, which takes the snapshot anew",
            slot=self._settings.slot,
        )
