"""Change to zero or more changes: what a pipeline does between reader and formatter. Pure."""

from pglogical_cdc.transforms.columns import ColumnTransform
from pglogical_cdc.transforms.excluded import ExcludeColumns, IncludeColumns
from pglogical_cdc.transforms.hashed import HashColumns
from pglogical_cdc.transforms.masked import MaskColumns
from pglogical_cdc.transforms.truncated import TruncateColumns

__all__ = (
    "ColumnTransform",
    "ExcludeColumns",
    "HashColumns",
    "IncludeColumns",
    "MaskColumns",
    "TruncateColumns",
)
