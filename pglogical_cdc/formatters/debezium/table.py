"""TableFormat: what the Debezium formats prepare once for each version of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Column, RawValue, Relation
from pglogical_cdc.formatters.debezium.defaults import default_text
from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.debezium.type_rules import TypeRule, type_rule
from pglogical_cdc.formatters.wire.binary_form import binary_form_error
from pglogical_cdc.formatters.wire.convert import Convert
from pglogical_cdc.formatters.wire.json_text import json_string, json_text
from pglogical_cdc.formatters.wire.wire_type import WireType, resolve_type

__all__ = ("TableFormat", "topic_name")

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


def topic_name(*parts: str) -> str:
    """Join parts to a topic's name; every UTF-16 unit that Kafka does not allow becomes ``_``."""
    return _UNSAFE.sub(lambda match: "_" if match[0] < "\U00010000" else "__", ".".join(parts))


class _ColumnFormat(NamedTuple):
    position: int
    """Index in ``relation.columns``."""
    convert: Convert | None
    null: bytes
    """For NULL, and for a column outside a key image."""
    failed: bytes
    """For a value that Debezium has no JSON for."""
    unchanged: bytes
    name: bytes
    """JSON string of the name."""


class TableFormat:
    """Makes the JSON of rows and keys of one version of a table.

    Args:
        relation: the version of the table.
        topic_prefix: what topics start with.
        options: how types are written.
    """

    __slots__ = ("_columns", "_key", "_key_template", "_template", "relation", "source", "topic")

    def __init__(self, relation: Relation, topic_prefix: str, options: TypeOptions) -> None:
        self.relation = relation
        self.topic = topic_name(topic_prefix, relation.schema, relation.name)
        self.source = b',"schema":%b,"table":%b' % (
            json_text(relation.schema),
            json_text(relation.name),
        )
        formats = {}
        for position, column in enumerate(relation.columns):
            made = _column_format(relation, position, column, options)
            if made is not None:
                formats[position] = made
        self._columns = tuple(formats.values())
        self._template = _object_template(self._columns)
        self._key: tuple[_ColumnFormat, ...] = ()
        if relation.key_positions is not None:
            self._key = tuple(formats[i] for i in relation.key_positions if i in formats)
        self._key_template = _object_template(self._key)

    def row(self, raw: Sequence[RawValue]) -> bytes:
        """Return the JSON object of a row, given its wire values.

        Raises:
            ConfigurationError: a value is in the binary form of its type.
        """
        return self._template % _values(self.relation, self._columns, raw)

    def key(self, raw: Sequence[RawValue]) -> bytes | None:
        """Return the JSON object of a row's key; None if the table has no key.

        Raises:
            ConfigurationError: a value is in the binary form of its type.
        """
        if not self._key:
            return None
        return self._key_template % _values(self.relation, self._key, raw)


def _object_template(columns: Sequence[_ColumnFormat]) -> bytes:
    members = [column.name.replace(b"%", b"%%") + b":%b" for column in columns]
    return b"{%b}" % b",".join(members)


def _values(
    relation: Relation, columns: Sequence[_ColumnFormat], raw: Sequence[RawValue]
) -> tuple[bytes, ...]:
    try:
        return _convert_all(relation, columns, raw)
    except ConfigurationError:
        raise
    except Exception:
        # A value is not of the form that its type has in the server's settings that the reader
        # pins (date style, for one). One column is not worth the row: it comes as a string.
        return tuple([_convert_one(relation, column, raw) for column in columns])


def _convert_all(
    relation: Relation, columns: Sequence[_ColumnFormat], raw: Sequence[RawValue]
) -> tuple[bytes, ...]:
    values: list[bytes] = []
    append = values.append
    for position, convert, null, failed, unchanged, _name in columns:
        value = raw[position]
        if type(value) is bytes:
            if convert is None:
                append(value)
            else:
                converted = convert(value)
                append(failed if converted is None else converted)
        elif value is UNCHANGED:
            append(unchanged)
        elif isinstance(value, bytes):
            raise binary_form_error(relation)
        else:
            append(null)
    return tuple(values)


def _convert_one(relation: Relation, column: _ColumnFormat, raw: Sequence[RawValue]) -> bytes:
    try:
        return _convert_all(relation, (column,), raw)[0]
    except ConfigurationError:
        raise
    except Exception:
        value = raw[column.position]
        return json_string(value) if isinstance(value, bytes) else column.null


def _column_format(
    relation: Relation, position: int, column: Column, options: TypeOptions
) -> _ColumnFormat | None:
    catalog = relation.catalog
    details = None if catalog is None else catalog.column(column.name)
    not_null = details is not None and details.not_null
    wire_type = resolve_type(column, catalog)
    rule = type_rule(wire_type, options, not_null=not_null)
    if rule is None:
        return None
    null = None
    if details is not None and details.default is not None and not details.generated:
        null = _default(details.default, wire_type, rule, options)
    if null is None:
        null = rule.zero if not_null else b"null"
    failed = b"null" if not_null else null
    return _ColumnFormat(
        position=position,
        convert=rule.convert,
        null=null,
        failed=failed,
        unchanged=failed if rule.unchanged is None else rule.unchanged,
        name=json_text(column.name),
    )


def _default(
    expression: str, wire_type: WireType, rule: TypeRule, options: TypeOptions
) -> bytes | None:
    """Return the JSON of a column's default, None if Debezium keeps none."""
    name = "enum" if wire_type.kind == "e" else wire_type.name
    if wire_type.is_array or name is None:
        return None
    if name == "numeric" and wire_type.modifier < 4 and options.decimal == "precise":
        return None
    text = default_text(expression, name)
    if text is None or rule.convert is None:
        return text
    try:
        return rule.convert(text)
    except Exception:
        # Not the text of a value: the expression is more than a constant after all.
        return None
