"""Hand: what was taken from the stream and the application has not yet asked past."""

from __future__ import annotations

from collections.abc import Callable

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change, Position

__all__ = ("Hand",)


class Hand:
    """The changes between the stream and the application, and the loop that counts.

    A change is kept here before it leaves the stream, and counts as given only when the loop
    returns it: whatever is raised in between, a signal's exception too, the next call gives it.
    Asking the same loop for more acknowledges what it gave last; a newer loop first gives again
    what the one before it left.

    A loop sets `given` as its very last step. That is an assignment and not a call, because Python
    runs signal handlers at calls and jumps, and not between an assignment and a return.

    Args:
        acknowledge: called with the last of the changes that are dealt with; None if asking for
            more does not acknowledge, and then nothing is given again either.
        check: called when a loop asks; raises if it may not.
    """

    def __init__(
        self,
        acknowledge: Callable[[Change], None] | None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.given = 0
        """How many of the changes in hand the loop has returned."""
        self._acknowledge = acknowledge
        self._check = check
        self._holder: object = None
        self._acknowledges = False
        """Whether asking the loop for more acknowledges."""
        self._repeats = True
        """Whether what was given can be given again."""
        self._changes: list[Change] = []

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def waiting(self) -> Change | None:
        """The first change in hand that has not been given, or None."""
        return self._changes[self.given] if self.given < len(self._changes) else None

    @property
    def repeats(self) -> bool:
        """Whether all that is in hand would be given again to a new loop."""
        return self._repeats and bool(self._changes)

    def pass_to(self, holder: object, *, acknowledges: bool = True) -> None:
        """Make `holder` the loop that counts.

        Args:
            holder: the loop.
            acknowledges: whether asking it for more acknowledges; if not, what it gives is not
                given again.

        Raises:
            ConfigurationError: a change in hand stands for others that cannot be given again.
        """
        if holder is self._holder:
            return
        if self.given and not self._repeats:
            if self._acknowledges:
                raise ConfigurationError(
                    "a transaction of an earlier loop is still in hand, and its changes cannot be "
                    "given again: acknowledge it with ack(transaction.position), or open a new "
                    "reader"
                )
            self._drop_given()
        self._holder = holder
        self.given = 0
        self._acknowledges = self._repeats = acknowledges and self._acknowledge is not None

    def release(self, holder: object) -> None:
        """Acknowledge what `holder` gave last, because it is asked for more.

        Raises:
            ConfigurationError: another loop has taken over, or it may not be asked.
        """
        self._check()
        if holder is not self._holder:
            raise ConfigurationError(
                "this iterator was replaced by a newer one of the same reader: go on with that"
            )
        if self.given:
            if self._acknowledges and self._acknowledge is not None:
                self._acknowledge(self._changes[self.given - 1])
            # A signal before this repeats a change; the other way round it would lose one.
            self._drop_given()
            self._repeats = self._acknowledges

    def _drop_given(self) -> None:
        kept = self._changes[self.given :]
        self.given, self._changes = 0, kept

    def keep(self, change: Change) -> None:
        """Take a change from the stream."""
        self._changes.append(change)

    def first(self, count: int) -> list[Change]:
        """Return the first changes in hand."""
        return self._changes[:count]

    def supersede(self) -> None:
        """Let the first change that waits stand for those that were given before it."""
        self._drop_given()
        self._repeats = False

    def acknowledged(self, up_to: Position) -> None:
        """Forget what was given and is acknowledged by position."""
        given = self._changes[: self.given]
        kept = [change for change in given if change.position > up_to]
        self.given, self._changes = len(kept), kept + self._changes[len(given) :]
        if not kept:
            self._repeats = self._acknowledges
