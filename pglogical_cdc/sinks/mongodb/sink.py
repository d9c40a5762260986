"""MongoDBSink: the rows of tables as documents of MongoDB."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pglogical_cdc.errors import ConfigurationError, SinkError
from pglogical_cdc.events import Change, Row, Tombstone
from pglogical_cdc.handlers import KeyChanges

if TYPE_CHECKING:
    from pymongo import MongoClient, WriteConcern

__all__ = ("MongoDBSink",)


class MongoDBSink:
    """Keeps a document for each row of the tables, up to date with what it is given.

    ::

        with ReplicationReader(dsn, slot="shop", publications="shop") as reader:
            Pipeline(reader, sink=MongoDBSink("mongodb://localhost", database="shop")).run()

    It needs no formatter. What `parse_debezium` and the other parsers make of records does as well:

        for record in consumer:
            sink.write([parse_debezium(record.value, record.key)])

    with a `flush` before the position in the topic is committed. It needs pymongo
    (``pip install "pglogical-cdc[mongodb]"``) and MongoDB 5.0 or later.

    **The document** of a row has its columns as fields, and as ``_id`` the value of its key, or of
    a key of several columns a document of them in the order of the key. The module `bson_values`
    tells which value of PostgreSQL becomes which of BSON. A column that is dropped leaves its field
    in a document until all columns of the row are sent.

    **The same result, whatever comes again.** A whole row replaces its document; a row with values
    that the server did not send is merged into it, and takes them from its former document if its
    key has changed; a delete deletes it, and a truncate all of its collection. All of that can be
    done again, from any earlier point on, in any number of tries. For changes of a key with values
    that were not sent, this takes the collection ``pglogical_cdc.carried_values``, where such
    values are kept for 30 days. Such values cannot be carried, and the document lacks them,

    - if Debezium's delete, tombstone and insert of one update come with a `flush` between them;
    - if DMS's records have no before-image, or no LSN (``IncludeTransactionDetails``) and come
      again;
    - if the document was not there, because the table was never loaded.

    Tables with REPLICA IDENTITY FULL have no such values, and with ``reselect=True`` a reader gives
    next to none.

    **Order.** Operations are sent in bulks of at most one for each document, and unordered. What
    another reader of MongoDB sees is in the order of the table for each document, but not across
    documents; so no other index of a collection can be unique, and no other field its shard key.

    **Safety.** `flush` returns when a majority of the members have everything in their journal, if
    you do not give another write concern. An operation that fails is tried again once by pymongo
    (``retryWrites``), but not a truncate; after that, or after any other error, the sink cannot be
    used again: make a new one, and let everything since its last `flush` come again. Errors that
    pass by themselves have ``retryable`` set.

    Args:
        client: a client, which stays open; or a connection string. One of a replica set, or else
            with ``retryWrites=false``.
        database: name of the database.
        collection: name of the collection of a table, or a function of schema and table that gives
            it; by default the name of the table. No two tables can have one collection.
        write_concern: of all operations; by default ``WriteConcern(w="majority", j=True)``.
        convert: a function of a row and the name of a column that gives the value in the document,
            in place of `bson_values.bson_value`. It is not asked for the ``_id``.

    Raises:
        ConfigurationError: pymongo is not installed, or an argument is wrong.
    """

    def __init__(
        self,
        client: MongoClient[Any] | str,
        *,
        database: str,
        collection: str | Callable[[str, str], str] | None = None,
        write_concern: WriteConcern | None = None,
        convert: Callable[[Row, str], object] | None = None,
    ) -> None:
        try:
            from pglogical_cdc.sinks.mongodb.bson_values import bson_value
            from pglogical_cdc.sinks.mongodb.connection import Connection
            from pglogical_cdc.sinks.mongodb.documents import Documents
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("bson", "pymongo"):
                raise
            raise ConfigurationError(
                'MongoDBSink needs pymongo: pip install "pglogical-cdc[mongodb]"'
            ) from None
        self._failed = False
        self._connection = Connection(client, database, write_concern)
        self._whole = KeyChanges()
        self._documents = Documents(
            self._connection.database,
            _naming(collection),
            bson_value if convert is None else convert,
        )

    def write(self, items: Sequence[Change | Tombstone], /) -> None:
        """Take changes; they may wait in memory until `flush`, not more than a bulk of them.

        Raises:
            ConfigurationError: an item is no change, nothing identifies a row, or a name is not
                possible in MongoDB. The sink cannot be used again.
            SinkError: MongoDB failed. The sink cannot be used again.
        """
        with self._errors():
            for item in items:
                for event in self._whole.take(item):
                    self._documents.handle(event)

    def flush(self) -> None:
        """Return when everything written before is as safe as the write concern wants it.

        Raises:
            ConfigurationError: as of `write`.
            SinkError: it is not. The sink cannot be used again.
        """
        with self._errors():
            for event in self._whole.rest():
                self._documents.handle(event)
            self._documents.flush()

    def close(self) -> None:
        """Forget what was not flushed; close the client if it was made of a connection string."""
        self._failed = True
        self._documents.clear_waiting()
        self._connection.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        if self._failed:
            raise SinkError("this sink of MongoDB has failed or is closed: make a new one")
        try:
            yield
        except BaseException:
            self._failed = True
            raise


def _naming(collection: str | Callable[[str, str], str] | None) -> Callable[[str, str], str]:
    if collection is None:
        return lambda schema, table: table
    if isinstance(collection, str):
        return lambda schema, table: collection
    if callable(collection):
        return collection
    raise ConfigurationError(
        f"collection must be a name, or a function of schema and table, not {collection!r}"
    )
