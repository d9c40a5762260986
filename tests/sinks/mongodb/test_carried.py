from __future__ import annotations

from typing import Any

import pytest
from bson import Decimal128
from pymongo.database import Database

from pglogical_cdc import UNCHANGED
from pglogical_cdc.events import Update
from pglogical_cdc.sinks.mongodb.carried import CARRIED, CarriedValues
from pglogical_cdc.sinks.mongodb.connection import Connection
from pglogical_cdc.sinks.mongodb.operations import Document
from tests.handlers.changes import PEOPLE, update

Mongo = Database[dict[str, Any]]
COLUMNS = ("big", "$b.c")


def changed(lsn: int = 0x500) -> Update:
    return update(PEOPLE, "2", "a", UNCHANGED, before=("1", None, None), lsn=lsn)


def carried(mongo: Mongo, change: Update, old: object = 1, new: object = 2) -> Document | None:
    database = Connection(mongo.client, mongo.name, None).database
    return CarriedValues(database).find(change, database.t, old, new, COLUMNS)


def test_the_former_document_has_the_values(mongo: Mongo) -> None:
    values = {"big": Decimal128("1.50"), "$b.c": {"$x": [None]}}
    mongo.t.insert_many([{"_id": 1, "a": 1, **values}, {"_id": 2, "big": "other"}])
    assert carried(mongo, changed()) == values


def test_they_are_the_same_when_the_change_comes_again(mongo: Mongo) -> None:
    mongo.t.insert_one({"_id": 1, "big": "first"})
    assert carried(mongo, changed()) == {"big": "first"}
    for documents in ([], [{"_id": 1, "big": "of another row"}], [{"_id": 2, "big": "older"}]):
        mongo.t.delete_many({})
        mongo.t.insert_many([{"_id": 3}, *documents])
        assert carried(mongo, changed()) == {"big": "first"}


@pytest.mark.parametrize(
    ("lsn", "old", "new"), [(0x508, 1, 2), (0x500, {"a": 1, "b": 1}, 2), (0x500, 1, 3)]
)
def test_another_change_has_values_of_its_own(
    mongo: Mongo, lsn: int, old: object, new: object
) -> None:
    mongo.t.insert_many([{"_id": 1, "big": "first"}, {"_id": {"a": 1, "b": 1}, "big": "second"}])
    carried(mongo, changed())
    mongo.t.update_many({}, {"$set": {"big": "then"}})
    assert carried(mongo, changed(lsn), old, new) == {"big": "then"}


def test_the_new_document_if_the_former_is_gone(mongo: Mongo) -> None:
    mongo.t.insert_one({"_id": 2, "big": "kept"})
    assert carried(mongo, changed()) == {"big": "kept"}


def test_no_document_has_them(mongo: Mongo) -> None:
    assert carried(mongo, changed()) is None
    mongo.t.insert_one({"_id": 1, "big": "loaded"})
    assert carried(mongo, changed()) == {"big": "loaded"}


def test_a_change_without_lsn_takes_the_new_document_first(mongo: Mongo) -> None:
    mongo.t.insert_one({"_id": 1, "big": "first"})
    assert carried(mongo, changed(lsn=0)) == {"big": "first"}
    mongo.t.insert_one({"_id": 2, "big": "new"})
    assert carried(mongo, changed(lsn=0)) == {"big": "new"}
    assert mongo[CARRIED].count_documents({}) == 0


def test_what_is_kept_expires(mongo: Mongo) -> None:
    mongo.t.insert_one({"_id": 1, "big": "first"})
    for lsn in (0x500, 0x508):
        carried(mongo, changed(lsn))
    (index,) = [each for each in mongo[CARRIED].list_indexes() if each["name"] != "_id_"]
    assert (dict(index["key"]), index["expireAfterSeconds"]) == ({"at": 1}, 30 * 24 * 3600)
    assert mongo[CARRIED].count_documents({"at": {"$type": "date"}}) == 2
