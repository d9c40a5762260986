"""Stream: one connection's share of a slot's stream, from START_REPLICATION to its end."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from typing import Final

import psycopg

from pglogical_cdc.errors import CdcError, ConnectionLostError, PublicationNotFoundError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import (
    AnyConnection,
    CopyBoth,
    CopyBothEnded,
    Flavour,
    Server,
    diagnose,
    publication_warning,
    start_replication,
)
from pglogical_cdc.protocol import PrimaryKeepalive, parse_walsender_message
from pglogical_cdc.replication.feedback import Feedback
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings

__all__ = ("Stream",)

_log = logging.getLogger(__name__)

_NAP: Final = 0.0002
"""Seconds to let the socket fill before it is waited for, while much is coming. The server sends
each message by itself; to be woken for each costs three times what reading them together does."""

_WINDOW: Final = 0.002
"""Seconds over which messages are counted for that."""

_MUCH: Final = 64
"""So many messages in one window are much."""

_LAST_WORDS: Final = 0.25
"""Seconds that the goodbye may take in each of its two steps."""


class Stream:
    """Reads from, and sends to, one walsender.

    Args:
        connection: a replication connection to `server`, with nothing going on.
        server: the server.
        session: what is known of the slot's stream.
        settings: the reader's arguments.
        flavour: how to wait.
        watermarks: whether messages are to come for the sake of incremental snapshots.
    """

    def __init__(
        self,
        connection: AnyConnection,
        server: Server,
        session: Session,
        settings: Settings,
        flavour: Flavour,
        *,
        watermarks: bool = False,
    ) -> None:
        self.server = server
        # A temporary slot would be gone with the connection, if they were asked for later.
        self.has_messages = settings.messages or settings.temporary or watermarks
        """Whether messages of ``pg_logical_emit_message`` come."""
        self.messages: deque[bytes] = deque()
        """What was received and not yet taken by the session."""
        self._connection = connection
        self._session = session
        self._settings = settings
        self._flavour = flavour
        self._warning: CdcError | None = None
        self._is_reading = False
        self._much_is_coming = False
        self._window_began = 0.0
        self._window_messages = 0

    async def start(self, start: LSN, patience: float) -> None:
        """Start streaming.

        Args:
            start: the end of the last transaction that is not to come again; 0/0 for the slot's
                position.
            patience: seconds for the answer.

        Raises:
            psycopg.Error: the server refused.
            Stopped: the flavour was stopped.
        """
        settings = self._settings
        self._connection.add_notice_handler(self._notice)
        self._copy = await CopyBoth.start(
            self._connection,
            start_replication(
                settings.slot,
                settings.publications,
                start=start,
                binary=settings.binary,
                messages=self.has_messages,
                origin=settings.origin,
            ),
            self._flavour,
            patience,
        )
        self._is_reading = True
        if self._warning is not None:
            self._copy.break_off(self._warning)
        self.feedback = Feedback(self._copy, self._session, settings.status_seconds(self.server))
        self.feedback.start(self._flavour)

    def _notice(self, diag: psycopg.errors.Diagnostic) -> None:
        if publication_warning(diag):
            self._warning = PublicationNotFoundError(
                f"{diag.message_primary}: the publication was dropped, or did not exist yet where "
                f"slot {self._settings.slot!r} reads; what it published is missing from the stream "
                "since then. Nothing further was acknowledged. If it exists by now, move the slot "
                "past that point with pglogical_cdc.slots.advance",
                sqlstate=diag.sqlstate,
                slot=self._settings.slot,
            )
            if self._is_reading:
                # What came before it is whole, and would never come without it.
                self._copy.break_off(self._warning)
        else:
            _log.info("notice of the server: %s", diag.message_primary)

    def receive(self) -> bool:
        """Take what is here into `messages`; tell whether anything was.

        Raises:
            CdcError: the stream broke, or a publication is missing.
        """
        try:
            received = self._copy.read()
        except CopyBothEnded:
            raise ConnectionLostError(
                "the server ended the stream, as it does when it shuts down",
                slot=self._settings.slot,
            ) from None
        except psycopg.Error as error:
            raise self.broken(error) from None
        self.messages += received
        self._window_messages += len(received)
        return bool(received)

    def find_error(self) -> None:
        """Drop what is here of a stream that has ended, and look for the error that it ended with.

        Of which transaction that is cannot be told any more.

        Raises:
            CdcError: that error.
        """
        settings = self._settings
        try:
            while self._copy.read():
                pass
        except CopyBothEnded:
            return
        except psycopg.Error as error:
            raise diagnose(
                error, slot=settings.slot, streaming=True, temporary=settings.temporary
            ) from None

    @property
    def is_half_read(self) -> bool:
        """Whether a signal came while something was read, which may be lost."""
        return self._copy.is_half_read

    async def wait(self, seconds: float) -> None:
        """Wait until something is here."""
        now = time.monotonic()
        if now - self._window_began >= _WINDOW:
            self._much_is_coming = self._window_messages >= _MUCH
            self._window_began, self._window_messages = now, 0
        if self._much_is_coming:
            await self._flavour.give_way(_NAP)
        await self._flavour.wait(self._copy.socket, seconds, self._copy.fill)

    def broken(self, error: psycopg.Error) -> CdcError:
        """Return the typed error for what the stream broke with."""
        # Without the server's own error behind it: its DETAIL may quote a row.
        return diagnose(
            error,
            slot=self._settings.slot,
            streaming=True,
            temporary=self._settings.temporary,
            commit_lsn=self._session.commit_lsn,
        )

    def drop(self) -> None:
        """Disconnect without a word. Never waits."""
        self.feedback.stop()
        self._connection.pgconn.finish()

    async def say_goodbye(self) -> None:
        """Send the last acknowledged position, end the stream, free the slot, disconnect.

        The position arrives when the stream is idle or caught up; behind a backlog it may not, at
        the cost of repeats only.
        """
        self.feedback.stop()
        try:
            with contextlib.suppress(psycopg.Error, CopyBothEnded, CdcError):
                self.feedback.send(reply_requested=True)
                await self._drain(until_keepalive=True)
                self._copy.finish_sending()
                await self._drain(until_keepalive=False)
        finally:
            self._connection.pgconn.finish()

    async def take_commit(self) -> None:
        """Read the Commit message behind the last change, if that change is acknowledged.

        Without it the whole transaction would come again. Nothing is taken beyond that: what is
        not delivered must not be passed.
        """
        # What breaks now costs no more than that.
        with contextlib.suppress(CdcError):
            await self._take_commit()

    async def _take_commit(self) -> None:
        session = self._session
        deadline = time.monotonic() + _LAST_WORDS
        while session.commit_lsn is not None and session.progress.is_acknowledged:
            while not self.messages:
                if not self.receive():
                    if time.monotonic() > deadline:
                        return
                    await self.wait(deadline - time.monotonic())
            if not session.is_commit_or_keepalive(self.messages[0]):
                return
            session.take(self.messages.popleft())

    async def _drain(self, *, until_keepalive: bool) -> None:
        """Read and drop, for a moment, until the server has answered."""
        deadline = time.monotonic() + _LAST_WORDS
        while (left := deadline - time.monotonic()) > 0:
            messages = self._copy.read()
            for data in messages:
                if until_keepalive and isinstance(parse_walsender_message(data), PrimaryKeepalive):
                    return
            if not messages:  # else the end may be here already, and nothing follows it
                await self.wait(left)
