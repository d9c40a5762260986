"""The page "Performance": how its figures get there.

``python -m benchmarks.page RESULTS`` writes table and charts anew from what
``python -m benchmarks.end_to_end --json RESULTS`` has found; with ``--micro PATH`` also the table
of the rooms, from what ``pytest benchmarks --benchmark-only --benchmark-json PATH`` has found, and
with ``--snapshots PATH`` those of ``python -m benchmarks.snapshots --json PATH``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.charts import draw
from benchmarks.lines import HEAD, missing
from benchmarks.results import Results
from benchmarks.rows import ROWS, snapshots
from benchmarks.rows.row import Row

__all__ = ("PAGE", "main", "snapshot_tables", "table", "write_page")

PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"
_IMAGES: Final = PAGE.parent / "images"


def table(results: Results, rows: Sequence[Row] = ROWS) -> str:
    """Return the table in Markdown."""
    lines = list(HEAD)
    for row in rows:
        if row.letter in results.missing:
            absent = missing(row.letter, row.what, row.bar, results.missing[row.letter])
            lines.append(absent.markdown())
        elif row.letter in results.samples:
            lines += [line.markdown() for line in row.lines(results)]
    return "\n".join(lines)


def snapshot_tables(results: Results) -> str:
    """Return the tables of the snapshots in Markdown: all readers, and the bars."""
    bars = table(results, snapshots.ROWS)
    return f"{snapshots.readers(results)}\n\n{bars}" if results.samples else bars


def _setting(results: Results) -> str:
    setting = dict(results.setting)
    rounds, scale = setting.pop("rounds"), setting.pop("scale")
    sizes = "" if scale == "1" else f" All sizes are {scale} of those of this page."
    versions = ", ".join(f"{name} {value}" for name, value in setting.items())
    return f"Medians of {rounds} rounds.{sizes} Measured on: {versions}."


def _figures(results: Results, images: Path) -> str:
    charts = draw(results, images)
    shown = [f"![{caption}](images/{path.name})" for path, caption in charts]
    return "\n\n".join([_setting(results), table(results), *shown])


def _micro(path: Path) -> str:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    lines = ["| 1,000 rows | µs |", "|---|---:|"]
    for case in found:
        name = case["name"].removeprefix("test_").replace("_", " ")
        name = re.sub(r"\[(.*)\]$", r": \1", name)
        lines.append(f"| {name} | {1e6 * case['stats']['median']:,.0f} |")
    return "\n".join(lines)


def _replaced(text: str, part: str, content: str) -> str:
    begin, end = f"<!-- {part}: made by `python -m benchmarks.page`. -->", f"<!-- {part}: end. -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{PAGE.name} has no place for {part}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def write_page(
    results: Results | None = None, micro: Path | None = None, snapshots: Results | None = None
) -> None:
    """Write parts of the page anew, and the charts.

    Args:
        results: of the whole path.
        micro: file of pytest-benchmark.
        snapshots: of the snapshots.
    """
    text = PAGE.read_text(encoding="utf-8")
    if results is not None:
        text = _replaced(text, "Figures", _figures(results, _IMAGES))
    if micro is not None:
        text = _replaced(text, "Rooms", _micro(micro))
    if snapshots is not None:
        content = f"{_setting(snapshots)}\n\n{snapshot_tables(snapshots)}"
        text = _replaced(text, "Snapshots", content)
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """Write the page from files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, metavar="RESULTS")
    parser.add_argument("--micro", type=Path, metavar="PATH")
    parser.add_argument("--snapshots", type=Path, metavar="PATH")
    arguments = parser.parse_args()
    results, snapshots = (
        Results.read(path) if path else None for path in (arguments.results, arguments.snapshots)
    )
    write_page(results, arguments.micro, snapshots)


if __name__ == "__main__":
    main()
