"""Tests of `pglogical_cdc.snapshot.remaining`."""

from __future__ import annotations

import json

import pytest

from pglogical_cdc import OffsetStoreError
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.replication.stored import BEGUN
from pglogical_cdc.snapshot import RemainingTable, parse_remaining, remaining_text

TABLES = [
    RemainingTable(("public", "orders"), '[["id",23]]', (b"42", b"\xff\0"), ((b"1", b""),), 12000),
    RemainingTable(("a.b", 'c"d'), None, None, (), 0),
]


@pytest.mark.parametrize("binary", [False, True])
def test_text_is_read_again(*, binary: bool) -> None:
    text = remaining_text(TABLES, binary=binary)
    found = parse_remaining(text, binary=binary)
    assert found == TABLES
    assert found[0].after is not None
    assert {type(value) for value in found[0].after} == {BinaryValue if binary else bytes}
    assert json.loads(text)["tables"][0][3:] == [["NDI=", "/wA="], [["MQ==", ""]], 12000]


def test_nothing_and_everything() -> None:
    assert remaining_text([], binary=True) == ""
    assert parse_remaining(BEGUN, binary=True) is None


@pytest.mark.parametrize(
    "text",
    ["", "null", "{}", '{"version":2,"binary":false,"tables":[]}', BEGUN.replace("null", "7"),
     '{"version":1,"binary":false,"tables":[["s","t",null,["?"],[],0]]}'],
)  # fmt: skip
def test_other_text(text: str) -> None:
    with pytest.raises(OffsetStoreError, match="cannot be read"):
        parse_remaining(text, binary=False)


def test_other_form_of_values() -> None:
    with pytest.raises(OffsetStoreError, match="begun with binary=True"):
        parse_remaining(remaining_text(TABLES, binary=True), binary=False)
