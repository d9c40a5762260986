"""The type that a column's values have: what is below its domains."""

from __future__ import annotations

from collections.abc import Mapping

from pglogical_cdc.events.builtin_types import BUILTIN_TYPES
from pglogical_cdc.events.catalog import CatalogType, TableCatalog
from pglogical_cdc.events.relation import Column, Relation

__all__ = ("base_type", "below_domains")


def below_domains(
    column: Column, catalog: TableCatalog | None
) -> tuple[int, int, CatalogType | None]:
    """Return OID, modifier and, if the catalog has it, description of a column's base type.

    As in the server a column of a domain has no modifier of its own: that of the innermost domain
    that has one counts.
    """
    types: Mapping[int, CatalogType] = {} if catalog is None else catalog.types
    oid, modifier = column.type_oid, column.type_modifier
    found = types.get(oid)
    # A catalog is data from outside: do not follow it in a circle.
    for _ in range(len(types)):
        if found is None or found.kind != "d":
            break
        if found.base_modifier != -1:
            modifier = found.base_modifier
        oid = found.base_oid
        found = types.get(oid)
    return oid, modifier, found


def base_type(relation: Relation, column: Column) -> tuple[str | None, int]:
    """Return name and modifier of the type of a column, below all domains.

    The name is that of ``pg_type``; None if the type is not built in, or not known.
    """
    oid, modifier, found = below_domains(column, relation.catalog)
    if oid in BUILTIN_TYPES:
        return BUILTIN_TYPES[oid], modifier
    # Without a catalog the name is that of a Type message, which looks through domains.
    return (column.type_name if found is None else None), modifier
