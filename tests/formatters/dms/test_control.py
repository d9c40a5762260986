from __future__ import annotations

from pglogical_cdc.events import Relation
from pglogical_cdc.formatters.dms.control import Controls
from pglogical_cdc.formatters.dms.layout import LAYOUTS
from pglogical_cdc.formatters.dms.table import Table, TableOptions, Tables
from pglogical_cdc.formatters.dms.values import ValueOptions
from tests.formatters.tables import column, relation

ID = column("id", "int4", identity=True)
NAME = column("name", "varchar", 44)
DEFINITION = {"columns": {"id": {"type": "INT32", "nullable": True}}, "primary-key": ["id"]}


def described(table: Relation, *, lobs: bool = True) -> Table:
    options = TableOptions("t", ValueOptions(), False, lobs, None)
    return Tables(options, LAYOUTS["json"]).describe(table)


def table(*columns: object, oid: int = 1, name: str = "t") -> Relation:
    chosen = [ID, *(each for each in columns if each is NAME)]
    return relation(*chosen, oid=oid, name=name, primary_key=["id"])


def test_a_table_is_created_at_first_sight_if_that_is_wanted() -> None:
    one = described(table())
    expected = [("create-table", "public", "t", {"table-def": DEFINITION})]
    controls = Controls(create=True, alter=False)
    assert controls.describe(one, None) == expected
    assert controls.describe(described(table()), None) == []
    assert Controls(create=False, alter=True).describe(one, None) == []
    assert Controls(create=False, alter=False).describe(one, None) == []


def test_the_bodies_of_alterations() -> None:
    controls = Controls(create=True, alter=True)
    controls.describe(described(table(NAME)), None)
    found = controls.describe(described(table(name="u")), None)
    assert found == [
        (
            "rename-table",
            "public",
            "u",
            {"table-def": DEFINITION, "old-schema-name": "public", "old-table-name": "t"},
        ),
        ("drop-column", "public", "u", {"table-def": DEFINITION, "column-name": "name"}),
    ]
    ((operation, _, _, body),) = controls.describe(described(table(NAME, name="u")), None)
    assert operation == "add-column"
    assert body["column-name"] == "name"


def test_a_rename_of_a_column_names_both() -> None:
    controls = Controls(create=False, alter=True)
    controls.describe(described(table(NAME)), None)
    renamed = relation(ID, column("title", "varchar", 44), primary_key=["id"])
    ((operation, _, _, body),) = controls.describe(described(renamed), None)
    assert operation == "rename-column"
    assert (body["old-column-name"], body["column-name"]) == ("name", "title")


def test_alterations_without_create_take_the_version_before_from_the_stream() -> None:
    before, after = table(), table(NAME)
    found = Controls(create=False, alter=True).describe(described(after), before)
    assert [operation for operation, *_ in found] == ["add-column"]
    # Where the table is told as a whole, its history is not.
    found = Controls(create=True, alter=True).describe(described(after), before)
    assert [operation for operation, *_ in found] == ["create-table"]


def test_a_table_whose_name_another_takes_is_gone() -> None:
    controls = Controls(create=False, alter=True)
    controls.describe(described(table(oid=1)), None)
    found = controls.describe(described(table(oid=2)), None)
    assert [(operation, name) for operation, _, name, _ in found] == [
        ("drop-table", "t"),
        ("create-table", "t"),
    ]
    # It was not dropped, but renamed: nothing is known of it any more.
    assert controls.describe(described(table(oid=1, name="old")), None) == []


def test_a_name_that_is_free_again_is_nobody_s_loss() -> None:
    controls = Controls(create=False, alter=True)
    controls.describe(described(table(oid=1)), None)
    controls.describe(described(table(oid=1, name="old")), None)
    assert controls.describe(described(table(oid=2)), None) == []


def test_columns_that_are_not_shown_are_not_told_of() -> None:
    body = column("body", "text")
    controls = Controls(create=False, alter=True)
    controls.describe(described(relation(ID), lobs=False), None)
    assert controls.describe(described(relation(ID, body), lobs=False), None) == []
    assert controls.describe(described(relation(ID), lobs=False), None) == []
