from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Delete, Insert, Relation, Row, RowChange, SnapshotRead, Update
from pglogical_cdc.formatters.dms.layout import LAYOUTS
from pglogical_cdc.formatters.dms.partition import PartitionKeys
from pglogical_cdc.formatters.dms.table import Table, TableOptions, Tables
from pglogical_cdc.formatters.dms.values import ValueOptions
from pglogical_cdc.protocol import BinaryValue
from tests.feed import Feed
from tests.formatters.tables import column, relation

TABLE = relation(
    column("a", identity=True), column("b", identity=True), column("v"), primary_key=["b", "a"]
)


def keys(kind: Any = "primary-key", **options: Any) -> PartitionKeys:
    given: dict[str, Any] = {
        "name": None,
        "value": None,
        "include_schema_table": False,
        "separator": ".",
        **options,
    }
    return PartitionKeys(kind, **given)


def described(table: Relation = TABLE) -> Table:
    options = TableOptions("t", ValueOptions(), False, True, None)
    return Tables(options, LAYOUTS["json"]).describe(table)


def insert(*raw: Any) -> RowChange:
    return Insert(1, Feed().begin(xid=77), 1, TABLE, Row(TABLE, raw))


def test_a_composite_primary_key_is_joined_in_its_own_order() -> None:
    change = insert(b"x", b"y", b"z")
    assert keys().of(described(), change) == ("primary-key", "y.x")
    assert keys(separator="|").of(described(), change) == ("primary-key", "y|x")
    whole = keys(include_schema_table=True)
    assert whole.of(described(), change) == ("primary-key", "public.t.y.x")


def test_the_kinds() -> None:
    change = insert(b"x", b"y", b"z")
    assert keys("schema-table").of(described(), change) == ("schema-table", "public.t")
    assert keys("transaction-id").of(described(), change) == ("transaction-id", "77")
    assert keys("constant", value="one").of(described(), change) == ("constant", "one")
    assert keys("attribute-name", name="v").of(described(), change) == ("attribute-name", "z")


def test_an_attribute_of_a_deleted_row_is_that_of_the_old_row() -> None:
    change = Delete(1, Feed().begin(), 1, TABLE, Row(TABLE, [b"x", b"y", b"old"]))
    assert keys("attribute-name", name="v").of(described(), change) == ("attribute-name", "old")


@pytest.mark.parametrize("name", ["v", "nowhere"])
def test_without_the_attribute_the_key_is_the_table(name: str) -> None:
    found = keys("attribute-name", name=name).of(described(), insert(b"x", b"y", None))
    assert found == ("schema-table", "public.t")


def test_a_load_has_the_primary_key_unless_another_is_told() -> None:
    row = Row(TABLE, [b"x", b"y", b"z"])
    load = SnapshotRead(1, None, 0, TABLE, row)
    assert keys("schema-table").of(described(), load) == ("primary-key", "y.x")
    assert keys("transaction-id").of(described(), load) == ("primary-key", "y.x")
    assert keys("constant", value="one").of(described(), load) == ("constant", "one")
    assert keys("attribute-name", name="v").of(described(), load) == ("attribute-name", "z")


def test_a_part_that_the_new_row_lacks_comes_from_the_old_one() -> None:
    old, new = Row(TABLE, [b"x", b"y", None]), Row(TABLE, [None, b"y", b"z"])
    change = Update(1, Feed().begin(), 1, TABLE, old, new)
    assert keys().of(described(), change) == ("primary-key", "y.x")


def test_a_binary_value_is_refused() -> None:
    change = insert(BinaryValue(b"x"), b"y", None)
    for kind, options in (("primary-key", {}), ("attribute-name", {"name": "a"})):
        with pytest.raises(ConfigurationError, match="binary=False"):
            keys(kind, **options).of(described(), change)


@pytest.mark.parametrize(
    ("raw", "separator", "expected"),
    [
        ((b"x", b"y", None), ".", "y.x"),
        ((b"x.z", b"y", None), ".", None),
        ((b"x", b"y", None), "", None),
        ((b"-x", b"y", None), "--", None),
        ((b"x", b"y-", None), "--", None),
        ((b"x.z", b"y", None), "--", "y--x.z"),
    ],
)
def test_a_row_s_key_is_ambiguous_where_parts_could_be_cut_otherwise(
    raw: Any, separator: str, expected: str | None
) -> None:
    assert keys(separator=separator).of_row(TABLE, raw) == expected


