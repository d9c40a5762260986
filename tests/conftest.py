"""Options, markers and fixtures of the test suite.

A test that needs a server is marked ``pg`` (or ``pg(16)``: from version 16 on), takes `server`,
`database` or `private_server`, and runs once on each version that ``--pg`` chooses.
"""

from __future__ import annotations

import gc
import os
import uuid
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import CHOICES, EMBEDDED, Database, Server, new_database, run_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ()

_DEFAULT: Final = "14,15,16,17,18"
_OPTIONAL: Final = {"slow", "conformance"}
"""Markers of tests that an option of the same name chooses."""
_NEWEST_ONLY: Final = {"snapshot", "replication", "pipeline", "offsets"}
"""Folders whose tests need all versions only in a run of the slow tests: what the versions differ
in is tested in the folders of the protocol, of the server and of the whole."""
_COMPARED: Final = "compared with Debezium"

# The time of an example is no property of what is tested: a machine that stalls would fail it.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pglogical_cdc")
    group.addoption(
        "--pg",
        default=os.environ.get("PGLOGICAL_CDC_PG") or _DEFAULT,
        help=f"PostgreSQL versions to test on, with commas, of {', '.join(CHOICES)} "
        "(default: PGLOGICAL_CDC_PG, else all numbered ones)",
    )
    group.addoption("--slow", action="store_true", help="run the slow tests too")
    group.addoption(
        "--conformance",
        action="store_true",
        help="run the tests beside the real Debezium too (extra conformance, a JDK)",
    )
    group.addoption(
        "--faults", default="20", help="random faults for each reader and version (default: 20)"
    )
    group.addoption("--seeds", default="1", help="seeds of random tables, with commas (default: 1)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker("pg") is not None
    needs_server = "server_choice" in metafunc.fixturenames
    if marked is not needs_server:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: a test is marked pg if and only if it uses a server"
        )
    if needs_server:
        metafunc.parametrize(
            "server_choice", _chosen(metafunc.config), ids="pg{}".format, scope="session"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = {name for name in _OPTIONAL if config.getoption(f"--{name}")}
    newest = None if config.getoption("--slow") else _newest(config)
    dropped = {item for item in items if _is_out(item, chosen) or _is_older(item, newest)}
    if dropped:
        config.hook.pytest_deselected(items=list(dropped))
        items[:] = [item for item in items if item not in dropped]


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over the tests themselves, which stay to the end anyway.

    They are so many that it took a tenth of the time of the tests without a server.
    """
    gc.collect()
    gc.freeze()


def _newest(config: pytest.Config) -> str:
    return max(_chosen(config), key=lambda choice: 99 if choice == EMBEDDED else int(choice))


def _is_older(item: pytest.Item, newest: str | None) -> bool:
    if newest is None or not isinstance(item, pytest.Function):
        return False
    if item.get_closest_marker("pg") is None:
        return False
    folder = item.path.parent.name
    if folder not in _NEWEST_ONLY and item.get_closest_marker("newest") is None:
        return False
    return item.callspec.params["server_choice"] != newest


def _is_out(item: pytest.Item, chosen: set[str]) -> bool:
    if any(item.get_closest_marker(name) is not None for name in _OPTIONAL - chosen):
        return True
    marker = item.get_closest_marker("pg")
    if marker is None or not isinstance(item, pytest.Function):
        return False
    minimum = marker.args[0] if marker.args else marker.kwargs.get("minimum", 0)
    choice = item.callspec.params["server_choice"]
    return choice != EMBEDDED and int(str(choice)) < int(minimum)


def _chosen(config: pytest.Config) -> list[str]:
    chosen = [choice.strip() for choice in str(config.getoption("--pg")).split(",")]
    unknown = sorted(set(chosen) - set(CHOICES))
    if unknown:
        raise pytest.UsageError(f"--pg takes {', '.join(CHOICES)}, not {', '.join(unknown)}")
    return chosen


@pytest.fixture(scope="session")
def server(server_choice: str) -> Iterator[Server]:
    """A server that the tests of one version share."""
    with run_server(server_choice) as running:
        yield running


@pytest.fixture
def private_server(server_choice: str) -> Iterator[Server]:
    """A server of one test, which may restart, reconfigure or kill it."""
    with run_server(server_choice, copied=True) as running:
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """An empty database on the shared server, gone after the test with its slots."""
    with new_database(server) as made:
        yield made


@pytest.fixture
def slot_name() -> str:
    """A replication slot's name that nobody else uses; slots belong to the whole server."""
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def patient_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let readers of this process wait for the server's answer when they close.

    The server has confirmed the position and freed the slot then. A reader by itself waits for a
    moment only, in which a busy machine may not get to it.
    """
    monkeypatch.setattr("pglogical_cdc.replication.stream._LAST_WORDS", 20.0)


@pytest.fixture
def report_compared(
    record_property: Callable[[str, object], None],
) -> Callable[[str, int, int], None]:
    """Take the name of a configuration, and how many records and fields were the same."""

    def report(name: str, records: int, fields: int) -> None:
        record_property(_COMPARED, f"{name}: {records} records, {fields} fields")

    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        str(value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == _COMPARED
    ]
    if lines:
        terminalreporter.section(_COMPARED)
        terminalreporter.write("\n".join([*lines, ""]))
