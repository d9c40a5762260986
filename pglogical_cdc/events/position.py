"""Position: which change this is, the same on every replay."""

from __future__ import annotations

from typing import NamedTuple

from typing_extensions import Self

from pglogical_cdc.lsn import LSN

__all__ = ("Position",)


class Position(NamedTuple):
    """The identity of a change: its transaction's commit LSN, and its ordinal in there.

    Positions are totally ordered in the order of delivery. Ordinals count row changes, truncated
    tables and transactional messages of a transaction from 1. A non-transactional message has its
    own LSN and 0; a row of a snapshot has the consistent point and 0.

    >>> Position.parse("0/16B3748:3") < Position.parse("0/16B3748:10")
    True
    """

    commit_lsn: LSN
    ordinal: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form that ``str`` gives: ``0/16B3748:3``.

        Raises:
            ValueError: the text is not of that form.
        """
        lsn, colon, ordinal = text.partition(":")
        if not colon or not (ordinal.isascii() and ordinal.isdigit()):
            raise ValueError(f"not a position: {text!r} (expected LSN:ordinal, as 0/16B3748:3)")
        return cls(LSN.parse(lsn), int(ordinal))

    def __str__(self) -> str:
        return f"{self.commit_lsn}:{self.ordinal}"

    def __repr__(self) -> str:
        return f"Position('{self}')"
