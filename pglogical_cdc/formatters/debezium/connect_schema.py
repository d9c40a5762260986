"""ConnectSchema: the schemas of Kafka Connect, as JsonConverter puts them beside each payload.

A schema's JSON has its members in this order: ``type``; ``fields``, ``items`` or ``keys`` and
``values``; ``optional``, ``name``, ``version``, ``doc``, ``parameters``, ``default``, ``field``.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import evolve

from pglogical_cdc._attrs import record
from pglogical_cdc.formatters.wire.json_text import json_text

__all__ = (
    "BOOLEAN",
    "BYTES",
    "DOUBLE",
    "FLOAT",
    "INT16",
    "INT32",
    "INT64",
    "STRING",
    "ConnectSchema",
    "ConnectType",
    "array_of",
    "semantic",
    "struct",
)

ConnectType: TypeAlias = Literal[
    "array",
    "boolean",
    "bytes",
    "double",
    "float",
    "int16",
    "int32",
    "int64",
    "map",
    "string",
    "struct",
]


@record(unsafe_hash=True)
class ConnectSchema:
    """The schema of a value."""

    type: ConnectType
    optional: bool = False
    name: str | None = None
    """What the values mean (``io.debezium.time.Date``), or which struct it is."""
    version: int | None = None
    doc: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    default: bytes | None = None
    """JSON of the default."""
    fields: tuple[tuple[str, ConnectSchema], ...] = ()
    """Of a struct."""
    items: ConnectSchema | None = None
    """Of an array."""
    keys: ConnectSchema | None = None
    """Of a map."""
    values: ConnectSchema | None = None
    """Of a map."""

    def json(self, field: str | None = None) -> bytes:
        """Return the JSON.

        Args:
            field: the name that it has in the struct around it.
        """
        members = [b'"type":"%b"' % self.type.encode()]
        if self.type == "struct":
            inner = b",".join([schema.json(name) for name, schema in self.fields])
            members.append(b'"fields":[%b]' % inner)
        if self.items is not None:
            members.append(b'"items":%b' % self.items.json())
        if self.keys is not None and self.values is not None:
            members.append(b'"keys":%b,"values":%b' % (self.keys.json(), self.values.json()))
        members.append(b'"optional":true' if self.optional else b'"optional":false')
        if self.name is not None:
            members.append(b'"name":%b' % json_text(self.name))
        if self.version is not None:
            members.append(b'"version":%d' % self.version)
        if self.doc is not None:
            members.append(b'"doc":%b' % json_text(self.doc))
        if self.parameters:
            pairs = [b"%b:%b" % (json_text(key), json_text(text)) for key, text in self.parameters]
            members.append(b'"parameters":{%b}' % b",".join(pairs))
        if self.default is not None:
            members.append(b'"default":%b' % self.default)
        if field is not None:
            members.append(b'"field":%b' % json_text(field))
        return b"{%b}" % b",".join(members)

    def head(self) -> bytes:
        """Return what JsonConverter writes before a payload; a brace comes after it."""
        return b'{"schema":%b,"payload":' % self.json()

    def as_optional(self) -> ConnectSchema:
        """Return the same schema, of values that may be null."""
        return evolve(self, optional=True)


BOOLEAN: Final = ConnectSchema("boolean")
BYTES: Final = ConnectSchema("bytes")
DOUBLE: Final = ConnectSchema("double")
FLOAT: Final = ConnectSchema("float")
INT16: Final = ConnectSchema("int16")
INT32: Final = ConnectSchema("int32")
INT64: Final = ConnectSchema("int64")
STRING: Final = ConnectSchema("string")


def semantic(type: ConnectType, name: str, *parameters: tuple[str, str]) -> ConnectSchema:
    """Return the schema of a logical type of Kafka Connect's or Debezium's, version 1."""
    return ConnectSchema(type, name=name, version=1, parameters=parameters)


def struct(
    *fields: tuple[str, ConnectSchema],
    name: str,
    version: int | None = 1,
    doc: str | None = None,
    optional: bool = False,
) -> ConnectSchema:
    """Return the schema of a struct."""
    return ConnectSchema(
        "struct", optional=optional, name=name, version=version, doc=doc, fields=fields
    )


def array_of(items: ConnectSchema, name: str | None = None) -> ConnectSchema:
    """Return the schema of an array."""
    return ConnectSchema("array", name=name, version=None if name is None else 1, items=items)
