"""Ask: what a snapshot needs of the connection beside the stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from pglogical_cdc.postgres import Conversation

__all__ = ("Ask",)

T = TypeVar("T")


class Ask(Protocol):
    """Carries a conversation on over a connection that is not in the snapshot."""

    def __call__(self, conversation: Callable[[], Conversation[T]]) -> Awaitable[T]:
        """Return its result."""
        ...
