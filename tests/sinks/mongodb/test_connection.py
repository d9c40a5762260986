from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, Decimal128, Int64
from bson.datetime_ms import DatetimeMS
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.database import Database
from pymongo.errors import InvalidOperation

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.sinks.mongodb.connection import Connection
from tests.sinks.mongodb.server import MongoServer

Mongo = Database[dict[str, Any]]


def test_a_client_of_the_caller_stays_open(mongo: Mongo) -> None:
    connection = Connection(mongo.client, mongo.name, None)
    connection.database.t.insert_one({"_id": 1})
    connection.close()
    assert mongo.t.count_documents({}) == 1


def test_a_client_of_our_own_is_closed(mongo_server: MongoServer, mongo: Mongo) -> None:
    connection = Connection(mongo_server.url(), mongo.name, None)
    connection.database.t.insert_one({"_id": 1})
    connection.close()
    with pytest.raises(InvalidOperation):
        connection.database.t.insert_one({"_id": 2})
    assert mongo.t.count_documents({}) == 1


def test_options_of_the_client_do_not_count(mongo_server: MongoServer) -> None:
    url = mongo_server.url(
        w=0, readPreference="secondaryPreferred", uuidRepresentation="javaLegacy"
    )
    with MongoClient[dict[str, Any]](url, tz_aware=True) as client:
        database = Connection(client, "shop", None).database
        assert database.write_concern == WriteConcern("majority", j=True)
        assert database.read_preference == ReadPreference.PRIMARY


def test_what_is_read_can_be_written_again(mongo: Mongo) -> None:
    database = Connection(mongo.client, mongo.name, None).database
    document = {
        "_id": 1,
        "u": Binary(UUID(int=7).bytes, 4),
        "old": Binary(UUID(int=7).bytes, 3),
        "t": datetime(2026, 2, 28, tzinfo=timezone.utc),
        "n": [Int64(1), 1, Decimal128("1.50"), b"x", None],
        "$a": {"b.c": 1},
    }
    mongo.t.insert_one(document)
    found = database.t.find_one({"_id": 1})
    assert found is not None
    options = database.codec_options
    assert bson.encode(found, codec_options=options) == bson.encode(document)
    far = bson.encode({"t": DatetimeMS(10**15)})  # which Python's datetime cannot hold
    assert bson.encode(bson.decode(far, options)) == far


def test_a_write_concern_of_the_caller(mongo: Mongo) -> None:
    concern = WriteConcern(1, wtimeout=1000)
    assert Connection(mongo.client, "shop", concern).database.write_concern == concern


@pytest.mark.parametrize("concern", [WriteConcern(0), "majority"])
def test_a_write_concern_without_an_answer_is_refused(mongo: Mongo, concern: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must be a pymongo\.WriteConcern that is ack"):
        Connection(mongo.client, "shop", concern)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://ann:top:secret@localhost/",
        "mongodb://ann:top@secret@localhost/",
        "mongodb://ann:top/secret@localhost/",
        "mongodb://ann:topsecret@localhost:port/",
        "postgresql://ann:secret@localhost/",
        "",
    ],
)
def test_what_is_no_connection_string(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not a connection string of MongoDB") as error:
        Connection(url, "shop", None)
    assert "secret" not in str(error.value)
    assert error.value.__context__ is None


def test_another_client_is_refused() -> None:
    client: Any = b"mongodb://localhost"
    with pytest.raises(ConfigurationError, match=r"must be a pymongo\.MongoClient, .* not bytes"):
        Connection(client, "shop", None)


@pytest.mark.parametrize("name", ["", "a.b", "a b", 7])
def test_a_database_that_cannot_be(mongo_server: MongoServer, name: Any) -> None:
    with pytest.raises(ConfigurationError, match="MongoDB has no database"):
        Connection(mongo_server.url(), name, None)
