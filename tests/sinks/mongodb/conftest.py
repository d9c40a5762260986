"""The server of MongoDB's protocol, for the tests of the sinks."""

from __future__ import annotations

from tests.sinks.mongodb.server import mongo, mongo_server, private_mongo_server

__all__ = ("mongo", "mongo_server", "private_mongo_server")
