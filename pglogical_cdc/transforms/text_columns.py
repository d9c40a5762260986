"""Which columns hold text, and how a function on text alters their wire values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pglogical_cdc.events import (
    BUILTIN_TYPE_NAMES,
    BUILTIN_TYPES,
    Column,
    RawValue,
    Relation,
    base_type,
    below_domains,
)
from pglogical_cdc.transforms.columns import Alter

__all__ = ("is_character", "is_text", "longest", "on_text")


_CHARACTERS: Final = frozenset(("text", "varchar", "bpchar", "char", "name"))
_TEXT: Final = _CHARACTERS | frozenset(
    (
        *("citext", "json", "jsonb", "xml", "uuid", "inet", "cidr", "macaddr", "macaddr8"),
        *("ltree", "tsvector", "int4range", "int8range", "numrange", "tsrange", "tstzrange"),
        *("daterange", "isbn"),
    )
)
"""Types whose text is what a format writes."""


def is_character(relation: Relation, column: Column) -> bool:
    """Tell whether a column is of a character type, an enum, or a domain over one.

    A type that the catalog does not have counts as one: it may be an enum, and nobody shall read
    what was to be hidden.
    """
    oid, _modifier, found = below_domains(column, relation.catalog)
    if found is not None:
        return found.kind == "e"
    name = base_type(relation, column)[0]
    return name in _CHARACTERS or (oid not in BUILTIN_TYPES and name not in BUILTIN_TYPE_NAMES)


def is_text(relation: Relation, column: Column) -> bool:
    """Tell whether a column's values are written as their text."""
    _oid, _modifier, found = below_domains(column, relation.catalog)
    name = base_type(relation, column)[0] if found is None else found.name
    return is_character(relation, column) or name in _TEXT


def on_text(alter: Callable[[str], str]) -> Alter:
    """Return what does to wire values what a function does to text; absent ones stay absent."""

    def altered(value: RawValue) -> RawValue:
        if not isinstance(value, bytes):
            return value
        text = alter(value.decode("utf-8", "surrogateescape"))
        return type(value)(text.encode("utf-8", "surrogateescape"))

    return altered


def longest(relation: Relation, column: Column) -> int:
    """Return how many characters the type of a column allows; 0 if any number."""
    name, modifier = base_type(relation, column)
    if name == "char":
        return 1
    return modifier - 4 if name in ("varchar", "bpchar") and modifier >= 4 else 0
