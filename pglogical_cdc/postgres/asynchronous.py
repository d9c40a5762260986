"""Asynchronous: the flavour of a program with an asyncio event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import psycopg

from pglogical_cdc.postgres.flavour import AnyConnection, Stopped

__all__ = ("Asynchronous",)

T = TypeVar("T")


class _Timer:
    """Calls of the loop that do something on a timer."""

    def __init__(self, action: Callable[[], float | None], seconds: float) -> None:
        self._action = action
        self._loop = asyncio.get_running_loop()
        self._call: asyncio.TimerHandle | None = self._loop.call_later(seconds, self._tick)

    def _tick(self) -> None:
        seconds = self._action()
        self._call = None if seconds is None else self._loop.call_later(seconds, self._tick)

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None


class Asynchronous:
    """Waits in the loop that is running when it is first used."""

    def __init__(self) -> None:
        self.stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self._closing = threading.RLock()
        self._closed = False
        self._call: asyncio.Future[Any] | None = None
        """The last call in a thread."""

    def _begin_wait(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        with self._closing:
            self._loop = loop
        waiter = self._waiter = loop.create_future()
        if self._woken:
            _finish(waiter)
        return waiter

    def _end_wait(self) -> None:
        self._waiter, self._woken = None, False

    async def wait(
        self, descriptor: int, seconds: float, on_readable: Callable[[], object] | None = None
    ) -> None:
        """Wait for the socket; see `Flavour.wait`."""
        waiter = self._begin_wait()
        loop = waiter.get_loop()

        def readable() -> None:
            if on_readable is not None:
                on_readable()
            _finish(waiter)

        loop.add_reader(descriptor, readable)
        timer = loop.call_later(max(0.0, seconds), _finish, waiter)
        try:
            await waiter
        finally:
            loop.remove_reader(descriptor)
            timer.cancel()
            self._end_wait()

    async def rest(self, seconds: float) -> None:
        """Sleep; see `Flavour.rest`."""
        waiter = self._begin_wait()
        timer = waiter.get_loop().call_later(max(0.0, seconds), _finish, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._end_wait()

    async def give_way(self, seconds: float = 0) -> None:
        """Let the loop run its other tasks; see `Flavour.give_way`."""
        await asyncio.sleep(seconds)

    def stop(self) -> None:
        """End what is going on; see `Flavour.stop`."""
        self.stopped = True
        self.wake()

    def wake(self) -> None:
        """End a wait; see `Flavour.wake`."""
        with self._closing:
            loop = self._loop
            if loop is None:
                self._woken = True
            elif not (self._closed or loop.is_closed()):
                loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._woken = True
        if self._waiter is not None:
            _finish(self._waiter)

    async def connect(self, given: Mapping[str, Any]) -> AnyConnection:
        """Open a connection; see `Flavour.connect`."""
        attempt = asyncio.ensure_future(psycopg.AsyncConnection.connect(**given, autocommit=True))

        def wake(_: object) -> None:
            self._wake()

        attempt.add_done_callback(wake)
        try:
            while not attempt.done():
                if self.stopped:
                    raise Stopped
                await self.rest(1.0)
            return attempt.result()
        except BaseException:
            attempt.remove_done_callback(wake)
            attempt.add_done_callback(_discard)
            attempt.cancel()
            raise

    async def call(self, function: Callable[..., T | Awaitable[T]], *arguments: object) -> T:
        """Await a coroutine function, or call another one in a thread; see `Flavour.call`."""
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            return await cast("Awaitable[T]", function(*arguments))
        if self._call is not None and not self._call.done():
            # Cancelled, and still at work: what follows must not overtake it.
            await asyncio.wait([self._call])
        call = self._call = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
        try:
            return cast("T", await asyncio.shield(call))
        except asyncio.CancelledError:
            call.add_done_callback(_forget)
            raise

    def every(self, action: Callable[[], float | None], seconds: float) -> _Timer:
        """Have the loop do something on a timer; see `Flavour.every`."""
        return _Timer(action, seconds)

    def close(self) -> None:
        """Let go of the loop; see `Flavour.close`."""
        with self._closing:
            self._closed = True


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _discard(attempt: asyncio.Future[psycopg.AsyncConnection[Any]]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().pgconn.finish()


def _forget(call: asyncio.Future[Any]) -> None:
    if not call.cancelled():
        call.exception()  # else asyncio would log it, and it may quote a value
