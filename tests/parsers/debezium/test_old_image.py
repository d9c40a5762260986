from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.parsers.debezium.connect_values import PostgresType
from pglogical_cdc.parsers.debezium.old_image import is_key_image
from pglogical_cdc.parsers.debezium.shapes import Described

TEXT = PostgresType("text", (str,), str)
ID = Described("id", PostgresType("int4", (int,), str))
KEY = (ID,)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 0, 0.0, False, "", "0", "0.00", "AA==", "{}", [], {}),
        *("00:00:00Z", "1970-01-01Z", "1970-01-01T00:00:00Z", "P0Y0M0DT0H0M0S"),
        {"scale": 0, "value": "AA=="},
        {"x": 0.0, "y": 0.0, "wkb": "AQE=", "srid": None},
        {"dimensions": 0, "vector": []},
    ],
)
def test_zeros_are_what_a_key_image_has(value: Any) -> None:
    assert is_key_image((ID, Described("a", TEXT)), KEY, {"id": 5, "a": value})


@pytest.mark.parametrize(
    "value",
    [1, -1, 0.5, True, "a", "00", "01", "AQ==", " ", [0], {"a": None}, {"x": 0, "y": 1}],
)
def test_anything_else_is_of_a_whole_row(value: Any) -> None:
    assert not is_key_image((ID, Described("a", TEXT)), KEY, {"id": 5, "a": value})


def test_one_value_is_enough_for_a_whole_row() -> None:
    shape = (ID, Described("a", TEXT), Described("b", TEXT))

    assert not is_key_image(shape, KEY, {"id": 5, "a": None, "b": "x"})


def test_a_default_stands_for_no_value() -> None:
    shape = (ID, Described("a", TEXT, default="new"))

    assert is_key_image(shape, KEY, {"id": 5, "a": "new"})
    assert not is_key_image(shape, KEY, {"id": 5, "a": "old"})


def test_a_mask_stands_for_no_value() -> None:
    shape = (ID, Described("a", TEXT, altered=True))

    assert is_key_image(shape, KEY, {"id": 5, "a": "***"})


def test_what_is_left_out_has_no_value() -> None:
    assert is_key_image((ID, Described("a", TEXT)), KEY, {"id": 5})


def test_a_table_of_nothing_but_its_key() -> None:
    assert is_key_image(KEY, KEY, {"id": 5})
