"""What changed, typed. Pure: no connection, no clock."""

from pglogical_cdc.events.assembler import ChangeAssembler
from pglogical_cdc.events.base_type import base_type, below_domains
from pglogical_cdc.events.builtin_types import (
    BUILTIN_ARRAY_ELEMENTS,
    BUILTIN_TYPE_NAMES,
    BUILTIN_TYPES,
)
from pglogical_cdc.events.catalog import (
    CatalogColumn,
    CatalogType,
    TableCatalog,
    TypeKind,
    UniqueIndex,
)
from pglogical_cdc.events.change import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    Operation,
    RowChange,
    SchemaChange,
    SnapshotMarker,
    SnapshotPoint,
    SnapshotRead,
    Truncate,
    Update,
)
from pglogical_cdc.events.position import Position
from pglogical_cdc.events.relation import (
    Alteration,
    Column,
    Load,
    PlainLoaders,
    Relation,
    ReplicaIdentity,
    ValueLoaders,
)
from pglogical_cdc.events.row import AlteredRow, RawValue, Row
from pglogical_cdc.events.snapshot_rows import SnapshotRows
from pglogical_cdc.events.snapshot_run import SnapshotRun
from pglogical_cdc.events.tombstone import Tombstone
from pglogical_cdc.events.transaction import POSTGRES_EPOCH_US, Transaction

__all__ = (
    "AlteredRow",
    "Alteration",
    "BUILTIN_ARRAY_ELEMENTS",
    "BUILTIN_TYPES",
    "BUILTIN_TYPE_NAMES",
    "CatalogColumn",
    "CatalogType",
    "Change",
    "ChangeAssembler",
    "Column",
    "Delete",
    "Insert",
    "Load",
    "LogicalMessage",
    "Operation",
    "PlainLoaders",
    "POSTGRES_EPOCH_US",
    "Position",
    "RawValue",
    "Relation",
    "ReplicaIdentity",
    "Row",
    "RowChange",
    "SchemaChange",
    "SnapshotMarker",
    "SnapshotPoint",
    "SnapshotRead",
    "SnapshotRows",
    "SnapshotRun",
    "TableCatalog",
    "Tombstone",
    "Transaction",
    "Truncate",
    "TypeKind",
    "UniqueIndex",
    "Update",
    "ValueLoaders",
    "base_type",
    "below_domains",
)
