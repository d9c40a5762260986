"""Tests of `pglogical_cdc.offsets.base`."""

from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import (
    AsyncOffsetStore,
    FileOffsets,
    Offset,
    OffsetStore,
    PostgresOffsets,
)
from pglogical_cdc.offsets.base import check_key


def test_an_offset() -> None:
    offset = Offset("7301234567890123456", 3, "shop_cdc", LSN(0x16B3748))
    assert offset.transaction_end == 0
    assert offset == Offset("7301234567890123456", 3, "shop_cdc", LSN(0x16B3748), LSN(0))
    assert "LSN('0/16B3748')" in repr(offset)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("system_identifier", 7),
        ("system_identifier", ""),
        ("system_identifier", "0x7"),
        ("system_identifier", "1" * 21),
        ("timeline", 0),
        ("timeline", True),
        ("timeline", "1"),
        ("timeline", 1 << 32),
        ("slot", None),
        ("slot", ""),
        ("slot", "Shop"),
        ("slot", "pg_shop"),
        ("position", 5),
        ("position", "0/5"),
        ("transaction_end", None),
        ("transaction_end", 5),
    ],
)
def test_one_that_could_not_be_read_back_cannot_be_made(name: str, value: object) -> None:
    values: dict[str, Any] = {
        "system_identifier": "7",
        "timeline": 1,
        "slot": "s",
        "position": LSN(5),
        "transaction_end": LSN(4),
    }
    Offset(**values)
    with pytest.raises(ConfigurationError, match=name.replace("_", "[_ ]")):
        Offset(**{**values, name: value})


def test_the_key_is_the_slot() -> None:
    offset = Offset("7", 1, "mine", LSN(5))
    check_key("mine", offset)
    with pytest.raises(ConfigurationError, match=r"'yours'.*'mine'"):
        check_key("yours", offset)


def test_the_stores_are_stores() -> None:
    assert isinstance(FileOffsets("offset.json"), OffsetStore)
    assert isinstance(PostgresOffsets("host=127.0.0.1"), OffsetStore)
    assert not isinstance({}, OffsetStore)


def test_the_protocols_can_be_met_by_subclassing() -> None:
    class Memory(OffsetStore):
        def __init__(self) -> None:
            self.kept: dict[str, Offset] = {}

        def load(self, key: str) -> Offset | None:
            return self.kept.get(key)

        def save(self, key: str, offset: Offset) -> None:
            self.kept[key] = offset

    class AsyncMemory(AsyncOffsetStore):
        async def load(self, key: str) -> Offset | None:
            return None

        async def save(self, key: str, offset: Offset) -> None:
            pass

    store, offset = Memory(), Offset("7", 1, "s", LSN(5))
    store.save("s", offset)
    assert store.load("s") is offset
    assert isinstance(AsyncMemory(), AsyncOffsetStore)
