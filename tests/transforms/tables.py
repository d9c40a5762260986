"""Tables, changes and columns for the tests of transforms."""

from __future__ import annotations

from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.events import (
    CatalogType,
    Change,
    Column,
    Delete,
    Insert,
    RawValue,
    Relation,
    Row,
    RowChange,
    SnapshotRead,
    Transaction,
    Update,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.transforms import (
    ColumnTransform,
)
from tests.formatters.tables import column, relation

__all__ = (
    "CHARACTERS",
    "DEMO",
    "EMAIL",
    "MOOD",
    "MOODS",
    "OTHERS",
    "PRICE",
    "TEXTS",
    "TRANSACTION",
    "TYPES",
    "USERS",
    "altered",
    "applied",
    "changes",
    "insert",
    "name_of",
    "row",
    "value_of",
)

TRANSACTION = Transaction(xid=7, commit_lsn=LSN(1000), commit_timestamp=0)
MOOD = CatalogType(16400, "public", "mood", "e", array_oid=16401, labels=("sad", "happy"))
MOODS = CatalogType(16401, "public", "_mood", "b", element_oid=16400)
DEMO = CatalogType(16402, "public", "demo", "d", base_oid=16400)
EMAIL = CatalogType(16403, "public", "email", "d", base_oid=25)
PRICE = CatalogType(16404, "public", "price", "d", base_oid=1700)
TYPES = (MOOD, MOODS, DEMO, EMAIL, PRICE)

USERS = relation(
    column("id", "int4", identity=True),
    column("name"),
    column("secret"),
    name="users",
    primary_key=["id"],
    not_null=["id"],
)


def row(*raw: RawValue, table: Relation = USERS) -> Row:
    return Row(table, raw)


def insert(*raw: RawValue, table: Relation = USERS) -> Insert:
    return Insert(900, TRANSACTION, 1, table, row(*raw, table=table))


def changes(table: Relation = USERS) -> list[RowChange]:
    """Return a change of each kind, of the same row."""
    whole = row(b"1", b"Ann", b"hidden", table=table)
    key = row(b"1", NOT_SENT, NOT_SENT, table=table)
    return [
        Insert(900, TRANSACTION, 1, table, whole),
        Update(910, TRANSACTION, 2, table, None, whole),
        Update(920, TRANSACTION, 3, table, whole, whole),
        Delete(930, TRANSACTION, 4, table, key),
        Delete(940, TRANSACTION, 5, table, whole),
        SnapshotRead(950, None, 0, table, whole, "last"),
    ]


def applied(transform: ColumnTransform, change: Change) -> RowChange:
    made = transform(change)
    assert isinstance(made, RowChange)
    assert type(made) is type(change)
    return made


def value_of(transform: ColumnTransform, made: Column, value: RawValue) -> RawValue:
    """Return what becomes of the value of a table's only column."""
    table = relation(made, types=TYPES)
    after = applied(transform, insert(value, table=table)).after
    assert after is not None
    return after.raw[0]


def altered(transform: ColumnTransform, made: Column) -> Column:
    """Return what becomes of a table's only column."""
    return applied(transform, insert(b"x", table=relation(made, types=TYPES))).relation.columns[0]


TEXTS = [column("c", name) for name in ("text", "varchar", "bpchar", "char", "name")]
CHARACTERS = [
    *TEXTS,
    column("c", "mood", oid=16400),
    column("c", "demo", oid=16402),
    column("c", "email", oid=16403),
]
"""Columns of character types, an enum, a domain over one, a domain over text."""
OTHERS = [
    *(column("c", name) for name in ("int4", "uuid", "json", "jsonb", "bytea", "inet", "_text")),
    column("c", "_mood", oid=16401),
    column("c", "price", oid=16404),
]


def name_of(made: Column) -> str:
    return str(made.type_name)
