"""Tests of `pglogical_cdc.replication.backoff`."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.replication.backoff import Backoff


def test_pauses_grow_up_to_the_maximum() -> None:
    backoff = Backoff(initial=0.1, maximum=1.0, factor=2, jitter=0)
    assert [backoff.delay(attempt) for attempt in range(1, 8)] == pytest.approx(
        [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    )
    assert Backoff(initial=3, maximum=3, factor=1, jitter=0).delay(99) == 3
    assert Backoff(initial=0, maximum=0).delay(5) == 0


@pytest.mark.parametrize("attempt", [1025, 10_000, 1_000_000])
def test_pause_of_a_late_attempt_is_the_maximum(attempt: int) -> None:
    assert Backoff(maximum=7, jitter=0).delay(attempt) == 7  # the power is beyond a float
    assert Backoff(maximum=7, factor=1e300, jitter=0).delay(attempt) == 7


@given(
    attempt=st.integers(1, 5000),
    initial=st.floats(0.001, 10),
    factor=st.floats(1, 10),
    jitter=st.floats(0, 1),
)
def test_jitter_is_a_share_of_the_pause(
    attempt: int, initial: float, factor: float, jitter: float
) -> None:
    plain = Backoff(initial=initial, maximum=30, factor=factor, jitter=0).delay(attempt)
    shaken = Backoff(initial=initial, maximum=30, factor=factor, jitter=jitter).delay(attempt)
    assert initial <= plain <= 30
    assert abs(shaken - plain) <= plain * jitter + 1e-9


def test_jitter_spreads() -> None:
    backoff = Backoff(initial=1, jitter=0.5)
    delays = [backoff.delay(1) for _ in range(200)]
    assert 0.5 <= min(delays) < 0.8
    assert 1.2 < max(delays) <= 1.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("initial", -0.1),
        ("initial", math.nan),
        ("initial", math.inf),
        ("initial", "1"),
        ("initial", None),
        ("maximum", 0.05),  # less than initial
        ("maximum", math.inf),
        ("maximum", True),
        ("factor", 0.9),
        ("factor", math.inf),
        ("jitter", -0.1),
        ("jitter", 1.1),
        ("jitter", math.nan),
        ("tries", -1),
        ("tries", "3"),
        ("tries", True),
        ("tries", math.inf),
    ],
)
def test_value_out_of_its_range_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"Backoff: {name} is"):
        Backoff(**{name: value})
    with pytest.raises(ValueError, match="expected a finite number from"):
        Backoff(**{name: value})


@pytest.mark.parametrize("tries", [None, 0, 1, 10**9])
def test_tries(tries: int | None) -> None:
    assert Backoff(tries=tries).tries == tries
