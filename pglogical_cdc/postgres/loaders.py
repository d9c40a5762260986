"""PsycopgLoaders: Python values of columns, by psycopg's own loaders.

What the caller has registered with psycopg counts first. Types that are not built in (enums,
composites, ranges, domains, hstore) are learnt from ``relation.catalog`` when a column has one,
into a map of our own: neither psycopg's global map nor the caller's is ever changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import psycopg
from psycopg import pq
from psycopg.abc import Loader
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.hstore import register_hstore
from psycopg.types.multirange import MultirangeInfo, register_multirange
from psycopg.types.range import RangeInfo, register_range
from psycopg.types.string import TextBinaryLoader

from pglogical_cdc.errors import ValueDecodeError
from pglogical_cdc.events.builtin_types import BUILTIN_ARRAY_ELEMENTS, BUILTIN_TYPES
from pglogical_cdc.events.catalog import CatalogType
from pglogical_cdc.events.relation import Column, Load, PlainLoaders, Relation
from pglogical_cdc.postgres.leaf_loaders import CallersLoaderError, leaf_loader

__all__ = ("PsycopgLoaders",)

_BUILTIN_OIDS: Final[Mapping[str, int]] = {name: oid for oid, name in BUILTIN_TYPES.items()}

_PLAIN: Final = PlainLoaders()
_NO_TYPES: Final[Mapping[int, CatalogType]] = {}


class PsycopgLoaders:
    """Makes Python values with psycopg's loaders.

    A value that Python cannot hold (infinity, BC, 24:00, a year above 9999, an interval that is
    too long) comes as the server's text; so does every other text value on which one of psycopg's
    loaders fails. Text that is not UTF-8, and binary values that psycopg cannot load, come as
    `bytes`.

    Args:
        adapters: psycopg adapters whose loaders are used, as they are now; by default psycopg's
            global ones.
    """

    def __init__(self, adapters: AdaptersMap | None = None) -> None:
        self._arguments = () if adapters is None else (adapters,)
        self._given = AdaptersMap(psycopg.adapters if adapters is None else adapters)
        self._adapters = _Adapters(self._given)
        self._known: dict[int, CatalogType] = {}

    def __reduce__(self) -> tuple[type[PsycopgLoaders], tuple[AdaptersMap, ...]]:
        # In another process psycopg's global adapters are those that were registered there.
        return PsycopgLoaders, self._arguments

    def load(self, relation: Relation, column: Column, *, binary: bool) -> Load:
        """Return the function for one column and one wire format.

        The function raises `ValueDecodeError` if a loader that the caller registered fails.

        Raises:
            ValueDecodeError: a loader that the caller registered cannot be made.
        """
        table, name, oid = f"{relation.schema}.{relation.name}", column.name, column.type_oid
        plain = _PLAIN.load(relation, column, binary=binary)
        format = pq.Format.BINARY if binary else pq.Format.TEXT
        try:
            convert = self._loader(relation, column, format).load
        except Exception as error:
            failed = _callers_failure(error)
            if failed is not None:
                raise ValueDecodeError(table, name, oid, failed.loader, failed.cause) from None
            return plain

        def load(value: bytes) -> object:
            try:
                loaded = convert(value)
            except Exception as error:
                failed = _callers_failure(error)
                if failed is not None:
                    raise ValueDecodeError(table, name, oid, failed.loader, failed.cause) from None
                return plain(value)
            # A loader of bytes may hand back what it got, which can be a `BinaryValue`.
            return bytes(value) if loaded is value else loaded

        return load

    def _loader(self, relation: Relation, column: Column, format: pq.Format) -> Loader:
        oid = column.type_oid
        types = _NO_TYPES if relation.catalog is None else relation.catalog.types
        if oid not in BUILTIN_TYPES and oid not in types and column.type_name is not None:
            if column.type_name in _BUILTIN_OIDS and self._given.get_loader(oid, format) is None:
                # Of a domain, the Type message names the type below it.
                oid = _BUILTIN_OIDS[column.type_name]
            else:
                types = {oid: CatalogType(oid, "", column.type_name, "b")}
        self._learn(oid, types)
        # A transformer keeps the loaders that it has found. A new one sees what was just learnt.
        return Transformer(self._adapters).get_loader(oid, format)

    def _learn(self, oid: int, types: Mapping[int, CatalogType]) -> None:
        needed = list(_made_of(oid, types))
        if any(self._known.get(found.oid, found) != found for found in needed):
            # A type was altered, or its OID has gone to another. Columns that have their function
            # already keep the old map.
            self._adapters, self._known = _Adapters(self._given), {}
        for found in needed:
            if found.oid not in self._known:
                self._known[found.oid] = found
                self._adapters.add(found, types)


def _made_of(oid: int, types: Mapping[int, CatalogType]) -> Iterator[CatalogType]:
    """Give a type and all that it is made of, each once, as far as they are in `types`."""
    waiting, seen = [oid], set[int]()
    while waiting:
        oid = waiting.pop()
        if oid in types and oid not in seen:
            seen.add(oid)
            found = types[oid]
            yield found
            waiting += [found.element_oid, found.base_oid, found.subtype_oid]
            waiting += [field_oid for _, field_oid in found.fields]


def _callers_failure(error: BaseException | None) -> CallersLoaderError | None:
    # psycopg's loader of binary multiranges puts an error of its own over that of the bounds.
    while error is not None and not isinstance(error, CallersLoaderError):
        error = error.__cause__ or error.__context__
    return error


class _Adapters(AdaptersMap):
    """A child of the caller's map: it takes more types, and never what the caller's map has."""

    def __init__(self, given: AdaptersMap) -> None:
        super().__init__(given)
        self._given = given
        self._bases: dict[int, int] = {}
        self._leaves: dict[tuple[type[Loader], int, pq.Format], type[Loader]] = {}
        for array_oid, oid in BUILTIN_ARRAY_ELEMENTS.items():
            if given.get_loader(array_oid, pq.Format.TEXT) is None:
                self._add_array(BUILTIN_TYPES[oid], oid, array_oid)

    def register_loader(self, oid: int | str, loader: type[Loader]) -> None:
        if isinstance(oid, str) or self._given.get_loader(oid, loader.format) is None:
            super().register_loader(oid, loader)

    def get_loader(self, oid: int, format: pq.Format) -> type[Loader] | None:
        loader = super().get_loader(oid, format)
        if loader is None:
            base = self._bases.get(oid)
            return None if base is None else self.get_loader(base, format)
        key = loader, oid, format
        leaf = self._leaves.get(key)
        if leaf is None:
            leaf = self._leaves[key] = leaf_loader(loader, oid, format)
        return leaf

    def add(self, found: CatalogType, types: Mapping[int, CatalogType]) -> None:
        """Register what loads values of a type."""
        name, oid = found.name, found.oid
        if found.kind == "d":
            self._bases[oid] = found.base_oid
        elif found.kind == "e":
            self.register_loader(oid, TextBinaryLoader)
        elif found.kind == "r":
            register_range(RangeInfo(name, oid, 0, subtype_oid=found.subtype_oid), self)
        elif found.kind == "m":
            bounds = types.get(found.subtype_oid)
            if bounds is not None:
                multirange = MultirangeInfo(
                    name, oid, 0, range_oid=bounds.oid, subtype_oid=bounds.subtype_oid
                )
                register_multirange(multirange, self)
        elif found.kind == "c":
            self._add_composite(found)
        elif found.element_oid:
            element = types.get(found.element_oid)
            delimiter = "," if element is None else element.delimiter
            self._add_array(name.removeprefix("_"), found.element_oid, oid, delimiter)
        elif name == "hstore":
            register_hstore(TypeInfo(name, oid, 0), self)

    def _add_array(self, name: str, oid: int, array_oid: int, delimiter: str = ",") -> None:
        TypeInfo(name, oid, array_oid, delimiter=delimiter).register(self)

    def _add_composite(self, found: CatalogType) -> None:
        info = CompositeInfo(
            found.name,
            found.oid,
            0,
            field_names=[name for name, _ in found.fields],
            field_types=[oid for _, oid in found.fields],
        )
        try:
            register_composite(info, self)
        except (psycopg.DataError, ValueError):
            # The names of the attributes do not make a named tuple.
            register_composite(info, self, factory=_plain_tuple)


def _plain_tuple(*values: object) -> tuple[object, ...]:
    return values
