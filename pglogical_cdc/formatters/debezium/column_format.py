"""ColumnFormat: what is prepared once to write the values of one column."""

from __future__ import annotations

import functools
import json
from binascii import a2b_base64
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from attrs import evolve

from pglogical_cdc._utf16 import utf16_cut
from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import Alteration, CatalogColumn, Column, RawValue, Relation
from pglogical_cdc.formatters.debezium.connect_schema import ConnectSchema, array_of
from pglogical_cdc.formatters.debezium.defaults import default_json
from pglogical_cdc.formatters.debezium.options import TableOptions, TypeOptions
from pglogical_cdc.formatters.debezium.scalar_rules import TypeRule
from pglogical_cdc.formatters.debezium.snapshot_rules import snapshot_rule
from pglogical_cdc.formatters.debezium.source_type import (
    length_and_scale,
    source_type_name,
    source_type_parameters,
)
from pglogical_cdc.formatters.debezium.type_rules import type_rule
from pglogical_cdc.formatters.wire.arrays import dimensions
from pglogical_cdc.formatters.wire.binary import base64_json
from pglogical_cdc.formatters.wire.convert import Convert
from pglogical_cdc.formatters.wire.json_text import json_text
from pglogical_cdc.formatters.wire.usual_form import UsualForm
from pglogical_cdc.formatters.wire.wire_type import WireType, resolve_type

__all__ = ("ColumnFormat", "Deviation", "column_format")

Deviation: TypeAlias = Callable[[RawValue], "ConnectSchema | None"]
"""From a value to the schema that it needs where the column's own does not allow it."""

_NULL: Final = b"null"


class ColumnFormat(NamedTuple):
    """How one column is written."""

    position: int
    """Index in ``relation.columns``."""
    convert: Convert | None
    form: UsualForm | None
    """What is written of most values without asking `convert`."""
    null: bytes
    not_sent: bytes | None
    """For a column outside a key image; None leaves the member out."""
    failed: bytes | Convert
    """For a value that Debezium has no JSON for: what is written, or what writes it."""
    unchanged: bytes | None
    """For a TOASTed value that was not sent; None leaves the member out."""
    name: bytes
    """JSON string of the field's name."""
    field: str
    schema: ConnectSchema
    deviation: Deviation | None


def column_format(
    relation: Relation,
    position: int,
    field: str,
    options: TableOptions,
    *,
    in_key: bool = False,
    described: bool = True,
) -> ColumnFormat | None:
    """Prepare a column; None if it is left out.

    Args:
        relation: the version of the table.
        position: index in ``relation.columns``.
        field: name of the field.
        options: the formatter's options.
        in_key: whether this is for the key.
        described: whether what the catalog says of the column counts.
    """
    column = relation.columns[position]
    catalog, types = relation.catalog, options.types
    details = None if catalog is None or not described else catalog.column(column.name)
    not_null = details is not None and details.not_null
    wire_type = resolve_type(column, catalog)
    rule = type_rule(wire_type, types, not_null=not_null)
    if rule is None:
        return None
    default = _default(details, wire_type, rule, options)
    if options.snapshot:
        rule = snapshot_rule(rule, wire_type, not_null=not_null)
    null: bytes = _NULL
    if not_null:
        null = rule.zero if default is None else default
    elif default is not None and options.replace_null_with_default:
        null = default
    otherwise = rule.otherwise if not_null or types.faithful else None
    failed: bytes | Convert = null
    if otherwise is not None:
        failed = otherwise.convert
    elif not_null:
        failed = _NULL
    unchanged = rule.unchanged
    if unchanged is None:
        unchanged = _NULL if not_null else null
    not_sent: bytes | None = null
    schema = _schema(rule.schema, optional=not not_null, default=default)
    convert = rule.convert
    if not in_key:
        altered = column.alteration
        if altered is None:
            noted = _source_type(relation, column, wire_type, options)
        else:
            # Debezium does not note the type of a column whose values it alters.
            noted = _noted(altered, wire_type, snapshot=options.snapshot)
            if not types.faithful:
                convert = _cut_converter(convert, rule.schema, altered)
                if otherwise is not None and callable(failed):
                    failed = _cut_converter(failed, otherwise.schema, altered) or failed
            unchanged = None if unchanged is None else _altered(unchanged, rule.schema, altered)
            if not_null or altered.instead is not None:
                null = not_sent = _altered(null, rule.schema, altered)
            if altered.instead is not None:
                failed = null
        if noted:
            schema = evolve(schema, parameters=schema.parameters + noted)
    if types.faithful:
        # What was not sent is left out. NULL is NULL.
        null, unchanged, not_sent = _NULL, rule.unchanged, None
        failed = _NULL if otherwise is None else otherwise.convert
        schema = evolve(schema, optional=not (in_key and not_null))
    return ColumnFormat(
        position=position,
        convert=convert,
        form=rule.form if convert is rule.convert else None,
        null=null,
        not_sent=not_sent,
        failed=failed,
        unchanged=unchanged,
        name=json_text(field),
        field=field,
        schema=schema,
        deviation=(
            _deviation(wire_type, evolve(rule, otherwise=otherwise), schema, types)
            if options.schemas
            else None
        ),
    )


