from __future__ import annotations

import pytest

from pglogical_cdc.events import CatalogType, Column
from pglogical_cdc.formatters.debezium.source_type import (
    length_and_scale,
    source_type_name,
    source_type_parameters,
)
from pglogical_cdc.formatters.wire.wire_type import WireType, resolve_type
from tests.formatters.debezium.test_scalar_rules import N10_2
from tests.formatters.tables import column, relation

UNBOUNDED = (2147483647, 0)


# What Debezium 3.6.3 wrote of such columns.
@pytest.mark.parametrize(
    ("name", "modifier", "expected"),
    [
        ("bool", -1, (1, 0)),
        ("char", -1, (1, 0)),
        ("int2", -1, (5, 0)),
        ("int4", -1, (10, 0)),
        ("int8", -1, (19, 0)),
        ("oid", -1, (10, 0)),
        ("float4", -1, (8, 8)),
        ("float8", -1, (17, 17)),
        ("date", -1, (13, 0)),
        ("numeric", -1, (131089, 0)),
        ("numeric", N10_2, (10, 2)),
        ("varchar", -1, UNBOUNDED),
        ("varchar", 14, (10, 0)),
        ("bpchar", 5, (1, 0)),
        ("text", -1, UNBOUNDED),
        ("bit", 8, (8, 0)),
        ("varbit", -1, UNBOUNDED),
        ("varbit", 20, (20, 0)),
        ("time", -1, (15, 6)),
        ("time", 0, (8, 0)),
        ("time", 1, (11, 1)),
        ("time", 3, (12, 3)),
        ("timetz", -1, (21, 6)),
        ("timestamp", -1, (29, 6)),
        ("timestamp", 0, (22, 0)),
        ("timestamp", 1, (25, 1)),
        ("timestamptz", -1, (35, 6)),
        ("timestamptz", 3, (32, 3)),
        ("interval", -1, (49, 6)),
        ("interval", 0x7FFF0003, (49, 3)),
        ("jsonb", -1, UNBOUNDED),
        ("uuid", -1, UNBOUNDED),
    ],
)
def test_length_and_scale(name: str, modifier: int, expected: tuple[int, int]) -> None:
    assert length_and_scale(WireType(name, modifier, "b")) == expected


def test_an_enum_has_none_whatever_its_name() -> None:
    assert length_and_scale(WireType("int4", -1, "e")) == UNBOUNDED
    assert length_and_scale(WireType(None, -1, "b")) == UNBOUNDED


def test_the_name_is_the_columns_own() -> None:
    price = CatalogType(16402, "public", "price", "d", base_oid=1700, base_modifier=N10_2)
    made = column("p", "numeric", oid=16402)
    catalog = relation(made, types=[price]).catalog
    assert source_type_name(made, catalog) == "price"
    # Without a catalog there is the name of the Type message, if any.
    assert source_type_name(made, None) == "numeric"
    assert source_type_name(column("a", "_int4"), None) == "_int4"
    assert source_type_name(Column("x", 16500, -1, None, False), None) == ""


def test_parameters() -> None:
    price = CatalogType(16402, "public", "price", "d", base_oid=1700, base_modifier=N10_2)
    made = column('p"', "numeric", oid=16402)
    catalog = relation(made, types=[price]).catalog
    assert source_type_parameters(made, catalog, resolve_type(made, catalog)) == (
        ("__debezium.source.column.type", "PRICE"),
        ("__debezium.source.column.length", "10"),
        ("__debezium.source.column.scale", "2"),
        ("__debezium.source.column.name", 'p"'),
    )
