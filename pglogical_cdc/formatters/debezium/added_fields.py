"""``add.fields`` and ``add.headers``: fields of the envelope that are kept with the row alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters.debezium.connect_schema import INT64, STRING, ConnectSchema
from pglogical_cdc.formatters.debezium.envelope import SOURCE_SCHEMA, TRANSACTION_BLOCK_SCHEMA
from pglogical_cdc.formatters.debezium.row_format import RowFormat
from pglogical_cdc.formatters.option_check import check_text

__all__ = ("AddedField", "read_added_fields")

_CLOCK_FIELDS: Final = {"ts_ms": 1_000_000, "ts_us": 1000, "ts_ns": 1}
_ENVELOPE: Final[dict[str, ConnectSchema]] = {"op": STRING, **dict.fromkeys(_CLOCK_FIELDS, INT64)}
_SOURCE: Final = dict(SOURCE_SCHEMA.fields)
_TRANSACTION: Final = dict(TRANSACTION_BLOCK_SCHEMA.fields)
_ROWS: Final = ("before", "after")


@record
class AddedField:
    """A field of the envelope that is kept."""

    name: str
    """What it is called with the row."""
    struct: str
    """``source``, ``transaction``, ``before``, ``after``, or empty for the envelope itself."""
    field: str

    def schema(self, row: RowFormat) -> ConnectSchema | None:
        """Return its schema; None if the table has no such column."""
        if self.struct in _ROWS:
            found = next((each for each in row.columns if each.field == self.field), None)
            if found is None:
                return None
            schema = found.schema
        else:
            structs = {"source": _SOURCE, "transaction": _TRANSACTION, "": _ENVELOPE}
            schema = structs[self.struct][self.field]
        return evolve(schema, optional=True, default=None)

    def clock(self, now: int) -> bytes:
        """Return the JSON of a field of the envelope that tells the time.

        Args:
            now: nanoseconds since 1970-01-01 UTC.
        """
        return b"%d" % (now // _CLOCK_FIELDS[self.field])


def read_added_fields(
    option: str, given: str | Sequence[str], prefix: str
) -> tuple[AddedField, ...]:
    """Read a list of fields: a string with commas between them, or several.

    Args:
        option: name of the option.
        given: ``op``, ``source.ts_ms``, ``transaction.id``, ``before.column``; each may have the
            name to give it behind a colon: ``op:OPERATION``.
        prefix: what the names begin with.

    Raises:
        ConfigurationError: there is no such field.
    """
    names = given.split(",") if isinstance(given, str) else given
    for name in names:
        check_text(option, name)
    return tuple(_added_field(option, name.strip(), prefix) for name in names if name.strip())


def _added_field(option: str, given: str, prefix: str) -> AddedField:
    path, colon, new_name = given.partition(":")
    struct, dot, field = path.rpartition(".")
    if not dot:
        struct = "" if field in _ENVELOPE else "transaction" if field in _TRANSACTION else "source"
    known: Sequence[str] = ()
    if struct == "source":
        known = [*_SOURCE, *(() if dot else (*_ENVELOPE, *_TRANSACTION))]
    elif struct == "transaction":
        known = list(_TRANSACTION)
    elif struct == "" and not dot:
        known = list(_ENVELOPE)
    elif struct in _ROWS:
        known = [field] if field else []
    if field not in known or (colon and not new_name):
        raise ConfigurationError(
            f"{option}: {given!r} is not supported; it is {', '.join(_ENVELOPE)}, a field of "
            "source (source.lsn) or of transaction (transaction.id), or a column of the row "
            "(before.name), each with a new name behind a colon if wanted"
        )
    name = new_name if colon else path.replace(".", "_")
    return AddedField(prefix + name, struct, field)
