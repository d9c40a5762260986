"""Blocking: the flavour of a program without an event loop."""

from __future__ import annotations

import inspect
import os
import select
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, Final, TypeVar, cast

import psycopg

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.postgres.conversation import Conversation, exchange
from pglogical_cdc.postgres.flavour import AnyConnection, Stopped

__all__ = ("Blocking", "converse", "run")

T = TypeVar("T")

_LONGEST_WAIT: Final = 1.0
"""Seconds; how late a wake-up that was lost would be noticed."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine over a blocking flavour to its end and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("a coroutine over the blocking flavour has suspended")


def converse(connection: psycopg.Connection[Any], conversation: Conversation[T]) -> T:
    """Carry a conversation on over a blocking connection and return its result.

    Raises:
        psycopg.Error: the server refused, or the connection broke.
    """
    flavour = Blocking()
    try:
        return run(exchange(connection, conversation, flavour))
    finally:
        flavour.close()


class _Timer:
    """A thread that does something on a timer."""

    def __init__(self, action: Callable[[], float | None], seconds: float) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(action, seconds), name="pglogical_cdc timer", daemon=True
        )
        self._thread.start()

    def _run(self, action: Callable[[], float | None], seconds: float | None) -> None:
        while seconds is not None and not self._stopping.wait(seconds):
            seconds = action()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


class Blocking:
    """Waits with ``poll``; another thread or a signal handler can end it (the self-pipe trick)."""

    def __init__(self) -> None:
        self.stopped = False
        self._read_end, self._write_end = -1, -1
        self._pipe = self._both = select.poll()
        self._descriptor: int | None = None
        self._woken_early = False
        self._closing = threading.RLock()
        self._closed = False

    def __del__(self) -> None:
        self.close()

    # -- waiting

    def _open(self) -> None:
        with self._closing:
            self._read_end, self._write_end = os.pipe()
            os.set_blocking(self._read_end, False)
            os.set_blocking(self._write_end, False)
            self._pipe.register(self._read_end, select.POLLIN)
            if self._woken_early:
                self.wake()

    async def wait(
        self, descriptor: int, seconds: float, on_readable: Callable[[], object] | None = None
    ) -> None:
        """Wait for the socket; see `Flavour.wait`."""
        if self._read_end < 0:
            self._open()
        if descriptor != self._descriptor:
            self._both = select.poll()
            self._both.register(self._read_end, select.POLLIN)
            self._both.register(descriptor, select.POLLIN)
            self._descriptor = descriptor
        if self._poll(self._both, seconds) and on_readable is not None:
            on_readable()

    async def rest(self, seconds: float) -> None:
        """Sleep; see `Flavour.rest`."""
        if self._read_end < 0:
            self._open()
        self._poll(self._pipe, seconds)

    def _poll(self, poll: select.poll, seconds: float) -> bool:
        readable = False
        for descriptor, _ in poll.poll(max(0.0, min(seconds, _LONGEST_WAIT)) * 1000):
            if descriptor == self._read_end:
                os.read(self._read_end, 4096)
            else:
                readable = True
        return readable

    async def give_way(self, seconds: float = 0) -> None:
        """Let other threads have their turn; see `Flavour.give_way`."""
        if seconds:
            time.sleep(seconds)  # noqa: ASYNC251  blocking is what this flavour is for

    def stop(self) -> None:
        """End what is going on; see `Flavour.stop`."""
        self.stopped = True
        self.wake()

    def wake(self) -> None:
        """End a wait; see `Flavour.wake`."""
        # Not after close: the descriptor may belong to somebody else by then. Reentrant, because
        # a signal handler may come while its own thread is in here.
        with self._closing:
            if self._closed:
                return
            if self._write_end < 0:
                self._woken_early = True
            else:
                try:
                    os.write(self._write_end, b"\0")
                except BlockingIOError:
                    pass  # the pipe is full of wake-ups

    # -- doing

    async def connect(self, given: Mapping[str, Any]) -> AnyConnection:
        """Open a connection; see `Flavour.connect`.

        In a thread of its own: neither a signal nor `stop` gets through to a name server that does
        not answer.
        """
        outcome: Future[psycopg.Connection[Any]] = Future()

        def attempt() -> None:
            try:
                connection = psycopg.connect(**given, autocommit=True)
            except BaseException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(connection)

        outcome.add_done_callback(lambda _: self.wake())
        threading.Thread(target=attempt, name="pglogical_cdc connects", daemon=True).start()
        try:
            while not outcome.done():
                if self.stopped:
                    raise Stopped
                await self.rest(_LONGEST_WAIT)
            return outcome.result()
        except BaseException:
            outcome.add_done_callback(_discard)
            raise

    async def call(self, function: Callable[..., T | Awaitable[T]], *arguments: object) -> T:
        """Call a function; see `Flavour.call`."""
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            raise ConfigurationError(
                f"{function.__qualname__} is a coroutine function: it needs AsyncReplicationReader"
            )
        return cast("T", function(*arguments))

    def every(self, action: Callable[[], float | None], seconds: float) -> _Timer:
        """Start a thread that does something on a timer; see `Flavour.every`."""
        return _Timer(action, seconds)

    def close(self) -> None:
        """Release the pipe; see `Flavour.close`."""
        with self._closing:
            if not self._closed and self._write_end >= 0:
                os.close(self._read_end)
                os.close(self._write_end)
            self._closed = True


def _discard(outcome: Future[psycopg.Connection[Any]]) -> None:
    if outcome.exception() is None:
        outcome.result().close()
