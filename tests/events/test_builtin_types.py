"""Tests of `pglogical_cdc.events.builtin_types`; `tests.postgres.test_catalog` asks servers."""

from __future__ import annotations

import pytest

from pglogical_cdc.events.builtin_types import BUILTIN_ARRAY_ELEMENTS, BUILTIN_TYPES
from tests import golden


def test_every_array_has_its_element() -> None:
    for array_oid, oid in BUILTIN_ARRAY_ELEMENTS.items():
        assert BUILTIN_TYPES[array_oid] == f"_{BUILTIN_TYPES[oid]}"
    assert len(BUILTIN_TYPES) == 2 * len(BUILTIN_ARRAY_ELEMENTS)
    assert len(set(BUILTIN_TYPES.values())) == len(BUILTIN_TYPES)


@pytest.mark.parametrize(
    ("oid", "name"),
    [(16, "bool"), (23, "int4"), (1007, "_int4"), (1184, "timestamptz"), (6150, "_int4multirange")],
)
def test_well_known(oid: int, name: str) -> None:
    assert BUILTIN_TYPES[oid] == name


def test_agrees_with_a_recorded_pg_type() -> None:
    names = {int(row["oid"]): row["typname"] for row in golden.pg_types()}
    both = set(names) & set(BUILTIN_TYPES)
    assert len(both) > 50
    assert {oid: names[oid] for oid in both} == {oid: BUILTIN_TYPES[oid] for oid in both}
