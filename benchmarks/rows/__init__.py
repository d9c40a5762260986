"""The rows of the table, by subject: who runs for each, and what its lines say."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from benchmarks.rows import (
    commits,
    formats,
    imports,
    other_shapes,
    parsing,
    throughput,
    widths,
)
from benchmarks.rows.row import Row

__all__ = ("ROWS",)

ROWS: Final[tuple[Row, ...]] = tuple(
    sorted(
        (
            *throughput.ROWS,
            *parsing.ROWS,
            *formats.ROWS,
            *other_shapes.ROWS,
            *widths.ROWS,
            *commits.ROWS,
            *imports.ROWS,
        ),
        key=attrgetter("letter"),
    )
)
