"""Sink and AsyncSink: where records, or changes, go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

__all__ = ("AsyncSink", "Sink")

T_contra = TypeVar("T_contra", contravariant=True)


@runtime_checkable
class Sink(Protocol[T_contra]):
    """A destination. Subclass it, or write a class with these three methods.

    ``Sink[Record]`` takes what a formatter makes; ``Sink[Change]`` takes the changes themselves
    and needs no formatter.

    The contract: `write` may return before anything is safe; `flush` returns only when everything
    written before it is durable, and raises otherwise. After an error nothing of what was written
    since the last `flush` counts, and all of it comes again: a sink must bear repeats.
    """

    def write(self, items: Sequence[T_contra], /) -> None:
        """Accept items in order; they may still be in flight when this returns.

        Raises:
            SinkError: the destination refused them.
        """
        ...

    def flush(self) -> None:
        """Return when everything written before is durable.

        Raises:
            SinkError: it is not.
        """
        ...

    def close(self) -> None:
        """Release what the sink holds, without a flush.

        A pipeline calls it once, at the end of its run, also after an error.
        """
        ...


@runtime_checkable
class AsyncSink(Protocol[T_contra]):
    """A `Sink` whose methods are coroutines, for `AsyncPipeline`; the contract is the same."""

    async def write(self, items: Sequence[T_contra], /) -> None:
        """Accept items in order; they may still be in flight when this returns.

        Raises:
            SinkError: the destination refused them.
        """
        ...

    async def flush(self) -> None:
        """Return when everything written before is durable.

        Raises:
            SinkError: it is not.
        """
        ...

    async def close(self) -> None:
        """Release what the sink holds, without a flush.

        A pipeline calls it once, at the end of its run, also after an error.
        """
        ...
