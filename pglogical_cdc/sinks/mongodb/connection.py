"""Connection: the database of a client, with the options that the sink needs."""

from __future__ import annotations

from typing import Any, Final

from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.sinks.mongodb.operations import Document

__all__ = ("Connection",)


class Connection:
    """A client, and the database in it.

    Args:
        client: a client, which stays open; or a connection string.
        database: name of the database.
        write_concern: by default a majority, with their journals.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self, client: MongoClient[Any] | str, database: str, write_concern: WriteConcern | None
    ) -> None:
        concern = WriteConcern("majority", j=True) if write_concern is None else write_concern
        if not isinstance(concern, WriteConcern) or not concern.acknowledged:
            raise ConfigurationError(
                "write_concern must be a pymongo.WriteConcern that is acknowledged: without an "
                "answer nothing tells that a document is safe"
            )
        self._own: MongoClient[Any] | None = None
        if isinstance(client, str):
            client = self._own = _client(client)
        elif not isinstance(client, MongoClient):
            raise ConfigurationError(
                f"client must be a pymongo.MongoClient, or a connection string, not "
                f"{type(client).__name__}"
            )
        try:
            self.database: Final[Database[Document]] = client.get_database(
                database,
                # What is read is written again: nothing may change on the way.
                codec_options=client.codec_options.with_options(
                    document_class=dict,
                    uuid_representation=UuidRepresentation.STANDARD,
                    datetime_conversion=DatetimeConversion.DATETIME_MS,
                ),
                # What is read must have all that was written.
                read_preference=ReadPreference.PRIMARY,
                read_concern=ReadConcern("local"),
                write_concern=concern,
            )
        except (PyMongoError, TypeError):
            self.close()
            raise ConfigurationError(f"MongoDB has no database {database!r}") from None

    def close(self) -> None:
        """Close the client, if it is our own."""
        if self._own is not None:
            self._own.close()


def _client(url: str) -> MongoClient[Any]:
    try:
        return MongoClient(url)
    except (PyMongoError, ValueError, TypeError) as error:
        # Its message may have a part of the password, where that has characters of an address.
        name = type(error).__name__
    raise ConfigurationError(f"not a connection string of MongoDB ({name})")
