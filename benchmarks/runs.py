"""What a contestant is asked to do, and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ("Job", "MissingPeerError", "Run")


@dataclass(frozen=True)
class Job:
    """A backlog to read to its end, from a slot of one's own; or the rows that are there."""

    dsn: str
    """The database; over TLS where it says so."""
    slot: str
    """A copy of the backlog's slot; whoever runs the job drops it afterwards."""
    publication: str
    until: str
    """End of the backlog, as text; behind it is at least one more transaction."""
    events: int
    """Row changes in the backlog."""
    binaries: Path
    """Folder of the PostgreSQL's programs; they are in its ``bin``."""
    snapshot: bool = False
    """Read the rows of the published tables, and nothing else: then there is no slot of that name
    and no end, and `events` are rows."""


@dataclass(frozen=True)
class Run:
    """What one contestant took for one job."""

    events: int
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of CPU, user and system, in the same interval."""
    peak_mb: float | None = None
    """Peak resident memory of the process; None where it is not known."""
    output: str | None = None
    """SHA-256 of all that was written, where it was asked for."""
    opening: float | None = None
    """Seconds of connecting, before `wall` began; None where `wall` has them."""
    growth_mb: float | None = None
    """How far memory grew after the first changes; None where it was not asked for."""


class MissingPeerError(Exception):
    """A peer cannot be run here; the text says why."""
