from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Relation, ReplicaIdentity
from pglogical_cdc.formatters.dms.column_type import ColumnType
from pglogical_cdc.formatters.dms.layout import LAYOUTS
from pglogical_cdc.formatters.dms.settings import BeforeImage, BeforeImageColumns
from pglogical_cdc.formatters.dms.table import Table, TableOptions, Tables, primary_key
from pglogical_cdc.formatters.dms.values import ValueOptions
from pglogical_cdc.protocol import BinaryValue
from tests.formatters.debezium.columns import tables
from tests.formatters.tables import column, relation

WIDE = relation(
    column("id", "int4", identity=True),
    column("name", "varchar", 44),
    column("body", "text"),
    primary_key=["id"],
    not_null=["id"],
)
ROW = [b"1", b"Ada", b"long"]


def describe(table: Relation, **options: Any) -> Table:
    given: dict[str, Any] = {
        "topic": "topic",
        "values": ValueOptions(),
        "nulls": False,
        "lobs_without_primary_key": True,
        "before_image": None,
        **options,
    }
    return Tables(TableOptions(**given), LAYOUTS["json-unformatted"]).describe(table)


def test_the_members_of_a_row() -> None:
    assert describe(WIDE).data.of(ROW) == ['"id":1', '"name":"Ada"', '"body":"long"']


@pytest.mark.parametrize("null_for_absent", [False, True])
@pytest.mark.parametrize("absent", [UNCHANGED, NOT_SENT])
def test_what_was_not_sent_is_null_only_if_told(absent: Any, null_for_absent: bool) -> None:
    raw = [b"1", None, absent]
    assert describe(WIDE).data.of(raw, null_for_absent=null_for_absent) == ['"id":1']
    expected = ['"id":1', '"name":null', *(['"body":null'] if null_for_absent else [])]
    assert describe(WIDE, nulls=True).data.of(raw, null_for_absent=null_for_absent) == expected


def test_a_binary_value_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"public\.t .* binary=False"):
        describe(WIDE).data.of([BinaryValue(b"\0\0\0\1"), None, None])


@pytest.mark.parametrize(
    ("column_filter", "names"),
    [("pk-only", ["id"]), ("non-lob", ["id", "name"]), ("all", ["id", "name", "body"])],
)
def test_the_columns_of_a_before_image(column_filter: Any, names: list[str]) -> None:
    table = describe(WIDE, before_image=BeforeImage("old", column_filter))
    assert table.before is not None
    found = [member.partition(":")[0] for member in table.before.of(ROW)]
    assert found == [f'"{name}"' for name in names]
    assert [name for name, _, _ in table.types] == ["id", "name", "body"]


def test_before_images_as_columns_are_columns_of_the_table() -> None:
    table = describe(WIDE, before_image=BeforeImageColumns("", "_old", "non-lob"))
    assert table.before is not None
    assert table.before.of(ROW) == ['"id_old":1', '"name_old":"Ada"']
    assert table.types == [
        ("id", ColumnType("INT32"), False),
        ("name", ColumnType("STRING", 40), True),
        ("body", ColumnType("STRING", is_lob=True), True),
        ("id_old", ColumnType("INT32"), True),
        ("name_old", ColumnType("STRING", 40), True),
    ]


def test_lobs_can_be_left_out_of_tables_without_primary_key() -> None:
    bare = relation(*WIDE.columns, unique=["id"], not_null=["id"])
    table = describe(bare, lobs_without_primary_key=False, before_image=BeforeImage("b", "all"))
    assert table.data.of(ROW) == ['"id":1', '"name":"Ada"']
    assert table.before is not None
    assert table.before.of(ROW) == ['"id":1', '"name":"Ada"']
    assert [name for name, _, _ in table.types] == ["id", "name"]
    assert table.primary_key == ()
    kept = describe(WIDE, lobs_without_primary_key=False)
    assert len(kept.data.of(ROW)) == 3


def test_the_primary_key() -> None:
    assert primary_key(WIDE) == ("id",)
    assert primary_key(relation(*WIDE.columns, unique=["id"], not_null=["id"])) == ()
    assert primary_key(relation(*WIDE.columns, with_catalog=False)) == ("id",)
    by_index = relation(*WIDE.columns, with_catalog=False, identity=ReplicaIdentity.INDEX)
    assert primary_key(by_index) == ()
    assert primary_key(relation(column("a"), with_catalog=False)) == ()


def test_topic_and_names() -> None:
    table = describe(
        relation(column("a"), schema='s"', name="t"), topic=lambda schema, name: f"{schema}/{name}"
    )
    assert table.topic == 's"/t'
    assert table.schema_table == 's".t'
    assert table.name == '"schema-name":"s\\"","table-name":"t"'


@pytest.mark.parametrize("nulls", [False, True])
@given(st.data())
def test_compiled_members_are_those_of_the_plain_way(nulls: bool, data: st.DataObject) -> None:
    drawn = data.draw(tables())
    found = describe(drawn.relation, nulls=nulls).data
    for values in (drawn.rows, drawn.texts):
        raw = data.draw(values)
        for write, deleted in ((found.write, False), (found.write_deleted, True)):
            members = ",".join(found.of(raw, null_for_absent=deleted))
            assert write(raw, "<", ">").decode() == f"<{members}>"
            assert write(raw, "<", ",>").decode() == (f"<{members},>" if members else "<>")
