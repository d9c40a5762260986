"""The search for settings, with an engine that only says how fast it is."""

from __future__ import annotations

import subprocess
from dataclasses import replace

from benchmarks.peers.debezium import CHOSEN, EngineSettings
from benchmarks.peers.tuning import tune
from benchmarks.runs import Run


def _engine(settings: EngineSettings) -> Run:
    """Be fastest with two threads and large batches; 64m are not enough, 96m are slow."""
    if settings.heap == "64m":
        raise subprocess.CalledProcessError(1, "java")
    seconds = 10.0 if settings.threads == 2 else 12.0
    seconds -= settings.batch / 10_000
    seconds *= {"96m": 1.2, "128m": 1.02}.get(settings.heap, 1)
    return Run(1000, seconds, 2 * seconds, 100.0)


def test_the_fastest_settings_are_chosen_in_the_smallest_heap_that_does() -> None:
    shown: list[str] = []
    chosen = tune(_engine, 2, shown.append)
    assert (chosen.threads, chosen.batch, chosen.queue) == (2, 8192, 32768)
    assert chosen.heap == "128m"
    (failed,) = [line for line in shown if "failed" in line]
    assert "-Xmx64m" in failed


def test_settings_say_what_the_jvm_and_the_engine_are_told() -> None:
    assert f"-Xmx{CHOSEN.heap}" in CHOSEN.options()
    assert not any("TieredStopAtLevel" in option for option in CHOSEN.options())
    assert CHOSEN.properties()["max.batch.size"] == str(CHOSEN.batch)


def test_settings_of_snapshots_are_told_where_they_differ() -> None:
    properties = replace(CHOSEN, snapshot_threads=2, fetch=100).properties()
    assert properties["snapshot.max.threads"] == "2"
    assert properties["snapshot.fetch.size"] == "100"
    assert "snapshot.fetch.size" not in CHOSEN.properties()


def test_only_what_is_to_be_tried_is_tried() -> None:
    chosen = tune(_engine, 1, lambda line: None, [[{"threads": 1}, {"threads": 2}]])
    assert (chosen.threads, chosen.batch) == (2, 2048)
