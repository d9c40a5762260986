from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from bson import Decimal128
from pymongo import MongoClient
from pymongo.database import Database as Mongo

from pglogical_cdc import (
    UNCHANGED,
    DebeziumFormatter,
    DebeziumParser,
    DmsFormatter,
    Formatter,
    Pipeline,
    Tombstones,
)
from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.errors import ConfigurationError, SinkError
from pglogical_cdc.events import Change, RowChange, Tombstone
from pglogical_cdc.formatters.dms.settings import BeforeImage
from pglogical_cdc.parsers.dms import DmsParser
from pglogical_cdc.sinks import Sink
from pglogical_cdc.sinks.mongodb import MongoDBSink
from tests.cli.running import run_python
from tests.formatters.tables import column
from tests.handlers.changes import PEOPLE, delete, insert, table, truncate, update
from tests.reading import make_slot, reader, wait_until
from tests.servers import Database
from tests.sinks.mongodb.server import MongoServer
from tests.sinks.mongodb.shop import Rows, happened

Documents = list[dict[str, Any]]
MongoDatabase = Mongo[dict[str, Any]]
Event = Change | Tombstone


def sink(mongo: MongoDatabase, **options: Any) -> MongoDBSink:
    return MongoDBSink(mongo.client, database=mongo.name, **options)


def found(mongo: MongoDatabase, name: str = "t") -> Documents:
    return list(mongo[name].find(sort=[("_id", 1)]))


# -- the sink


def test_it_is_a_sink_of_changes(mongo: MongoDatabase) -> None:
    made: Sink[Change] = sink(mongo)
    made.write([insert(PEOPLE, "1", "a", "x"), insert(PEOPLE, "2", "b", "y")])
    made.write([delete(PEOPLE, "2", NOT_SENT, NOT_SENT)])
    assert found(mongo) == []
    made.flush()
    assert found(mongo) == [{"_id": 1, "id": 1, "name": "a", "big": "x"}]
    made.close()
    assert mongo.client.admin.command("ping")["ok"] == 1


def test_a_connection_string_will_do(mongo: MongoDatabase, mongo_server: MongoServer) -> None:
    made = MongoDBSink(mongo_server.url(), database=mongo.name, collection="people")
    made.write([insert(PEOPLE, "1", "a", "x")])
    made.flush()
    made.close()
    assert len(found(mongo, "people")) == 1


def test_collections_by_schema_and_table(mongo: MongoDatabase) -> None:
    made = sink(mongo, collection=lambda schema, table: f"{schema}.{table}")
    made.write([insert(PEOPLE, "1", "a", "x")])
    made.flush()
    assert mongo.list_collection_names() == ["public.t"]


def test_values_as_the_caller_wants_them(mongo: MongoDatabase) -> None:
    made = sink(mongo, convert=lambda row, name: len(str(row[name])))
    made.write([insert(PEOPLE, "1", "ab", "xyz")])
    made.flush()
    assert found(mongo) == [{"_id": 1, "id": 1, "name": 2, "big": 3}]


def test_what_is_not_flushed_is_forgotten(mongo: MongoDatabase) -> None:
    made = sink(mongo)
    made.write([insert(PEOPLE, "1", "a", "x")])
    made.close()
    with pytest.raises(SinkError, match="has failed or is closed: make a new one"):
        made.write([truncate(PEOPLE)])
    with pytest.raises(SinkError, match="has failed or is closed: make a new one"):
        made.flush()
    assert found(mongo) == []


@pytest.mark.parametrize("collection", [7, b"t"])
def test_a_wrong_collection_is_refused(mongo: MongoDatabase, collection: Any) -> None:
    with pytest.raises(ConfigurationError, match="collection must be a name, or a function"):
        sink(mongo, collection=collection)


def test_after_an_error_nothing_is_taken(mongo: MongoDatabase) -> None:
    made = sink(mongo)
    keyless = table(column("v"), key=())
    with pytest.raises(ConfigurationError, match="nothing identifies a row"):
        made.write([insert(PEOPLE, "1", "a", "x"), insert(keyless, "secret")])
    with pytest.raises(SinkError, match="make a new one"):
        made.flush()
    assert found(mongo) == []


