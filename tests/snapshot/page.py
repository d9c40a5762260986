"""The table of the page "Snapshots": how many seeds of each scenario have passed.

``python -m tests.snapshot.page`` runs a hundred seeds of each scenario on each version, in several
processes with a server each, and writes the table anew; ``--seeds 3`` and ``--pg 18`` are for
trying. It fails if one seed has failed.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import psycopg

from tests.faults.page import commit_of_this
from tests.servers import CHOICES, EMBEDDED, Server, new_database, run_server
from tests.snapshot.scenarios import SCENARIOS, Told

__all__ = ("PAGE", "Outcome", "run_seed", "run_seeds", "table", "written")

PAGE: Final = Path(__file__).parents[2] / "docs" / "guide" / "snapshots.md"

_BEGIN: Final = "<!-- Seeds: made by `python -m tests.snapshot.page`. -->"
_END: Final = "<!-- Seeds: end. -->"

_SLICE: Final = 10
"""Seeds that are run on one server, which takes a second to start."""

_PATIENCE: Final = 120
"""Seconds after which a seed has failed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a seed."""

    scenario: str
    version: str
    seed: int
    seconds: float
    told: Told | None
    """None if it has failed."""


def run_seeds(scenario: str, version: str, seeds: Sequence[int]) -> list[Outcome]:
    """Run seeds of a scenario on a server of their own; the traceback of a failure is printed."""
    with run_server(version) as server:
        return [run_seed(server, scenario, version, seed) for seed in seeds]


def run_seed(server: Server, scenario: str, version: str, seed: int) -> Outcome:
    """Run a seed in a database of its own."""
    told = None
    began = time.monotonic()
    try:
        with (
            new_database(server) as database,
            tempfile.TemporaryDirectory() as folder,
            _patience(_PATIENCE),
        ):
            told = SCENARIOS[scenario](database, f"seed_{seed}", seed, Path(folder))
    except Exception:
        told = None
        _say(f"{scenario}, PostgreSQL {version}, seed {seed}:\n{traceback.format_exc()}")
    return Outcome(scenario, version, seed, time.monotonic() - began, told)


@contextlib.contextmanager
def _patience(seconds: int) -> Iterator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def table(outcomes: Iterable[Outcome], commit: str) -> str:
    """Return what is made of the page."""
    outcomes = list(outcomes)
    lines = [
        f"Commit `{commit}`, Python {platform.python_version()}, psycopg {psycopg.__version__}.",
        "",
        "| scenario | PostgreSQL | seeds | passed | rows read | changes folded | kills |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for scenario in SCENARIOS:
        for version in CHOICES:
            told = [
                each.told
                for each in outcomes
                if (each.scenario, each.version) == (scenario, version)
            ]
            if told:
                passed = [one for one in told if one is not None]
                counts = (
                    len(told),
                    len(passed),
                    sum(one.rows for one in passed),
                    sum(one.changes for one in passed),
                    sum(one.kills for one in passed),
                )
                cells = (scenario, version, *(f"{count:,}" for count in counts))
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def written(page: str, made: str) -> str:
    """Return the page with what is made in its place."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the table")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def _run_all(versions: Sequence[str], seeds: int, jobs: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    # Spawned, because a server must not inherit what belongs to another.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        running = [
            pool.submit(run_seeds, scenario, version, range(first, min(first + _SLICE, seeds)))
            for first in range(0, seeds, _SLICE)
            for version in versions
            for scenario in SCENARIOS
        ]
        for done in as_completed(running):
            outcomes += done.result()
            failed = sum(each.told is None for each in outcomes)
            total = seeds * len(versions) * len(SCENARIOS)
            _say(f"{len(outcomes)} of {total} seeds, {failed} failed")
    return outcomes


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  it takes long


def _durations(outcomes: Iterable[Outcome]) -> None:
    seconds: dict[str, list[float]] = {}
    for each in outcomes:
        seconds.setdefault(each.scenario, []).append(each.seconds)
    for scenario, found in sorted(seconds.items()):
        _say(f"{scenario}: {sum(found) / len(found):.1f} s for a seed, {max(found):.1f} s at most")


def _versions(text: str) -> list[str]:
    chosen = [each.strip() for each in text.split(",")]
    if not set(chosen) <= set(CHOICES):
        raise argparse.ArgumentTypeError(f"versions are {', '.join(CHOICES)}")
    return chosen


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.snapshot.page", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="of each (%(default)s)")
    numbered = [choice for choice in CHOICES if choice != EMBEDDED]
    parser.add_argument("--pg", type=_versions, default=numbered, metavar="VERSION,...")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    arguments = parser.parse_args()
    commit = commit_of_this()
    outcomes = _run_all(arguments.pg, arguments.seeds, arguments.jobs)
    _durations(outcomes)
    page = written(PAGE.read_text(encoding="utf-8"), table(outcomes, commit))
    PAGE.write_text(page, encoding="utf-8")
    return int(any(each.told is None for each in outcomes))


if __name__ == "__main__":
    raise SystemExit(_main())
