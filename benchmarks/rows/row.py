"""What every row of the table has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.lines import Line
from benchmarks.results import Results, Sample
from benchmarks.server import Backlogs

__all__ = ("Entry", "Row", "Stage", "nothing_before")


@dataclass(frozen=True)
class Stage:
    """Where the rows are measured."""

    backlogs: Backlogs
    scale: float
    """1 for the sizes that the bars are for."""


@dataclass(frozen=True)
class Entry:
    """A contestant of a row, who runs once in each round."""

    name: str
    run: Callable[[], Sample]


def nothing_before(stage: Stage, results: Results) -> None:
    """Find out nothing before the rounds."""


@dataclass(frozen=True)
class Row:
    """A row: its contestants run one after the other, round by round."""

    letter: str
    what: str
    bar: str
    """As shown where it is not measured; the lines have their own."""
    prepare: Callable[[], object]
    """Makes the peer ready; raises `MissingPeerError` where it cannot be had."""
    enter: Callable[[Stage], Sequence[Entry]]
    """Writes what is to be read, and gives the contestants."""
    lines: Callable[[Results], Sequence[Line]]
    before: Callable[[Stage, Results], Any] = nothing_before
    """What is found out once, before the rounds."""
    turns: int = 1
    """How often a contestant runs in each round."""
