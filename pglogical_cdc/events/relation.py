"""Relation: one version of a table, from its Relation message and, where known, the catalog."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import define, field

from pglogical_cdc._attrs import record
from pglogical_cdc.events.catalog import TableCatalog
from pglogical_cdc.protocol import BinaryValue

__all__ = (
    "Alteration",
    "Column",
    "Load",
    "PlainLoaders",
    "Relation",
    "ReplicaIdentity",
    "ValueLoaders",
)


class ReplicaIdentity(enum.Enum):
    """What the server logs of the old row (``pg_class.relreplident``)."""

    DEFAULT = "d"
    """The primary key, if there is one."""
    NOTHING = "n"
    FULL = "f"
    """The whole old row."""
    INDEX = "i"
    """The columns of one unique index."""


@record
class Alteration:
    """What a transform does to the values of a column, for formats that have to tell.

    The values in the rows are altered already; this is for what a format puts where there is none,
    and for values that become text only there.
    """

    parameters: tuple[tuple[str, str], ...]
    """What Debezium notes in the schema of the column."""
    alter: Callable[[str], str] | None
    """From a text to the altered text; None if values of this type are left alone."""
    instead: str | None = None
    """What stands for every value, NULL and absent ones included, if it is always the same."""
    max_length: int | None = None
    """To how many characters, or bytes, a format is to cut what it makes text or bytes of."""


@record
class Column:
    """A column, as the Relation message describes it."""

    name: str
    type_oid: int
    type_modifier: int
    """``atttypmod``: length or precision as the type encodes it, -1 if none."""
    type_name: str | None
    """``pg_type.typname`` (``int4``, ``_int4`` for its array); None if nothing told it.

    Of a domain without a catalog, the name of the type below it. A type outside ``pg_catalog``
    that has the name of a built-in one has its schema before it, if the stream named it."""
    is_identity: bool
    """The flag of the message: the column is part of the replica identity (all are under FULL)."""
    alteration: Alteration | None = None
    """Set by transforms."""


Load: TypeAlias = Callable[[bytes], object]
"""From a wire value (`bytes` of the text format, or `BinaryValue`) to a Python value."""


class ValueLoaders(Protocol):
    """Gives the function that makes Python values of a column's wire values.

    The function must not raise but for `ValueDecodeError`.
    """

    def load(self, relation: Relation, column: Column, *, binary: bool) -> Load:
        """Return the function for one column and one wire format."""
        ...


def _plain_text(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


class PlainLoaders:
    """Loaders that know no types: text comes as `str`, binary as `bytes`."""

    def load(self, relation: Relation, column: Column, *, binary: bool) -> Load:
        """Return the function for one column and one wire format."""
        return bytes if binary else _plain_text


_PLAIN = PlainLoaders()


@define(eq=False)
class Relation:
    """One version of a table. A new version is a new object, so that ``is`` tells them apart."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    replica_identity: ReplicaIdentity
    database: str = ""
    """Name of the database; empty if the stream was read without a connection."""
    catalog: TableCatalog | None = None
    """What pgoutput does not carry; None if nobody could tell."""
    loaders: ValueLoaders = field(default=_PLAIN, repr=False)
    base: Relation | None = field(default=None, repr=False)
    """The version that the server sent, if a transform made this one of it; keys come from it."""
    positions: dict[str, int] = field(init=False, repr=False)
    """Index in `columns` by name."""
    key_positions: tuple[int, ...] | None = field(init=False, repr=False)
    """Indexes in `columns` of the key, in the key's own order; None if nothing identifies a row."""
    outside_identity: tuple[int, ...] = field(init=False, repr=False)
    """Indexes in `columns` of those that are not part of the replica identity."""
    _text: list[Load | None] = field(init=False, repr=False)
    _binary: list[Load | None] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.positions = {column.name: i for i, column in enumerate(self.columns)}
        self.key_positions = self._find_key()
        self.outside_identity = tuple(
            i for i, column in enumerate(self.columns) if not column.is_identity
        )
        self._text = [None] * len(self.columns)
        self._binary = [None] * len(self.columns)

    def __reduce__(self) -> tuple[type[Relation], tuple[object, ...]]:
        # Without the functions that loaders have made.
        return Relation, (
            self.oid,
            self.schema,
            self.name,
            self.columns,
            self.replica_identity,
            self.database,
            self.catalog,
            self.loaders,
            self.base,
        )

    @property
    def key_columns(self) -> tuple[str, ...] | None:
        """Names of the key's columns in the key's own order; None if nothing identifies a row.

        The primary key in index order, else the first unique index that identifies rows, else
        (no catalog, or a catalog of a later version that does not fit) the replica identity
        unless that is FULL.
        """
        if self.key_positions is None:
            return None
        return tuple(self.columns[i].name for i in self.key_positions)

    def _find_key(self) -> tuple[int, ...] | None:
        candidates: list[tuple[str, ...]] = []
        if self.catalog is not None:
            if self.catalog.primary_key:
                candidates.append(self.catalog.primary_key)
            # By name alone: CLUSTER, which is maintenance, must not give the rows another key.
            indexes = sorted(self.catalog.unique_indexes, key=lambda index: index.name.encode())
            candidates += [index.columns for index in indexes if index.identifies]
        for names in candidates:
            if all(name in self.positions for name in names):
                return tuple(self.positions[name] for name in names)
        if self.replica_identity is ReplicaIdentity.FULL:
            return None
        return tuple(i for i, column in enumerate(self.columns) if column.is_identity) or None

    def has_shape_of(self, other: Relation) -> bool:
        """Tell whether the Relation messages of both say the same."""
        return (
            self.schema == other.schema
            and self.name == other.name
            and self.replica_identity is other.replica_identity
            and self.columns == other.columns
        )

    def to_python(self, position: int, value: bytes) -> object:
        """Make a Python value of the wire value of the column at `position`.

        Raises:
            ValueDecodeError: a loader that the caller registered failed.
        """
        binary = isinstance(value, BinaryValue)
        cache = self._binary if binary else self._text
        load = cache[position]
        if load is None:
            load = cache[position] = self.loaders.load(self, self.columns[position], binary=binary)
        return load(value)
