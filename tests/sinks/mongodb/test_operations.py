from __future__ import annotations

from typing import Any

import pytest
from bson import Decimal128
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database

from pglogical_cdc.sinks.mongodb.operations import Document, Operations, Request, id_bytes

Mongo = Database[dict[str, Any]]


class Bulks:
    """Sends the bulks, and counts them."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.requests: list[Request] = []

    def __call__(self, collection: Collection[Document], requests: list[Request]) -> None:
        collection.bulk_write(requests, ordered=False)
        self.sizes.append(len(requests))
        self.requests += requests


def written(mongo: Mongo, *documents: tuple[Document, bool] | int) -> tuple[list[Document], Bulks]:
    """Write documents, whole or not, or delete those of an _id; in one bulk."""
    bulks = Bulks()
    operations = Operations(bulks)
    for each in documents:
        if isinstance(each, int):
            operations.delete(mongo.t, each)
        else:
            operations.write(mongo.t, each[0], complete=each[1], size=10)
    assert bulks.sizes == []
    operations.execute()
    operations.execute()
    assert len(bulks.sizes) <= 1
    return list(mongo.t.find(sort=[("_id", 1)])), bulks


OLD = {"_id": 1, "a": "old", "b": "old"}


@pytest.mark.parametrize(
    ("documents", "result", "kind"),
    [
        ([({"_id": 1, "a": 1}, True)], {"_id": 1, "a": 1}, ReplaceOne),
        ([({"_id": 1, "a": 1}, False)], {"_id": 1, "a": 1, "b": "old"}, UpdateOne),
        ([1], None, DeleteOne),
        ([({"_id": 1, "a": 1, "b": 2}, True), ({"_id": 1, "a": 3}, False)],
         {"_id": 1, "a": 3, "b": 2}, ReplaceOne),
        ([({"_id": 1, "a": 1}, False), ({"_id": 1, "c": 3}, False)],
         {"_id": 1, "a": 1, "b": "old", "c": 3}, UpdateOne),
        ([({"_id": 1, "b": 1}, False), ({"_id": 1, "a": 3}, True)], {"_id": 1, "a": 3}, ReplaceOne),
        ([({"_id": 1, "a": 1}, True), 1], None, DeleteOne),
        ([1, ({"_id": 1, "a": 1}, True)], {"_id": 1, "a": 1}, ReplaceOne),
        ([1, ({"_id": 1, "a": 1}, False)], {"_id": 1, "a": 1}, ReplaceOne),
    ],
)  # fmt: skip
def test_operations_on_one_document_become_one(
    mongo: Mongo, documents: list[Any], result: Document | None, kind: type
) -> None:
    mongo.t.insert_one(dict(OLD))
    found, bulks = written(mongo, *documents)
    assert found == ([] if result is None else [result])
    assert [type(each) for each in bulks.requests] == [kind]
    # The same again, as after an error.
    assert written(mongo, *documents)[0] == found


def test_a_document_that_is_not_there(mongo: Mongo) -> None:
    found, _ = written(mongo, ({"_id": 1, "a": 1}, False), ({"_id": 2, "a": 2}, True), 3)
    assert found == [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}]


NAMES = {"_id": 1, "$a": 1, "b.c": {"$d": 2}, "": 3, "$literal": 4}


@pytest.mark.parametrize("complete", [True, False])
def test_names_with_dots_and_dollars(mongo: Mongo, complete: bool) -> None:
    for _ in range(2):  # as a new document, and on the one that is there then
        found, bulks = written(mongo, (dict(NAMES), complete))
        assert [list(each.items()) for each in found] == [list(NAMES.items())]
        assert [type(each) for each in bulks.requests] == [UpdateOne]
    found, _ = written(mongo, ({"_id": 1, "$a": "$b.c"}, complete))
    assert found == [{"_id": 1, "$a": "$b.c"} if complete else {**NAMES, "$a": "$b.c"}]


def test_ids_of_several_columns(mongo: Mongo) -> None:
    ids = [{"a": 1, "b.c": 2}, {"b.c": 2, "a": 1}]
    documents = [({"_id": id, "v": number}, True) for number, id in enumerate(ids)]
    found, bulks = written(mongo, *documents)
    assert bulks.sizes == [2]
    assert sorted(each["v"] for each in found) == [0, 1]
    assert written(mongo, *documents)[0] == found


def test_ids_are_told_apart_by_type() -> None:
    ids = [1, "1", Decimal128("1.5"), b"1", {"a": 1}, {"a": "1"}, None, True]
    assert len({id_bytes(id) for id in ids}) == len(ids)
    assert id_bytes({"a": [1]}) == id_bytes({"a": [1]})


def test_what_waits_is_bounded(mongo: Mongo) -> None:
    bulks = Bulks()
    operations = Operations(bulks)
    for number in range(2500):
        operations.write(mongo.t, {"_id": number}, complete=True, size=10)
    assert bulks.sizes == [1000, 1000]
    for _ in range(5):  # 20 MiB, which is more than the limit
        operations.write(mongo.t, {"_id": 1}, complete=True, size=1 << 22)
    assert bulks.sizes == [1000, 1000, 501]
    operations.execute()
    assert bulks.sizes == [1000, 1000, 501, 1]
    assert mongo.t.count_documents({}) == 2500


def test_what_waits_can_be_forgotten(mongo: Mongo) -> None:
    bulks = Bulks()
    operations = Operations(bulks)
    for collection in (mongo.t, mongo.other):
        operations.write(collection, {"_id": 1}, complete=True, size=10)
    operations.drop(mongo.t)
    operations.execute()
    assert (mongo.t.count_documents({}), mongo.other.count_documents({})) == (0, 1)
    operations.delete(mongo.other, 1)
    operations.clear()
    operations.execute()
    assert mongo.other.count_documents({}) == 1
