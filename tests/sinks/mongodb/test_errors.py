from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import bson
import pytest
from pymongo import InsertOne, MongoClient, ReplaceOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure, WTimeoutError

from pglogical_cdc.errors import SinkError, SinkUnavailableError
from pglogical_cdc.sinks.mongodb.errors import sink_errors

Mongo = Database[dict[str, Any]]
MIB = 1 << 20


def failure(act: Callable[[], object]) -> SinkError:
    with pytest.raises(SinkError) as raised, sink_errors("t was not written"):
        act()
    assert str(raised.value).startswith("t was not written: ")
    printed = "".join(traceback.format_exception(raised.value))
    assert "secret" not in printed + repr(raised.value)
    return raised.value


def test_all_is_well() -> None:
    with sink_errors("t was not written"):
        pass


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), sink_errors("t was not written"):
        raise ZeroDivisionError
    with pytest.raises(SinkError, match=r"^inner$"), sink_errors("t was not written"):
        raise SinkError("inner")


def test_an_operation_that_the_server_refuses(mongo: Mongo) -> None:
    mongo.t.insert_one({"_id": "secret"})
    error = failure(lambda: mongo.t.bulk_write([InsertOne({"_id": "secret"})] * 2, ordered=False))
    assert str(error).endswith(": code 11000; 2 operations failed")
    assert not error.retryable
    error = failure(lambda: mongo.t.insert_one({"_id": "secret"}))
    assert str(error).endswith(": code 11000")


def test_a_command_that_the_server_refuses(mongo: Mongo) -> None:
    error = failure(lambda: mongo.command("nothing", "secret"))
    assert str(error).endswith(": code 59 (CommandNotFound)")
    assert not error.retryable


@pytest.mark.parametrize("size", [17 * MIB, 49 * MIB])
def test_a_document_that_is_too_large(mongo: Mongo, size: int) -> None:
    document = {"_id": 1, "v": "secret" + " " * size}
    error = failure(lambda: mongo.t.bulk_write([ReplaceOne({"_id": 1}, document, upsert=True)]))
    assert str(error).endswith("a row takes more than the 16 MiB of a document")


def test_a_document_that_becomes_too_large(mongo: Mongo) -> None:
    mongo.t.insert_one({"_id": 1, "a": "secret" * 2 * MIB})
    added = [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"b": " " * 9 * MIB}]}}]
    for act in (
        lambda: mongo.t.bulk_write([UpdateOne({"_id": 1}, added)]),
        lambda: mongo.t.update_one({"_id": 1}, added),
    ):
        assert str(failure(act)).endswith("a row takes more than the 16 MiB of a document")


@pytest.mark.parametrize("value", [1j, 2**64, "\ud800secret"])
def test_a_value_that_bson_does_not_have(value: object) -> None:
    error = failure(lambda: bson.encode({"secret": value}))
    assert "BSON cannot hold a value" in str(error)
    assert not error.retryable


def test_a_server_that_is_not_there() -> None:
    with MongoClient[Any]("mongodb://127.0.0.1:9/", serverSelectionTimeoutMS=50) as client:
        error = failure(lambda: client.shop.t.insert_one({"_id": "secret"}))
    assert isinstance(error, SinkUnavailableError)
    assert error.retryable
    assert "127.0.0.1:9" in str(error)
    assert str(failure(lambda: client.shop.t.find_one())).endswith(": InvalidOperation")


def raising(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


CONCERN = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting timed out"}


@pytest.mark.parametrize(
    "error",
    [
        # No single server can be made to answer so.
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [CONCERN]}),
        WTimeoutError("waiting timed out", 64, CONCERN),
        OperationFailure("secret", 64, {**CONCERN, "errorLabels": ["RetryableWriteError"]}),
    ],
)
def test_what_was_done_but_is_not_safe(error: Exception) -> None:
    failed = failure(raising(error))
    assert str(failed).endswith(": code 64 (WriteConcernFailed)")
    assert failed.retryable
