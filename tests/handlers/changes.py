"""Changes of tables that are made by hand, with typed values."""

from __future__ import annotations

import itertools
from typing import Any, Final

import attrs

from pglogical_cdc.absent import Absent
from pglogical_cdc.events import (
    Column,
    Delete,
    Insert,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    SnapshotRead,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.loaders import PsycopgLoaders
from tests.formatters.tables import column, relation

__all__ = (
    "PEOPLE",
    "Value",
    "delete",
    "insert",
    "loaded",
    "read",
    "row",
    "table",
    "truncate",
    "update",
)

Value = str | bytes | Absent | None
"""A value as it comes; a str stands for its bytes."""

_LSNS: Final = itertools.count(0x1000, 8)
_TRANSACTION: Final = Transaction(700, LSN(0x900_0000), 820_540_800_000_000)


def table(
    *columns: Column, key: tuple[str, ...] = ("id",), name: str = "t", **options: Any
) -> Relation:
    """A table whose primary key is its replica identity, unless told otherwise."""
    options = {"primary_key": key or None, **options}
    identity = options.get("identity", ReplicaIdentity.DEFAULT) is ReplicaIdentity.FULL
    marked = [attrs.evolve(each, is_identity=identity or each.name in key) for each in columns]
    return loaded(relation(*marked, name=name, **options))


def loaded(made: Relation) -> Relation:
    """The table with values as psycopg makes them."""
    return attrs.evolve(made, loaders=PsycopgLoaders())


def row(of: Relation, *values: Value) -> Row:
    raw: list[RawValue] = [each.encode() if isinstance(each, str) else each for each in values]
    assert len(raw) == len(of.columns)
    return Row(of, raw)


def insert(of: Relation, *values: Value, lsn: int | None = None) -> Insert:
    return Insert(_lsn(lsn), _TRANSACTION, 0, of, row(of, *values))


def read(of: Relation, *values: Value) -> SnapshotRead:
    return SnapshotRead(_lsn(None), None, 0, of, row(of, *values))


def update(
    of: Relation, *values: Value, before: tuple[Value, ...] | None = None, lsn: int | None = None
) -> Update:
    old = None if before is None else row(of, *before)
    return Update(_lsn(lsn), _TRANSACTION, 0, of, old, row(of, *values))


def delete(of: Relation, *values: Value, lsn: int | None = None) -> Delete:
    return Delete(_lsn(lsn), _TRANSACTION, 0, of, row(of, *values))


def truncate(of: Relation) -> Truncate:
    return Truncate(_lsn(None), _TRANSACTION, 0, of, cascade=False, restart_identity=False)


def _lsn(given: int | None) -> int:
    return next(_LSNS) if given is None else given


PEOPLE: Final = table(column("id", "int4"), column("name"), column("big"))
