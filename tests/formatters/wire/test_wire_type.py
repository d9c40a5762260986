from __future__ import annotations

import pytest

from pglogical_cdc.events import CatalogType, Column
from pglogical_cdc.formatters.wire.wire_type import WireType, resolve_type
from tests.formatters.tables import column, relation

MOOD = CatalogType(16400, "public", "mood", "e", array_oid=16401, labels=("a", "b"))
MOODS = CatalogType(16401, "public", "_mood", "b", element_oid=16400)
DMOOD = CatalogType(16402, "public", "dmood", "d", base_oid=16400)
DNUM = CatalogType(16403, "public", "dnum", "d", base_oid=1700, base_modifier=524295)
DDNUM = CatalogType(16404, "public", "ddnum", "d", base_oid=16403)
DNUMS = CatalogType(16405, "public", "_dnum", "b", element_oid=16403)
ADDR = CatalogType(16406, "public", "addr", "c", fields=(("street", 25),))
CIRCLE = CatalogType(16407, "public", "circular", "d", base_oid=16407)
TYPES = (MOOD, MOODS, DMOOD, DNUM, DDNUM, DNUMS, ADDR, CIRCLE)


def _resolve(made: Column) -> WireType:
    return resolve_type(made, relation(made, types=TYPES).catalog)


def test_built_in() -> None:
    assert _resolve(column("x", "int4")) == WireType("int4", -1, "b")
    assert _resolve(column("x", "_int4")) == WireType("int4", -1, "b", is_array=True)


def test_enum() -> None:
    labels = ("a", "b")
    assert _resolve(column("x", "mood", oid=16400)) == WireType("mood", -1, "e", labels=labels)
    assert _resolve(column("x", "_mood", oid=16401)) == WireType(
        "mood", -1, "e", is_array=True, labels=labels
    )


@pytest.mark.parametrize("oid", [16403, 16404])
def test_domain_is_what_it_is_over(oid: int) -> None:
    assert _resolve(column("x", "numeric", oid=oid)) == WireType(
        "numeric", 524295, "b", is_domain=True
    )


def test_domain_over_enum() -> None:
    expected = WireType("mood", -1, "e", is_domain=True, labels=("a", "b"))
    assert _resolve(column("x", "mood", oid=16402)) == expected


def test_array_of_a_domain_stays_one() -> None:
    assert _resolve(column("x", "_dnum", oid=16405)) == WireType("dnum", -1, "d", True)


def test_domain_over_itself_ends() -> None:
    assert _resolve(column("x", "circular", oid=16407)).name == "circular"


def test_without_catalog() -> None:
    assert resolve_type(column("x", "hstore", oid=16500), None) == WireType("hstore", -1, "b")
    assert resolve_type(column("x", "_hstore", oid=16501), None) == WireType(
        "hstore", -1, "b", True
    )
    assert resolve_type(Column("x", 16502, -1, None, False), None) == WireType(None, -1, "b")


def test_a_type_of_the_users_own_is_none_of_the_built_in_ones() -> None:
    types = [
        CatalogType(20000, "public", "oid", "r", subtype_oid=23, array_oid=20001),
        CatalogType(20001, "public", "_oid", "b", element_oid=20000),
    ]
    for oid, is_array in ((20000, False), (20001, True)):
        made = relation(column("c", oid=oid), types=types)
        found = resolve_type(made.columns[0], made.catalog)
        assert (found.name, found.is_array) == (None, is_array)


def test_a_type_without_a_name() -> None:
    assert resolve_type(Column("c", 99999, -1, "", False), None).name == ""
