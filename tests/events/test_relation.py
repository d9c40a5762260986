"""Tests of `pglogical_cdc.events.relation`."""

from __future__ import annotations

import attrs
import pytest

from pglogical_cdc.events.catalog import TableCatalog, UniqueIndex
from pglogical_cdc.events.relation import (
    Alteration,
    Column,
    Load,
    PlainLoaders,
    Relation,
    ReplicaIdentity,
)
from pglogical_cdc.protocol import BinaryValue


def _catalog(
    primary_key: tuple[str, ...] | None, *unique: tuple[str, tuple[str, ...]]
) -> TableCatalog:
    indexes = tuple(UniqueIndex(*index) for index in unique)
    return TableCatalog("d", 7, "s", "t", (), primary_key, indexes)


def _relation(
    *identity: str,
    names: tuple[str, ...] = ("a", "b", "c"),
    replica_identity: ReplicaIdentity = ReplicaIdentity.DEFAULT,
    catalog: TableCatalog | None = None,
) -> Relation:
    columns = tuple(Column(name, 23, -1, "int4", name in identity) for name in names)
    return Relation(7, "s", "t", columns, replica_identity, catalog=catalog)


def test_key_is_the_primary_key_in_the_order_of_the_index() -> None:
    relation = _relation("a", "b", catalog=_catalog(("b", "a"), ("u", ("c",))))
    assert relation.key_columns == ("b", "a")
    assert relation.key_positions == (1, 0)


def test_key_is_the_primary_key_under_every_replica_identity() -> None:
    for replica_identity in ReplicaIdentity:
        relation = _relation("c", replica_identity=replica_identity, catalog=_catalog(("a",)))
        assert relation.key_columns == ("a",)


def test_without_primary_key_the_first_unique_index_counts() -> None:
    catalog = _catalog(None, ("u1", ("c", "a")), ("u2", ("b",)))
    assert _relation(catalog=catalog).key_columns == ("c", "a")


def test_unique_indexes_that_identify_no_row_do_not_count() -> None:
    catalog = attrs.evolve(
        _catalog(None),
        unique_indexes=(
            UniqueIndex("z", ("a",)),
            UniqueIndex("b", ("b",), identifies=False),
            UniqueIndex("c", ("c",)),
        ),
    )
    # The first is the one that the table is clustered by.
    assert _relation(catalog=catalog).key_columns == ("c",)


def test_without_catalog_the_replica_identity_counts() -> None:
    assert _relation("c", "a").key_columns == ("a", "c")
    index = ReplicaIdentity.INDEX
    assert _relation("b", replica_identity=index).key_columns == ("b",)
    full = _relation("a", "b", "c", replica_identity=ReplicaIdentity.FULL)
    assert full.key_columns is None
    assert full.key_positions is None
    assert _relation(replica_identity=ReplicaIdentity.NOTHING).key_columns is None


def test_catalog_of_a_later_version_that_does_not_fit() -> None:
    assert _relation("a", catalog=_catalog(("renamed",))).key_columns == ("a",)
    catalog = _catalog(("renamed",), ("u", ("also_new",)), ("v", ("b",)))
    assert _relation("a", catalog=catalog).key_columns == ("b",)


def test_names_and_positions() -> None:
    assert _relation(names=("x", "y")).positions == {"x": 0, "y": 1}


def test_shape() -> None:
    relation = _relation("a")
    assert relation.has_shape_of(_relation("a", catalog=_catalog(("a",))))
    assert not relation.has_shape_of(_relation("b"))
    assert not relation.has_shape_of(_relation("a", names=("a", "b")))
    assert not relation.has_shape_of(_relation("a", names=("a", "c", "b")))
    assert not relation.has_shape_of(_relation("a", replica_identity=ReplicaIdentity.INDEX))
    other = Relation(7, "s", "renamed", relation.columns, ReplicaIdentity.DEFAULT)
    assert not relation.has_shape_of(other)


def test_a_version_is_itself_only() -> None:
    assert _relation() != _relation()


def test_plain_loaders() -> None:
    relation = _relation()
    assert relation.to_python(0, "é".encode()) == "é"
    assert relation.to_python(0, b"\xff") == b"\xff"
    binary = relation.to_python(0, BinaryValue(b"1"))
    assert binary == b"1"
    assert type(binary) is bytes


class _Asked(PlainLoaders):
    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    def load(self, relation: Relation, column: Column, *, binary: bool) -> Load:
        self.asked.append((column.name, binary))
        return super().load(relation, column, binary=binary)


def test_loaders_are_asked_once_for_a_column_and_a_form() -> None:
    loaders = _Asked()
    columns = tuple(Column(name, 23, -1, "int4", False) for name in "ab")
    relation = Relation(7, "s", "t", columns, ReplicaIdentity.DEFAULT, loaders=loaders)
    for _ in "123":
        relation.to_python(1, b"1")
        relation.to_python(1, BinaryValue(b"1"))
    assert loaders.asked == [("b", False), ("b", True)]
    relation.to_python(0, b"1")
    assert loaders.asked[2:] == [("a", False)]


@pytest.mark.parametrize(("code", "name"), [("d", "DEFAULT"), ("n", "NOTHING"), ("f", "FULL")])
def test_replica_identity_by_its_code(code: str, name: str) -> None:
    assert ReplicaIdentity(code).name == name


def test_a_version_that_a_transform_made() -> None:
    sent = _relation("a", catalog=_catalog(("b",)))
    assert sent.base is None
    made = attrs.evolve(sent, columns=sent.columns[1:], base=sent)
    assert made.base is sent
    assert (made.positions, made.key_columns) == ({"b": 0, "c": 1}, ("b",))
    assert made.catalog is sent.catalog
    # The repr does not tell all of both.
    assert ", base=" not in repr(made)


def test_an_alteration_makes_a_column_another() -> None:
    column = Column("a", 25, -1, "text", is_identity=False)
    assert column.alteration is None
    masked = attrs.evolve(column, alteration=Alteration((("masked", "true"),), None))
    assert masked != column
    plain, other = (
        Relation(7, "s", "t", (each,), ReplicaIdentity.DEFAULT) for each in (column, masked)
    )
    assert not plain.has_shape_of(other)
