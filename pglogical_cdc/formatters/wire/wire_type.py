"""WireType: what Debezium takes a column's type for."""

from __future__ import annotations

from collections.abc import Mapping

from pglogical_cdc._attrs import record
from pglogical_cdc.events import (
    BUILTIN_ARRAY_ELEMENTS,
    BUILTIN_TYPE_NAMES,
    BUILTIN_TYPES,
    CatalogType,
    Column,
    TableCatalog,
    TypeKind,
    below_domains,
)

__all__ = ("WireType", "resolve_type")


@record
class WireType:
    """The type of a column below its domains."""

    name: str | None
    """``pg_type.typname``; of an array, that of the element."""
    modifier: int
    kind: TypeKind
    is_array: bool = False
    is_domain: bool = False
    """Whether the column's own type is a domain over this one."""
    labels: tuple[str, ...] = ()
    """Of an enum, or an array of enums."""


def resolve_type(column: Column, catalog: TableCatalog | None) -> WireType:
    """Find what a column's values are: the type below its domains, the element of its array.

    Without a catalog the Type message has named the type below a domain, but nothing tells an
    enum from another type that is not built in.
    """
    types: Mapping[int, CatalogType] = {} if catalog is None else catalog.types
    oid, modifier, found = below_domains(column, catalog)
    is_domain = oid != column.type_oid
    name = BUILTIN_TYPES.get(oid)
    if name is None:
        name = column.type_name if found is None else _own_name(found)
    element = BUILTIN_ARRAY_ELEMENTS.get(oid, 0 if found is None else found.element_oid)
    if element:
        inner = types.get(element)
        inner_name = BUILTIN_TYPES.get(element) if inner is None else _own_name(inner)
        if inner is None:
            return WireType(inner_name, modifier, "b", is_array=True, is_domain=is_domain)
        return WireType(
            inner_name,
            modifier,
            inner.kind,
            is_array=True,
            is_domain=is_domain,
            labels=inner.labels,
        )
    if found is None and name is not None and name.startswith("_") and oid not in BUILTIN_TYPES:
        return WireType(name[1:], modifier, "b", is_array=True)
    if found is None:
        return WireType(name, modifier, "b", is_domain=is_domain)
    return WireType(name, modifier, found.kind, is_domain=is_domain, labels=found.labels)


def _own_name(found: CatalogType) -> str | None:
    """Return the name of a type that is not built in; None if a built-in one is called so too.

    An enum is one whatever it is called.
    """
    return None if found.kind != "e" and found.name in BUILTIN_TYPE_NAMES else found.name
