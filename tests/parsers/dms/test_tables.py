from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.events import PlainLoaders, ReplicaIdentity
from pglogical_cdc.parsers.dms.column_types import named_type
from pglogical_cdc.parsers.dms.metadata import TableName
from pglogical_cdc.parsers.dms.strict_json import Number
from pglogical_cdc.parsers.dms.table_definition import TableColumn, TableDefinition
from pglogical_cdc.parsers.dms.tables import Table, Tables

NAME = TableName("public", "t")
ONE = Number("1")
ID = TableColumn("id", named_type("INT32"), not_null=True, is_defined=True)
NOTE = TableColumn("note", named_type("STRING", 5), is_defined=True)


@pytest.fixture
def tables() -> Tables:
    return Tables(PlainLoaders(), {"public.t": ("id", "part")})


@pytest.fixture
def table() -> Table:
    return Tables(PlainLoaders(), {}).at(NAME)


def _types(table: Table) -> dict[str, str | None]:
    return {column.name: column.type_name for column in table.relation.columns}


def _see(table: Table, **image: Any) -> None:
    table.see([("data", image)])


def test_a_table_that_nothing_was_told_of(table: Table) -> None:
    relation = table.relation

    assert (relation.schema, relation.name, relation.columns) == ("public", "t", ())
    assert relation.key_columns is None


def test_columns_become_more_and_wider_but_never_less(table: Table) -> None:
    _see(table, id=ONE, a=None)
    assert _types(table) == {"id": "int8", "a": "text"}
    _see(table, id=ONE, a=True, b="x")
    assert _types(table) == {"id": "int8", "a": "bool", "b": "text"}
    _see(table, id=Number("1.5"))
    _see(table, id=ONE, a="x")
    assert _types(table) == {"id": "numeric", "a": "text", "b": "text"}


def test_the_same_relation_as_long_as_nothing_new_is_told(table: Table) -> None:
    definition = TableDefinition((ID, NOTE), ("id",))
    table.define(definition)
    table.see_key(("id",))
    first = table.relation

    _see(table, id=ONE, note="x")
    _see(table, note=None)
    table.see_key(("id",))
    table.define(TableDefinition((ID, NOTE), ("id",)))
    assert table.relation is first

    _see(table, more=ONE)
    assert table.relation is not first
    assert table.relation.oid == first.oid


def test_a_definition_tells_all(table: Table) -> None:
    _see(table, gone="x")
    table.define(TableDefinition((ID, NOTE), ("id",)))

    relation, catalog = table.relation, table.relation.catalog
    assert _types(table) == {"id": "int4", "note": "varchar"}
    assert [column.type_modifier for column in relation.columns] == [-1, 9]
    assert relation.key_columns == ("id",)
    assert relation.replica_identity is ReplicaIdentity.DEFAULT
    assert [column.is_identity for column in relation.columns] == [True, False]
    assert catalog is not None
    assert catalog.primary_key == ("id",)
    assert [column.not_null for column in catalog.columns] == [True, False]


def test_a_value_does_not_alter_what_was_defined(table: Table) -> None:
    table.define(TableDefinition((ID,), None))
    _see(table, id="x")

    assert _types(table) == {"id": "int4"}


def test_what_tells_the_key_first(tables: Tables) -> None:
    table = tables.at(NAME)

    def key() -> tuple[str, ...] | None:
        return table.relation.key_columns

    _see(table, id=ONE, a=ONE, b=ONE)
    assert key() is None  # there is no column part
    table.see_deleted(["id", "a", "b"])
    assert key() == ("id", "a", "b")
    table.see_deleted(["b", "id"])
    assert key() == ("id", "b")
    _see(table, part=ONE)
    assert key() == ("id", "part")
    table.define(TableDefinition((*table.columns, NOTE), ("b",)))
    assert key() == ("b",)
    table.see_key(("a",))
    assert key() == ("a",)
    table.see_key(("nowhere",))
    assert key() == ("b",)


def test_deleted_rows_with_nothing_in_common_tell_no_key(table: Table) -> None:
    _see(table, a=ONE, b=ONE)
    table.see_deleted(["a"])
    table.see_deleted(["b"])
    table.see_deleted(["a"])

    assert table.relation.key_columns is None
    assert table.relation.replica_identity is ReplicaIdentity.FULL
    assert all(column.is_identity for column in table.relation.columns)


def test_what_is_forgotten(table: Table) -> None:
    table.define(TableDefinition((ID, NOTE), ("id",)))
    table.see_key(("id",))
    table.forget()
    _see(table, id=ONE)

    assert _types(table) == {"id": "int8"}
    assert table.relation.key_columns is None


def test_a_dropped_table_is_another_one_if_it_comes_back(tables: Tables) -> None:
    table = tables.at(NAME)
    _see(table, id=ONE)
    first = table.relation

    last, empty = tables.drop(NAME)

    assert last is first
    assert (empty.oid, empty.name, empty.columns) == (first.oid, "t", ())
    assert tables.get(NAME) is None
    assert tables.at(NAME).relation.oid != first.oid


def test_to_drop_what_was_not_known(tables: Tables) -> None:
    last, empty = tables.drop(NAME)

    assert last.columns == empty.columns == ()
    assert tables.get(NAME) is None


def test_a_renamed_table(tables: Tables) -> None:
    other = TableName("public", "u")
    table = tables.at(other)
    _see(table, id=ONE, part=ONE)
    first = table.relation

    assert tables.rename(other, NAME) is table
    assert tables.get(other) is None
    assert tables.at(NAME) is table
    assert (table.relation.name, table.relation.oid) == ("t", first.oid)
    assert (first.key_columns, table.relation.key_columns) == (None, ("id", "part"))


def test_a_table_that_keeps_its_name(tables: Tables) -> None:
    relation = tables.at(NAME).relation

    assert tables.rename(NAME, NAME).relation is relation


def test_a_key_has_the_types_of_its_table() -> None:
    tables = Tables(PlainLoaders(), {})
    _see(tables.at(NAME), id=ONE, more=ONE)

    assert tables.key_values(NAME, {"id": ONE}) == {"id": "1"}
    assert tables.key_values(NAME, {"id": ONE, "new": True}) == {"id": "1", "new": "t"}
    assert tables.key_values(TableName("s", "u"), {"a": "x", "b": False}) == {"a": "x", "b": "f"}
    assert list(tables.at(NAME).relation.positions) == ["id", "more"]
    assert tables.get(TableName("s", "u")) is None


@pytest.mark.parametrize("value", [[1], {"sesame": 1}, Number("1e999999")])
def test_what_no_column_has_is_refused(table: Table, value: object) -> None:
    with pytest.raises(RecordFormatError, match=r"the value of a column as data\.a") as caught:
        _see(table, a=value)

    assert "sesame" not in str(caught.value)


def test_a_name_with_half_a_character_is_refused(table: Table) -> None:
    with pytest.raises(RecordFormatError, match="text as name of a member of data"):
        table.see([("data", {"\ud800": None})])
