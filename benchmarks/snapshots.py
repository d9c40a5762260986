"""How fast a snapshot is read: ours, the Debezium engine's, and a plain COPY, in one run.

``python -m benchmarks.snapshots`` starts a server, fills the standard table, and lets all read it,
each in a process of its own, one after the other, round by round. It prints two tables: what each
took, and the bars.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.page import PAGE, snapshot_tables, write_page
from benchmarks.results import Results
from benchmarks.rounds import measure
from benchmarks.rows.snapshots import ROWS
from benchmarks.shapes import SNAPSHOT_ROWS
from tests.servers import CHOICES

__all__ = ("main",)


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=SNAPSHOT_ROWS, help="bars are for %(default)s")
    parser.add_argument("--pg", default="18", choices=CHOICES, help="PostgreSQL (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every run there")
    parser.add_argument("--page", action="store_true", help=f"rewrite the part of {PAGE.name}")
    arguments = parser.parse_args()

    def keep(results: Results) -> None:
        if arguments.json:
            results.write(arguments.json)

    scale = arguments.rows / SNAPSHOT_ROWS
    results = measure(arguments.pg, arguments.rounds, scale, ROWS, keep)
    if arguments.page:
        write_page(snapshots=results)
    print(snapshot_tables(results))


if __name__ == "__main__":
    main()
