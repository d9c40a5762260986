from __future__ import annotations

import pytest

from pglogical_cdc.events import (
    CatalogType,
    Column,
    Relation,
    ReplicaIdentity,
    TableCatalog,
    base_type,
    below_domains,
)

NUMERIC = 1700


def column(oid: int, modifier: int = -1, name: str | None = None) -> Column:
    return Column("c", oid, modifier, name, is_identity=False)


def relation(*types: CatalogType) -> Relation:
    catalog = TableCatalog(
        "shop", 1, "public", "t", (), None, types={each.oid: each for each in types}
    )
    return Relation(1, "public", "t", (), ReplicaIdentity.DEFAULT, catalog=catalog)


PRICE = CatalogType(90001, "public", "price", "d", base_oid=NUMERIC, base_modifier=655366)
OFFER = CatalogType(90002, "public", "offer", "d", base_oid=90001)
MOOD = CatalogType(90003, "public", "mood", "e", labels=("good",))


def test_a_built_in_type_is_itself() -> None:
    assert base_type(relation(), column(NUMERIC, 655366)) == ("numeric", 655366)


def test_a_domain_over_a_domain_is_looked_through() -> None:
    assert base_type(relation(PRICE, OFFER), column(90002)) == ("numeric", 655366)


@pytest.mark.parametrize("own", [-1, 7])
def test_the_innermost_modifier_counts(own: int) -> None:
    inner = CatalogType(90004, "public", "inner", "d", base_oid=NUMERIC, base_modifier=655366)
    outer = CatalogType(90005, "public", "outer", "d", base_oid=90004, base_modifier=11)
    assert base_type(relation(inner, outer), column(90005, own)) == ("numeric", 655366)


def test_a_modifier_stays_where_no_domain_has_one() -> None:
    plain = CatalogType(90004, "public", "plain", "d", base_oid=NUMERIC)
    assert base_type(relation(plain), column(90004, 655366)) == ("numeric", 655366)


def test_domains_in_a_circle_have_no_name() -> None:
    one = CatalogType(9001, "public", "one", "d", base_oid=9002)
    two = CatalogType(9002, "public", "two", "d", base_oid=9001)
    for types in ((one, two), (one, two, MOOD)):
        circular = relation(*types)
        assert base_type(circular, column(9001, name="one")) == (None, -1)
        found = below_domains(column(9001), circular.catalog)[2]
        assert found is not None
        assert found.kind == "d"


def test_what_is_below_is_described_if_the_catalog_has_it() -> None:
    over = CatalogType(90004, "public", "over", "d", base_oid=90003)
    assert below_domains(column(90004), relation(over, MOOD).catalog) == (90003, -1, MOOD)
    assert below_domains(column(90004), relation(over).catalog) == (90003, -1, None)
    assert below_domains(column(NUMERIC, 655366), None) == (NUMERIC, 655366, None)


def test_another_type_has_no_name() -> None:
    assert base_type(relation(MOOD), column(90003, name="mood")) == (None, -1)


def test_without_a_catalog_the_type_message_tells() -> None:
    bare = Relation(1, "public", "t", (), ReplicaIdentity.DEFAULT)
    assert base_type(bare, column(90001, name="numeric")) == ("numeric", -1)
    assert base_type(bare, column(90001)) == (None, -1)
