"""The options of the Debezium formats, under Debezium's names with underscores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from typing_extensions import TypedDict

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters.wire.binary import BinaryMode

__all__ = (
    "DebeziumOptions",
    "DecimalMode",
    "HstoreMode",
    "IntervalMode",
    "TimeMode",
    "TypeOptions",
    "skipped_letters",
)

DecimalMode: TypeAlias = Literal["precise", "double", "string"]
TimeMode: TypeAlias = Literal[
    "adaptive", "adaptive_time_microseconds", "connect", "microseconds", "nanoseconds"
]
IntervalMode: TypeAlias = Literal["numeric", "string"]
HstoreMode: TypeAlias = Literal["json", "map"]

_LETTERS: Final = ("c", "u", "d", "t")


@record
class TypeOptions:
    """The options that decide how a value of a type is written."""

    decimal: DecimalMode
    time: TimeMode
    interval: IntervalMode
    hstore: HstoreMode
    binary: BinaryMode
    placeholder: str
    """What stands for a TOASTed value that the server did not send."""
    include_unknown: bool


class DebeziumOptions(TypedDict, total=False):
    """All keyword arguments of `DebeziumFormatter` but ``topic_prefix``."""

    database: str | None
    tombstones_on_delete: bool
    skipped_operations: str
    unavailable_value_placeholder: str
    decimal_handling_mode: DecimalMode
    time_precision_mode: TimeMode
    interval_handling_mode: IntervalMode
    hstore_handling_mode: HstoreMode
    binary_handling_mode: BinaryMode
    message_key_columns: None
    schemas_enable: Literal[False]
    provide_transaction_metadata: Literal[False]
    faithful: Literal[False]
    include_unknown_datatypes: bool
    connector_name: str
    task_id: str
    run_id: str | None
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
