"""Fixtures of the tests of snapshots."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc import snapshot
from pglogical_cdc.snapshot import parallel

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every table of more than a block read in chunks of a block."""
    monkeypatch.setattr(parallel, "_CHUNK_BYTES", 8192)
    monkeypatch.setattr(parallel, "_SMALL_BYTES", 0)


@pytest.fixture(params=["alone", pytest.param("parallel", marks=pytest.mark.slow)])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have all snapshots of a test be read by one connection, or in chunks by an executor."""
    if request.param == "alone":
        yield
        return
    request.getfixturevalue("small_chunks")
    with ThreadPoolExecutor(2) as executor:
        kind = functools.partial(snapshot.ParallelSnapshot, executor=executor, workers=3)
        monkeypatch.setattr(snapshot, "InitialSnapshot", kind)
        yield
