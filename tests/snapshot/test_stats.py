"""Figures of a snapshot."""

from __future__ import annotations

import pytest

from pglogical_cdc.snapshot import SnapshotStats, TableProgress


def _stats(rows: int, estimated: int | None, rate: float) -> SnapshotStats:
    return SnapshotStats(2, 1, "s.t", rows, 100, estimated, 8192, 2.0, rate)


def test_time_left() -> None:
    assert _stats(100, 400, 50.0).seconds_left == 6


@pytest.mark.parametrize(("rows", "estimated", "rate"), [(0, 400, 0.0), (10, None, 5.0)])
def test_no_guess_without_a_ground(rows: int, estimated: int | None, rate: float) -> None:
    assert _stats(rows, estimated, rate).seconds_left is None


def test_nothing_is_left_beyond_an_estimate() -> None:
    assert _stats(500, 400, 50.0).seconds_left == 0
    assert _stats(0, 0, 0.0).seconds_left == 0


def test_a_table_before_in_and_after_its_turn() -> None:
    assert not TableProgress("s.t").is_being_read
    assert TableProgress("s.t", seconds=0.0).is_being_read
    assert not TableProgress("s.t", seconds=0.0, is_read=True).is_being_read