@functools.lru_cache(maxsize=256)
def _schema(schema: ConnectSchema, *, optional: bool, default: bytes | None) -> ConnectSchema:
    """Return the schema of a column of a type; most columns share theirs with others."""
    return evolve(schema, optional=optional, default=default)


def _default(
    details: CatalogColumn | None, wire_type: WireType, rule: TypeRule, options: TableOptions
) -> bytes | None:
    # Debezium looks for the name of a domain among the types whose defaults it can read.
    if details is None or details.default is None or wire_type.is_domain:
        return None
    # To Debezium the expression of a generated column is a default like any other.
    if details.generated and options.types.faithful:
        return None
    return default_json(details.default, wire_type, rule, options.types)


def _source_type(
    relation: Relation, column: Column, wire_type: WireType, options: TableOptions
) -> tuple[tuple[str, str], ...]:
    catalog, table = relation.catalog, f"{relation.schema}.{relation.name}"
    snapshot = options.snapshot
    if options.propagate_columns.match(f"{table}.{column.name}") or options.propagate_types.match(
        f"{table}.{source_type_name(column, catalog, snapshot=snapshot)}"
    ):
        return source_type_parameters(column, catalog, wire_type, snapshot=snapshot)
    return ()


def _noted(
    altered: Alteration, wire_type: WireType, *, snapshot: bool
) -> tuple[tuple[str, str], ...]:
    """Return the parameters that an alteration adds to a column's schema."""
    # Debezium does not note what cannot happen.
    length, _ = length_and_scale(wire_type, snapshot=snapshot)
    return tuple(
        (name, value)
        for name, value in altered.parameters
        if name != "truncateLength" or length > int(value)
    )


def _altered(value: bytes, schema: ConnectSchema, altered: Alteration) -> bytes:
    """Return the JSON of what stands for a value, after what a transform does to values."""
    if altered.instead is not None:
        return json_text(altered.instead)
    text = json.loads(value)
    if altered.alter is None or not isinstance(text, str):
        # The connector puts bytes that stand for a value in after it has cut values.
        return _cut(value, schema, altered.max_length) if schema.type == "string" else value
    return json_text(altered.alter(text))


def _cut_converter(
    convert: Convert | None, schema: ConnectSchema, altered: Alteration
) -> Convert | None:
    """Return the converter that cuts the text or bytes which the format makes of values."""
    if convert is None or altered.max_length is None or altered.alter is not None:
        return convert

    def cut_json(value: bytes) -> bytes | None:
        converted = convert(value)
        return None if converted is None else _cut(converted, schema, altered.max_length)

    return cut_json


def _cut(value: bytes, schema: ConnectSchema, length: int | None) -> bytes:
    """Return JSON with its text, or its bytes in base64, cut off."""
    if length is None or value[:1] != b'"':
        return value
    if schema.type == "string":
        return json_text(utf16_cut(json.loads(value), length))
    if schema.type == "bytes" and schema.name is None:
        return base64_json(a2b_base64(value)[:length])
    return value


# -- where a value does not fit the column's schema


def _deviation(
    wire_type: WireType, rule: TypeRule, schema: ConnectSchema, types: TypeOptions
) -> Deviation | None:
    """Return how to tell the values that need another schema; None if there are none.

    Debezium stops at them. Here they are written, and the record's own schema tells it, so that a
    consumer's converter can read them.
    """
    if wire_type.is_array and schema.type == "array":
        return _array_deviation(rule, schema, nests=types.faithful)
    otherwise, optional = rule.otherwise, schema.as_optional()
    if schema.optional and otherwise is None:
        return None
    other = None if otherwise is None else evolve(otherwise.schema, optional=schema.optional)

    def deviation(value: RawValue) -> ConnectSchema | None:
        if type(value) is bytes:
            return other if other is not None and _has_no_json(rule.convert, value) else None
        if schema.optional:
            return None
        if value is UNCHANGED:
            return optional if rule.unchanged is None else None
        return optional if types.faithful else None

    return deviation


def _has_no_json(convert: Convert | None, value: bytes) -> bool:
    try:
        return convert is not None and convert(value) is None
    except Exception:
        return False


def _has_nulls(convert: Convert | None, value: bytes) -> bool:
    """Tell whether the JSON of an array has a null among its elements."""
    try:
        converted = None if convert is None else convert(value)
    except Exception:
        return False
    return converted is not None and None in json.loads(converted)


def _array_deviation(rule: TypeRule, schema: ConnectSchema, *, nests: bool) -> Deviation:
    items, convert = schema.items, rule.convert
    assert items is not None

    def deviation(value: RawValue) -> ConnectSchema | None:
        if value is UNCHANGED:
            absent = rule.unchanged is None and not schema.optional
            return schema.as_optional() if absent else None
        if value is NOT_SENT and nests:
            return None if schema.optional else schema.as_optional()
        if type(value) is not bytes or b"{" not in value:
            return None
        deep = dimensions(value)
        if deep > 1 and nests:
            nested = items
            for _ in range(deep - 1):
                nested = array_of(nested).as_optional()
            return evolve(schema, items=nested)
        if items.optional or schema.optional or not (b"NULL" in value or deep > 1):
            return None
        return evolve(schema, items=items.as_optional()) if _has_nulls(convert, value) else None

    return deviation
