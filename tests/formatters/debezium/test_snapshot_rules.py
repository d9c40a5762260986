"""What is written otherwise of the rows of a snapshot: what Debezium 3.6.3 wrote of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from pglogical_cdc.events import (
    Alteration,
    CatalogType,
    Insert,
    RawValue,
    Relation,
    Row,
    SnapshotRead,
)
from pglogical_cdc.formatters import DebeziumFormatter, UnwrappedFormatter
from pglogical_cdc.formatters.debezium.options import TableOptions, TypeOptions
from pglogical_cdc.formatters.debezium.snapshot_rules import differs_in_snapshots
from tests.formatters.debezium.test_scalar_rules import N10_2
from tests.formatters.tables import column, relation

DOMAINS = (
    CatalogType(16500, "public", "day", "d", base_oid=1082),
    CatalogType(16501, "public", "label", "d", base_oid=19),
)


def _key_and_rows(
    table: Relation, *values: RawValue, **options: Any
) -> tuple[dict[str, Any] | None, dict[str, Any], dict[str, Any]]:
    """Return the key and the row of a snapshot's record, and the row of a streamed one."""
    formatter = DebeziumFormatter(topic_prefix="dbz", **options)
    row = Row(table, values)
    (insert,) = formatter.format(Insert(900, None, 1, table, row))
    (read,) = formatter.format(SnapshotRead(900, None, 0, table, row, "last"))
    (again,) = formatter.format(Insert(900, None, 1, table, row))
    assert insert.key == again.key
    key = None if read.key is None else json.loads(read.key)
    found, streamed = (json.loads(each.value or b"")["after"] for each in (read, again))
    return key, found, streamed


@pytest.mark.parametrize(
    ("text", "days", "iso"),
    [
        (b"2024-02-29", 19782, "2024-02-29Z"),
        (b"0004-02-29", -718008, "0004-02-29Z"),
        (b"1582-10-04", -141438, "1582-10-04Z"),
        (b"1582-10-05", -141427, "1582-10-15Z"),
        (b"1582-10-14", -141418, "1582-10-24Z"),
        (b"1582-10-15", -141427, "1582-10-15Z"),
        (b"10000-01-01", 2932897, "+10000-01-01Z"),
        (b"0001-12-31 BC", -718798, "0001-12-31Z"),
        (b"0044-03-15 BC", -703383, "0044-03-15Z"),
        (b"4713-11-24 BC", 1002187, "4713-11-24Z"),
        (b"0005-02-29 BC", None, None),
        (b"infinity", -622191234, "+292278994-08-16Z"),
        (b"-infinity", -625821272, "+292269055-12-02Z"),
    ],
)
def test_dates_have_been_java_sql_dates(text: bytes, days: int | None, iso: str | None) -> None:
    table = relation(column("d", "date"), column("e", "day", oid=16500), types=DOMAINS)
    for mode, expected in (("adaptive", days), ("connect", days), ("isostring", iso)):
        _, read, _ = _key_and_rows(table, text, text, time_precision_mode=mode)
        assert read == {"d": expected, "e": expected}


def test_the_stream_has_dates_as_they_are() -> None:
    table = relation(column("d", "date"), primary_key=["d"], not_null=["d"])
    key, read, streamed = _key_and_rows(table, b"0044-03-15 BC")
    assert key == read == {"d": -703383}
    assert streamed == {"d": -735160}


def test_a_day_that_is_lost_is_written_where_it_must_not_be_null() -> None:
    """Debezium stops at it."""
    table = relation(column("d", "date"), not_null=["d"])
    _, read, streamed = _key_and_rows(table, b"0005-02-29 BC")
    assert read == streamed == {"d": -720930}


def test_a_default_is_the_same_in_both() -> None:
    table = relation(column("d", "date"), defaults={"d": "'0044-03-15 BC'::date"})
    _, read, streamed = _key_and_rows(table, None)
    assert read == streamed == {"d": -735160}


def test_names() -> None:
    table = relation(
        *(column("n", "name"), column("m", "label", oid=16501), column("k", "name")),
        types=DOMAINS,
        primary_key=["k"],
        not_null=["k"],
    )
    key, read, streamed = _key_and_rows(table, b"a", b'"', b"k")
    assert key == {"k": "k"}
    assert read == {"n": "a", "m": '"', "k": "k"}
    assert (streamed["n"], streamed["m"]) == (None, None)


def test_what_is_faithful_is_the_same_in_both() -> None:
    table = relation(column("d", "date"), column("n", "name"))
    for text in (b"0044-03-15 BC", b"0005-02-29 BC", b"infinity", b"1582-10-10"):
        _, read, streamed = _key_and_rows(table, text, b"nm", faithful=True)
        assert read == streamed
        assert read["d"] is not None


