"""Keys of records that tell the columns of the primary key: those that `Tombstones` writes."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Final

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.debezium.connect_json import is_text
from pglogical_cdc.parsers.dms.strict_json import Number, read_json

__all__ = ("RowKey", "read_row_key")

_HEAD: Final = ["schema", "table"]
_SCALARS: Final = (str, Number, bool)


@record
class RowKey:
    """The key of a row's record."""

    schema: str
    table: str
    members: Mapping[str, Any] = field(repr=False)
    """The other members: a JSON value by column."""

    def columns(self, known: Container[str]) -> tuple[str, ...]:
        """Return the names of the columns, in the order of the key.

        A column that is itself called ``schema`` or ``table`` has its table before its name.

        Args:
            known: names of columns that the table has for sure.
        """
        prefixed = {f"{self.table}.{name}": name for name in _HEAD}
        return tuple(name if name in known else prefixed.get(name, name) for name in self.members)


def read_row_key(key: bytes | str) -> RowKey | None:
    """Read the key of a record.

    Returns:
        None if it does not tell what its parts are, as all keys of DMS itself do not.
    """
    try:
        content = read_json("key", key)
    except RecordFormatError:
        return None
    if not isinstance(content, dict) or len(content) <= len(_HEAD) or [*content][:2] != _HEAD:
        return None
    schema, table = content.pop("schema"), content.pop("table")
    texts = [*content, schema, table, *(each for each in content.values() if type(each) is str)]
    if not all(type(each) in _SCALARS for each in content.values()):
        return None
    if not all(type(each) is str and is_text(each) for each in texts):
        return None
    return RowKey(schema, table, content)
