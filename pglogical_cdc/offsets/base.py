"""Offset and OffsetStore: what is stored of a reader's position, and what stores it."""

from __future__ import annotations

import re
from typing import Final, Protocol, runtime_checkable

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import slot_name

__all__ = ("AsyncOffsetStore", "Offset", "OffsetStore", "check_key")

_SYSTEM: Final = re.compile(r"[0-9]{1,20}")
_TIMELINES: Final = 1 << 32


@record
class Offset:
    """How far a reader is, and in which history that is a position.

    One that exists can be stored: its values are checked when it is made, with ConfigurationError.
    """

    system_identifier: str
    """The database cluster, by the number that ``IDENTIFY_SYSTEM`` gives."""
    timeline: int
    """The cluster's timeline when this was stored."""
    slot: str
    """The replication slot; the key of the offset in a store."""
    position: LSN
    """Everything before it is dealt with. On an idle slot, the position of a server's keepalive."""
    transaction_end: LSN = LSN(0)
    """End of the last transaction that was acknowledged as a whole; 0/0 if there was none yet.

    A server whose timeline does not contain it does not have what was delivered. The position of a
    keepalive never counts here: past the last transaction, timelines may differ and nothing is
    lost."""
    snapshot: str = field(default="", repr=False)
    """What a resumable snapshot has still to read, in the form of the reader; empty if there is
    nothing. It has keys of rows in it."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.system_identifier, str) or not _SYSTEM.fullmatch(
            self.system_identifier
        ):
            raise ConfigurationError(
                "system_identifier: expected a str of digits, as IDENTIFY_SYSTEM gives it, "
                f"not {self.system_identifier!r}"
            )
        # bool is an int, too.
        if type(self.timeline) is not int or not 0 < self.timeline < _TIMELINES:
            raise ConfigurationError(
                f"timeline: expected an int from 1 to 2^32 - 1, not {self.timeline!r}"
            )
        if not isinstance(self.slot, str):
            raise ConfigurationError(f"slot: expected a str, not {type(self.slot).__name__}")
        slot_name(self.slot)
        for name, value in (
            ("position", self.position),
            ("transaction_end", self.transaction_end),
        ):
            if not isinstance(value, LSN):
                raise ConfigurationError(f"{name}: expected an LSN, not {type(value).__name__}")
        if not isinstance(self.snapshot, str):
            raise ConfigurationError(
                f"snapshot: expected a str, not {type(self.snapshot).__name__}"
            )


def check_key(key: str, offset: Offset) -> None:
    """Check that an offset is stored under the name of its own slot.

    Raises:
        ConfigurationError: it is not.
    """
    if key != offset.slot:
        raise ConfigurationError(
            f"the key {key!r} is not the slot of the offset, which is {offset.slot!r}"
        )


@runtime_checkable
class OffsetStore(Protocol):
    """A store of offsets. Subclass it, or write a class with these two methods.

    The contract:

    - What `save` has returned for survives a crash of the process and of the machine. Whenever it
      cannot promise that, it raises.
    - A `save` that raises, or that a crash interrupts, leaves the offset of before, or the new one;
      never a part of one, and never none.
    - `load` returns None only if nothing was ever stored under the key. If something is there that
      cannot be read, or not for sure, it raises: a reader that starts without its offset would
      skip, or repeat, without a word.
    - The key is the slot's name. Offsets of several slots do not touch one another.
    """

    def load(self, key: str) -> Offset | None:
        """Return the offset that was saved last under `key`; None if none ever was.

        Raises:
            OffsetStoreError: the store cannot be read, or what is there is no offset of `key`.
        """
        ...

    def save(self, key: str, offset: Offset) -> None:
        """Put `offset` in place of what is stored under `key`; return when that is durable.

        Raises:
            ConfigurationError: `key` is not the slot of `offset`.
            OffsetStoreError: it is not durable; `OffsetStoreUnavailableError` if it may be later.
        """
        ...


@runtime_checkable
class AsyncOffsetStore(Protocol):
    """An `OffsetStore` for asyncio: the same methods with the same contract, as coroutines.

    ``isinstance`` looks only at the names of methods, so it does not tell one from the other.
    """

    async def load(self, key: str) -> Offset | None:
        """Return the offset that was saved last under `key`; None if none ever was.

        Raises:
            OffsetStoreError: the store cannot be read, or what is there is no offset of `key`.
        """
        ...

    async def save(self, key: str, offset: Offset) -> None:
        """Put `offset` in place of what is stored under `key`; return when that is durable.

        Raises:
            ConfigurationError: `key` is not the slot of `offset`.
            OffsetStoreError: it is not durable; `OffsetStoreUnavailableError` if it may be later.
        """
        ...
