from __future__ import annotations

import attrs

from pglogical_cdc.events import Insert, Relation, Row, RowChange, SchemaChange, SnapshotRead
from pglogical_cdc.formatters.dms.control import Control, Controls
from pglogical_cdc.formatters.dms.layout import LAYOUTS
from pglogical_cdc.formatters.dms.table import Table, TableOptions, Tables
from pglogical_cdc.formatters.dms.values import ValueOptions
from tests.feed import Feed
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


class Story:
    """Tells one version of a table after the other, each by a change of its own."""

    def __init__(self, *, create: bool = False, alter: bool = True) -> None:
        self.controls = Controls(create=create, alter=alter)
        self.feed = Feed()

    def change(self, version: Relation) -> RowChange:
        transaction = self.feed.begin()
        self.feed.commit()
        return Insert(1, transaction, 1, version, Row(version, [None] * len(version.columns)))

    def tell(self, version: Relation, *, lobs: bool = True) -> list[Control]:
        return self.controls.describe(described(version, lobs=lobs), None, self.change(version))

    def alter(self, version: Relation, previous: Relation) -> list[Control]:
        row = self.change(version)
        change = SchemaChange(1, row.transaction, 1, version, previous)
        return self.controls.describe(described(version), described(previous), change)


def names(found: list[Control]) -> list[tuple[str, str]]:
    return [(operation, name) for operation, _, name, _ in found]


def test_a_table_is_created_at_first_sight_if_that_is_wanted() -> None:
    expected = [("create-table", "public", "t", {"table-def": DEFINITION})]
    story = Story(create=True, alter=False)
    assert story.tell(table()) == expected
    assert story.tell(table()) == []
    assert story.tell(table(NAME)) == []
    assert Story().tell(table()) == []
    silent = Story(alter=False)
    assert silent.tell(table()) == silent.tell(table(NAME)) == []


def test_the_bodies_of_alterations() -> None:
    story = Story(create=True)
    story.tell(table(NAME))
    found = story.tell(table(name="u"))
    assert found == [
        (
            "rename-table",
            "public",
            "u",
            {"table-def": DEFINITION, "old-schema-name": "public", "old-table-name": "t"},
        ),
        ("drop-column", "public", "u", {"table-def": DEFINITION, "column-name": "name"}),
    ]
    ((operation, _, _, body),) = story.tell(table(NAME, name="u"))
    assert operation == "add-column"
    assert body["column-name"] == "name"


def test_a_rename_of_a_column_names_both() -> None:
    story = Story()
    story.tell(table(NAME))
    renamed = relation(ID, column("title", "varchar", 44), primary_key=["id"])
    ((operation, _, _, body),) = story.tell(renamed)
    assert operation == "rename-column"
    assert (body["old-column-name"], body["column-name"]) == ("name", "title")


def test_the_stream_tells_the_version_before_where_nothing_was_told_yet() -> None:
    assert names(Story().alter(table(NAME), table())) == [("add-column", "t")]
    assert names(Story().alter(table(), table(NAME))) == [("drop-column", "t")]
    # Where the table is told as a whole, its history is not.
    assert names(Story(create=True).alter(table(NAME), table())) == [("create-table", "t")]


def test_a_table_whose_name_another_takes_is_gone() -> None:
    story = Story()
    story.tell(table(oid=1))
    assert names(story.tell(table(oid=2))) == [("drop-table", "t"), ("create-table", "t")]


def test_two_tables_that_swap_their_names() -> None:
    story = Story()
    old, new = table(oid=1), table(oid=2, name="t_new")
    story.tell(old)
    story.tell(new)
    # What was dropped for consumers is new to them under its other name, not renamed.
    assert names(story.alter(table(oid=2), new)) == [("drop-table", "t"), ("rename-table", "t")]
    assert names(story.alter(table(oid=1, name="t_old"), old)) == [("create-table", "t_old")]
    assert names(story.tell(table(NAME, oid=1, name="t_old"))) == [("add-column", "t_old")]


def test_a_name_that_is_free_again_is_nobody_s_loss() -> None:
    story = Story()
    story.tell(table(oid=1))
    story.tell(table(oid=1, name="old"))
    assert story.tell(table(oid=2)) == []


def test_a_table_of_another_database_is_another_table() -> None:
    story = Story()
    story.tell(table())
    assert story.tell(attrs.evolve(table(NAME), database="elsewhere")) == []
    assert story.tell(attrs.evolve(table(oid=9), database="elsewhere")) != []


def test_columns_that_are_not_shown_are_not_told_of() -> None:
    body = column("body", "text")
    story = Story()
    story.tell(relation(ID), lobs=False)
    assert story.tell(relation(ID, body), lobs=False) == []
    assert story.tell(relation(ID), lobs=False) == []
    story.tell(relation(ID, body), lobs=False)
    # A primary key lets its LOBs appear.
    keyed = relation(ID, body, primary_key=["id"])
    assert names(story.tell(keyed, lobs=False)) == [("add-column", "t")]


def test_what_comes_again_is_told_again_by_the_change_that_told_it() -> None:
    story = Story()
    story.tell(table())
    older, bringing = story.change(table()), story.change(table(NAME))
    told = story.controls.describe(described(table(NAME)), None, bringing)
    assert names(told) == [("add-column", "t")]
    # A new reader makes new versions; the old one comes first, as it was.
    assert story.controls.describe(described(table()), None, older) == []
    again = attrs.evolve(bringing, relation=table(NAME))
    assert story.controls.describe(described(table(NAME)), None, again) == told
    # The row after it, at the same place, has nothing to tell.
    schema = SchemaChange(1, bringing.transaction, 1, table(NAME), table())
    assert story.controls.describe(described(table(NAME)), None, schema) == []


def test_of_two_alterations_that_come_again_both_are_told_again() -> None:
    story = Story(create=True)
    versions = [table(), table(NAME), table(NAME, name="u"), table(NAME, name="u")]
    changes = [story.change(version) for version in versions]
    told = [
        story.controls.describe(described(version), None, change)
        for version, change in zip(versions, changes, strict=True)
    ]
    assert [names(each) for each in told] == [
        [("create-table", "t")],
        [("add-column", "t")],
        [("rename-table", "u")],
        [],  # described anew, as it was
    ]
    again = [
        story.controls.describe(described(version), None, attrs.evolve(change, relation=version))
        for version, change in zip(versions, changes, strict=True)
    ]
    assert again == told
    assert names(story.tell(table(name="u"))) == [("drop-column", "u")]


def test_rows_of_a_snapshot_have_one_place_and_tell_but_once() -> None:
    controls = Controls(create=True, alter=True)
    for expected in (1, 0, 0):
        version = table()
        read = SnapshotRead(5, None, 0, version, Row(version, [b"1"]))
        assert len(controls.describe(described(version), None, read)) == expected