def test_a_table_s_name_can_be_ambiguous_too() -> None:
    dotted = relation(column("a", identity=True), name="t.u", primary_key=["a"])
    assert keys(include_schema_table=True).of_row(dotted, [b"x"]) is None
    assert keys().of_row(dotted, [b"x"]) == "x"


def test_a_unique_index_is_no_primary_key() -> None:
    unique = relation(column("a", identity=True), unique=["a"], not_null=["a"])
    load = SnapshotRead(1, None, 0, unique, Row(unique, [b"x"]))
    assert unique.key_columns == ("a",)
    assert keys().of(described(unique), load) == ("schema-table", "public.t")
    assert keys().of_row(unique, [b"x"]) is None


@pytest.mark.parametrize(
    ("kind", "options", "topic_of_table", "expected"),
    [
        ("primary-key", {}, False, False),
        ("primary-key", {}, True, True),
        ("primary-key", {"include_schema_table": True}, False, True),
        ("schema-table", {"include_schema_table": True}, True, False),
        ("constant", {"value": "x"}, True, False),
        ("attribute-name", {"name": "a"}, True, False),
    ],
)
def test_which_keys_identify_rows(
    kind: str, options: dict[str, Any], topic_of_table: bool, expected: bool
) -> None:
    found = keys(kind, **options).identifies_rows(topic_of_table=topic_of_table)
    assert found is expected


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("constant", {}, "partition_key_value"),
        ("constant", {"value": ""}, "partition_key_value"),
        ("constant", {"value": "x", "name": "a"}, "partition_key_name"),
        ("attribute-name", {}, "partition_key_name"),
        ("attribute-name", {"name": "a", "value": "x"}, "partition_key_value"),
        ("primary-key", {"name": "a"}, "partition_key_name"),
    ],
)
def test_a_kind_has_what_it_needs_and_nothing_else(
    kind: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        keys(kind, **options)


@pytest.mark.parametrize(
    ("kind", "options", "raw", "expected"),
    [
        ("primary-key", {}, (b"x", b"y", b"z"), b"y.x"),
        ("primary-key", {"include_schema_table": True}, (b"x", b"y", b"z"), b"public.t.y.x"),
        ("primary-key", {}, (None, b"y", b"z"), None),
        ("primary-key", {}, (b"\xff", b"y", b"z"), None),
        ("primary-key", {}, (BinaryValue(b"x"), b"y", b"z"), None),
        ("attribute-name", {"name": "v"}, (b"x", b"y", b"z"), b"z"),
        ("attribute-name", {"name": "v"}, (b"x", b"y", None), None),
        ("attribute-name", {"name": "v"}, (b"x", b"y", BinaryValue(b"z")), None),
    ],
)
def test_most_keys_are_made_of_the_row_s_own_bytes(
    kind: Any, options: dict[str, Any], raw: Any, expected: bytes | None
) -> None:
    made, change = keys(kind, **options), insert(*raw)
    found = made.of_rows(described(), change)
    assert found is not None
    assert found[0] == kind
    assert found[1](Row(TABLE, raw)) == expected
    if expected is not None:
        assert made.of(described(), change) == (kind, expected.decode())


@pytest.mark.parametrize(
    ("kind", "options", "reads"),
    [
        ("schema-table", {}, True),
        ("transaction-id", {}, True),
        ("constant", {"value": "x"}, False),
        ("attribute-name", {"name": "nowhere"}, False),
    ],
)
def test_keys_that_all_rows_of_a_transaction_share(
    kind: Any, options: dict[str, Any], reads: bool
) -> None:
    read = SnapshotRead(1, None, 0, TABLE, Row(TABLE, [b"x", b"y", b"z"]))
    made = keys(kind, **options)
    assert made.of_rows(described(), insert(b"x", b"y", b"z")) is None
    assert (made.of_rows(described(), read) is not None) is reads
    assert made.name_transactions is (kind == "transaction-id")
