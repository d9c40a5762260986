"""Reads rows that ExtractNewRecordState has unwrapped, by the fields that it was told to add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pglogical_cdc.formatters.debezium.source import SOURCE_FIELDS
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock

__all__ = ("as_envelope", "is_added")

_DELETED: Final = "__deleted"
_ENVELOPE: Final = ("op", "ts_ms", "ts_us", "ts_ns")
_TRANSACTION: Final = TransactionBlock._fields
_ADDED: Final = {
    **{f"__{field}": ("source", field) for field in SOURCE_FIELDS},
    **{f"__source_{field}": ("source", field) for field in SOURCE_FIELDS},
    **{f"__{field}": ("transaction", field) for field in _TRANSACTION},
    **{f"__transaction_{field}": ("transaction", field) for field in _TRANSACTION},
    **{f"__{field}": ("", field) for field in _ENVELOPE},
}
"""Where each added field comes from; of one that could be of two structs, the later line counts."""
_PARTS: Final = 4


def as_envelope(
    row: Mapping[str, Any], schema_name: str | None, headers: Sequence[tuple[str, Any]]
) -> dict[str, Any] | None:
    """Return the envelope of an unwrapped row, as far as its added fields and headers tell it.

    Args:
        row: the JSON object.
        schema_name: name of its schema: ``prefix.schema.table.Value``; None without schema.
        headers: name and decoded value of each header.

    Returns:
        None if nothing tells the operation, or which table it is.
    """
    structs: dict[str, dict[str, Any]] = {"": {}, "source": {}, "transaction": {}}
    for name, value in (*headers, *row.items()):
        if name in _ADDED and value is not None:
            struct, field = _ADDED[name]
            structs[struct][field] = value
    source, envelope = structs["source"], structs[""]
    if row.get(_DELETED) == "true":
        envelope["op"] = "d"
    parts = (schema_name or "").split(".")
    # With more dots nobody can tell whose they are.
    if len(parts) == _PARTS and parts[-1] == "Value":
        source.setdefault("schema", parts[1])
        source.setdefault("table", parts[2])
    if "op" not in envelope or "table" not in source:
        return None
    image = {name: value for name, value in row.items() if not is_added(name)}
    envelope["before"] = image if envelope["op"] == "d" else None
    envelope["after"] = image if envelope["op"] != "d" else None
    envelope["source"] = {"schema": "", "lsn": 0, **source}
    envelope["transaction"] = structs["transaction"] or None
    return envelope


def is_added(name: str) -> bool:
    """Tell whether a field of an unwrapped row was added to it."""
    return name == _DELETED or name in _ADDED
