"""Every figure of the page "Performance", in one run, with a bar for each.

``python -m benchmarks.end_to_end`` starts a server, writes backlogs, and lets our readers and the
peers read copies of the same slots, each in a process of its own, one after the other, round by
round. It prints the table; a ratio is the median of those of the rounds, because a machine is not
equally fast at all times.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from benchmarks.charts import draw
from benchmarks.page import PAGE, table, write_page
from benchmarks.results import Results
from benchmarks.rows import ROWS
from benchmarks.rows.row import Entry, Row, Stage
from benchmarks.runs import MissingPeerError
from benchmarks.server import run_backlogs
from benchmarks.setting import describe
from tests.servers import CHOICES

__all__ = ("main", "measure")


def measure(
    choice: str,
    rounds: int,
    scale: float,
    letters: Collection[str],
    after_round: Callable[[Results], None],
) -> Results:
    """Measure rows of the table.

    Args:
        choice: the PostgreSQL, as of `tests.servers.find_binaries`.
        rounds: how often each contestant runs.
        scale: of all sizes.
        letters: the rows.
        after_round: gets what has been found so far, so that a run that is ended is not lost.
    """
    results = Results()
    rows = [row for row in ROWS if row.letter in letters and _is_ready(row, results)]
    with run_backlogs(choice) as backlogs:
        results.setting = describe(backlogs.version, rounds, scale)
        stage = Stage(backlogs, scale)
        entered: list[tuple[Row, list[Entry]]] = []
        for row in rows:
            _say(f"{row.letter}: preparing")
            entered.append((row, list(row.enter(stage))))
            row.before(stage, results)
        for number in range(rounds):
            for row, entries in entered:
                if row.letter not in results.missing:
                    _say(f"{row.letter}: round {number + 1} of {rounds}")
                    _run_round(row, entries, number, results)
            after_round(results)
    return results


def _is_ready(row: Row, results: Results) -> bool:
    try:
        row.prepare()
    except MissingPeerError as error:
        results.missing[row.letter] = str(error)
    return row.letter not in results.missing


def _run_round(row: Row, entries: list[Entry], number: int, results: Results) -> None:
    for turn in range(row.turns):
        # Now this one is first and now that one, so that a machine which slows down favours none.
        backwards = (number * row.turns + turn) % 2
        for entry in reversed(entries) if backwards else entries:
            try:
                results.add(row.letter, entry.name, entry.run())
            except MissingPeerError as error:
                results.missing[row.letter] = str(error)
                return


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
    letters = arguments.only or {row.letter for row in ROWS}

    def keep(results: Results) -> None:
        if arguments.json:
            results.write(arguments.json)

    results = measure(arguments.pg, arguments.rounds, arguments.scale, letters, keep)
    if arguments.charts:
        draw(results, arguments.charts)
    if arguments.page:
        write_page(results)
    print(table(results))


if __name__ == "__main__":
    main()
