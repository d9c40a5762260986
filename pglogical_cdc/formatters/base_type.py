"""The built-in type that a column's values are written as."""

from __future__ import annotations

from pglogical_cdc.events import BUILTIN_TYPES, Column, Relation

__all__ = ("base_type",)


def base_type(relation: Relation, column: Column) -> tuple[str | None, int]:
    """Return name and modifier of the type of a column, below all domains.

    The name is that of ``pg_type``; None if the type is not built in, or not known.
    """
    oid, modifier = column.type_oid, column.type_modifier
    types = {} if relation.catalog is None else relation.catalog.types
    while oid in types and types[oid].kind == "d":
        oid, modifier = types[oid].base_oid, types[oid].base_modifier
    if oid in BUILTIN_TYPES:
        return BUILTIN_TYPES[oid], modifier
    # Without a catalog the name is that of a Type message, which looks through domains.
    return (None if oid in types else column.type_name), modifier