def test_without_pymongo_it_says_what_to_install() -> None:
    result = run_python(
        "import sys; sys.modules['bson'] = sys.modules['pymongo'] = None\n"
        "from pglogical_cdc.sinks.mongodb import MongoDBSink\n"
        "MongoDBSink('mongodb://localhost', database='shop')"
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.endswith('MongoDBSink needs pymongo: pip install "pglogical-cdc[mongodb]"')
    assert "ConfigurationError" in last


def test_a_row_that_is_too_large(mongo: MongoDatabase) -> None:
    made, value = sink(mongo), "x" * (1 << 24)
    with pytest.raises(SinkError, match="collection t: a row takes more than the 16 MiB") as error:
        made.write([insert(PEOPLE, "1", "a", value)])
    assert "xxx" not in "".join(traceback.format_exception(error.value))


# -- failures


def test_a_lost_connection_is_tried_again(private_mongo_server: MongoServer) -> None:
    with MongoClient[dict[str, Any]](private_mongo_server.url()) as client:
        made = sink(client.shop)
        for command, change in (
            ("update", insert(PEOPLE, "1", "a", "x")),
            ("delete", delete(PEOPLE, "2", NOT_SENT, NOT_SENT)),
            ("find", update(PEOPLE, "3", "b", UNCHANGED, before=("1", NOT_SENT, NOT_SENT))),
        ):
            private_mongo_server.fail(command, times=1)
            made.write([change])
            made.flush()
        assert found(client.shop) == [{"_id": 3, "id": 3, "name": "b", "big": "x"}]


def test_a_server_that_is_killed(private_mongo_server: MongoServer) -> None:
    made_changes, history = happened(seed=5, count=120)
    # So soon it gives up a server that is gone; to find one that is there may take longer.
    hasty = private_mongo_server.url(serverSelectionTimeoutMS=300)
    with MongoClient[dict[str, Any]](hasty) as client:
        wait_until(lambda: bool(client.nodes))
        first = MongoDBSink(client, database="shop")
        first.write(made_changes[:50])
        first.flush()
        first.write(made_changes[50:90])
        private_mongo_server.kill()
        with pytest.raises(SinkError, match=r"MongoDB failed with the collection shop: ") as error:
            first.flush()
        assert error.value.retryable
        with pytest.raises(SinkError, match="make a new one"):
            first.write(made_changes[90:])
        first.close()

    private_mongo_server.start()
    url = private_mongo_server.url()
    second = MongoDBSink(url, database="shop")
    second.write(made_changes[50:])
    second.flush()
    second.close()
    with MongoClient[dict[str, Any]](url) as client:
        assert as_rows(client.shop) == history[-1]


# -- repeats


def as_rows(mongo: MongoDatabase) -> Rows:
    """The documents as the rows that they should be."""
    rows: Rows = {}
    for document in mongo.shop.find():
        id = document.pop("_id")
        assert list(id) == ["id", "part"]
        rows[id["id"], id["part"]] = document
    return rows


def from_reader(changes: Sequence[RowChange]) -> list[list[Event]]:
    return [[change] for change in changes]


def from_debezium(changes: Sequence[RowChange]) -> list[list[Event]]:
    formatter = DebeziumFormatter(
        topic_prefix="dbz", database="shop", schemas_enable=True, skipped_operations="none"
    )
    parser = DebeziumParser()
    return [
        [parser.parse(each.value, each.key, each.headers) for each in formatter.format(change)]
        for change in changes
    ]


def from_dms(changes: Sequence[RowChange]) -> list[list[Event]]:
    formatter, parser = dms()
    return [
        [parser.parse(each.value, each.key) for each in formatter.format(change)]
        for change in changes
    ]


def dms() -> tuple[Formatter, DmsParser]:
    formatter = DmsFormatter(
        include_null_and_empty=True,
        include_control_details=True,
        include_transaction_details=True,
        before_image=BeforeImage(),
        on_truncate="control",
    )
    return Tombstones(formatter), DmsParser()


Feed = Callable[[Sequence[RowChange]], list[list[Event]]]


@pytest.mark.parametrize(
    ("feed", "seed", "count"),
    [
        (from_reader, 1, 2000),
        (from_debezium, 2, 400),
        (from_dms, 3, 400),
    ],
)
def test_whatever_comes_again_the_documents_are_the_rows(
    mongo_server: MongoServer, mongo: MongoDatabase, feed: Feed, seed: int, count: int
) -> None:
    changes, history = happened(seed, count)
    events = feed(changes)
    r = random.Random(seed)
    flushed = reached = failures = 0
    while flushed < count:
        # A new try, from the last flush of the one before on, or from an earlier point.
        flushed = position = r.randint(max(0, flushed - 30), flushed)
        until = min(count, reached + r.choice((0, 5, 50)))
        made = sink(mongo)
        try:
            while position < until:
                if failures < 2 and r.random() < 0.2:
                    # Once too often: of a bulk, the deletes or all but some updates are not done.
                    mongo_server.fail(r.choice(["update", "delete", "find"]), times=2)
                start, position = position, min(until, position + r.randint(1, 30))
                reached = max(reached, position)
                for each in events[start:position]:
                    made.write(each)
                if position == until or r.random() < 0.1:
                    made.flush()
                    flushed = position
                    if position == reached:
                        mongo_server.fail("find", times=0)
                        assert as_rows(mongo) == history[position - 1]
        except SinkError as error:
            assert error.retryable  # noqa: PT017 - most tries do not fail
            failures += 1
        finally:
            mongo_server.fail("find", times=0)
            made.close()
    assert failures == 2
    assert as_rows(mongo) == history[-1]


# -- the feeds


_DDL = """
    CREATE TABLE shop (id int, v text, part text, n bigint NOT NULL DEFAULT 3, ok boolean,
        price numeric(12,2), at timestamptz, day date, data bytea, big text,
        PRIMARY KEY (part, id));
    ALTER TABLE shop ALTER big SET STORAGE EXTERNAL;
"""
_STATEMENTS = """
    INSERT INTO shop SELECT i, 'v' || i, 'a', i, i % 2 = 0, i * 1.5, '2026-02-28 10:11:12.345+02',
        '2026-02-28', '\\x00ff', repeat(i::text, 3000) FROM generate_series(1, 6) AS i;
    TRUNCATE shop;
    INSERT INTO shop SELECT i, 'v' || i, 'a', i, i % 2 = 0, i * 1.5, '2026-02-28 10:11:12.345+02',
        '2026-02-28', '\\x00ff', repeat(i::text, 3000) FROM generate_series(1, 6) AS i;
    UPDATE shop SET n = n + 1, v = NULL WHERE id < 3;
    UPDATE shop SET id = 20, price = 7 WHERE id = 2;
    UPDATE shop SET part = 'b', v = 'moved' WHERE id = 20;
    DELETE FROM shop WHERE id = 1;
    BEGIN; DELETE FROM shop WHERE id = 4; UPDATE shop SET id = 4 WHERE id = 3; COMMIT;
    INSERT INTO shop (id, part, big) VALUES (1, 'a', 'short'), (3, 'c', NULL);
    UPDATE shop SET id = 30, big = 'other' WHERE id = 5;
    UPDATE shop SET ok = NULL WHERE id = 6
"""


class Watched:
    """Hands changes on, and remembers them."""

    def __init__(self, inner: MongoDBSink) -> None:
        self.changes: list[Change] = []
        self._inner = inner
        self.flush, self.close = inner.flush, inner.close

    def write(self, items: Sequence[Change], /) -> None:
        self.changes += items
        self._inner.write(items)


def content(database: Database) -> Documents:
    """The rows of the table, as the documents that they should be."""
    rows = database.execute("SELECT part, id, v, n, ok, price, at, day, data, big FROM shop")
    made = []
    for part, id, v, n, ok, price, at, day, data, big in rows:
        of = {"id": id, "v": v, "part": part, "n": n, "ok": ok}
        of["price"] = None if price is None else Decimal128(price)
        of["at"] = at
        of["day"] = day and datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        made.append({"_id": {"part": part, "id": id}, **of, "data": data, "big": big})
    return sorted(made, key=lambda document: [*document["_id"].values()])


@pytest.mark.pg
def test_every_feed_makes_the_same_documents(
    database: Database, slot_name: str, mongo: MongoDatabase
) -> None:
    make_slot(database, slot_name, _DDL)
    for statement in _STATEMENTS.split(";\n"):
        database.execute(statement)
    watched = Watched(sink(mongo))
    with reader(database, slot_name, until="now") as source:
        Pipeline(source, sink=watched).run()
    rows = content(database)
    assert len(rows) == 6
    assert sum(len(row["big"] or "") > 2000 for row in rows) == 3
    assert found(mongo, "shop") == rows

    changes = [change for change in watched.changes if isinstance(change, RowChange)]
    assert any(not row.is_complete for change in changes if (row := change.after) is not None)
    for name, feed in (("debezium", from_debezium), ("dms", from_dms)):
        other = mongo.client.get_database(f"{mongo.name}_{name}", codec_options=mongo.codec_options)
        made = sink(other)
        for events in feed(changes):
            made.write(events)
        made.flush()
        assert found(other, "shop") == rows, name
