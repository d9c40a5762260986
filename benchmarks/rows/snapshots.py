"""Row m: how fast a snapshot is read, beside the Debezium engine's and a plain COPY."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.contestants import DEBEZIUM, DMS, PIPELINE, TYPED
from benchmarks.lines import Line, compared, limited
from benchmarks.peers import DebeziumEngine, PsqlCopy
from benchmarks.peers.debezium import CHOSEN_FOR_SNAPSHOTS
from benchmarks.results import Results
from benchmarks.rows.jobs import our_entry, peer_entry, ratios, speed
from benchmarks.rows.row import Entry, Row, Stage
from benchmarks.shapes import snapshot

__all__ = ("ROWS", "readers")

TENTH: Final = f"{PIPELINE}, a tenth of the rows"

_ENGINE: Final = DebeziumEngine(CHOSEN_FOR_SNAPSHOTS)
_COPY: Final = PsqlCopy("standard")

_OURS: Final = (TYPED, PIPELINE, DEBEZIUM, DMS)
_TIMES: Final[Mapping[str, float]] = {PIPELINE: 4}
"""The rate beside the engine's that a contestant has to reach; not all have a bar."""
_GROWTH: Final = 5


def _enter(stage: Stage) -> Sequence[Entry]:
    whole, tenth = snapshot(stage.scale), snapshot(stage.scale / 10)
    for shape in (whole, tenth):
        stage.backlogs.write(shape)
    return [
        peer_entry(stage, whole, _ENGINE),
        *(our_entry(stage, whole, name) for name in _OURS),
        our_entry(stage, tenth, PIPELINE, name=TENTH),
        peer_entry(stage, whole, _COPY),
    ]


def _lines(results: Results) -> Sequence[Line]:
    engine = _ENGINE.name
    faster = [
        compared(
            "m",
            f"rows/s of a snapshot, {name}",
            speed(results, "m", name),
            f"{engine}: {speed(results, 'm', engine)}",
            ratios(results.rates("m", name), results.rates("m", engine)),
            "≥",
            limit,
        )
        for name, limit in _TIMES.items()
    ]
    whole, tenth = (results.figures("m", name, "peak_mb") for name in (PIPELINE, TENTH))
    rows, fewer = (round(results.median("m", name, "events")) for name in (PIPELINE, TENTH))
    growth = max(map(float.__sub__, whole, tenth))
    what = (
        f"{PIPELINE}: peak memory at {rows:,} rows less that at {fewer:,}, the most of all rounds"
    )
    return [*faster, limited("m", what, "", growth, "<", _GROWTH, " MB")]


def readers(results: Results) -> str:
    """Return the table of all contestants in Markdown; their rates are beside the engine's."""
    engine = results.rates("m", _ENGINE.name)
    lines = [
        "| | rows | rows/s | CPU seconds | µs CPU per row | peak MB | × Debezium (rounds) |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in results.contestants("m"):
        rates = results.rates("m", name)
        times = ratios(rates, engine)
        cells = (
            name,
            f"{results.median('m', name, 'events'):,.0f}",
            f"{statistics.median(rates):,.0f}",
            f"{results.median('m', name, 'cpu'):.2f}",
            f"{statistics.median(results.costs('m', name)):.2f}",
            f"{results.median('m', name, 'peak_mb'):.1f}",
            f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


ROWS: Final = (
    Row(
        "m",
        "rows/s of a snapshot; memory",
        f"≥ {_TIMES[PIPELINE]:g}, < {_GROWTH} MB",
        _ENGINE.prepare,
        _enter,
        _lines,
    ),
)
