"""Figures of a snapshot."""

from __future__ import annotations

import pytest

from pglogical_cdc.snapshot import SnapshotStats


def _stats(rows: int, estimated: int | None, seconds: float) -> SnapshotStats:
    return SnapshotStats(2, 1, "s.t", rows, 100, estimated, seconds)


def test_rate_and_time_left() -> None:
    stats = _stats(100, 400, 2.0)
    assert stats.rows_per_second == 50
    assert stats.seconds_left == 6


@pytest.mark.parametrize(("rows", "estimated"), [(0, 400), (10, None)])
def test_no_guess_without_a_ground(rows: int, estimated: int | None) -> None:
    assert _stats(rows, estimated, 2.0).seconds_left is None


def test_nothing_is_left_beyond_an_estimate() -> None:
    assert _stats(500, 400, 2.0).seconds_left == 0
    assert _stats(0, 0, 0.0).rows_per_second == 0
