"""Tests of `pglogical_cdc.lsn`."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.lsn import LSN
from tests.servers import Database

_LSNS = st.integers(0, 2**64 - 1)


@given(_LSNS)
def test_text_and_integer_are_the_same_lsn(value: int) -> None:
    lsn = LSN(value)
    assert LSN.parse(str(lsn)) == lsn == value
    assert LSN.parse(str(lsn).lower()) == lsn
    assert hash(lsn) == hash(value)
    assert pickle.loads(pickle.dumps(lsn)) == copy.deepcopy(lsn) == lsn


@given(_LSNS, _LSNS)
def test_order_is_the_order_of_the_log(one: int, other: int) -> None:
    assert (LSN(one) < LSN(other)) is (one < other)
    assert LSN(one) - LSN(other) == one - other


def test_prints_as_postgresql_does() -> None:
    lsn = LSN(0x16_B374_D848)
    assert str(lsn) == f"{lsn}" == "16/B374D848"
    assert repr(lsn) == "LSN('16/B374D848')"
    assert f"{lsn:d}" == "97500059720"
    assert str(LSN()) == "0/0"
    assert str(LSN(2**64 - 1)) == "FFFFFFFF/FFFFFFFF"


@pytest.mark.parametrize(
    "text",
    ["", "/", "0", "0/", "/0", "0/0/0", "0x1/0", "-1/0", " 0/0", "0/0\n", "000000001/0", "g/0"],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an LSN"):
        LSN.parse(text)


@pytest.mark.parametrize("value", [-1, 2**64])
def test_other_numbers_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="between 0 and"):
        LSN(value)


@pytest.mark.pg
def test_server_agrees(database: Database) -> None:
    for text in ("0/0", "16/B374D848", "1/0", "FFFFFFFF/FFFFFFFF"):
        lsn = LSN.parse(text)
        assert database.execute("SELECT %s::pg_lsn::text", [str(lsn)]) == [(text,)]
        assert database.execute("SELECT %s::pg_lsn - '0/0'", [text]) == [(int(lsn),)]
