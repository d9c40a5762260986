"""The JVM, and the server that engines and readers share.

``--conformance`` selects these tests. ``--seeds 5,6,7`` gives other random tables than those that
every run has.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.beside import SETTINGS
from tests.conformance.java import Java, prepare_java
from tests.servers import Server, binaries_with_vector, run_binaries

__all__ = ()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        seeds = str(metafunc.config.getoption("--seeds")).split(",")
        metafunc.parametrize("seed", [int(seed) for seed in seeds])


@pytest.fixture(scope="session")
def java() -> Java:
    """The JVM with the connector."""
    return prepare_java()


@pytest.fixture(scope="session")
def conformance_server() -> Iterator[Server]:
    """A server on which several engines can stream at the same time."""
    with run_binaries(binaries_with_vector(), **SETTINGS) as server:
        yield server
