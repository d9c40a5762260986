"""Row i: one large transaction, and a thousand tables, beside the standard backlog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.contestants import DEBEZIUM, GROWTH
from benchmarks.lines import Line, compared, limited
from benchmarks.results import Results
from benchmarks.rows.jobs import cost, our_entry, ratios
from benchmarks.rows.row import Entry, Row, Stage
from benchmarks.shapes import large_transaction, many_tables, standard

__all__ = ("LARGE", "MANY", "ROWS", "STANDARD")

STANDARD: Final = "standard backlog"
LARGE: Final = "one transaction of 5,000,000 row changes"
MANY: Final = "1,000 tables, round-robin"

_MORE: Final = 1.2
_GROWTH: Final = 20


def _enter(stage: Stage) -> Sequence[Entry]:
    shapes = {
        STANDARD: standard(stage.scale),
        LARGE: large_transaction(stage.scale),
        MANY: many_tables(stage.scale),
    }
    for shape in shapes.values():
        stage.backlogs.write(shape)
    return [
        our_entry(stage, shape, DEBEZIUM if name == STANDARD else GROWTH, name=name)
        for name, shape in shapes.items()
    ]


def _lines(results: Results) -> Sequence[Line]:
    found = []
    for name in (LARGE, MANY):
        ours = cost(results, "i", name)
        found.append(
            compared(
                "i",
                f"{name}: CPU per event, beside the {STANDARD}",
                ours,
                cost(results, "i", STANDARD),
                ratios(results.costs("i", name), results.costs("i", STANDARD)),
                "≤",
                _MORE,
            )
        )
        growth = max(results.figures("i", name, "growth_mb"))
        what = f"{name}: growth of memory, the most of all rounds"
        found.append(limited("i", what, "", growth, "<", _GROWTH, " MB"))
    return found


ROWS: Final = (
    Row("i", f"{LARGE}; {MANY}", f"≤ {_MORE:g}, < {_GROWTH} MB", lambda: None, _enter, _lines),
)
