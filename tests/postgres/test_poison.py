"""Tests of `pglogical_cdc.postgres.poison`; `tests/test_slots.py` finds real poison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.errors import ConfigurationError, PublicationNotFoundError, SlotNotFoundError
from pglogical_cdc.postgres import converse
from pglogical_cdc.postgres.poison import find_poison
from tests.reading import confirmed, make_slot

if TYPE_CHECKING:
    from tests.servers import Database


@pytest.mark.pg
def test_what_can_be_decoded_is_no_poison(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    connection = database.connect()
    assert converse(connection, find_poison(slot_name, "pub")) is None
    database.execute("INSERT INTO t SELECT generate_series(1, 100)")
    before = confirmed(database, slot_name)
    assert converse(connection, find_poison(slot_name, ["pub"], binary=True)) is None
    assert confirmed(database, slot_name) == before  # it only looks
    with pytest.raises(PublicationNotFoundError, match="'nowhere', 'other' does not exist"):
        converse(connection, find_poison(slot_name, ["pub", "other", "nowhere"]))
    with pytest.raises(SlotNotFoundError):
        converse(connection, find_poison(slot_name + "x", "pub"))


def test_names_are_checked_first() -> None:
    for slot, publications in (("No", "pub"), ("shop", [])):
        with pytest.raises(ConfigurationError):
            next(find_poison(slot, publications))
