"""The connector configurations under which outputs are compared, and our formatter for each.

A configuration is a set of Debezium's own properties. `formatter_for` makes our formatter of the
same properties, name by name, so that an option whose name or values differ from Debezium's
cannot pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pglogical_cdc.formatters import DebeziumFormatter, UnwrappedFormatter
from pglogical_cdc.pipeline import Transform
from pglogical_cdc.transforms import (
    ExcludeColumns,
    HashColumns,
    IncludeColumns,
    MaskColumns,
    TruncateColumns,
)

__all__ = ("CONFIGURATIONS", "formatter_for", "transforms_for")

_SCHEMAS: Final = {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"}
_UNWRAP: Final = {
    "transforms": "unwrap",
    "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
}
_ADDED: Final = {
    "transforms.unwrap.add.fields": (
        "op,table,lsn,source.ts_ms,source.schema,source.txId,ts_ms,transaction.id"
    ),
    "transforms.unwrap.add.headers": "op,db,source.lsn",
}
_CHANGES: Final = {
    "transforms": "changes,unwrap",
    "transforms.changes.type": "io.debezium.transforms.ExtractChangedRecordState",
    "transforms.changes.header.changed.name": "Changed",
    "transforms.changes.header.unchanged.name": "Unchanged",
}
_EXCLUDED: Final = (
    r"public\.ri_default\.a,public\.ri_full\.(a|id),public\.tx_a\.id,public\.types_scalar\.c_t.*,"
    r"public\.defaults_t\.d_.*_nn,public\.toast_default\.t_nn,PUBLIC\.ri_index\.u"
)
_INCLUDED: Final = (
    r"public\.sync_marker\..*,public\.ri_.*\.(a|b),public\.tx_.*\.id,public\.types_.*\.[ce]_.*,"
    r"public\.toast_.*\.t_text"
)
_CHARACTERS: Final = (
    r"public\.types_scalar\.c_(text|varchar.*|char.*|qchar|name|enum|dom_text|citext|uuid|int4|jsonb),"
    r"public\.ri_.*\.(a|u),public\.defaults_t\.d_text.*,public\.toast_.*\.t_(text|varchar|nn|jsonb),"
    r"public\.strings\..*,public\.order\..*"
)
_CUT: Final = _CHARACTERS.replace(r"strings\..*", r"strings\.[^h].*")
"""Without the hstore, whose JSON Debezium cuts: what is left is none."""
CONFIGURATIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "default": {},
    "schemas": {**_SCHEMAS},
    "decimal_precise": {**_SCHEMAS, "decimal.handling.mode": "precise"},
    "decimal_double": {**_SCHEMAS, "decimal.handling.mode": "double"},
    "decimal_string": {**_SCHEMAS, "decimal.handling.mode": "string"},
    "time_adaptive": {**_SCHEMAS, "time.precision.mode": "adaptive"},
    "time_adaptive_time_microseconds": {
        **_SCHEMAS,
        "time.precision.mode": "adaptive_time_microseconds",
    },
    "time_connect": {**_SCHEMAS, "time.precision.mode": "connect"},
    "time_isostring": {**_SCHEMAS, "time.precision.mode": "isostring"},
    "time_microseconds": {**_SCHEMAS, "time.precision.mode": "microseconds"},
    "time_nanoseconds": {**_SCHEMAS, "time.precision.mode": "nanoseconds"},
    "interval_string": {**_SCHEMAS, "interval.handling.mode": "string"},
    "interval_numeric": {**_SCHEMAS, "interval.handling.mode": "numeric"},
    "hstore_json": {**_SCHEMAS, "hstore.handling.mode": "json"},
    "hstore_map": {**_SCHEMAS, "hstore.handling.mode": "map"},
    "binary_bytes": {**_SCHEMAS, "binary.handling.mode": "bytes"},
    "binary_base64": {**_SCHEMAS, "binary.handling.mode": "base64"},
    "binary_base64_url_safe": {**_SCHEMAS, "binary.handling.mode": "base64-url-safe"},
    "binary_hex": {**_SCHEMAS, "binary.handling.mode": "hex"},
    "unknown_types": {**_SCHEMAS, "include.unknown.datatypes": "true"},
    "no_tombstones": {"tombstones.on.delete": "false", "skipped.operations": "none"},
    "skipped_none": {"skipped.operations": "none"},
    "txmeta": {"provide.transaction.metadata": "true", "skipped.operations": "none"},
    "txmeta_schemas": {
        **_SCHEMAS,
        "provide.transaction.metadata": "true",
        "skipped.operations": "none",
    },
    "all_in": {
        "provide.transaction.metadata": "true",
        "skipped.operations": "none",
        "include.unknown.datatypes": "true",
        "decimal.handling.mode": "string",
        "interval.handling.mode": "string",
        "hstore.handling.mode": "map",
        "binary.handling.mode": "hex",
        "time.precision.mode": "isostring",
    },
    "unwrap_default": {**_UNWRAP},
    "unwrap_drop": {
        **_UNWRAP,
        **_ADDED,
        "provide.transaction.metadata": "false",
        "skipped.operations": "none",
        "transforms.unwrap.delete.tombstone.handling.mode": "drop",
    },
    "unwrap_tombstone": {
        **_UNWRAP,
        **_ADDED,
        "provide.transaction.metadata": "false",
        "skipped.operations": "none",
        "transforms.unwrap.delete.tombstone.handling.mode": "tombstone",
    },
    "unwrap_rewrite": {
        **_UNWRAP,
        **_ADDED,
        "provide.transaction.metadata": "false",
        "skipped.operations": "none",
        "transforms.unwrap.delete.tombstone.handling.mode": "rewrite",
    },
    "unwrap_rewrite_with_tombstone": {
        **_UNWRAP,
        **_ADDED,
        "provide.transaction.metadata": "false",
        "skipped.operations": "none",
        "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
    },
    "unwrap_delete_to_tombstone": {
        **_UNWRAP,
        **_ADDED,
        "provide.transaction.metadata": "false",
        "skipped.operations": "none",
        "transforms.unwrap.delete.tombstone.handling.mode": "delete-to-tombstone",
    },
    "unwrap_rewrite_schemas_txmeta": {
        **_SCHEMAS,
        **_UNWRAP,
        **_ADDED,
        "provide.transaction.metadata": "true",
        "skipped.operations": "none",
        "transforms.unwrap.delete.tombstone.handling.mode": "rewrite",
    },
    "message_key_columns": {
        "message.key.columns": (
            "public.no_pk:a;public.no_pk_full:a,b;public.ri_full:a;public.ri_default:b,a;"
            "public.types_edge:note"
        )
    },
    "heartbeat": {"heartbeat.interval.ms": "1000"},
    "partition_via_root": {"publication.name": "dbz_pub_root"},
    "propagate_source_type": {
        **_SCHEMAS,
        "column.propagate.source.type": ".*",
        "include.schema.comments": "true",
    },
    "adjust_avro": {
        **_SCHEMAS,
        "schema.name.adjustment.mode": "avro",
        "field.name.adjustment.mode": "avro",
    },
    "no_truncate_default_skip": {"skipped.operations": "t"},
    "skip_unchanged": {"skip.messages.without.change": "true", "skipped.operations": "none"},
    "schema_refresh_toast": {"schema.refresh.mode": "columns_diff_exclude_unchanged_toast"},
    "placeholder_hex": {"unavailable.value.placeholder": "hex:DEADBEEF"},
    "adjust_avro_unicode": {
        **_SCHEMAS,
        "schema.name.adjustment.mode": "avro_unicode",
        "field.name.adjustment.mode": "avro_unicode",
        "provide.transaction.metadata": "true",
    },
    "all_in_schemas": {
        **_SCHEMAS,
        "include.unknown.datatypes": "true",
        "decimal.handling.mode": "string",
        "interval.handling.mode": "string",
        "hstore.handling.mode": "map",
        "binary.handling.mode": "hex",
        "time.precision.mode": "isostring",
    },
    "money_digits": {**_SCHEMAS, "money.fraction.digits": "1"},
    "keep_null": {
        **_SCHEMAS,
        "key.converter.replace.null.with.default": "false",
        "value.converter.replace.null.with.default": "false",
    },
    "propagate_datatypes": {
        **_SCHEMAS,
        "datatype.propagate.source.type": r".+\.numeric,public\.ri_.*\.INT4,.*\.mood",
    },
    "topics": {
        **_SCHEMAS,
        "provide.transaction.metadata": "true",
        "topic.delimiter": "_",
        "topic.transaction": "tx",
        "topic.heartbeat.prefix": "hb",
    },
    "columns_excluded": {**_SCHEMAS, "column.exclude.list": _EXCLUDED},
    "columns_included": {**_SCHEMAS, "column.include.list": _INCLUDED},
    "columns_masked": {**_SCHEMAS, "column.mask.with.5.chars": _CHARACTERS},
    "columns_hashed": {
        **_SCHEMAS,
        "column.mask.hash.SHA-256.with.salt.salty": _CHARACTERS,
        "column.mask.hash.v2.MD5.with.salt.salty": r"public\.tx_.*\.v",
    },
    "columns_truncated": {**_SCHEMAS, "column.truncate.to.4.chars": _CUT},
    "unwrap_schemas": {**_SCHEMAS, **_UNWRAP},
    "unwrap_rewrite_with_tombstone_schemas": {
        **_SCHEMAS,
        **_UNWRAP,
        **_ADDED,
        "provide.transaction.metadata": "true",
        "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
    },
    "unwrap_names": {
        **_SCHEMAS,
        **_UNWRAP,
        "transforms.unwrap.add.fields": (
            "op:OPER,before.a,after.a:new_a,source.lsn:L,id,total_order"
        ),
        "transforms.unwrap.add.fields.prefix": "f_",
        "transforms.unwrap.add.headers": "op:OP,source.table,snapshot,before.id",
        "transforms.unwrap.add.headers.prefix": "h.",
    },
    "unwrap_changes": {
        **_SCHEMAS,
        **_UNWRAP,
        **_CHANGES,
        "transforms.unwrap.drop.fields.header.name": "Unchanged",
        "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
        "transforms.unwrap.add.fields": "op",
        "transforms.unwrap.add.headers": "op",
    },
    "unwrap_changes_all": {
        **_UNWRAP,
        **_CHANGES,
        "transforms.unwrap.drop.fields.header.name": "Unchanged",
        "transforms.unwrap.drop.fields.from.key": "true",
        "transforms.unwrap.drop.fields.keep.schema.compatible": "false",
    },
}


_NOT_OF_THE_FORMAT: Final = (
    *("publication.name", "heartbeat.interval.ms", "include.schema.comments"),
    *("schema.refresh.mode", "transforms", "key.converter.schemas.enable"),
    *("key.converter.replace.null.with.default", "key.converter.decimal.format"),
    "header.converter.decimal.format",
)
"""What concerns the reader or the pipeline, has no effect here, or is said twice."""


def formatter_for(properties: Mapping[str, str], **options: Any) -> DebeziumFormatter:
    """Return our formatter under the same properties."""
    transformed = False
    for name, value in properties.items():
        transform = re.fullmatch(r"transforms\.(\w+)\.(.+)", name)
        if transform is not None:
            transformed = True
            if transform[2] == "type":
                continue
            name = transform[2]
        elif name in _NOT_OF_THE_FORMAT or name.startswith(_COLUMN_LISTS):
            continue
        option = name.removeprefix("value.converter.").replace(".", "_")
        options[option] = _value(value)
    made = UnwrappedFormatter if transformed else DebeziumFormatter
    return made(topic_prefix="dbz", **options)


_COLUMN_LISTS: Final = (
    *("column.include.list", "column.exclude.list", "column.mask.", "column.truncate."),
)


_MASK: Final = re.compile(r"column\.mask\.with\.(\d+)\.chars")
_HASH: Final = re.compile(r"column\.mask\.hash(\.v2)?\.([^.]+)\.with\.salt\.(.+)")
_TRUNCATE: Final = re.compile(r"column\.truncate\.to\.(\d+)\.chars")


def transforms_for(properties: Mapping[str, str]) -> list[Transform]:
    """Return our transforms under the same properties."""
    made: list[Transform] = []
    for name, value in properties.items():
        if name == "column.include.list":
            made.append(IncludeColumns(value))
        elif name == "column.exclude.list":
            made.append(ExcludeColumns(value))
        elif match := _MASK.fullmatch(name):
            made.append(MaskColumns(value, chars=int(match[1])))
        elif match := _TRUNCATE.fullmatch(name):
            made.append(TruncateColumns(value, chars=int(match[1])))
        elif match := _HASH.fullmatch(name):
            version: Literal[1, 2] = 2 if match[1] else 1
            made.append(HashColumns(value, algorithm=match[2], salt=match[3], version=version))
    return made


def _value(text: str) -> str | bool | int:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdigit() else text
