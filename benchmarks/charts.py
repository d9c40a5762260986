"""The charts of the page "Performance", as SVG that can be read on light and on dark pages."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contestants import TIMED
from benchmarks.results import Results
from benchmarks.rows.other_shapes import LARGE, MANY, STANDARD
from benchmarks.rows.widths import fitted, width_name
from benchmarks.shapes import WIDTHS

__all__ = ("draw",)

# Each has a contrast above 3 to white and to the near-black of dark pages; nothing is filled.
_INK: Final = "#7a7a7a"
_OURS: Final = "#2f81c7"
_PEER: Final = "#b5762a"

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pglogical_cdc",  # the same figures give the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

Chart = tuple[Path, str]
"""The file, and what it shows."""


class _Reader(NamedTuple):
    """Who read the standard backlog."""

    row: str
    contestant: str
    label: str
    colour: str


def draw(results: Results, folder: Path) -> list[Chart]:
    """Draw what there are figures for.

    Args:
        results: of the whole path.
        folder: where the files are written; it is made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    charts: list[Chart] = []
    readers = _readers(results)
    with mpl.rc_context(_STYLE):
        if readers:
            charts += _bar_charts(results, readers, folder)
        if "j" in results.samples:
            path = folder / "columns.svg"
            _draw_columns(results, path)
            charts.append((path, "CPU per event by number of columns"))
        if "i" in results.samples:
            path = folder / "shapes.svg"
            names = [STANDARD, LARGE, MANY]
            costs = [statistics.median(results.costs("i", name)) for name in names]
            _draw_bars(path, names, costs, [_OURS] * 3, "CPU per event, microseconds")
            charts.append((path, "CPU per event by shape of the backlog"))
    return charts


def _readers(results: Results) -> list[_Reader]:
    """Choose each contestant of the standard backlog once, from the first row that it is in."""
    chosen: dict[str, _Reader] = {}
    for row in "abcdegh":
        for contestant in results.contestants(row):
            label = f"{contestant}, TLS" if row == "c" else contestant
            colour = _OURS if contestant in TIMED else _PEER
            chosen.setdefault(label, _Reader(row, contestant, label, colour))
    return list(chosen.values())


def _bar_charts(results: Results, readers: Sequence[_Reader], folder: Path) -> list[Chart]:
    rates = [statistics.median(results.rates(each.row, each.contestant)) for each in readers]
    cpu = [statistics.median(results.costs(each.row, each.contestant)) for each in readers]
    memory = [results.median(each.row, each.contestant, "peak_mb") for each in readers]
    charts = []
    for name, figures, caption in (
        ("throughput", rates, "Row changes per second"),
        ("cpu", cpu, "CPU seconds of the client per million row changes"),
        ("memory", memory, "Peak memory of the client, MB"),
    ):
        path = folder / f"{name}.svg"
        labels, colours = [each.label for each in readers], [each.colour for each in readers]
        _draw_bars(path, labels, figures, colours, f"{caption} (blue: pglogical_cdc)")
        charts.append((path, caption))
    return charts


def _draw_bars(
    path: Path, labels: Sequence[str], figures: Sequence[float], colours: Sequence[str], title: str
) -> None:
    figure = Figure(figsize=(7.5, 0.9 + 0.45 * len(labels)), layout="constrained")
    axes = figure.add_subplot()
    wrapped = ["\n".join(textwrap.wrap(label, 34)) for label in labels]
    bars = axes.barh(range(len(labels)), figures, color=colours, height=0.6)
    axes.set_yticks(range(len(labels)), wrapped)
    axes.invert_yaxis()
    axes.bar_label(bars, [_short(number) for number in figures], padding=4, color=_INK)
    axes.margins(x=0.12)
    axes.set_title(title, loc="left", fontsize=10)
    axes.xaxis.set_major_formatter(lambda number, _: f"{number:,.0f}")
    _save(figure, axes, path)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _draw_columns(results: Results, path: Path) -> None:
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    intercept, slope, _ = fitted(results)
    widths = list(WIDTHS)
    costs = [results.costs("j", width_name(columns)) for columns in widths]
    medians = [statistics.median(each) for each in costs]
    axes.plot(widths, [intercept + slope * columns for columns in widths], color=_INK, lw=1)
    axes.plot(widths, medians, "o", color=_OURS)
    axes.set_xticks(widths)
    axes.set_xlabel("columns")
    axes.set_ylim(bottom=0)
    title = f"CPU per event, microseconds: {intercept:.1f} + {slope:.2f} for each column"
    axes.set_title(title, loc="left", fontsize=10)
    _save(figure, axes, path)


def _save(figure: Figure, axes: Axes, path: Path) -> None:
    axes.set_facecolor("none")
    figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
