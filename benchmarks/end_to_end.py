"""The figures of the page "Performance" that are of streams, in one run, with a bar for each.

``python -m benchmarks.end_to_end`` starts a server, writes backlogs, and lets our readers and the
peers read copies of the same slots, each in a process of its own, one after the other, round by
round. It prints the table; a ratio is the median of those of the rounds, because a machine is not
equally fast at all times.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.charts import draw
from benchmarks.page import PAGE, table, write_page
from benchmarks.results import Results
from benchmarks.rounds import measure
from benchmarks.rows import ROWS
from tests.servers import CHOICES

__all__ = ("main",)


def _letters(text: str) -> set[str]:
    letters = set(text.split(","))
    known = {row.letter for row in ROWS}
    if not letters <= known:
        raise argparse.ArgumentTypeError(f"rows are {', '.join(sorted(known))}")
    return letters


def main() -> None:
    """Run the benchmarks and print their table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes; bars are for 1")
    parser.add_argument("--only", type=_letters, metavar="ROW,...", help="rows of the table")
    parser.add_argument("--pg", default="18", choices=CHOICES, help="PostgreSQL (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every run there")
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="draw the charts there")
    parser.add_argument("--page", action="store_true", help=f"rewrite {PAGE.name} and its charts")
    arguments = parser.parse_args()
    rows = [row for row in ROWS if not arguments.only or row.letter in arguments.only]

    def keep(results: Results) -> None:
        if arguments.json:
            results.write(arguments.json)

    results = measure(arguments.pg, arguments.rounds, arguments.scale, rows, keep)
    if arguments.charts:
        draw(results, arguments.charts)
    if arguments.page:
        write_page(results)
    print(table(results))


if __name__ == "__main__":
    main()
