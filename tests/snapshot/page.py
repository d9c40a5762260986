"""The table of the page "Snapshots": how many seeds of each scenario have passed.

``python -m tests.snapshot.page`` runs a hundred seeds of each scenario on each version, in several
processes with a server each, and writes the table anew. With ``--scenario`` it runs some of them,
and leaves the rows of the others; ``--seeds 3`` and ``--pg 18`` are for trying. It fails if one
seed has failed.
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
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import psycopg

from tests.faults.page import commit_of_this
from tests.servers import CHOICES, EMBEDDED, Database, Server, new_database, run_server
from tests.snapshot.killed import CannotDecodeError, is_undecodable
from tests.snapshot.scenarios import SCENARIOS, Told

__all__ = ("PAGE", "Outcome", "cannot_decode", "run_seed", "run_seeds", "table", "written")

PAGE: Final = Path(__file__).parents[2] / "docs" / "guide" / "snapshots.md"

_BEGIN: Final = "<!-- Seeds: made by `python -m tests.snapshot.page`. -->"
_END: Final = "<!-- Seeds: end. -->"

_SLICE: Final = 10
"""Seeds that are run on one server, which takes a second to start."""

_PATIENCE: Final = 120
"""Seconds after which a seed has failed."""

_ATTEMPTS: Final = 10
"""How often a seed is run until the server has made a slot that it can decode."""


@dataclass(frozen=True)
class Outcome:
    """What became of a seed."""

    scenario: str
    version: str
    seed: int
    seconds: float
    told: Told | None
    """None if it has failed."""
    anew: int = 0
    """How often it was run anew because the server could not decode the slot."""


def run_seeds(scenario: str, version: str, seeds: Sequence[int]) -> list[Outcome]:
    """Run seeds of a scenario on a server of their own; the traceback of a failure is printed."""
    with run_server(version) as server:
        return [run_seed(server, scenario, version, seed) for seed in seeds]


def run_seed(server: Server, scenario: str, version: str, seed: int) -> Outcome:
    """Run a seed in a database of its own; anew if the server cannot decode what it is to give."""
    told = None
    anew = 0
    began = time.monotonic()
    for _ in range(_ATTEMPTS):
        with new_database(server) as database:
            try:
                with tempfile.TemporaryDirectory() as folder, _patience(_PATIENCE):
                    told = SCENARIOS[scenario](database, f"seed_{seed}", seed, Path(folder))
            except Exception as error:
                what = f"{scenario}, PostgreSQL {version}, seed {seed}"
                # A temporary slot is gone with the error.
                is_told = isinstance(error, CannotDecodeError) or is_undecodable(error)
                if is_told or cannot_decode(database):
                    _say(f"{what}: the server itself cannot decode its slot")
                    anew += 1
                    continue
                _say(f"{what}:\n{traceback.format_exc()}")
        break
    return Outcome(scenario, version, seed, time.monotonic() - began, told, anew)


def cannot_decode(database: Database) -> bool:
    """Tell whether the server cannot decode a slot, whoever reads it.

    A slot that is made while a table is truncated may be one of which it says "could not map
    filenumber to relation OID", of all versions and without a reader of ours.
    """
    slots = database.execute(
        "SELECT slot_name FROM pg_replication_slots WHERE database = %s AND NOT active",
        [database.name],
    )
    for (name,) in slots:
        try:
            database.execute(
                "SELECT count(*) FROM pg_logical_slot_peek_binary_changes(%s, NULL, NULL,"
                " 'proto_version', '1', 'publication_names', 'pub')",
                [name],
            )
        except psycopg.errors.InternalError_ as error:
            if "could not map file" in str(error):
                return True
    return False


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


def table(outcomes: Iterable[Outcome], commit: str, page: str = "") -> str:
    """Return what is made of the page.

    Args:
        outcomes: what became of the seeds.
        commit: of which they were run.
        page: the page, whose rows of scenarios that were not run stay.
    """
    outcomes = list(outcomes)
    lines = [
        f"Python {platform.python_version()}, psycopg {psycopg.__version__}.",
        "",
        "| scenario | PostgreSQL | seeds | passed | rows read | changes folded | kills | anew"
        " | commit |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for scenario in SCENARIOS:
        rows = []
        for version in CHOICES:
            found = [
                each for each in outcomes if (each.scenario, each.version) == (scenario, version)
            ]
            if found:
                passed = [each.told for each in found if each.told is not None]
                counts = (
                    len(found),
                    len(passed),
                    sum(one.rows for one in passed),
                    sum(one.changes for one in passed),
                    sum(one.kills for one in passed),
                    sum(each.anew for each in found),
                )
                cells = (scenario, version, *(f"{count:,}" for count in counts), f"`{commit}`")
                rows.append(f"| {' | '.join(cells)} |")
        begin = f"| {scenario} |"
        lines += rows or [line for line in page.splitlines() if line.startswith(begin)]
    return "\n".join(lines)


def written(page: str, made: str) -> str:
    """Return the page with what is made in its place."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the table")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def _run_all(
    scenarios: Collection[str], versions: Sequence[str], seeds: int, jobs: int
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    # Spawned, because a server must not inherit what belongs to another.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        running = [
            pool.submit(run_seeds, scenario, version, range(first, min(first + _SLICE, seeds)))
            for first in range(0, seeds, _SLICE)
            for version in versions
            for scenario in scenarios
        ]
        for done in as_completed(running):
            outcomes += done.result()
            failed = sum(each.told is None for each in outcomes)
            total = seeds * len(versions) * len(scenarios)
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
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="repeatable")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    arguments = parser.parse_args()
    commit = commit_of_this()
    scenarios = arguments.scenario or SCENARIOS
    outcomes = _run_all(scenarios, arguments.pg, arguments.seeds, arguments.jobs)
    _durations(outcomes)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page, table(outcomes, commit, page)), encoding="utf-8")
    return int(any(each.told is None for each in outcomes))


if __name__ == "__main__":
    raise SystemExit(_main())
