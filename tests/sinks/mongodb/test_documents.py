from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from bson import Decimal128
from pymongo.database import Database

from pglogical_cdc import UNCHANGED
from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change, Tombstone
from pglogical_cdc.sinks.mongodb.bson_values import bson_value
from pglogical_cdc.sinks.mongodb.connection import Connection
from pglogical_cdc.sinks.mongodb.documents import Convert, Documents, Naming
from tests.formatters.tables import column
from tests.handlers.changes import PEOPLE, delete, insert, read, table, truncate, update

Mongo = Database[dict[str, Any]]


def documents(
    mongo: Mongo,
    naming: Naming = lambda schema, table: table,
    convert: Convert = bson_value,
) -> Documents:
    return Documents(Connection(mongo.client, mongo.name, None).database, naming, convert)


def handled(mongo: Mongo, *events: Change | Tombstone) -> list[dict[str, Any]]:
    made = documents(mongo)
    for event in events:
        made.handle(event)
    made.flush()
    return list(mongo.t.find(sort=[("_id", 1)]))


def test_rows_are_documents(mongo: Mongo) -> None:
    assert handled(
        mongo,
        read(PEOPLE, "1", "a", "x"),
        insert(PEOPLE, "2", "b", None),
        insert(PEOPLE, "3", "c", "z"),
        update(PEOPLE, "2", "d", UNCHANGED),
        delete(PEOPLE, "3", NOT_SENT, NOT_SENT),
    ) == [
        {"_id": 1, "id": 1, "name": "a", "big": "x"},
        {"_id": 2, "id": 2, "name": "d", "big": None},
    ]


def test_fields_are_in_the_order_of_the_table(mongo: Mongo) -> None:
    pairs = table(column("v"), column("b"), column("a", "int4"), key=("a", "b"))
    changes = [insert(pairs, "x", "y", "1"), update(pairs, UNCHANGED, "y", "1")]
    (found,) = handled(mongo, *changes)
    assert list(found) == ["_id", "v", "b", "a"]
    assert list(found["_id"].items()) == [("a", 1), ("b", "y")]
    assert handled(mongo, *changes) == [found]


def test_a_value_that_was_not_sent_stays(mongo: Mongo) -> None:
    handled(mongo, insert(PEOPLE, "1", "a", "x"))
    changed = update(PEOPLE, "1", "b", UNCHANGED)
    assert handled(mongo, changed) == [{"_id": 1, "id": 1, "name": "b", "big": "x"}]
    # It may be one of a row that comes later, when this is a repeat.
    mongo.t.delete_many({})
    assert handled(mongo, changed) == [{"_id": 1, "id": 1, "name": "b"}]


@pytest.mark.parametrize("flushed", [True, False])
def test_a_change_of_the_key(mongo: Mongo, flushed: bool) -> None:
    first = [insert(PEOPLE, "1", "a", "x"), insert(PEOPLE, "3", "c", "z")]
    moves = [
        update(PEOPLE, "2", "b", UNCHANGED, before=("1", NOT_SENT, NOT_SENT)),
        update(PEOPLE, "4", "d", "w", before=("3", NOT_SENT, NOT_SENT)),
    ]
    if flushed:
        handled(mongo, *first)
    expected = [
        {"_id": 2, "id": 2, "name": "b", "big": "x"},
        {"_id": 4, "id": 4, "name": "d", "big": "w"},
    ]
    assert handled(mongo, *(() if flushed else first), *moves) == expected
    assert handled(mongo, *moves) == expected


def test_a_change_of_the_key_of_a_row_that_was_never_loaded(mongo: Mongo) -> None:
    moved = update(PEOPLE, "2", "b", UNCHANGED, before=("1", NOT_SENT, NOT_SENT))
    for _ in range(2):
        assert handled(mongo, moved) == [{"_id": 2, "id": 2, "name": "b"}]


def test_changes_of_a_key_of_several_columns(mongo: Mongo) -> None:
    pairs = table(column("a", "int4"), column("b"), column("v"), key=("b", "a"))
    found = handled(
        mongo,
        insert(pairs, "1", "x", "v"),
        update(pairs, "2", "x", UNCHANGED, before=("1", "x", NOT_SENT)),
        update(pairs, "2", "y", UNCHANGED, before=("2", "x", NOT_SENT)),
    )
    assert found == [{"_id": {"b": "y", "a": 2}, "a": 2, "b": "y", "v": "v"}]


def test_a_row_takes_the_place_of_a_deleted_one(mongo: Mongo) -> None:
    changes = [
        delete(PEOPLE, "1", NOT_SENT, NOT_SENT),
        update(PEOPLE, "1", "b", UNCHANGED, before=("2", NOT_SENT, NOT_SENT)),
    ]
    handled(mongo, insert(PEOPLE, "1", "a", "x"), insert(PEOPLE, "2", "b", "y"))
    for _ in range(2):  # the delete is of the row that is at the key by then
        assert handled(mongo, *changes) == [{"_id": 1, "id": 1, "name": "b", "big": "y"}]


def test_rows_that_follow_each_other(mongo: Mongo) -> None:
    changes = [
        update(PEOPLE, "3", "a", UNCHANGED, before=("1", NOT_SENT, NOT_SENT)),
        update(PEOPLE, "1", "b", UNCHANGED, before=("2", NOT_SENT, NOT_SENT)),
    ]
    handled(mongo, insert(PEOPLE, "1", "a", "x"), insert(PEOPLE, "2", "b", "y"))
    for _ in range(2):
        assert [each["big"] for each in handled(mongo, *changes)] == ["y", "x"]


