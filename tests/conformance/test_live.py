"""The real connector and our reader beside it, on one server and one workload.

Nothing but the connector's own clock is masked: LSNs, transactions, sequences and commit times are
those of the same changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import pytest

from tests.conformance.beside import Beside, follow
from tests.conformance.java import Java
from tests.conformance.workloads import WORKLOADS, Workload
from tests.golden import workload
from tests.golden.comparison import differences, fields_of, formatted, run_id, streamed
from tests.golden.configurations import CONFIGURATIONS, formatter_for, transforms_for
from tests.servers import Server

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]

_CHOSEN: Final = (
    *("default", "txmeta_schemas", "all_in_schemas", "columns_truncated"),
    *("unwrap_rewrite_with_tombstone_schemas", "unwrap_changes"),
)


ReportCompared: TypeAlias = Callable[[str, int, int], None]


class _Case(NamedTuple):
    beside: Beside
    configurations: Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def recorded(
    java: Java, conformance_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> _Case:
    """The recorded workload, live."""
    chosen = {name: CONFIGURATIONS[name] for name in _CHOSEN}
    recorded = Workload(workload.schema(), workload.parts(), chosen)
    folder = tmp_path_factory.mktemp("recorded")
    return _Case(follow(java, conformance_server, recorded, folder), chosen)


def _check(case: _Case, name: str) -> tuple[int, int]:
    """Compare the records of a configuration; return how many they and their fields were."""
    properties = case.configurations[name]
    records = case.beside.records[name]
    theirs = list(streamed(records))
    formatter = formatter_for(properties, run_id=run_id(records))

    ours = formatted(case.beside.changes, formatter, transforms_for(properties))

    assert len(theirs) > len(case.beside.parts)
    assert differences(ours, theirs) == []
    return len(theirs), sum(map(fields_of, theirs))


@pytest.mark.parametrize("name", _CHOSEN)
def test_the_recorded_workload(recorded: _Case, name: str, report_compared: ReportCompared) -> None:
    report_compared(f"live: {name}", *_check(recorded, name))


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads(
    java: Java,
    conformance_server: Server,
    tmp_path: Path,
    name: str,
    report_compared: ReportCompared,
) -> None:
    chosen = WORKLOADS[name]
    case = _Case(follow(java, conformance_server, chosen, tmp_path), chosen.configurations)
    assert case.beside.errors == []
    for configuration in chosen.configurations:
        report_compared(f"live: {name}, {configuration}", *_check(case, configuration))
