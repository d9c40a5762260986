"""Tests of `pglogical_cdc.absent`."""

from __future__ import annotations

import copy
import pickle

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED, Absent


@pytest.mark.parametrize("value", list(Absent))
def test_there_is_one_of_each(value: Absent) -> None:
    assert copy.copy(value) is copy.deepcopy(value) is value
    assert pickle.loads(pickle.dumps(value)) is value


def test_never_equal_to_null_or_to_a_value() -> None:
    others: list[object] = [None, "", 0, False, "unchanged", "not sent"]
    assert [other for other in others if other in (UNCHANGED, NOT_SENT)] == []
    assert UNCHANGED is not NOT_SENT  # type: ignore[comparison-overlap]


def test_repr_is_the_name() -> None:
    assert repr([UNCHANGED, NOT_SENT]) == "[UNCHANGED, NOT_SENT]"
