"""Find the settings with which the Debezium engine is fastest, and the heap that it needs.

``python -m benchmarks.peers.tuning --slot SLOT --publication NAME --events N DSN`` lets it read
copies of a slot with a backlog. One setting after the other is chosen from those that are to be
tried, in rounds, by the best median; then the smallest heap is whose median is within five percent
of the best. The tables of what was found are printed.

With ``--snapshot`` in place of a slot it reads the rows of the published tables.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.peers.debezium import DebeziumEngine, EngineSettings
from benchmarks.runs import Job, Run

__all__ = ("chosen_heap", "main", "tune")

_START: Final = EngineSettings(
    heap="1g",
    collector="Serial",
    batch=2048,
    queue=8192,
    poll_ms=500,
    threads=None,
    statistics=True,
)
"""Debezium's defaults, in a heap that is certainly enough."""

_CHOICES: Final[Sequence[Sequence[dict[str, Any]]]] = (
    [{"threads": count} for count in (None, 1, 2)],
    [{"statistics": on} for on in (True, False)],
    [{"collector": name} for name in ("Serial", "Parallel", "G1")],
    [{"batch": size, "queue": 4 * size} for size in (1024, 2048, 4096, 8192)],
    [{"poll_ms": pause} for pause in (500, 100, 20)],
)

_SNAPSHOT_CHOICES: Final[Sequence[Sequence[dict[str, Any]]]] = (
    [{"threads": count} for count in (None, 1, 2)],
    [{"snapshot_threads": count} for count in (1, 2, 4)],
    [{"collector": name} for name in ("Serial", "Parallel", "G1")],
    [{"batch": size, "queue": 4 * size} for size in (1024, 2048, 8192)],
    [{"fetch": rows} for rows in (None, 2048, 50_000)],
)

_HEAPS: Final = ("64m", "96m", "128m", "192m", "256m", "384m", "512m", "1g")

_TOLERATED: Final = 0.95


@dataclass(frozen=True)
class _Found:
    settings: EngineSettings
    runs: Sequence[Run]

    @property
    def rate(self) -> float:
        """Events per second; 0 where the heap was too small."""
        return statistics.median(run.events / run.wall for run in self.runs) if self.runs else 0.0

    def line(self) -> str:
        if not self.runs:
            return f"| {_text(self.settings)} | failed | | |"
        cpu = statistics.median(run.cpu for run in self.runs)
        peak = max(run.peak_mb or 0 for run in self.runs)
        return f"| {_text(self.settings)} | {self.rate:,.0f} | {cpu:.1f} | {peak:.0f} |"


def _text(settings: EngineSettings) -> str:
    return " ".join((*settings.options(), *(f"{k}={v}" for k, v in settings.properties().items())))


def tune(
    run: Callable[[EngineSettings], Run],
    rounds: int,
    show: Callable[[str], None],
    choices: Sequence[Sequence[dict[str, Any]]] = _CHOICES,
) -> EngineSettings:
    """Find the best settings.

    Args:
        run: lets the engine read the backlog with some settings.
        rounds: how often each is tried.
        show: is given the lines of the tables.
        choices: what is tried, one after the other.
    """
    best = _START
    for choice in choices:
        found = _try(run, rounds, show, (replace(best, **change) for change in choice))
        best = max(found, key=lambda one: one.rate).settings
    found = _try(run, rounds, show, (replace(best, heap=heap) for heap in _HEAPS))
    return chosen_heap([(one.settings, one.rate) for one in found])


def chosen_heap(rates: Sequence[tuple[EngineSettings, float]]) -> EngineSettings:
    """Return the first settings, which have the smallest heap, that are fast enough."""
    bar = _TOLERATED * max(rate for _, rate in rates)
    return next(settings for settings, rate in rates if rate >= bar)


def _try(
    run: Callable[[EngineSettings], Run],
    rounds: int,
    show: Callable[[str], None],
    settings: Iterable[EngineSettings],
) -> list[_Found]:
    runs: dict[EngineSettings, list[Run]] = {one: [] for one in settings}
    # In turn, because a shared machine is not equally fast at all times.
    for _ in range(rounds):
        for one, done in runs.items():
            with contextlib.suppress(subprocess.SubprocessError):
                done.append(run(one))
    # One failure is enough to be out.
    found = [_Found(one, done if len(done) == rounds else ()) for one, done in runs.items()]
    for line in ("| settings | events/s | CPU s | peak MB |", "|---|---:|---:|---:|"):
        show(line)
    for each in found:
        show(each.line())
    return found


@contextlib.contextmanager
def _copied(dsn: str, origin: str) -> Iterator[str]:
    slot = f"{origin}_tuning"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_copy_logical_replication_slot(%s, %s)", [origin, slot])
        try:
            yield slot
        finally:
            # A reader that is gone is not noticed at once.
            waiting = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND active"
            while connection.execute(waiting, [slot]).fetchall():
                time.sleep(0.05)
            connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])


def main() -> None:
    """Run the search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dsn", help="of the server, reached over TCP")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--slot", help="with the backlog; it is not read itself")
    what.add_argument("--snapshot", action="store_true", help="read the rows of the tables")
    parser.add_argument("--publication", required=True)
    parser.add_argument("--events", type=int, required=True, help="changes in the backlog, or rows")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    def job(slot: str) -> Job:
        # It ends by the number of events, and runs none of PostgreSQL's programs.
        return Job(
            arguments.dsn,
            slot,
            arguments.publication,
            "",
            arguments.events,
            Path(),
            snapshot=arguments.snapshot,
        )

    def run(settings: EngineSettings) -> Run:
        if arguments.snapshot:
            return DebeziumEngine(settings).run(job("none"))
        with _copied(arguments.dsn, arguments.slot) as slot:
            return DebeziumEngine(settings).run(job(slot))

    choices = _SNAPSHOT_CHOICES if arguments.snapshot else _CHOICES
    print(f"chosen: {_text(tune(run, arguments.rounds, print, choices))}")


if __name__ == "__main__":
    main()
