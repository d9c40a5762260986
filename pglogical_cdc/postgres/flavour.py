"""Flavour: what differs between a blocking program and one with an asyncio loop.

All that speaks to a server is written once, as coroutines over a flavour. The asynchronous flavour
awaits; the blocking one blocks inside, so that its coroutines never suspend and `run` can drive
them without a loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import psycopg

__all__ = ("AnyConnection", "Flavour", "Stopped", "Ticker")

T = TypeVar("T")

AnyConnection = psycopg.BaseConnection[Any]
"""A connection of either flavour; what both share is enough, and `finish` of its ``pgconn``."""


class Stopped(Exception):
    """Somebody wants the end, and what was waited for has not come."""


class Ticker(Protocol):
    """Something that is done again and again until `stop`."""

    def stop(self) -> None:
        """Not once more. Returns when it is not being done either."""
        ...


class Flavour(Protocol):
    """The I/O of one reader; one task or thread at a time uses it.

    Only `stop` and `wake` are for others: threads, tasks and signal handlers.
    """

    stopped: bool
    """Whether `stop` has been called: then nothing new is begun."""

    async def connect(self, given: Mapping[str, Any]) -> AnyConnection:
        """Open a connection.

        Raises:
            psycopg.Error: it cannot be opened.
            Stopped: `stop` was called.
        """
        ...

    async def wait(
        self, descriptor: int, seconds: float, on_readable: Callable[[], object] | None = None
    ) -> None:
        """Wait until the socket has something to read, `wake` is called, or the time is over.

        Args:
            descriptor: the socket's.
            seconds: so long at most.
            on_readable: called as soon as the socket has something to read; must not raise. With
                an event loop that is before the waiting task has its turn.
        """
        ...

    async def rest(self, seconds: float) -> None:
        """Let time pass, so long at most; less if `wake` is called."""
        ...

    async def give_way(self, seconds: float = 0) -> None:
        """Let the other tasks of an event loop, or other threads, have their turn."""
        ...

    async def call(self, function: Callable[..., T | Awaitable[T]], *arguments: object) -> T:
        """Call what may block, or is a coroutine function where there is a loop."""
        ...

    def every(self, action: Callable[[], float | None], seconds: float) -> Ticker:
        """Do something on a timer, whatever the reading side does meanwhile.

        Args:
            action: returns the seconds until the next time, or None for never again.
            seconds: until the first time.
        """
        ...

    def stop(self) -> None:
        """End what is going on. Safe in a signal handler or another thread."""
        ...

    def wake(self) -> None:
        """End the wait that is going on, or the next one. Safe in a signal handler."""
        ...

    def close(self) -> None:
        """Release what the flavour holds; `wake` does nothing any more."""
        ...
