"""CarriedValues: what a row keeps when its key changes and the server does not send it again.

A TOASTed value that an update did not touch is not sent. If that update has changed the key, the
value can be had only from the document that the row had before, and the change must bear to come
again, when that document

- is gone, because the change itself had deleted it; or
- is of another row, which has the old key by now.

Nor would the new document do: of a row that had that key earlier, a delete that comes again has
deleted it just before. So the values are kept in a collection of their own, under what identifies
the change, before anything of it is done; and when it comes again they are taken from there. What
is there is right whenever the change had been reached before, and what the old document holds is
right whenever it had not, because then nothing later had touched it either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from bson import Int64
from pymongo.collection import Collection
from pymongo.database import Database

from pglogical_cdc.events import RowChange
from pglogical_cdc.sinks.mongodb.operations import Document

__all__ = ("CARRIED", "CarriedValues")

CARRIED: Final = "pglogical_cdc.carried_values"
"""Name of the collection."""
_KEPT_SECONDS: Final = 30 * 24 * 60 * 60
"""After so long a change is taken not to come again, and MongoDB deletes what is kept for it."""


class CarriedValues:
    """Finds the values that a row keeps.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._kept: Final = database[CARRIED]
        self._expires = False

    def find(
        self,
        change: RowChange,
        collection: Collection[Document],
        old: object,
        new: object,
        columns: Sequence[str],
    ) -> Document | None:
        """Return the values that a row keeps, as far as there are any.

        All earlier operations must have been executed.

        Args:
            change: the change of the key.
            collection: where the row's document is.
            old: its ``_id`` until now.
            new: its ``_id`` from now on.
            columns: the columns that the server did not send.

        Returns:
            None if there is no document that had them.
        """
        if not change.wal_start:
            # Nothing tells this change from another one between the same keys. If it has come
            # before, the new document has the values, unless it was deleted meanwhile.
            return _found(collection, (new, old), columns)
        identity = {
            "collection": collection.name,
            "lsn": Int64(change.wal_start),
            "old": old,
            "new": new,
        }
        kept = self._kept.find_one({"_id": identity})
        if kept is not None:
            return {each["name"]: each["value"] for each in kept["values"]}
        # The new one, where what was kept has expired.
        values = _found(collection, (old, new), columns)
        if values is not None:
            self._keep(identity, values)
        return values

    def _keep(self, identity: Document, values: Document) -> None:
        if not self._expires:
            self._kept.create_index("at", expireAfterSeconds=_KEPT_SECONDS)
            self._expires = True
        # A list, because the name of a field may be anything, and that of a column too.
        pairs = [{"name": name, "value": value} for name, value in values.items()]
        kept = {"_id": identity, "values": pairs, "at": datetime.now(timezone.utc)}
        self._kept.replace_one({"_id": identity}, kept, upsert=True)


def _found(
    collection: Collection[Document], ids: Iterable[Any], columns: Sequence[str]
) -> Document | None:
    for id in ids:
        document = collection.find_one({"_id": id})
        if document is not None:
            return {name: document[name] for name in columns if name in document}
    return None
