"""StoredPosition: the position of a reader in its store, ahead of what the server is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pglogical_cdc.errors import ConfigurationError, OffsetStoreError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import Offset
from pglogical_cdc.postgres import Flavour, Server
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings

__all__ = ("BEGUN", "StoredPosition")

BEGUN: Final = '{"version":1,"binary":false,"tables":null}'
"""`Offset.snapshot` of a snapshot of which nothing is known but that it has to be taken."""


class StoredPosition:
    """Loads and saves the offset of one slot; does nothing where there is no store.

    Args:
        settings: the reader's arguments.
        flavour: how to call the store.
    """

    def __init__(self, settings: Settings, flavour: Flavour) -> None:
        self._store = settings.offsets
        self._slot = settings.slot
        self._flavour = flavour
        self.remaining: Callable[[LSN], str] | None = None
        """Tells what a resumable snapshot has still to read once a position is dealt with."""
        self._snapshot = ""
        """What is stored of it, which holds until `remaining` can tell."""

    async def load(self) -> Offset | None:
        """Return what is stored; None for nothing.

        Raises:
            OffsetStoreError: it cannot be read, or is no offset of this slot.
        """
        if self._store is None:
            return None
        offset = await self._flavour.call(self._store.load, self._slot)
        if offset is not None and not isinstance(offset, Offset):
            raise OffsetStoreError(
                f"the store has loaded a {type(offset).__name__} for slot {self._slot!r}; expected "
                "an Offset, or None for nothing stored yet"
            )
        if offset is not None and offset.slot != self._slot:
            raise OffsetStoreError(
                f"the store has loaded the offset of slot {offset.slot!r} for slot {self._slot!r}"
            )
        self._snapshot = "" if offset is None else offset.snapshot
        return offset

    async def begin_snapshot(self, server: Server) -> None:
        """Store that a resumable snapshot has to be taken, before there is a slot for it.

        Raises:
            ConfigurationError: the store does not keep that.
            OffsetStoreError: it cannot be stored.
        """
        assert self._store is not None
        offset = Offset(
            system_identifier=server.system_identifier,
            timeline=server.timeline,
            slot=self._slot,
            position=LSN(0),
            snapshot=BEGUN,
        )
        await self._flavour.call(self._store.save, self._slot, offset)
        found = await self.load()
        if found is None or found.snapshot != BEGUN:
            raise ConfigurationError(
                f"{type(self._store).__name__} does not keep Offset.snapshot, without which no "
                "snapshot can be resumed: it has to store all that an Offset has"
            )

    async def save(self, session: Session, server: Server) -> None:
        """Store the position that is to be confirmed, if it is further than what is stored.

        Raises:
            OffsetStoreError: it cannot be stored.
        """
        if self._store is None or session.stored is None:
            return
        position = LSN(session.progress.flushed)
        if position <= session.stored:
            return
        offset = Offset(
            system_identifier=server.system_identifier,
            timeline=server.timeline,
            slot=self._slot,
            position=position,
            transaction_end=LSN(session.progress.acknowledged_end),
            snapshot=self._snapshot if self.remaining is None else self.remaining(position),
        )
        await self._flavour.call(self._store.save, self._slot, offset)
        session.stored = position
