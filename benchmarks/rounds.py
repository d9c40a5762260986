"""The rounds: the contestants of each row in turn, again and again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from benchmarks.results import Results
from benchmarks.rows.row import Entry, Row, Stage
from benchmarks.runs import MissingPeerError
from benchmarks.server import run_backlogs
from benchmarks.setting import describe

__all__ = ("measure",)


def measure(
    choice: str,
    rounds: int,
    scale: float,
    rows: Sequence[Row],
    after_round: Callable[[Results], None],
) -> Results:
    """Measure rows of a table.

    Args:
        choice: the PostgreSQL, as of `tests.servers.find_binaries`.
        rounds: how often each contestant runs.
        scale: of all sizes.
        rows: those whose peers are missing are left out.
        after_round: gets what has been found so far, so that a run that is ended is not lost.
    """
    results = Results()
    rows = [row for row in rows if _is_ready(row, results)]
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
