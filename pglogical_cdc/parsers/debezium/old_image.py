"""Tells the image of an old key from a whole old row.

Debezium's JSON does not: of a deleted row of which the server sent only the key, the other columns
are null, or where that is not allowed the zero of their type, or their default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pglogical_cdc.parsers.debezium.shapes import Described, Shape

__all__ = ("is_key_image",)

_ZERO: Final = re.compile(
    r"|0(?:\.0+)?|AA==|\{\}|00:00:00Z|1970-01-01(?:T00:00:00)?Z|P0Y0M0DT0H0M0S"
)


def is_key_image(shape: Shape, key: Shape, payload: Mapping[str, Any]) -> bool:
    """Tell whether nothing but the columns of the key has a value.

    Args:
        shape: the columns of the row.
        key: the columns of the key.
        payload: the JSON object of the row.
    """
    names = {column.name for column in key}
    others = [column for column in shape if column.name not in names]
    return all(_is_empty(column, payload.get(column.name)) for column in others)


def _is_empty(column: Described, value: Any) -> bool:
    # What is masked says nothing of the row.
    if value is None or column.altered:
        return True
    if column.default is not None and column.type.text(value) == column.default:
        return True
    if isinstance(value, str):
        return _ZERO.fullmatch(value) is not None
    if isinstance(value, dict):
        # hstore; numeric without a scale; sparsevec; point
        if not value or value.get("value") == "AA==" or value.get("dimensions") == 0:
            return True
        return value.get("x") == 0 and value.get("y") == 0
    return not value
