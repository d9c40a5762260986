"""Contestants of a backlog: ours, and the peers."""

from __future__ import annotations

import statistics
import subprocess

from benchmarks.contestants import in_its_own_process
from benchmarks.peers import Peer
from benchmarks.results import Results, Sample, sample_of
from benchmarks.rows.row import Entry, Stage
from benchmarks.runs import MissingPeerError
from benchmarks.shapes import Shape

__all__ = ("cost", "our_entry", "peer_entry", "ratios", "speed")


def our_entry(
    stage: Stage, shape: Shape, contestant: str, *, tls: bool = False, name: str = ""
) -> Entry:
    """Return an entry of one of our contestants, under its own name or another."""

    def run() -> Sample:
        with stage.backlogs.job(shape, tls=tls) as job:
            return sample_of(in_its_own_process(contestant, job))

    return Entry(name or contestant, run)


def peer_entry(stage: Stage, shape: Shape, peer: Peer, *, tls: bool = False) -> Entry:
    """Return the entry of a peer."""

    def run() -> Sample:
        with stage.backlogs.job(shape, tls=tls) as job:
            try:
                return sample_of(peer.run(job))
            except subprocess.SubprocessError as error:
                raise MissingPeerError(f"{peer.name} failed: {error}") from error

    return Entry(peer.name, run)


def ratios(over: list[float], under: list[float]) -> list[float]:
    """Return the ratio of each round."""
    return [first / second for first, second in zip(over, under, strict=True)]


def speed(results: Results, row: str, contestant: str) -> str:
    """Tell the medians of a contestant: events per second, and CPU seconds."""
    events = statistics.median(results.rates(row, contestant))
    return f"{events:,.0f}/s, {results.median(row, contestant, 'cpu'):.2f} CPU s"


def cost(results: Results, row: str, contestant: str) -> str:
    """Tell the medians of a contestant: microseconds per event, of CPU and of wall time."""
    cpu, wall = (
        statistics.median(results.costs(row, contestant, figure)) for figure in ("cpu", "wall")
    )
    return f"{cpu:.2f} µs CPU, {wall:.2f} µs wall"
