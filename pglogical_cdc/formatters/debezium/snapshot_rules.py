"""What Debezium's snapshots, which come through JDBC, have otherwise than its stream."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from pglogical_cdc.events import Relation
from pglogical_cdc.formatters.debezium.options import TableOptions
from pglogical_cdc.formatters.debezium.scalar_rules import TypeRule
from pglogical_cdc.formatters.wire.array_times import ARRAY_TEXTS, has_lost_day
from pglogical_cdc.formatters.wire.convert import Convert
from pglogical_cdc.formatters.wire.json_text import json_string
from pglogical_cdc.formatters.wire.wire_type import WireType, resolve_type

__all__ = ("differs_in_snapshots", "snapshot_rule")

_OTHER: Final = ("date", "name", "numeric")
"""Types that have other values, or another length."""


def differs_in_snapshots(relation: Relation, options: TableOptions) -> bool:
    """Tell whether rows of a table are written otherwise in a snapshot than in the stream."""
    if options.types.faithful:
        return False
    if options.propagate_columns.patterns or options.propagate_types.patterns:
        return True
    base = relation.base or relation
    if len(base.columns) > len(relation.columns):
        # What is left out may be in the key.
        return True
    types = [resolve_type(column, relation.catalog) for column in base.columns]
    return any(each.name in _OTHER and not each.is_array for each in types)


def snapshot_rule(rule: TypeRule, wire_type: WireType, *, not_null: bool) -> TypeRule:
    """Return the rule of a column in a snapshot.

    Args:
        rule: that of the stream.
        wire_type: the column's type.
        not_null: whether the column is NOT NULL.
    """
    if wire_type.is_array or wire_type.kind != "b":
        return rule
    if wire_type.name == "name":
        return evolve(rule, convert=json_string)
    if wire_type.name == "date" and rule.convert is not None:
        return evolve(rule, convert=_date_converter(rule.convert, not_null=not_null))
    return rule


def _date_converter(convert: Convert, *, not_null: bool) -> Convert:
    """Return the converter of dates that have been a ``java.sql.Date``, as those in arrays have."""
    text_of = ARRAY_TEXTS["date"]

    def date_json(value: bytes) -> bytes | None:
        if has_lost_day(value):
            return convert(value) if not_null else None
        return convert(text_of(value))

    return date_json
