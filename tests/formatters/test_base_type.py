from __future__ import annotations

from pglogical_cdc.events import CatalogType, Column, Relation, ReplicaIdentity, TableCatalog
from pglogical_cdc.formatters.base_type import base_type

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


def test_another_type_has_no_name() -> None:
    assert base_type(relation(MOOD), column(90003, name="mood")) == (None, -1)


def test_without_a_catalog_the_type_message_tells() -> None:
    bare = Relation(1, "public", "t", (), ReplicaIdentity.DEFAULT)
    assert base_type(bare, column(90001, name="numeric")) == ("numeric", -1)
    assert base_type(bare, column(90001)) == (None, -1)
