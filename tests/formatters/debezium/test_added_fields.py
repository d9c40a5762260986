from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters.debezium.added_fields import AddedField, read_added_fields
from pglogical_cdc.formatters.debezium.connect_schema import INT32, INT64, STRING, ConnectSchema
from pglogical_cdc.formatters.debezium.envelope import SOURCE_SCHEMA
from pglogical_cdc.formatters.debezium.options import TableOptions
from pglogical_cdc.formatters.debezium.table import TableFormat
from tests.formatters.tables import column, relation


def _read(given: str | Sequence[str], prefix: str = "__") -> list[tuple[str, str, str]]:
    fields = read_added_fields("add_fields", given, prefix)
    return [(each.name, each.struct, each.field) for each in fields]


@pytest.mark.parametrize(
    ("given", "name", "struct", "field"),
    [
        ("op", "__op", "", "op"),
        ("ts_ms", "__ts_ms", "", "ts_ms"),
        ("ts_ns", "__ts_ns", "", "ts_ns"),
        ("table", "__table", "source", "table"),
        ("txId", "__txId", "source", "txId"),
        ("source.ts_ms", "__source_ts_ms", "source", "ts_ms"),
        ("transaction.id", "__transaction_id", "transaction", "id"),
        ("id", "__id", "transaction", "id"),
        ("total_order", "__total_order", "transaction", "total_order"),
        ("before.a", "__before_a", "before", "a"),
        ("after.a b", "__after_a b", "after", "a b"),
        ("op:OPERATION", "__OPERATION", "", "op"),
        ("source.lsn:L", "__L", "source", "lsn"),
        ("before.a:old.a", "__old.a", "before", "a"),
    ],
)
def test_where_a_field_is(given: str, name: str, struct: str, field: str) -> None:
    assert _read([given]) == [(name, struct, field)]


def test_prefix() -> None:
    assert [name for name, *_ in _read("op,op:x", prefix="h.")] == ["h.op", "h.x"]
    assert [name for name, *_ in _read("source.lsn", prefix="")] == ["source_lsn"]


@pytest.mark.parametrize("given", ["op,ts_ms", " op , ts_ms ", "op,,ts_ms,", ["op", "", " ts_ms"]])
def test_lists(given: str | Sequence[str]) -> None:
    assert [field for *_, field in _read(given)] == ["op", "ts_ms"]


@pytest.mark.parametrize("given", ["", (), [""], " , "])
def test_none(given: str | Sequence[str]) -> None:
    assert read_added_fields("add_fields", given, "__") == ()


@pytest.mark.parametrize(
    "given",
    [
        *("nothing", "source.nothing", "transaction.nothing", "transaction.op", "source.op"),
        *("before", "after", "before.", ".op", "envelope.op", "a.b.c", "op:", ":x", "before.:x"),
    ],
)
def test_others_are_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"add_headers: .* is not supported"):
        read_added_fields("add_headers", ["op", given], "__")


TABLE = TableFormat(
    relation(
        *(column("id", "int4"), column("v"), column("x", "box")),
        not_null=["id"],
        defaults={"id": "5"},
    ),
    TableOptions(prefix="dbz"),
)


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ("op", STRING),
        ("ts_us", INT64),
        ("source.name", STRING),
        ("lsn", INT64),
        ("snapshot", attrs.evolve(dict(SOURCE_SCHEMA.fields)["snapshot"], default=None)),
        ("transaction.id", STRING),
        ("total_order", INT64),
        ("before.id", INT32),
        ("after.v", STRING),
    ],
)
def test_the_schema_is_that_of_the_field_but_optional(given: str, schema: ConnectSchema) -> None:
    (added,) = read_added_fields("add_fields", given, "__")
    assert added.schema(TABLE.row_format) == schema.as_optional()


@pytest.mark.parametrize("given", ["before.nothing", "after.x", "after.ID"])
def test_a_column_that_the_table_has_not(given: str) -> None:
    (added,) = read_added_fields("add_fields", given, "__")
    assert added.schema(TABLE.row_format) is None


def test_clock() -> None:
    now = 1_795_342_303_513_176_034
    made = {name: AddedField(name, "", name).clock(now) for name in ("ts_ms", "ts_us", "ts_ns")}
    assert made == {
        "ts_ms": b"1795342303513",
        "ts_us": b"1795342303513176",
        "ts_ns": b"1795342303513176034",
    }
