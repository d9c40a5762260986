"""Hand: what a reader's iterators have given out and the application has not yet asked past."""

from __future__ import annotations

from collections.abc import Callable

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change, Position

__all__ = ("Hand",)


class Hand:
    """The changes in hand, and the iterator that counts.

    Asking the same iterator for more acknowledges what it gave last. A newer iterator first gives
    again what the one before it left in hand.

    Args:
        acknowledge: called with the last of the changes that are dealt with; None if iterating
            does not acknowledge, and nothing is in hand then.
    """

    def __init__(self, acknowledge: Callable[[Change], None] | None) -> None:
        self._acknowledge = acknowledge
        self._holder: object = None
        self._changes: list[Change] = []
        self._given = 0
        self._can_give_again = True

    @property
    def holds(self) -> bool:
        """Whether anything is in hand."""
        return bool(self._changes)

    def pass_to(self, holder: object) -> None:
        """Make `holder` the iterator that counts.

        Raises:
            ConfigurationError: the changes in hand cannot be given again.
        """
        if self._changes and not self._can_give_again:
            raise ConfigurationError(
                "a transaction of an earlier loop is still in hand, and its changes cannot be "
                "given again: acknowledge it with ack(transaction.position), or open a new reader"
            )
        self._holder = holder
        self._given = 0

    def release(self, holder: object) -> None:
        """Acknowledge what `holder` gave last, because it is asked for more.

        Raises:
            ConfigurationError: another iterator has taken over.
        """
        if holder is not self._holder:
            raise ConfigurationError(
                "this iterator was replaced by a newer one of the same reader: go on with that"
            )
        if self._given and self._acknowledge is not None:
            given = self._given
            self._acknowledge(self._changes[given - 1])
            # A signal between these two repeats a change; the other way round it would lose one.
            self._given = 0
            del self._changes[:given]
            self._can_give_again = True

    def again(self) -> Change | None:
        """Return the next change that an earlier iterator left in hand, or None."""
        if self._given == len(self._changes):
            return None
        self._given += 1
        return self._changes[self._given - 1]

    def give(self, change: Change) -> None:
        """Note a change of the stream that the iterator gives out."""
        if self._acknowledge is not None:
            self._changes.append(change)
            self._given = len(self._changes)

    def give_once(self, change: Change) -> None:
        """Note a change that stands for all of its transaction before it."""
        if self._acknowledge is not None:
            self._changes = [change]
            self._given = 1
            self._can_give_again = False

    def take_back(self) -> Change | None:
        """Remove and return the first change in hand, for a loop that acknowledges by itself."""
        self.pass_to(None)
        return self._changes.pop(0) if self._changes else None

    def acknowledged(self, up_to: Position) -> None:
        """Forget what was acknowledged by position."""
        kept = [change for change in self._changes if change.position > up_to]
        self._given = max(0, self._given - (len(self._changes) - len(kept)))
        self._changes = kept
        if not kept:
            self._can_give_again = True
