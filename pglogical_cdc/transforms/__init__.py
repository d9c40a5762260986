"""Change to zero or more changes: what a pipeline does between reader and formatter. Pure."""

from pglogical_cdc.transforms.columns import (
    ColumnTransform,
    ExcludeColumns,
    HashColumns,
    IncludeColumns,
    MaskColumns,
    TruncateColumns,
)

__all__ = (
    "ColumnTransform",
    "ExcludeColumns",
    "HashColumns",
    "IncludeColumns",
    "MaskColumns",
    "TruncateColumns",
)