def test_equal_numerics_are_one_document(mongo: Mongo) -> None:
    prices = table(column("id", "numeric"), column("v"))
    found = handled(
        mongo, insert(prices, "1.5", "a"), update(prices, "1.50", "b", before=("1.5", NOT_SENT))
    )
    assert found == [{"_id": Decimal128("1.5"), "id": Decimal128("1.50"), "v": "b"}]
    assert handled(mongo, delete(prices, "1.500", NOT_SENT)) == []


def test_moments_that_differ_in_microseconds_are_two_documents(mongo: Mongo) -> None:
    log = table(column("id", "timestamptz"))
    found = handled(
        mongo, *(insert(log, f"2026-02-28 10:11:12.34567{digit}+00") for digit in (1, 2))
    )
    assert [each["_id"][-8:] for each in found] == ["71+00:00", "72+00:00"]
    assert found[0]["id"] == datetime(2026, 2, 28, 10, 11, 12, 345000, timezone.utc)


def test_a_truncate(mongo: Mongo) -> None:
    other = table(column("id", "int4"), name="other")
    handled(mongo, insert(PEOPLE, "1", "a", "x"), insert(other, "1"))
    found = handled(
        mongo,
        insert(PEOPLE, "2", "a", "x"),
        insert(other, "2"),
        truncate(PEOPLE),
        insert(PEOPLE, "3", "a", "x"),
    )
    assert [each["_id"] for each in found] == [3]
    assert mongo.other.count_documents({}) == 2


def test_a_tombstone(mongo: Mongo) -> None:
    found = handled(
        mongo,
        insert(PEOPLE, "1", "a", "x"),
        insert(PEOPLE, "2", "a", "x"),
        Tombstone({"id": 1}, "public", "t"),
        Tombstone({"id": 2}),
    )
    assert [each["_id"] for each in found] == [2]


# -- names


def test_collections_have_names_of_the_caller(mongo: Mongo) -> None:
    made = documents(mongo, naming="{}.{}".format)
    for schema in ("a", "b"):
        made.handle(insert(table(column("id", "int4"), schema=schema), "1"))
    made.flush()
    assert sorted(mongo.list_collection_names()) == ["a.t", "b.t"]


def test_two_tables_are_not_mixed(mongo: Mongo) -> None:
    made = documents(mongo)
    made.handle(insert(table(column("id", "int4"), schema="a"), "1"))
    with pytest.raises(ConfigurationError, match=r"'t' cannot be for b\.t and a\.t: give a func"):
        made.handle(truncate(table(column("id", "int4"), schema="b")))


def test_the_collection_of_carried_values_is_taken(mongo: Mongo) -> None:
    made = documents(mongo, naming=lambda schema, table: "pglogical_cdc.carried_values")
    with pytest.raises(ConfigurationError, match="give a function"):
        made.handle(insert(PEOPLE, "1", "a", "x"))


@pytest.mark.parametrize("name", ["a$b", "a..b", ".a", "", 7])
def test_a_collection_that_cannot_be(mongo: Mongo, name: Any) -> None:
    made = documents(mongo, naming=lambda schema, table: name)
    with pytest.raises(ConfigurationError, match=r"which is for public\.t: give a function"):
        made.handle(insert(PEOPLE, "1", "a", "x"))


def test_names_of_columns_with_dots_and_dollars(mongo: Mongo) -> None:
    odd = table(column("$k", "int4"), column("a.b"), column("$c"), key=("$k",))
    handled(mongo, insert(odd, "1", "x", "y"))
    found = handled(mongo, update(odd, "2", "z", UNCHANGED, before=("1", NOT_SENT, NOT_SENT)))
    assert found == [{"_id": 2, "$k": 2, "a.b": "z", "$c": "y"}]


def test_a_column_id_that_is_the_key(mongo: Mongo) -> None:
    keyed = table(column("_id", "int4"), column("v"), key=("_id",))
    assert handled(mongo, insert(keyed, "1", "a")) == [{"_id": 1, "v": "a"}]


@pytest.mark.parametrize(
    ("columns", "key", "why"),
    [
        (("_id", "k"), ("k",), "its column _id is not its key"),
        (("_id", "k"), ("_id", "k"), "its column _id is not its key"),
        (("$k", "a"), ("a", "$k"), r"a column of its key begins with \$"),
    ],
)
def test_a_table_that_cannot_be(
    mongo: Mongo, columns: tuple[str, ...], key: tuple[str, ...], why: str
) -> None:
    odd = table(*map(column, columns), key=key)
    with pytest.raises(ConfigurationError, match=rf"public\.t cannot be in MongoDB: {why}"):
        documents(mongo).handle(insert(odd, "secret", "secret"))


def test_the_caller_converts(mongo: Mongo) -> None:
    made = documents(mongo, convert=lambda row, name: f"{name}={row[name]}")
    made.handle(insert(PEOPLE, "1", None, "x"))
    made.flush()
    assert mongo.t.find_one() == {"_id": 1, "id": "id=1", "name": "name=None", "big": "big=x"}


def test_what_waits_can_be_forgotten(mongo: Mongo) -> None:
    made = documents(mongo)
    made.handle(insert(PEOPLE, "1", "a", "x"))
    made.clear_waiting()
    made.flush()
    assert mongo.t.count_documents({}) == 0