@pytest.mark.parametrize("options", [{}, {"add_fields": "op"}, {"schemas_enable": True}])
def test_unwrapped(options: dict[str, Any]) -> None:
    table = relation(column("id", "int4"), column("d", "date"), primary_key=["id"])
    formatter = UnwrappedFormatter(topic_prefix="dbz", **options)
    row = Row(table, (b"1", b"0044-03-15 BC"))
    days = []
    for change in (
        SnapshotRead(900, None, 0, table, row, "first"),
        Insert(900, None, 1, table, row),
        SnapshotRead(900, None, 0, table, row, "last"),
    ):
        (record,) = formatter.format(change)
        content = json.loads(record.value or b"")
        days.append(content.get("payload", content)["d"])
    assert days == [-703383, -735160, -703383]


def test_a_new_version_of_a_table() -> None:
    formatter = DebeziumFormatter(topic_prefix="dbz")
    for name in ("d", "e"):
        table = relation(column(name, "date"))
        read = SnapshotRead(900, None, 0, table, Row(table, (b"0044-03-15 BC",)), "last")
        (record,) = formatter.format(read)
        assert json.loads(record.value or b"")["after"] == {name: -703383}


def _parameters(table: Relation, *, snapshot: bool, **options: Any) -> list[dict[str, str]]:
    """Return the parameters of the schema of each column."""
    formatter = DebeziumFormatter(topic_prefix="dbz", schemas_enable=True, **options)
    row = Row(table, [None for _ in table.columns])
    change = (
        SnapshotRead(900, None, 0, table, row, "last")
        if snapshot
        else Insert(900, None, 1, table, row)
    )
    (record,) = formatter.format(change)
    after = json.loads(record.value or b"")["schema"]["fields"][1]
    return [each.get("parameters", {}) for each in after["fields"]]


class TestPropagatedTypes:
    TYPES = (
        CatalogType(16510, "ts", "se", "e", labels=("q",)),
        CatalogType(16511, "ts", "_se", "b", element_oid=16510),
        CatalogType(16512, "public", "number", "d", base_oid=1700),
    )
    TABLE = relation(
        *(column("s", "int4"), column("b", "int8"), column("i", "int2"), column("d", "int4")),
        *(column("n", "numeric"), column("m", "numeric", N10_2), column("a", "_numeric")),
        *(column("o", "number", oid=16512), column("e", "se", oid=16510)),
        column("es", "_se", oid=16511),
        defaults={
            **dict.fromkeys("sbi", "nextval('t_s_seq'::regclass)"),
            "d": "5",
        },
        types=TYPES,
    )

    def _told(self, told: str, *, snapshot: bool) -> list[str | None]:
        found = _parameters(self.TABLE, snapshot=snapshot, column_propagate_source_type=".*")
        return [each.get(f"__debezium.source.column.{told}") for each in found]

    def test_names(self) -> None:
        streamed = ["INT4", "INT8", "INT2", "INT4", "NUMERIC", "NUMERIC", "_NUMERIC", "NUMBER"]
        assert self._told("type", snapshot=False) == [*streamed, "SE", "_SE"]
        serial = ["SERIAL", "BIGSERIAL", "SMALLSERIAL", *streamed[3:]]
        assert self._told("type", snapshot=True) == [*serial, '"TS"."SE"', '"TS"."_SE"']

    def test_numeric_without_precision(self) -> None:
        def numbers(*, snapshot: bool) -> list[tuple[str | None, str | None]]:
            lengths, scales = (self._told(t, snapshot=snapshot) for t in ("length", "scale"))
            return list(zip(lengths, scales, strict=True))[4:8]

        unbounded = ("131089", "0")
        assert numbers(snapshot=False) == [unbounded, ("10", "2"), unbounded, unbounded]
        assert numbers(snapshot=True) == [("0", None), ("10", "2"), unbounded, unbounded]

    def test_the_name_is_what_a_pattern_has_to_match(self) -> None:
        options = {"datatype_propagate_source_type": r".*\.serial"}
        assert any(_parameters(self.TABLE, snapshot=True, **options))
        assert not any(_parameters(self.TABLE, snapshot=False, **options)[:4])


def test_a_numeric_without_precision_is_not_cut() -> None:
    cut = Alteration((("truncateLength", "4"),), None, max_length=4)
    table = relation(evolve(column("n", "numeric"), alteration=cut))
    assert _parameters(table, snapshot=False) == [{"truncateLength": "4"}]
    assert _parameters(table, snapshot=True) == [{}]


def test_which_tables_are_otherwise() -> None:
    options = TableOptions()
    plain = relation(column("id", "int4"), column("t"), column("ds", "_date"))
    assert not differs_in_snapshots(plain, options)
    for name in ("date", "name", "numeric"):
        table = relation(column("id", "int4"), column("x", name))
        assert differs_in_snapshots(table, options)
        assert not differs_in_snapshots(table, TableOptions(types=TypeOptions(faithful=True)))
    # What is left out may be in the key.
    fewer = evolve(relation(column("t")), base=plain)
    assert differs_in_snapshots(fewer, options)
