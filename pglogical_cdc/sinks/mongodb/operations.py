"""Operations: what MongoDB has to do, at most one operation for each document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import bson
from attrs import define
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.collection import Collection

__all__ = ("Document", "Operation", "Operations", "Request", "id_bytes")

Document: TypeAlias = "dict[str, Any]"
"""Fields by name."""

Request: TypeAlias = "DeleteOne | ReplaceOne[Document] | UpdateOne"
"""One operation of a bulk."""

_MAX_OPERATIONS: Final = 1000
_MAX_BYTES: Final = 1 << 24
"""Of values as they came, for all operations together."""


@define(eq=False, repr=False)
class Operation:
    """What is to become of one document."""

    id: Any
    document: Document | None
    """Its fields, ``_id`` first; None to delete it."""
    complete: bool
    """Whether the fields replace what is there, or merge into it."""

    def then(self, document: Document, *, complete: bool) -> Operation:
        """Return the one operation that does this one and then writes another document."""
        if complete or self.document is None:
            # What is merged into a document that is deleted before it is all there will be.
            return Operation(self.id, document, True)
        return Operation(self.id, {**self.document, **document}, self.complete)

    def request(self) -> Request:
        """Return what the server is asked for."""
        filter, document = {"_id": self.id}, self.document
        if document is None:
            return DeleteOne(filter)
        if not self.complete:
            merged = {"$mergeObjects": ["$$ROOT", {"$literal": document}]}
            return UpdateOne(filter, [{"$replaceWith": merged}], upsert=True)
        if any(name.startswith("$") for name in document):
            # Which ReplaceOne does not take (MongoDB manual, "Dollar-Prefixed Field Names").
            return UpdateOne(filter, [{"$replaceWith": {"$literal": document}}], upsert=True)
        return ReplaceOne(filter, document, upsert=True)


class Operations:
    """Collects operations, so that a bulk has at most one for each document and needs no order.

    Args:
        execute: sends the requests for one collection, and returns when the server has done them.
    """

    def __init__(self, execute: Callable[[Collection[Document], list[Request]], None]) -> None:
        self._execute: Final = execute
        self._waiting: dict[str, tuple[Collection[Document], dict[bytes, Operation]]] = {}
        self._count = 0
        self._bytes = 0

    def write(
        self, collection: Collection[Document], document: Document, *, complete: bool, size: int
    ) -> None:
        """Write a document, or merge it into the one that is there.

        Args:
            collection: where.
            document: its fields, ``_id`` first.
            complete: whether these are all.
            size: about how many bytes it takes.
        """
        operations, key = self._at(collection, document["_id"])
        earlier = operations.get(key)
        if earlier is None:
            operations[key] = Operation(document["_id"], document, complete)
        else:
            operations[key] = earlier.then(document, complete=complete)
        self._added(size)

    def delete(self, collection: Collection[Document], id: object) -> None:
        """Delete a document, if it is there."""
        operations, key = self._at(collection, id)
        operations[key] = Operation(id, None, True)
        self._added(0)

    def drop(self, collection: Collection[Document]) -> None:
        """Forget what waits for a collection."""
        self._waiting.pop(collection.name, None)

    def execute(self) -> None:
        """Have everything done that waits."""
        waiting, self._waiting = self._waiting, {}
        self._count = self._bytes = 0
        for collection, operations in waiting.values():
            self._execute(collection, [each.request() for each in operations.values()])

    def clear(self) -> None:
        """Forget everything that waits."""
        self._waiting.clear()

    def _at(
        self, collection: Collection[Document], id: object
    ) -> tuple[dict[bytes, Operation], bytes]:
        _, operations = self._waiting.setdefault(collection.name, (collection, {}))
        return operations, id_bytes(id)

    def _added(self, size: int) -> None:
        self._count += 1
        self._bytes += size
        if self._count >= _MAX_OPERATIONS or self._bytes >= _MAX_BYTES:
            self.execute()


def id_bytes(id: object) -> bytes:
    """Return what is the same for the same ``_id``, and can be the key of a dict."""
    return bson.encode({"_id": id})
