"""Row h: the other formats, beside Debezium JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.contestants import DEBEZIUM, DMS, UNWRAPPED
from benchmarks.lines import Line, compared
from benchmarks.results import Results
from benchmarks.rows.jobs import cost, our_entry, ratios
from benchmarks.rows.row import Entry, Row, Stage
from benchmarks.shapes import standard

__all__ = ("ROWS",)

_MORE: Final = 1.1
"""Ten percent dearer at most."""


def _enter(stage: Stage) -> Sequence[Entry]:
    shape = standard(stage.scale)
    stage.backlogs.write(shape)
    return [our_entry(stage, shape, name) for name in (DEBEZIUM, DMS, UNWRAPPED)]


def _lines(results: Results) -> Sequence[Line]:
    return [
        compared(
            "h",
            f"{name}, {text} per event, beside {DEBEZIUM}",
            cost(results, "h", name),
            cost(results, "h", DEBEZIUM),
            ratios(results.costs("h", name, figure), results.costs("h", DEBEZIUM, figure)),
            "≤",
            _MORE,
        )
        for name in (DMS, UNWRAPPED)
        for figure, text in (("cpu", "CPU"), ("wall", "wall time"))
    ]


ROWS: Final = (Row("h", "DMS and unwrapped JSON", f"≤ {_MORE:g}", lambda: None, _enter, _lines),)
