"""Row j: what rows of more columns cost."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from benchmarks.contestants import DEBEZIUM
from benchmarks.lines import Line, compared, limited
from benchmarks.results import Results
from benchmarks.rows.jobs import our_entry, ratios
from benchmarks.rows.row import Entry, Row, Stage
from benchmarks.shapes import WIDTHS, wide

__all__ = ("ROWS", "fitted", "width_name")

_FIT: Final = 0.98
_BROAD: Final = 64
_BROADEST: Final = 256


def width_name(columns: int) -> str:
    """Return the contestant's name."""
    return f"{columns} columns"


def _enter(stage: Stage) -> Sequence[Entry]:
    entries = []
    for columns in WIDTHS:
        shape = wide(columns, stage.scale)
        stage.backlogs.write(shape)
        entries.append(our_entry(stage, shape, DEBEZIUM, name=width_name(columns)))
    return entries


def fitted(results: Results) -> tuple[float, float, float]:
    """Return the line through the costs, cost = a + b * columns: a, b and R²."""
    costs = [statistics.median(results.costs("j", width_name(columns))) for columns in WIDTHS]
    slope, intercept = statistics.linear_regression(list(WIDTHS), costs)
    return intercept, slope, statistics.correlation(list(WIDTHS), costs) ** 2


def _per_value(results: Results, columns: int) -> list[float]:
    return [cost / columns for cost in results.costs("j", width_name(columns))]


def _lines(results: Results) -> Sequence[Line]:
    intercept, slope, fit = fitted(results)
    line = f"{intercept:.2f} + {slope:.3f} · columns µs CPU"
    what = f"CPU per event at {', '.join(map(str, WIDTHS))} columns: R² of a line"
    broad, broadest = _per_value(results, _BROAD), _per_value(results, _BROADEST)
    return [
        limited("j", what, line, fit, ">", _FIT, ""),
        compared(
            "j",
            f"CPU per value at {_BROADEST} columns, beside {_BROAD}",
            f"{statistics.median(broadest):.3f} µs",
            f"{statistics.median(broad):.3f} µs",
            ratios(broadest, broad),
            "≤",
            1.0,
        ),
    ]


ROWS: Final = (Row("j", "rows of many columns", f"> {_FIT:g}, ≤ 1", lambda: None, _enter, _lines),)
