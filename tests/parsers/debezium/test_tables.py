from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.events import AlteredRow, PlainLoaders, ReplicaIdentity
from pglogical_cdc.parsers.debezium.connect_values import PostgresType, postgres_type
from pglogical_cdc.parsers.debezium.placeholder import Placeholder
from pglogical_cdc.parsers.debezium.shapes import Described
from pglogical_cdc.parsers.debezium.tables import TableName, Tables

NAME = TableName("dbz", "shop", "public", "t")
ID = Described("id", PostgresType("int4", (int,), str), not_null=True)
NOTE = Described("note", PostgresType("text", (str,), str), default="it's")
SHAPE = (ID, NOTE)
KEY = (ID,)


@pytest.fixture
def tables() -> Tables:
    return Tables(PlainLoaders(), Placeholder(b"gone"))


def test_a_relation_says_what_the_shape_says(tables: Tables) -> None:
    relation = tables.table(NAME, SHAPE, KEY).relation

    assert (relation.database, relation.schema, relation.name) == ("shop", "public", "t")
    assert [(column.name, column.type_name) for column in relation.columns] == [
        ("id", "int4"),
        ("note", "text"),
    ]
    assert relation.key_columns == ("id",)
    assert relation.replica_identity is ReplicaIdentity.DEFAULT
    assert relation.catalog is not None
    assert [column.default for column in relation.catalog.columns] == [None, "'it''s'::text"]
    assert [column.not_null for column in relation.catalog.columns] == [True, False]


def test_the_same_shapes_give_the_same_table(tables: Tables) -> None:
    first = tables.table(NAME, SHAPE, KEY)

    assert tables.table(NAME, SHAPE, KEY) is first
    assert tables.known(NAME) is first
    other = tables.table(NAME, (ID,), KEY)
    assert other is not first
    assert other.relation.oid == first.relation.oid
    assert tables.table(TableName("dbz", "shop", "public", "u"), SHAPE, KEY).relation.oid != (
        first.relation.oid
    )


def test_without_a_key_nothing_but_the_whole_row_identifies_it(tables: Tables) -> None:
    relation = tables.table(NAME, SHAPE, None).relation

    assert relation.key_columns is None
    assert relation.replica_identity is ReplicaIdentity.FULL
    assert all(column.is_identity for column in relation.columns)


def test_values_become_their_text(tables: Tables) -> None:
    payload = {"id": 5, "note": None}

    assert tables.raw("after", SHAPE, payload, UNCHANGED) == [b"5", None]
    assert tables.raw("after", SHAPE, {"id": 5}, UNCHANGED) == [b"5", UNCHANGED]
    assert tables.raw("before", SHAPE, {"id": 5}, NOT_SENT) == [b"5", NOT_SENT]


def test_the_placeholder_is_one_only_in_what_an_update_leaves(tables: Tables) -> None:
    payload = {"id": 5, "note": "gone"}

    assert tables.raw("after", SHAPE, payload, UNCHANGED)[1] is UNCHANGED
    assert tables.raw("before", SHAPE, payload, NOT_SENT)[1] == b"gone"
    assert tables.raw("key", SHAPE, payload, NOT_SENT)[1] == b"gone"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "bytes"}, 5),
        ({"type": "int32"}, "sesame"),
        ({"type": "int32"}, True),
        ({"type": "int32"}, 1.5),
        ({"type": "boolean"}, "false"),
        ({"type": "string"}, {"sesame": 1}),
        ({"type": "string"}, "\ud800"),
        ({"type": "double"}, [1]),
        ({"type": "double"}, "sesame"),
        ({"type": "map"}, "sesame"),
        ({"type": "array", "items": {"type": "int32"}}, [1, "sesame"]),
        ({"type": "int32", "name": "io.debezium.time.Date"}, True),
        (
            {"type": "struct", "name": "io.debezium.data.VariableScaleDecimal"},
            {"scale": 999_999_999_999, "value": "AQ=="},
        ),
        ({"type": "struct", "name": "io.debezium.data.geometry.Point"}, {"x": "sesame", "y": 1}),
        ({"type": "bytes"}, "sesame!"),
        ({"type": "int32", "name": "io.debezium.time.Date"}, "sesame"),
        ({"type": "int64", "name": "io.debezium.time.MicroTimestamp"}, [1]),
        ({"type": "struct", "name": "io.debezium.data.VariableScaleDecimal"}, {"scale": 1}),
        ({"type": "array", "items": {"type": "string"}}, 5),
        ({"type": "string", "name": "io.debezium.time.Interval"}, "sesame"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_refused(
    tables: Tables, schema: dict[str, Any], value: Any
) -> None:
    shape = (Described("note", postgres_type(schema)),)

    with pytest.raises(RecordFormatError, match=r"in after\.note") as caught:
        tables.raw("after", shape, {"note": value}, UNCHANGED)

    assert "sesame" not in str(caught.value)


def test_arrays_of_any_depth_are_refused_in_the_same_way(tables: Tables) -> None:
    value: Any = 1
    for _ in range(2000):
        value = [value]
    shape = (Described("a", postgres_type({"type": "array", "items": {"type": "int32"}})),)

    with pytest.raises(RecordFormatError, match=r"in after\.a"):
        tables.raw("after", shape, {"a": value}, UNCHANGED)


def test_a_row_whose_key_is_as_the_record_has_it(tables: Tables) -> None:
    table = tables.table(NAME, SHAPE, KEY)

    row = table.row([b"5", b"a"], [b"5"])

    assert row.base is row
    assert row.relation is table.relation


def test_a_row_without_the_columns_of_its_key(tables: Tables) -> None:
    table = tables.table(NAME, (NOTE,), KEY)

    row = table.row([b"a"], [b"5"])

    assert isinstance(row, AlteredRow)
    assert list(row) == ["note"]
    assert dict(row.base) == {"note": "a", "id": "5"}


def test_a_row_whose_key_was_altered(tables: Tables) -> None:
    hidden = Described("id", PostgresType("text", (str,), str))
    table = tables.table(NAME, (hidden, NOTE), KEY)

    row = table.row([b"***", b"a"], [b"5"])

    assert (row["id"], row.base["id"]) == ("***", "5")
    assert row.base.relation.columns[0].type_name == "int4"
    assert row.relation.base is row.base.relation


def test_a_key_of_no_table(tables: Tables) -> None:
    assert dict(tables.key_row(KEY, [b"5"])) == {"id": "5"}
