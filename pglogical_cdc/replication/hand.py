"""Hand: what was taken from the stream and the application has not yet asked past."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change, Position, SnapshotRead
from pglogical_cdc.replication.ownership import Ownership

__all__ = ("Hand",)


class Hand:
    """The changes between the stream and the application, and the loop that counts.

    A change is kept here before it leaves the stream, and counts as given only when the loop
    returns it: whatever is raised in between, a signal's exception too, the next call gives it.
    Asking the same loop for more acknowledges what it gave last; a newer loop first gives again
    what the one before it left.

    A loop sets `given`, or `step`, as its very last step. That is an assignment and not a call,
    because Python runs signal handlers at calls and jumps, and not between an assignment and a
    return.

    Ahead of the hand there may be a run of changes that were read and not taken. A loop that takes
    one change at a time, and has given the one in hand, goes on with them by itself as long as
    `step` is below `limit`; whatever else happens to the hand first makes up for it, see `settle`.

    Args:
        acknowledge: called with the last of the changes that are dealt with; None if asking for
            more does not acknowledge, and then nothing is given again either.
        deliver: called with changes of a run that were given or taken.
        owner: whose thread may ask.
    """

    def __init__(
        self,
        acknowledge: Callable[[Change], None] | None,
        deliver: Callable[[Sequence[Change]], None] = lambda changes: None,
        owner: Ownership | None = None,
    ) -> None:
        self.given = 0
        """How many of the changes in hand the loop has returned."""
        self.run: Sequence[Change] = ()
        """Changes of the open transaction that were read ahead."""
        self.step = 0
        """How many of the run were given or taken."""
        self.limit = 0
        """Up to where in the run a loop may go on by itself."""
        self.holder: object = None
        """The loop that counts."""
        self.owner = Ownership() if owner is None else owner
        self._acknowledge = acknowledge
        self._deliver = deliver
        self._settled = 0
        """How many of the run `settle` has dealt with."""
        self._owed: Sequence[Change] = ()
        """What was taken and is not noted yet, because of a signal."""
        self._acknowledges = False
        """Whether asking the loop for more acknowledges."""
        self._singly = False
        """Whether it does so for each change of a run."""
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

    def pass_to(self, holder: object, *, acknowledges: bool = True, singly: bool = False) -> None:
        """Make `holder` the loop that counts.

        Args:
            holder: the loop.
            acknowledges: whether asking it for more acknowledges; if not, what it gives is not
                given again.
            singly: whether a change of a run is acknowledged when it goes on to the next one; if
                not, the last stands for those before it.

        Raises:
            ConfigurationError: a change in hand stands for others that cannot be given again.
        """
        if holder is self.holder:
            return
        self.settle()
        if self.given and not self._repeats:
            if self._acknowledges:
                raise ConfigurationError(
                    "a transaction of an earlier loop is still in hand, and its changes cannot be "
                    "given again: acknowledge it with ack(transaction.position), or open a new "
                    "reader"
                )
            self._drop_given()
        self.holder = holder
        self.given = self.limit = 0
        self._singly = singly
        self._acknowledges = self._repeats = acknowledges and self._acknowledge is not None

    def release(self, holder: object) -> None:
        """Acknowledge what `holder` gave last, because it is asked for more.

        Raises:
            ConfigurationError: another loop has taken over, or it may not be asked.
        """
        self.owner.check()
        if holder is not self.holder:
            raise ConfigurationError(
                "this iterator was replaced by a newer one of the same reader: go on with that"
            )
        self.settle()
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
        changes = self._changes
        # Without a call between the two, as with `given`.
        changes += (change,)
        self._owed = (change,)
        self._settle_owed()

    def offer(self, run: Sequence[Change]) -> None:
        """Have a new run; the one before must have come to its end."""
        self.run, self.step, self._settled, self.limit = run, 0, 0, 0

    def withdraw(self) -> None:
        """Forget what is left of the run: it comes again."""
        self.settle()
        self.offer(())

    def take(self, count: int) -> int:
        """Take up to so many changes of the run; return how many."""
        taken = self.run[self.step : self.step + count]
        if taken:
            # As in `keep`: in hand before anything else.
            step, changes = self.step + len(taken), [*self._changes, *taken]
            self._changes, self.step, self._settled, self._owed = changes, step, step, taken
            self._settle_owed()
        return len(taken)

    def _settle_owed(self) -> None:
        owed = self._owed
        if owed:
            self._deliver(owed)
            self._owed = ()

    def settle(self) -> None:
        """Note what a loop has given of the run by itself.

        The last change of it is in hand then, instead of the one before.
        """
        self._settle_owed()
        step = self.step
        passed = self.run[self._settled : step]
        if not passed:
            return
        self._deliver(passed)
        if self._singly and self._acknowledges and self._acknowledge is not None:
            self._acknowledge(passed[-2] if len(passed) > 1 else self._changes[0])
        else:
            self._repeats = False
        # A signal before this has it done again, to the same end but for what is counted.
        self._changes, self._settled = [passed[-1]], step

    def first(self, count: int) -> list[Change]:
        """Return the first changes in hand."""
        return self._changes[:count]

    def supersede(self) -> None:
        """Let the first change that waits stand for those that were given before it."""
        self._drop_given()
        self._repeats = False

    def acknowledged(self, up_to: Position, number: int | None = None) -> None:
        """Forget what was given and is acknowledged by position.

        Args:
            up_to: the position.
            number: of the last row of a snapshot, whose rows have all the same position; None for
                all of them.
        """
        self.settle()
        given = self._changes[: self.given]
        kept = [
            change
            for change in given
            if change.position > up_to
            or (number is not None and isinstance(change, SnapshotRead) and change.number > number)
        ]
        self.given, self._changes = len(kept), kept + self._changes[len(given) :]
        if not kept:
            self._repeats = self._acknowledges
