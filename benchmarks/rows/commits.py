"""Row k: from COMMIT to the change in hand, and what waiting costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from benchmarks import latency
from benchmarks.latency_readers import ASYNC, IDLE, PIPE, SYNC
from benchmarks.lines import Line, compared, limited
from benchmarks.results import Results, Sample
from benchmarks.rows.row import Entry, Row, Stage

__all__ = ("ROWS",)

_TIMES: Final = 1.5
_COMMITS: Final = 300
_IDLE_SECONDS: Final = 10
_IDLE_PERCENT: Final = 1


def _enter(stage: Stage) -> Sequence[Entry]:
    commits = max(50, round(_COMMITS * stage.scale))
    latency.prepare(stage.backlogs)

    def entry(name: str) -> Entry:
        def run() -> Sample:
            return latency.measure_latency(stage.backlogs, name, commits)

        return Entry(name, run)

    return [entry(name) for name in (PIPE, SYNC, ASYNC)]


def _before(stage: Stage, results: Results) -> None:
    seconds = max(2.0, _IDLE_SECONDS * stage.scale)
    for name, idle in IDLE.items():
        results.add("k", idle, latency.measure_idle(stage.backlogs, name, seconds))


def _times(ours: float, peer: float) -> float:
    """Return the ratio of two delays.

    A change may be in hand before the server's answer to COMMIT is: such a delay is less than none.
    """
    if ours <= 0:
        return 0.0
    return ours / peer if peer > 0 else math.inf


def _lines(results: Results) -> Sequence[Line]:
    def text(name: str, percentile: str) -> str:
        returned = results.median("k", name, f"{percentile}_ms")
        sent = results.median("k", name, f"sent_{percentile}_ms")
        return f"{returned:.3f} ms ({sent:.3f} ms from sending it)"

    found = [
        compared(
            "k",
            f"{name}: COMMIT returned to change in hand, {percentile}",
            text(name, percentile),
            f"{PIPE}: {text(PIPE, percentile)}",
            list(
                map(
                    _times,
                    results.figures("k", name, f"{percentile}_ms"),
                    results.figures("k", PIPE, f"{percentile}_ms"),
                )
            ),
            "≤",
            _TIMES,
        )
        for name in (SYNC, ASYNC)
        for percentile in ("p50", "p99")
    ]
    for idle in IDLE.values():
        (sample,) = results.samples["k"][idle]
        percent = 100 * sample["cpu"] / sample["wall"]
        what = f"{idle}: CPU over {sample['wall']:.0f} seconds"
        found.append(
            limited("k", what, f"{sample['cpu']:.4f} s", percent, "<", _IDLE_PERCENT, " %")
        )
    return found


ROWS: Final = (
    Row(
        "k",
        "COMMIT returned to change in hand; idle readers",
        f"≤ {_TIMES:g}, < {_IDLE_PERCENT} %",
        lambda: None,
        _enter,
        _lines,
        _before,
    ),
)
