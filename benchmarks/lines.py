"""The lines of the table: a ratio, its bar, and whether it is met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ("HEAD", "Line", "compared", "equal", "limited", "missing")

Comparison = Literal["≥", "≤", "<", ">"]

HEAD: Final = (
    "| | what | ours | peer | ratio (rounds) | bar | met |",
    "|---|---|---|---|---:|---:|---|",
)


@dataclass(frozen=True)
class Line:
    """One line."""

    row: str
    what: str
    ours: str
    peer: str
    ratio: str
    bar: str
    met: bool | None
    """None: it was not measured."""

    def markdown(self) -> str:
        """Return the line as that of a table in Markdown, below `HEAD`."""
        met = {True: "yes", False: "**no**", None: "not measured"}[self.met]
        cells = (self.row, self.what, self.ours, self.peer, self.ratio, self.bar, met)
        return "| " + " | ".join(cells) + " |"


def _holds(value: float, comparison: Comparison, limit: float) -> bool:
    if comparison == "≥":
        return value >= limit
    if comparison == "≤":
        return value <= limit
    return value < limit if comparison == "<" else value > limit


def compared(
    row: str,
    what: str,
    ours: str,
    peer: str,
    ratios: Sequence[float],
    comparison: Comparison,
    limit: float,
    *,
    digits: int = 2,
) -> Line:
    """Make the line of a ratio: the median of those of the rounds."""
    median = statistics.median(ratios)
    spread = f" ({min(ratios):.{digits}f} to {max(ratios):.{digits}f})" if len(ratios) > 1 else ""
    return Line(
        row,
        what,
        ours,
        peer,
        f"{median:.{digits}f}{spread}",
        f"{comparison} {limit:g}",
        _holds(median, comparison, limit),
    )


def limited(
    row: str, what: str, ours: str, value: float, comparison: Comparison, limit: float, unit: str
) -> Line:
    """Make the line of a figure that is no ratio, but has to stay within a limit."""
    return Line(
        row,
        what,
        ours,
        "",
        f"{value:.4g}{unit}",
        f"{comparison} {limit:g}{unit}",
        _holds(value, comparison, limit),
    )


def equal(row: str, what: str, ours: str, peer: str) -> Line:
    """Make the line of two texts that have to be the same: digests, of which a part is shown."""
    same = ours == peer
    return Line(row, what, ours[:16], peer[:16], "equal" if same else "differs", "equal", same)


def missing(row: str, what: str, bar: str, reason: str) -> Line:
    """Make the line of what could not be measured."""
    return Line(row, what, "", f"missing: {reason}", "", bar, None)
