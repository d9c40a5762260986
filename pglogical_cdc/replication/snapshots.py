"""Snapshots: the snapshots of a reader, before its stream and with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from pglogical_cdc.errors import CdcError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import Flavour, Parameters, Stopped
from pglogical_cdc.replication.beside import Beside
from pglogical_cdc.replication.handoff import Handoff
from pglogical_cdc.replication.opening import Opened
from pglogical_cdc.replication.settings import Settings

if TYPE_CHECKING:
    from pglogical_cdc.replication.incremental import Incremental
    from pglogical_cdc.snapshot import (
        IncrementalSnapshot,
        InitialSnapshot,
        RecordMaking,
        RemainingTable,
        SelectedTable,
        SnapshotStats,
    )

__all__ = ("Snapshots",)

_log = logging.getLogger(__name__)


class Snapshots:
    """The snapshots of a reader: the one before its stream, and those that come with it.

    Most readers have none, so that what takes one is imported when the first begins.

    Args:
        settings: the reader's arguments.
        flavour: how to wait.
    """

    def __init__(self, settings: Settings, flavour: Flavour) -> None:
        self.handoff: Handoff | None = None
        """From the snapshot before the stream; None once the slot is there for good."""
        self.incremental: Incremental | None = None
        """Those that come with the stream; None before the first has begun."""
        self._settings = settings
        self._flavour = flavour
        self._taken: InitialSnapshot | None = None
        """The one before the stream, which stays for its figures."""
        self._records: tuple[RecordMaking, int] | None = None
        self._remaining: list[tuple[RemainingTable, SelectedTable]] | None = None
        """The tables of a resumable one that are to be read; None if there is none."""

    @property
    def stats(self) -> SnapshotStats | None:
        """How far a snapshot has got; None if there was none."""
        if self._taken is not None:
            return self._taken.stats
        return None if self.incremental is None else self.incremental.stats

    # -- before the stream

    async def take(self, opened: Opened, given: Parameters, beside: Beside) -> Handoff:
        """Take the snapshot over that a slot has exported; see `Handoff.begin`."""
        handoff = await Handoff.begin(
            opened, given=given, settings=self._settings, flavour=self._flavour, beside=beside
        )
        if self._records is not None:
            handoff.snapshot.make_records(*self._records)
        self._given, self._beside = given, beside
        self.handoff, self._taken = handoff, handoff.snapshot
        return handoff

    async def make_permanent(self, patience: float) -> None:
        """Give the slot of the snapshot its name; the temporary one is there until it is closed.

        Args:
            patience: seconds for each answer.

        Raises:
            CdcError: it cannot be made.
            Stopped: the flavour was stopped.
        """
        assert self.handoff is not None
        await self.handoff.make_permanent(self._given, self._beside, patience)
        self.hand_off()

    def hand_off(self) -> None:
        """Go on without the snapshot: positions are stored from now on."""
        assert self.handoff is not None
        self.handoff.session.stored = None if self._settings.offsets is None else LSN(0)
        self.handoff = None

    async def close(self, patience: float, *, is_given: bool) -> None:
        """Have the slot of the snapshot made if it is due, and let go of the rest.

        Args:
            patience: seconds for each answer.
            is_given: whether all rows that were read are in hand, and nothing has gone wrong.
        """
        handoff = self.handoff
        if handoff is None:
            return
        try:
            if (
                handoff.is_read
                and is_given
                and handoff.session.is_snapshot_acknowledged
                and not self._settings.temporary
                and self._settings.snapshot != "initial_only"
            ):
                await self.make_permanent(patience)
        except (CdcError, Stopped) as error:
            _log.warning(
                "slot %r could not be made, so its snapshot comes again: %s",
                self._settings.slot,
                error if isinstance(error, CdcError) else "the reader was stopped",
            )
        finally:
            handoff.close()

    def make_records(self, maker: RecordMaking, run: int) -> None:
        """Have records be made where rows are read; see `InitialSnapshot.make_records`."""
        self._records = maker, run
        if self.handoff is not None:
            self.handoff.snapshot.make_records(maker, run)

    # -- with the stream

    def begin(self, table: str, *, where: str | None, chunk_rows: int) -> IncrementalSnapshot:
        """Have the rows of a table come with the stream; see `ReplicationReader.snapshot_table`."""
        return self._with_stream().begin(table, where=where, chunk_rows=chunk_rows)

    def _with_stream(self) -> Incremental:
        from pglogical_cdc.replication.incremental import Incremental

        if self.incremental is None:
            self.incremental = Incremental(self._settings, self._flavour)
        return self.incremental

    async def find_remaining(self, text: str, version: int, beside: Beside) -> None:
        """Find out which tables of a resumable snapshot are to be read.

        Args:
            text: what is stored of it, see `Offset.snapshot`.
            version: of the server.
            beside: asks that.

        Raises:
            CdcError: the server cannot be asked, or the text not be read.
            Stopped: the flavour was stopped.
        """
        from pglogical_cdc.snapshot import (
            RemainingTable,
            choose_tables,
            parse_remaining,
            select_tables,
        )

        settings = self._settings
        known = parse_remaining(text, binary=settings.binary)
        published = await beside.ask(lambda: select_tables(settings.publications, version))
        if known is None:
            chosen = await beside.ask(
                lambda: choose_tables(
                    published, settings.snapshot_include, settings.snapshot_exclude
                )
            )
            self._remaining = [
                (RemainingTable((table.schema, table.name), None, None, (), 0), table)
                for table in chosen
            ]
            return
        selected = {(table.schema, table.name): table for table in published}
        self._remaining = []
        for table in known:
            if table.name in selected:
                self._remaining.append((table, selected[table.name]))
            else:
                _log.warning(
                    "table %s is not published any more, and left out of the rest of the snapshot",
                    ".".join(table.name),
                )

    def load(self) -> Callable[[LSN], str] | None:
        """Have the rows that `find_remaining` has found come with the stream.

        Returns:
            What tells the text to store with a position; None if there is no such snapshot.
        """
        if self._remaining is None:
            return None
        incremental = self._with_stream()
        incremental.load(self._remaining)
        return incremental.remaining_at

    @property
    def puts_off_the_end(self) -> bool:
        """Whether the moment that ``until="now"`` means is still to come."""
        incremental = self.incremental
        return self._settings.until == "now" and incremental is not None and incremental.is_busy
