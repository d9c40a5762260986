"""Relations for the tests of the formatters, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pglogical_cdc.events import (
    CatalogColumn,
    CatalogType,
    Column,
    Relation,
    ReplicaIdentity,
    TableCatalog,
    UniqueIndex,
)
from pglogical_cdc.events.builtin_types import BUILTIN_TYPES

__all__ = ("column", "relation")

_OIDS = {name: oid for oid, name in BUILTIN_TYPES.items()}


def column(
    name: str,
    type_name: str = "text",
    modifier: int = -1,
    *,
    oid: int | None = None,
    identity: bool = False,
) -> Column:
    """Return a column; a type that is not built in needs an OID."""
    return Column(name, _OIDS[type_name] if oid is None else oid, modifier, type_name, identity)


def relation(
    *columns: Column,
    oid: int = 1,
    schema: str = "public",
    name: str = "t",
    identity: ReplicaIdentity = ReplicaIdentity.DEFAULT,
    primary_key: Sequence[str] | None = None,
    not_null: Sequence[str] = (),
    defaults: Mapping[str, str] | None = None,
    generated: Sequence[str] = (),
    types: Sequence[CatalogType] = (),
    unique: Sequence[str | UniqueIndex] = (),
    with_catalog: bool = True,
) -> Relation:
    """Return a relation, with a catalog unless told otherwise."""
    catalog = TableCatalog(
        database="shop",
        oid=oid,
        schema=schema,
        table=name,
        columns=tuple(
            CatalogColumn(
                name=each.name,
                attnum=number,
                type_oid=each.type_oid,
                type_modifier=each.type_modifier,
                type_text="",
                not_null=each.name in not_null,
                default=(defaults or {}).get(each.name),
                generated="s" if each.name in generated else "",
                identity="",
            )
            for number, each in enumerate(columns, 1)
        ),
        primary_key=None if primary_key is None else tuple(primary_key),
        unique_indexes=tuple(
            UniqueIndex("u", (each,)) if isinstance(each, str) else each for each in unique
        ),
        types={each.oid: each for each in types},
    )
    return Relation(
        oid=oid,
        schema=schema,
        name=name,
        columns=columns,
        replica_identity=identity,
        database="shop",
        catalog=catalog if with_catalog else None,
    )
