from __future__ import annotations

import pytest

from pglogical_cdc.events import CatalogType
from pglogical_cdc.formatters.dms.column_type import ColumnType, column_type
from tests.formatters.tables import column, relation


def numeric(precision: int, scale: int) -> int:
    return (precision << 16 | scale & 0x7FF) + 4


@pytest.mark.parametrize(
    ("name", "modifier", "expected"),
    [
        ("int8", -1, ColumnType("INT64")),
        ("varchar", 5, ColumnType("STRING", 1)),
        ("varchar", -1, ColumnType("STRING", 8000)),
        ("bpchar", 7, ColumnType("STRING", 3)),
        ("bpchar", -1, ColumnType("STRING", is_lob=True)),
        ("bit", 3, ColumnType("STRING", 3)),
        ("varbit", -1, ColumnType("STRING", is_lob=True)),
        ("numeric", -1, ColumnType("NUMERIC", precision=28, scale=6)),
        ("numeric", numeric(38, 10), ColumnType("NUMERIC", precision=38, scale=10)),
        ("numeric", numeric(5, -2), ColumnType("NUMERIC", precision=5, scale=-2)),
        ("numeric", numeric(39, 0), ColumnType("STRING", 41)),
        ("money", -1, ColumnType("NUMERIC", precision=38, scale=4)),
        ("uuid", -1, ColumnType("STRING", 36)),
        ("interval", -1, ColumnType("STRING", 128)),
        ("int4range", -1, ColumnType("STRING", 255)),
        ("int4multirange", -1, ColumnType("STRING", is_lob=True)),
        ("bytea", -1, ColumnType("BYTES", is_lob=True)),
        ("xml", -1, ColumnType("STRING", is_lob=True)),
        ("tsvector", -1, ColumnType("STRING", is_lob=True)),
        ("path", -1, ColumnType("STRING", is_lob=True)),
        ("point", -1, ColumnType("STRING", 255)),
        ("_int4", -1, ColumnType("STRING", is_lob=True)),
    ],
)
def test_built_in_types(name: str, modifier: int, expected: ColumnType) -> None:
    table = relation(column("c", name, modifier))
    assert column_type(table, table.columns[0]) == expected


def test_a_boolean_that_is_a_string() -> None:
    table = relation(column("c", "bool"))
    assert column_type(table, table.columns[0]) == ColumnType("BOOL")
    assert column_type(table, table.columns[0], boolean=False) == ColumnType("STRING", 5)


def test_types_of_the_users() -> None:
    types = [
        CatalogType(70001, "public", "mood", "e", labels=("sad",)),
        CatalogType(70002, "public", "span", "r", subtype_oid=701),
        CatalogType(70003, "public", "pair", "c", fields=(("a", 23),)),
        CatalogType(70004, "public", "price", "d", base_oid=1700, base_modifier=numeric(9, 2)),
    ]
    table = relation(*(column(each.name, each.name, oid=each.oid) for each in types), types=types)
    assert [column_type(table, each) for each in table.columns] == [
        ColumnType("STRING", 64),
        ColumnType("STRING", 255),
        ColumnType("STRING", is_lob=True),
        ColumnType("NUMERIC", precision=9, scale=2),
    ]


def test_a_type_that_nobody_knows_is_a_lob() -> None:
    table = relation(column("c", "mystery", oid=99999), with_catalog=False)
    assert column_type(table, table.columns[0]) == ColumnType("STRING", is_lob=True)
