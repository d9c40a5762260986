"""WireType: what Debezium takes a column's type for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pglogical_cdc._attrs import record
from pglogical_cdc.events import (
    BUILTIN_ARRAY_ELEMENTS,
    BUILTIN_TYPES,
    CatalogType,
    Column,
    TableCatalog,
    TypeKind,
    below_domains,
)

__all__ = ("WireType", "resolve_type")


_BUILTIN_NAMES: Final = frozenset(BUILTIN_TYPES.values())


@record
class WireType:
    """The type of a column below its domains."""

    name: str | None
    """``pg_type.typname``; of an array, that of the element."""
    modifier: int
    kind: TypeKind
    is_array: bool = False
    labels: tuple[str, ...] = ()
    """Of an enum, or an array of enums."""


def resolve_type(column: Column, catalog: TableCatalog | None) -> WireType:
    """Find what a column's values are: the type below its domains, the element of its array.

    Without a catalog the Type message has named the type below a domain, but nothing tells an
    enum from another type that is not built in.
    """
    types: Mapping[int, CatalogType] = {} if catalog is None else catalog.types
    oid, modifier, found = below_domains(column, catalog)
    name = BUILTIN_TYPES.get(oid)
    if name is None:
        name = column.type_name if found is None else _own_name(found)
    element = BUILTIN_ARRAY_ELEMENTS.get(oid, 0 if found is None else found.element_oid)
    if element:
        inner = types.get(element)
        inner_name = BUILTIN_TYPES.get(element) if inner is None else _own_name(inner)
        if inner is None:
            return WireType(inner_name, modifier, "b", is_array=True)
        return WireType(inner_name, modifier, inner.kind, is_array=True, labels=inner.labels)
    if found is None and name is not None and name.startswith("_") and oid not in BUILTIN_TYPES:
        return WireType(name[1:], modifier, "b", is_array=True)
    if found is None:
        return WireType(name, modifier, "b")
    return WireType(name, modifier, found.kind, labels=found.labels)


def _own_name(found: CatalogType) -> str | None:
    """Return the name of a type that is not built in; None if a built-in one is called so too."""
    return None if found.name in _BUILTIN_NAMES else found.name
