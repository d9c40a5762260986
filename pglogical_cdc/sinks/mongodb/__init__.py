"""The rows of tables as documents of MongoDB; needs the extra ``mongodb``."""

from pglogical_cdc.sinks.mongodb.sink import MongoDBSink

__all__ = ("MongoDBSink",)
