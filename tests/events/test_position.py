"""Tests of `pglogical_cdc.events.position`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.events.position import Position
from pglogical_cdc.lsn import LSN

_POSITIONS = st.builds(
    Position, st.integers(0, 2**64 - 1).map(LSN), st.integers(min_value=0, max_value=2**40)
)


def test_text() -> None:
    position = Position(LSN.parse("0/16B3748"), 3)
    assert str(position) == f"{position}" == "0/16B3748:3"
    assert repr(position) == "Position('0/16B3748:3')"
    assert Position.parse("0/16B3748:3") == position


@given(_POSITIONS)
def test_text_can_be_read_back(position: Position) -> None:
    read = Position.parse(str(position))
    assert read == position
    assert type(read.commit_lsn) is LSN
    assert type(read.ordinal) is int


@given(_POSITIONS, _POSITIONS)
def test_order_is_that_of_delivery(one: Position, other: Position) -> None:
    as_numbers = (int(one.commit_lsn), one.ordinal), (int(other.commit_lsn), other.ordinal)
    assert (one < other) is (as_numbers[0] < as_numbers[1])
    assert (one == other) is (as_numbers[0] == as_numbers[1])


@pytest.mark.parametrize(
    "text",
    ["", ":", "0/1", "0/1:", "0/1:-1", "0/1:x", "0/1:٣", "0/1: 3", "1:2", "0/1:2:3", "0/G:1"],
)
def test_other_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a(n LSN| position)"):
        Position.parse(text)
