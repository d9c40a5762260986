"""The options of the Debezium formats, under Debezium's names with underscores."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from typing_extensions import TypedDict

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters.debezium.names import AdjustmentMode
from pglogical_cdc.formatters.option_check import check_text
from pglogical_cdc.formatters.wire.binary import BinaryMode
from pglogical_cdc.formatters.wire.numbers import DecimalFormat
from pglogical_cdc.name_patterns import NamePatterns, case_insensitive

__all__ = (
    "DebeziumOptions",
    "DecimalMode",
    "HstoreMode",
    "IntervalMode",
    "TableOptions",
    "TimeMode",
    "TypeOptions",
    "message_keys",
    "placeholder_bytes",
    "skipped_letters",
)

DecimalMode: TypeAlias = Literal["precise", "double", "string"]
TimeMode: TypeAlias = Literal[
    "adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"
]
IntervalMode: TypeAlias = Literal["numeric", "string"]
HstoreMode: TypeAlias = Literal["json", "map"]

_LETTERS: Final = ("c", "u", "d", "t")


@record
class TypeOptions:
    """The options that decide how a value of a type is written."""

    decimal: DecimalMode = "precise"
    decimal_format: DecimalFormat = "BASE64"
    time: TimeMode = "adaptive"
    interval: IntervalMode = "numeric"
    hstore: HstoreMode = "json"
    binary: BinaryMode = "bytes"
    placeholder: bytes = b"__debezium_unavailable_value"
    """What stands for a TOASTed value that the server did not send."""
    include_unknown: bool = False
    money_fraction_digits: int = 2
    faithful: bool = False


@record
class TableOptions:
    """The options that decide how tables are written, beside those of values."""

    types: TypeOptions = TypeOptions()
    schemas: bool = False
    replace_null_with_default: bool = True
    message_keys: tuple[re.Pattern[str], ...] = ()
    """Of ``schema.table.column``: ``message.key.columns`` taken apart."""
    propagate_columns: NamePatterns = NamePatterns()
    """``schema.table.column``."""
    propagate_types: NamePatterns = NamePatterns()
    """``schema.table.type``."""
    schema_names: AdjustmentMode = "none"
    field_names: AdjustmentMode = "none"
    prefix: str = ""
    delimiter: str = "."
    snapshot: bool = False
    """Whether rows are those of a snapshot."""


class DebeziumOptions(TypedDict, total=False):
    """All keyword arguments of `DebeziumFormatter` but ``topic_prefix``."""

    database: str | None
    schemas_enable: bool
    decimal_handling_mode: DecimalMode
    decimal_format: DecimalFormat
    time_precision_mode: TimeMode
    interval_handling_mode: IntervalMode
    hstore_handling_mode: HstoreMode
    binary_handling_mode: BinaryMode
    money_fraction_digits: int
    include_unknown_datatypes: bool
    unavailable_value_placeholder: str
    replace_null_with_default: bool
    tombstones_on_delete: bool
    skipped_operations: str
    skip_messages_without_change: bool
    provide_transaction_metadata: bool
    message_key_columns: str | None
    column_propagate_source_type: str | Sequence[str]
    datatype_propagate_source_type: str | Sequence[str]
    schema_name_adjustment_mode: AdjustmentMode
    field_name_adjustment_mode: AdjustmentMode
    topic_delimiter: str
    topic_transaction: str
    topic_heartbeat_prefix: str
    extended_headers_enabled: bool
    connector_name: str
    task_id: str
    run_id: str | None
    faithful: bool
    clock: Callable[[], int]


def skipped_letters(skipped_operations: object) -> frozenset[str]:
    """Read ``skipped.operations``: letters separated by commas, or ``none``.

    Raises:
        ConfigurationError: another letter, or no string.
    """
    letters = None
    if isinstance(skipped_operations, str):
        letters = {letter.strip() for letter in skipped_operations.split(",")} - {""}
    if letters == {"none"}:
        return frozenset()
    if letters is None or not letters <= set(_LETTERS):
        raise ConfigurationError(
            f"skipped_operations={skipped_operations!r} is not supported; it is 'none', or some "
            f"of {', '.join(_LETTERS)} separated by commas"
        )
    return frozenset(letters)


def placeholder_bytes(unavailable_value_placeholder: str) -> bytes:
    """Read ``unavailable.value.placeholder``: text, or ``hex:`` and hexadecimal digits.

    Raises:
        ConfigurationError: it is no string, or what follows ``hex:`` is something else.
    """
    check_text("unavailable_value_placeholder", unavailable_value_placeholder)
    if not unavailable_value_placeholder.startswith("hex:"):
        return unavailable_value_placeholder.encode()
    try:
        return bytes.fromhex(unavailable_value_placeholder.removeprefix("hex:"))
    except ValueError:
        raise ConfigurationError(
            f"unavailable_value_placeholder={unavailable_value_placeholder!r}: after 'hex:' come "
            "pairs of hexadecimal digits"
        ) from None


def message_keys(message_key_columns: str | None) -> tuple[re.Pattern[str], ...]:
    """Read ``message.key.columns``: ``schema.table:column,column;schema.(.*):column``.

    Like Debezium it makes one regular expression of the table and each column.

    Raises:
        ConfigurationError: it is of another form.
    """
    if message_key_columns is not None:
        check_text("message_key_columns", message_key_columns)
    made: list[re.Pattern[str]] = []
    for entry in (message_key_columns or "").split(";"):
        if not entry.strip():
            continue
        table, colon, columns = entry.strip().rpartition(":")
        names = [name.strip() for name in columns.split(",") if name.strip()]
        table = table.strip()
        if not colon or not table or not names:
            raise ConfigurationError(
                f"message_key_columns: {entry!r} is not of the form schema.table:column,column "
                "(tables and columns are regular expressions; entries are separated by semicolons)"
            )
        made += [case_insensitive("message_key_columns", f"{table}.{name}") for name in names]
    return tuple(made)
