"""What the catalog knows of a table and pgoutput does not carry.

These are plain records. The reader fills them from the server; a program that parses captured
bytes may fill them from anywhere, or do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from attrs import field

from pglogical_cdc._attrs import record

__all__ = ("CatalogColumn", "CatalogType", "TableCatalog", "TypeKind", "UniqueIndex")

TypeKind: TypeAlias = Literal["b", "c", "d", "e", "m", "p", "r"]
"""``pg_type.typtype``: base, composite, domain, enum, multirange, pseudo, range."""


@record
class CatalogColumn:
    """A column, as ``pg_attribute`` and ``pg_attrdef`` have it."""

    name: str
    attnum: int
    """Position in ``pg_attribute``: it outlives a rename, and a dropped column leaves a gap."""
    type_oid: int
    type_modifier: int
    type_text: str
    """The type as ``format_type`` writes it, with its modifier: ``numeric(10,2)``."""
    not_null: bool
    default: str | None
    """Text of the default's expression; of a generated column, of its expression."""
    generated: str
    """``s`` stored, ``v`` virtual, empty if not generated."""
    identity: str
    """``a`` always, ``d`` by default, empty if no identity column."""


@record
class UniqueIndex:
    """A unique index that is not on expressions."""

    name: str
    columns: tuple[str, ...]
    included: tuple[str, ...] = ()
    """Columns that are only stored with it (INCLUDE)."""
    identifies: bool = True
    """Whether every row has an entry of its own at every moment: the index is valid, immediate and
    not partial, and its columns are NOT NULL."""


@record
class CatalogType:
    """A type that is not built in, and what reading its values takes (``pg_type``)."""

    oid: int
    schema: str
    name: str
    kind: TypeKind
    delimiter: str = ","
    array_oid: int = 0
    """OID of the array type over this type; 0 if there is none."""
    element_oid: int = 0
    """Of an array type, OID of the element; else 0."""
    base_oid: int = 0
    """Of a domain, OID of the type that it is over (which may be a domain again)."""
    base_modifier: int = -1
    """Of a domain, the type modifier of the type that it is over."""
    subtype_oid: int = 0
    """Of a range, OID of its bounds; of a multirange, OID of its range."""
    labels: tuple[str, ...] = ()
    """Of an enum, its labels in their order."""
    fields: tuple[tuple[str, int], ...] = ()
    """Of a composite, name and type OID of each attribute in order."""


@record
class TableCatalog:
    """A table at the moment when the catalog was read."""

    database: str
    oid: int
    schema: str
    table: str
    columns: tuple[CatalogColumn, ...]
    primary_key: tuple[str, ...] | None
    """Columns in the order of the **index**, which need not be the order of the table."""
    unique_indexes: tuple[UniqueIndex, ...] = ()
    """Other unique indexes: first one that the table is clustered by, then by name."""
    types: Mapping[int, CatalogType] = field(factory=dict)
    """Types of the columns that are not built in, and all that those are made of, by OID."""

    def column(self, name: str) -> CatalogColumn | None:
        """Return the column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)
