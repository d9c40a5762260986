"""The page with the results of the fault tests: how it is made.

``python -m tests.faults.page`` runs all of them with full counts and writes its tables anew; what
stands above them is written by hand. ``--faults 20`` and ``--pg 18`` are for trying.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.faults.lines import LINES, NOT_YET

__all__ = ("PAGE", "Results", "commit_of_this", "tables")

PAGE: Final = Path(__file__).parents[2] / "docs" / "guide" / "faults.md"

_MARK: Final = "<!-- From here on made by `python -m tests.faults.page`. -->\n"

_COUNTS: Final = ("events", "lost", "repeated", "reordered")


class Results:
    """A plugin of pytest that keeps what the tests tell."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Counter[str]] = {number: Counter() for number in LINES}
        """By fault: how many tests passed and failed."""
        self.versions: set[str] = set()
        self.injected: dict[str, Counter[str]] = {}
        """By what was injected: how often, and what became of it."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Any:  # a generator of pytest's own kind
        report: pytest.TestReport = yield
        if report.when == "call" or report.failed:
            for marker in item.iter_markers("fault"):
                for number in marker.args:
                    self.outcomes[number][report.outcome] += 1
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        version = report.nodeid.partition("[pg")[2][:2]
        if version.isdigit():
            self.versions.add(version)
        for name, value in report.user_properties:
            if name == "fault" and isinstance(value, dict):
                counter = self.injected.setdefault(str(value["injected"]), Counter())
                counter.update({key: int(value[key]) for key in ("times", *_COUNTS)})


def tables(results: Results, commit: str) -> str:
    """Return the part of the page that is made."""
    versions = ", ".join(sorted(results.versions))
    lines = [
        f"Commit `{commit}`, PostgreSQL {versions}, Python {platform.python_version()}, "
        f"psycopg {psycopg.__version__}. The numbers are sums over versions and both readers.",
        "",
        "| injected | times | changes read | lost | repeated | reordered |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for injected, counts in sorted(results.injected.items()):
        cells = [f"{counts[key]:,}" for key in ("times", *_COUNTS)]
        lines.append(f"| {injected} | {' | '.join(cells)} |")
    lines += ["", "| | fault | what has to happen | tests |", "|---:|---|---|---|"]
    for number, (fault, outcome) in LINES.items():
        lines.append(f"| {number} | {fault} | {outcome} | {_tests(results.outcomes[number])} |")
    lines += [f"| {number} | {what} | | not yet |" for number, what in NOT_YET.items()]
    return "\n".join(lines) + "\n"


def _tests(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "none"


def commit_of_this() -> str:
    """Return the commit that is tried, as git describes it."""
    root = PAGE.parents[2]
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(
        command, cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def _main(arguments: Iterable[str]) -> int:
    results, commit = Results(), commit_of_this()
    given = ["--faults", "200", "--pg", "15,18", *arguments]
    status = pytest.main([str(Path(__file__).parent), "--slow", "-q", *given], plugins=[results])
    written, mark, _ = PAGE.read_text(encoding="utf-8").partition(_MARK)
    PAGE.write_text(f"{written}{mark}\n{tables(results, commit)}", encoding="utf-8")
    return int(status)


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
