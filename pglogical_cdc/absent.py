"""What stands where the server sent no value. An absent value is never NULL."""

from __future__ import annotations

import enum
from typing import Final, Literal, TypeAlias

__all__ = ("Absent", "NOT_SENT", "UNCHANGED", "Unchanged", "NotSent")


class Absent(enum.Enum):
    """The two ways in which a column of a row can be absent; test with ``is``."""

    UNCHANGED = "unchanged"
    """A TOASTed value that the update did not touch, so that the server did not send it
    (byte ``u`` of TupleData; PostgreSQL manual, "Logical Replication Message Formats")."""

    NOT_SENT = "not sent"
    """A column outside the replica identity, in the image of an old key."""

    def __repr__(self) -> str:
        return self.name


Unchanged: TypeAlias = Literal[Absent.UNCHANGED]
NotSent: TypeAlias = Literal[Absent.NOT_SENT]

UNCHANGED: Final = Absent.UNCHANGED
NOT_SENT: Final = Absent.NOT_SENT
