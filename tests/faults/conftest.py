"""Versions and servers of the tests of this folder.

A test that needs a server runs if ``--slow`` is given, or a path of this folder: all of them take
minutes. It runs on PostgreSQL 15 and 18, or on those that its marker ``versions`` names, without
``--slow`` on the newest of them. Where ``--pg`` chooses none of them, it runs on those that are
chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.load import Verdict
from tests.faults.servers import Cluster, run_cluster
from tests.servers import EMBEDDED

__all__ = ()

_VERSIONS: Final = (15, 18)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = {choice.strip() for choice in str(config.getoption("--pg")).split(",")}
    slow = bool(config.getoption("--slow"))
    asked = slow or any("faults" in argument for argument in config.args)
    dropped = {item for item in items if _is_here(item) and _is_out(item, chosen, asked, slow)}
    if dropped:
        config.hook.pytest_deselected(items=list(dropped))
        items[:] = [item for item in items if item not in dropped]


def _is_here(item: pytest.Item) -> bool:
    return item.path.is_relative_to(Path(__file__).parent)


def _is_out(item: pytest.Item, chosen: set[str], asked: bool, slow: bool) -> bool:
    if not isinstance(item, pytest.Function) or item.get_closest_marker("pg") is None:
        return False
    if not asked:
        return True
    marker = item.get_closest_marker("versions")
    named = [str(version) for version in (_VERSIONS if marker is None else marker.args)]
    wanted = [version for version in named if version in chosen]
    if not slow:
        wanted = wanted[-1:]
    choice = str(item.callspec.params["server_choice"])
    return choice != EMBEDDED and bool(wanted) and choice not in wanted


@pytest.fixture
def cluster(server_choice: str) -> Iterator[Cluster]:
    """A primary and a standby of one test, which may do to them what it likes."""
    with run_cluster(server_choice) as running:
        yield running


@pytest.fixture
def tally(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[..., None]:
    """Take what was injected, how often, and what a consumer got; it has to be clean.

    ``python -m tests.faults.page`` writes the table of the docs of it.
    """

    def take(injected: str, times: int, verdict: Verdict | None = None) -> None:
        if verdict is None:
            verdict = Verdict(events=0, lost=0, repeated=0, reordered=0)
        assert verdict.is_clean, verdict
        record_property(
            "fault",
            {
                "injected": injected,
                "times": times,
                "events": verdict.events,
                "lost": verdict.lost,
                "repeated": verdict.repeated,
                "reordered": verdict.reordered,
            },
        )

    return take


@pytest.fixture
def fault_count(request: pytest.FixtureRequest) -> int:
    """How many random faults a test injects (``--faults``)."""
    return int(request.config.getoption("--faults"))
