"""Documents: each change as operations on the documents of MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import InvalidName

from pglogical_cdc.absent import Absent
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Row, RowChange
from pglogical_cdc.handlers import Upsert, UpsertHandler
from pglogical_cdc.sinks.mongodb.bson_values import document_id
from pglogical_cdc.sinks.mongodb.carried import CARRIED, CarriedValues
from pglogical_cdc.sinks.mongodb.errors import sink_errors
from pglogical_cdc.sinks.mongodb.operations import Document, Operations, Request, id_bytes

__all__ = ("Convert", "Documents", "Naming")

Naming: TypeAlias = Callable[[str, str], str]
"""From schema and table to the name of a collection."""
Convert: TypeAlias = Callable[[Row, str], object]
"""From a row and the name of a column to the value in the document."""


class Documents(UpsertHandler):
    """Keeps a document for each row.

    Args:
        database: where. Its codec options must give back what they take.
        naming: gives the collection of a table.
        convert: gives the value of a column.
    """

    def __init__(self, database: Database[Document], naming: Naming, convert: Convert) -> None:
        self._database: Final = database
        self._naming: Final = naming
        self._convert: Final = convert
        self._collections: dict[tuple[str, str], Collection[Document]] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        """The table of each collection, by its name."""
        self._operations = Operations(_execute)
        self._carried = CarriedValues(database)

    def upsert(self, change: RowChange, upsert: Upsert) -> None:
        """Replace the document of a row, or merge into it what has come.

        Raises:
            ConfigurationError: the table, or a column of it, has a name that MongoDB does not take.
            SinkError: MongoDB failed.
        """
        collection = self._collection(change.schema, change.table)
        document = self._document(change, upsert)
        id, complete = document["_id"], upsert.complete
        old = id if upsert.forget is None else document_id(upsert.forget)
        moves = id_bytes(old) != id_bytes(id)
        if moves and not complete:
            self._operations.execute()
            with sink_errors(_failed(collection)):
                carried = self._carried.find(change, collection, old, id, upsert.row.missing)
            if carried is not None:
                document.update(carried)
                complete = True
        size = sum(len(value) for value in upsert.row.raw if isinstance(value, bytes))
        self._operations.write(collection, document, complete=complete, size=size)
        if moves:
            self._operations.delete(collection, old)

    def remove(self, schema: str, table: str, key: Mapping[str, object]) -> None:
        """Delete the document of a row.

        Raises:
            ConfigurationError: the table has a name that MongoDB does not take.
            SinkError: MongoDB failed.
        """
        self._operations.delete(self._collection(schema, table), document_id(key))

    def clear(self, schema: str, table: str) -> None:
        """Delete all documents of a table, at once.

        Raises:
            ConfigurationError: the table has a name that MongoDB does not take.
            SinkError: MongoDB failed.
        """
        collection = self._collection(schema, table)
        self._operations.drop(collection)
        with sink_errors(_failed(collection)):
            collection.delete_many({})

    def flush(self) -> None:
        """Return when everything is done that was asked for.

        Raises:
            SinkError: MongoDB failed.
        """
        self._operations.execute()

    def clear_waiting(self) -> None:
        """Forget what is not done yet."""
        self._operations.clear()

    def _document(self, change: RowChange, upsert: Upsert) -> Document:
        id, row = document_id(upsert.key), upsert.row
        if isinstance(id, dict) and any(name.startswith("$") for name in id):
            raise _refused(change, "a column of its key begins with $, which no _id may have")
        if "_id" in row and tuple(upsert.key) != ("_id",):
            raise _refused(change, "its column _id is not its key, as it must be in a document")
        document: Document = {"_id": id}
        for column, raw in zip(row.relation.columns, row.raw, strict=True):
            if not isinstance(raw, Absent) and column.name != "_id":
                document[column.name] = self._convert(row, column.name)
        return document

    def _collection(self, schema: str, table: str) -> Collection[Document]:
        collection = self._collections.get((schema, table))
        if collection is None:
            collection = self._collections[schema, table] = self._named(schema, table)
        return collection

    def _named(self, schema: str, table: str) -> Collection[Document]:
        name = self._naming(schema, table)
        try:
            collection = self._database[name]
        except (InvalidName, TypeError):
            raise ConfigurationError(
                f"MongoDB has no collection {name!r}, which is for {schema}.{table}: "
                "give a function that names collections"
            ) from None
        other = self._owners.setdefault(name, (schema, table))
        if other != (schema, table) or name == CARRIED:
            # Rows with the same key would overwrite each other, and a truncate delete them all.
            raise ConfigurationError(
                f"the collection {name!r} cannot be for {schema}.{table} and {'.'.join(other)}: "
                "give a function that names collections by schema and table"
            )
        return collection


def _execute(collection: Collection[Document], requests: list[Request]) -> None:
    with sink_errors(_failed(collection)):
        collection.bulk_write(requests, ordered=False)


def _failed(collection: Collection[Any]) -> str:
    return f"MongoDB failed with the collection {collection.name}"


def _refused(change: RowChange, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{change.schema}.{change.table} cannot be in MongoDB: {why}; rename the column or leave "
        "the table out"
    )
