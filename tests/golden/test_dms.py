"""What AWS DMS writes: captured messages, written anew with other rows, byte for byte.

Each test is a fact of a real capture (PostgreSQL to Kinesis or Kafka) or of a documented sample:
names, order of the members, what is there and what is not, text of the values. Messages are
compared in both layouts: on one line as below, and laid out with tabs as cJSON_Print does it.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from pglogical_cdc import (
    BeforeImage,
    Change,
    DmsFormatter,
    Insert,
    Record,
    Relation,
    Row,
    SnapshotRead,
    TableCatalog,
)
from pglogical_cdc.events import CatalogColumn
from tests.feed import Feed
from tests.formatters.tables import column, relation

INT2, INT4, INT8, FLOAT4, FLOAT8, BOOL = 21, 23, 20, 700, 701, 16
TEXT, VARCHAR, BPCHAR, JSON, JSONB, BYTEA = 25, 1043, 1042, 114, 3802, 17
DATE, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC = 1082, 1114, 1184, 1186, 1700

_AT: Final = 1_767_323_045_000_006_000
_T: Final = '"timestamp":"2026-01-02T03:04:05.000006Z"'
_COMMIT: Final = '"commit-timestamp":"2026-01-01T00:00:04.005006Z"'
_PEOPLE: Final[list[tuple[str, int] | tuple[str, int, int]]] = [
    ("id", INT4),
    ("name", VARCHAR, 44),
    ("age", INT4),
    ("attributes", JSONB),
]


def _people(feed: Feed, **options: Any) -> None:
    feed.table(16385, "public", "people", _PEOPLE, key=["id"], **options)


def _catalog(*columns: tuple[str, int, int, bool], key: tuple[str, ...] | None) -> TableCatalog:
    return TableCatalog(
        "shop",
        16385,
        "public",
        "people",
        tuple(
            CatalogColumn(name, number, oid, modifier, "", not_null, None, "", "")
            for number, (name, oid, modifier, not_null) in enumerate(columns, 1)
        ),
        key,
    )


def _load(change: Change) -> SnapshotRead:
    assert isinstance(change, Insert)
    return SnapshotRead(change.wal_start, None, 0, change.relation, change.after)


class _Token(str):
    """A number as it stands in the text."""


def _tabbed(text: str) -> str:
    """Lay a message out as cJSON_Print does."""

    def laid_out(value: Any, depth: int) -> str:
        if isinstance(value, _Token):
            return value
        if not isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False)
        start, end = "\n" + "\t" * depth, "\n" + "\t" * (depth - 1)
        members = (
            f"{start}{json.dumps(name, ensure_ascii=False)}:\t{laid_out(member, depth + 1)}"
            for name, member in value.items()
        )
        return "{" + ",".join(members) + end + "}"

    return laid_out(json.loads(text, parse_int=_Token, parse_float=_Token), 1)


class Writer:
    """Two formatters with the same options, one for each layout."""

    def __init__(self, **options: Any) -> None:
        self._flat = DmsFormatter(message_format="json-unformatted", clock=lambda: _AT, **options)
        self._tabbed = DmsFormatter(clock=lambda: _AT, **options)

    def records(self, change: Change) -> list[tuple[Record, str]]:
        """Return the records with their values as text on one line."""
        flat = self._flat.format(change)
        tabbed = self._tabbed.format(change)
        found = []
        for one, other in zip(flat, tabbed, strict=True):
            assert one.value is not None
            assert other.value is not None
            text = one.value.decode()
            assert other.value.decode() == _tabbed(text)
            assert (one.key, one.topic) == (other.key, other.topic)
            found.append((one, text))
        return found

    def only(self, change: Change) -> str:
        ((_, text),) = self.records(change)
        return text

    def data(self, change: Change) -> str:
        text = self.only(change)
        return text[: text.index(',"metadata"')]


ALL_OPTIONS: Final[dict[str, Any]] = {
    "include_transaction_details": True,
    "include_partition_value": True,
    "partition_include_schema_table": True,
    "include_null_and_empty": True,
    "include_table_alter_operations": True,
    "before_image": BeforeImage(),
}


# -- the messages of section 8: what was captured, with every option and with none


def test_load() -> None:
    feed = Feed()
    _people(feed)
    feed.begin()
    row = _load(feed.insert(16385, "42", "Ada", "30", '{"foo": "bar"}'))
    ((record, text),) = Writer(**ALL_OPTIONS).records(row)
    assert text == (
        '{"data":{"id":42,"name":"Ada","age":30,"attributes":"{\\"foo\\": \\"bar\\"}"},'
        '"metadata":{' + _T + ',"record-type":"data","operation":"load",'
        '"partition-key-type":"primary-key","partition-key-value":"public.people.42",'
        '"schema-name":"public","table-name":"people"}}'
    )
    assert record.key == b"public.people.42"


def test_insert_update_change_of_key_and_delete() -> None:
    feed = Feed(lsn=0x2_7C00_7000)
    _people(feed)
    writer = Writer(**ALL_OPTIONS)

    def position(change: Change, number: int) -> str:
        lsn = f"00000002/{change.lsn & 0xFFFFFFFF:08X}"
        return f'"stream-position":"{lsn}.{number}.{lsn}"'

    feed.begin(xid=1139)
    insert = feed.insert(16385, "46", "Eve", None, None)
    feed.commit()
    assert writer.only(insert) == (
        '{"data":{"id":46,"name":"Eve","age":null,"attributes":null},'
        '"metadata":{' + _T + ',"record-type":"data","operation":"insert",'
        '"partition-key-type":"schema-table","schema-name":"public","table-name":"people",'
        '"transaction-id":1139,"transaction-record-id":1,'
        + _COMMIT + "," + position(insert, 3) + "}}"
    )  # fmt: skip

    feed.begin(xid=1140)
    update = feed.update(16385, "42", "Ada", "33", "{}")
    feed.commit()
    assert writer.only(update) == (
        '{"data":{"id":42,"name":"Ada","age":33,"attributes":"{}"},"before-image":{},'
        '"metadata":{' + _T + ',"record-type":"data","operation":"update",'
        '"partition-key-type":"schema-table","schema-name":"public","table-name":"people",'
        '"transaction-id":1140,"transaction-record-id":1,'
        '"prev-transaction-id":1139,"prev-transaction-record-id":1,'
        + _COMMIT + "," + position(update, 2) + "}}"
    )  # fmt: skip

    feed.begin(xid=1141)
    moved = feed.update(16385, "45", "Eve", None, None, key=["46", None, None, None])
    feed.commit()
    assert writer.only(moved) == (
        '{"data":{"id":45,"name":"Eve","age":null,"attributes":null},"before-image":{"id":46},'
        '"metadata":{' + _T + ',"record-type":"data","operation":"update",'
        '"partition-key-type":"schema-table","schema-name":"public","table-name":"people",'
        '"transaction-id":1141,"transaction-record-id":1,'
        '"prev-transaction-id":1140,"prev-transaction-record-id":1,'
        + _COMMIT + "," + position(moved, 2) + "}}"
    )  # fmt: skip

    feed.begin(xid=1144)
    delete = feed.delete(16385, key=["45", None, None, None])
    assert writer.only(delete) == (
        '{"data":{"id":45,"name":null,"age":null,"attributes":null},'
        '"metadata":{' + _T + ',"record-type":"data","operation":"delete",'
        '"partition-key-type":"schema-table","schema-name":"public","table-name":"people",'
        '"transaction-id":1144,"transaction-record-id":1,'
        '"prev-transaction-id":1141,"prev-transaction-record-id":1,'
        + _COMMIT + "," + position(delete, 2) + "}}"
    )  # fmt: skip


def test_delete_with_minimal_options() -> None:
    feed = Feed()
    _people(feed)
    feed.begin(xid=1144)
    delete = feed.delete(16385, key=["45", None, None, None])
    ((record, text),) = Writer().records(delete)
    assert text == (
        '{"data":{"id":45},"metadata":{' + _T + ',"record-type":"data","operation":"delete",'
        '"partition-key-type":"schema-table","schema-name":"public","table-name":"people",'
        '"transaction-id":1144}}'
    )
    assert record.key == b"public.people"
    assert record.topic == "kafka-default-topic"


_TABLE: Final = _catalog(
    ("id", INT4, -1, True),
    ("name", VARCHAR, 44, False),
    ("age", INT4, -1, False),
    ("attributes", JSONB, -1, False),
    key=("id",),
)


def test_create_table() -> None:
    feed = Feed()
    feed.table(
        16385,
        "public",
        "people",
        [("id", INT4), ("name", VARCHAR, 44), ("attributes", JSONB)],
        key=["id"],
        catalog=_TABLE,
    )
    feed.begin()
    change = feed.insert(16385, "1", None, None)
    writer = Writer(include_control_details=True, include_partition_value=True, task_id="TASKID")
    (create, text), (_, data) = writer.records(change)
    assert text == (
        '{"control":{"table-def":{"columns":{"id":{"type":"INT32","nullable":false},'
        '"name":{"type":"STRING","length":40,"nullable":true},'
        '"attributes":{"type":"STRING","nullable":true}},"primary-key":["id"]}},'
        '"metadata":{' + _T + ',"record-type":"control","operation":"create-table",'
        '"partition-key-type":"task-id","partition-key-value":"TASKID",'
        '"schema-name":"public","table-name":"people"}}'
    )
    assert create.key == b"TASKID.public.people"
    assert '"operation":"insert"' in data


def test_drop_table() -> None:
    feed = Feed()
    feed.table(1, "public", "people", [("id", INT4)], key=["id"])
    feed.table(2, "public", "people", [("id", INT4)], key=["id"])
    feed.begin()
    writer = Writer(
        include_control_details=True,
        include_table_alter_operations=True,
        include_partition_value=True,
        task_id="TASKID",
    )
    writer.records(feed.insert(1, "1"))
    (drop, text), (_, create), _ = writer.records(feed.insert(2, "1"))
    assert text == (
        '{"control":{},"metadata":{' + _T + ',"record-type":"control","operation":"drop-table",'
        '"partition-key-type":"task-id","partition-key-value":"TASKID",'
        '"schema-name":"public","table-name":"people"}}'
    )
    assert drop.key == b"TASKID.public.people"
    assert '"operation":"create-table"' in create


def test_a_control_record_without_details_is_its_metadata() -> None:
    # The stream itself has no table without a schema; AWS's own ones have none.
    old, new = (
        relation(
            column("id", "int4", identity=True), oid=oid, schema="", name="awsdms_apply_exceptions"
        )
        for oid in (1, 2)
    )
    transaction = Feed().begin()
    writer = Writer(include_table_alter_operations=True, task_id="TASKID")
    writer.records(Insert(1, transaction, 1, old, _row(old)))
    _, (create, text), _ = writer.records(Insert(1, transaction, 2, new, _row(new)))
    assert text == (
        '{"metadata":{' + _T + ',"record-type":"control","operation":"create-table",'
        '"partition-key-type":"task-id","schema-name":"",'
        '"table-name":"awsdms_apply_exceptions"}}'
    )
    assert create.key == b"TASKID..awsdms_apply_exceptions"


# -- envelope


def test_the_timestamp_has_six_digits_always() -> None:
    feed = Feed()
    _people(feed)
    feed.begin()
    formatter = DmsFormatter(message_format="json-unformatted", clock=lambda: 1_767_323_045 * 10**9)
    (record,) = formatter.format(feed.insert(16385, "1", None, None, None))
    assert b'"timestamp":"2026-01-02T03:04:05.000000Z"' in (record.value or b"")


def test_the_transaction_is_named_without_details_and_never_in_a_load() -> None:
    feed = Feed()
    _people(feed)
    feed.begin(xid=1139)
    change = feed.insert(16385, "1", None, None, None)
    assert '"table-name":"people","transaction-id":1139}}' in Writer().only(change)
    loaded = Writer(include_transaction_details=True).only(_load(change))
    assert loaded.endswith('"table-name":"people"}}')


def test_the_first_record_has_no_previous_one() -> None:
    feed = Feed()
    _people(feed)
    feed.begin(xid=1139)
    writer = Writer(include_transaction_details=True)
    assert '"prev-' not in writer.only(feed.insert(16385, "1", None, None, None))
    second = writer.only(feed.insert(16385, "2", None, None, None))
    assert '"transaction-record-id":2,"prev-transaction-id":1139,' in second
    assert '"prev-transaction-record-id":1,"commit-timestamp"' in second


def test_the_two_positions_of_a_record_may_differ() -> None:
    feed = Feed(lsn=0x3B_E800_7C00)
    _people(feed)
    feed.begin()
    writer = Writer(include_transaction_details=True)
    first = feed.insert(16385, "1", None, None, None)
    writer.only(first)
    second = feed.insert(16385, "2", None, None, None)
    assert (
        f'"stream-position":"0000003B/{first.lsn & 0xFFFFFFFF:08X}.4.'
        f'0000003B/{second.lsn & 0xFFFFFFFF:08X}"'
    ) in writer.only(second)


def test_text_is_utf8_and_slashes_stay() -> None:
    feed = Feed()
    _people(feed)
    feed.begin()
    change = feed.insert(16385, "1", "Юлия/x", None, None)
    assert Writer().data(change) == '{"data":{"id":1,"name":"Юлия/x"}'


# -- partition keys


def test_the_key_of_a_change_is_the_table_and_is_not_in_the_message() -> None:
    feed = Feed()
    feed.table(1, "public", "astronauts", [("id", INT4)], key=["id"])
    feed.begin()
    ((record, text),) = Writer(include_partition_value=True).records(feed.insert(1, "1"))
    assert record.key == b"public.astronauts"
    assert '"partition-key-type":"schema-table","schema-name"' in text


@pytest.mark.parametrize(("with_table", "key"), [(False, "393"), (True, "public.demo.393")])
def test_the_key_of_a_load_is_the_primary_key(with_table: bool, key: str) -> None:
    feed = Feed()
    feed.table(1, "public", "demo", [("id", INT4)], key=["id"])
    feed.begin()
    writer = Writer(include_partition_value=True, partition_include_schema_table=with_table)
    ((record, text),) = writer.records(_load(feed.insert(1, "393")))
    assert record.key == key.encode()
    assert f'"partition-key-type":"primary-key","partition-key-value":"{key}","schema' in text


def test_the_key_of_a_load_without_primary_key_is_the_table() -> None:
    feed = Feed()
    feed.table(1, "public", "demo", [("id", INT4)])
    feed.begin()
    ((record, text),) = Writer(include_partition_value=True).records(_load(feed.insert(1, "393")))
    assert record.key == b"public.demo"
    assert '"partition-key-type":"schema-table","schema-name"' in text


# -- rows


def test_null_is_left_out_or_null() -> None:
    feed = Feed()
    feed.table(1, "public", "t", [("id", INT4), ("IBB", INT4)], key=["id"])
    feed.begin()
    change = feed.insert(1, "1", None)
    assert Writer().data(change) == '{"data":{"id":1}'
    assert Writer(include_null_and_empty=True).data(change) == '{"data":{"id":1,"IBB":null}'


def test_an_update_has_the_whole_new_row_and_a_delete_no_before_image() -> None:
    feed = Feed()
    _people(feed, identity="f")
    feed.begin()
    writer = Writer(before_image=BeforeImage(column_filter="all"))
    old = ["1", "Ada", "30", None]
    update = feed.update(16385, "1", "Ada", "31", "{}", old=old)
    assert writer.data(update) == (
        '{"data":{"id":1,"name":"Ada","age":31,"attributes":"{}"},'
        '"before-image":{"id":1,"name":"Ada","age":30}'
    )
    delete = feed.delete(16385, old=["1", "Ada", "31", "{}"])
    assert writer.data(delete) == '{"data":{"id":1,"name":"Ada","age":31,"attributes":"{}"}'
    assert "before-image" not in Writer().only(update)


def test_a_before_image_of_the_key_has_it_where_the_old_row_was_sent() -> None:
    feed = Feed()
    _people(feed, identity="f", catalog=_TABLE)
    feed.begin()
    update = feed.update(16385, "1", "Ada", "31", "{}", old=["1", "Ada", "30", None])
    assert '},"before-image":{"id":1}' in Writer(before_image=BeforeImage()).data(update)


# -- values


@pytest.mark.parametrize(
    ("oid", "modifier", "text", "expected"),
    [
        (INT2, -1, "-7", "-7"),
        (INT4, -1, "7", "7"),
        (INT8, -1, "9007199254740993", "9007199254740993"),
        (FLOAT8, -1, "25", "25"),
        (FLOAT8, -1, "25.3", "25.3"),
        (FLOAT8, -1, "1.77", "1.77"),
        (FLOAT8, -1, "0", "0"),
        (FLOAT4, -1, "2.2", "2.20000005"),
        (BOOL, -1, "t", "true"),
        (VARCHAR, 44, "Ada", '"Ada"'),
        (BPCHAR, 9, "ab   ", '"ab   "'),
        (TEXT, -1, "a", '"a"'),
        (JSON, -1, '{"foo": "bar"}', '"{\\"foo\\": \\"bar\\"}"'),
        (TIMESTAMP, -1, "2010-11-01 00:02:00.1", '"2010-11-01T00:02:00.100000Z"'),
        (TIMESTAMP, 0, "2025-06-21 12:06:46", '"2025-06-21T12:06:46Z"'),
        (TIMESTAMPTZ, -1, "2010-11-01 01:02:00.1+01", '"2010-11-01T00:02:00.100000Z"'),
        (DATE, -1, "2018-01-02", '"2018-01-02"'),
        (INTERVAL, -1, "1 day 04:00:00", '"1 day 04:00:00"'),
        (INTERVAL, -1, "-1 days -01:42:30", '"-1 days -01:42:30"'),
        (INTERVAL, -1, "00:01:03.002009", '"00:01:03.002009"'),
    ],
)
def test_a_value_of_the_captures(oid: int, modifier: int, text: str, expected: str) -> None:
    feed = Feed()
    feed.table(1, "public", "t", [("v", oid, modifier)], key=["v"])
    feed.begin()
    assert Writer().data(feed.insert(1, text)) == f'{{"data":{{"v":{expected}}}'


def test_an_int8_of_more_than_16_digits_as_aws_casts_it() -> None:
    feed = Feed()
    feed.table(1, "public", "t", [("v", INT8)], key=["v"])
    feed.begin()
    change = feed.insert(1, "12345678901234567")
    assert Writer(use_large_integer_value=False).data(change) == (
        '{"data":{"v":1.2345678901234568e+16}'
    )
    assert Writer().data(change) == '{"data":{"v":12345678901234567}'


# -- tables


@pytest.mark.parametrize(
    ("type_name", "modifier", "expected"),
    [
        ("int2", -1, '{"type":"INT16","nullable":true}'),
        ("int4", -1, '{"type":"INT32","nullable":true}'),
        ("int8", -1, '{"type":"INT64","nullable":true}'),
        ("float4", -1, '{"type":"FLOAT","nullable":true}'),
        ("float8", -1, '{"type":"DOUBLE","nullable":true}'),
        ("bool", -1, '{"type":"BOOL","nullable":true}'),
        ("date", -1, '{"type":"DATE32","nullable":true}'),
        ("timestamp", -1, '{"type":"TIMESTAMP","nullable":true}'),
        ("varchar", -1, '{"type":"STRING","length":8000,"nullable":true}'),
        ("varchar", 44, '{"type":"STRING","length":40,"nullable":true}'),
        ("bpchar", 9, '{"type":"STRING","length":5,"nullable":true}'),
        ("text", -1, '{"type":"STRING","nullable":true}'),
        ("json", -1, '{"type":"STRING","nullable":true}'),
    ],
)
def test_a_type_of_the_captures(type_name: str, modifier: int, expected: str) -> None:
    table = relation(
        column("id", "int4", identity=True), column("v", type_name, modifier), primary_key=["id"]
    )
    assert f'"v":{expected}' in _created(table)


def _created(table: Relation, **options: Any) -> str:
    change = Insert(1, Feed().begin(), 1, table, _row(table))
    writer = Writer(include_control_details=True, **options)
    return writer.records(change)[0][1]


def _row(table: Relation) -> Row:
    return Row(table, [None] * len(table.columns))


def test_without_a_primary_key_there_is_none_in_the_definition() -> None:
    table = relation(column("id", "int4"), column("v", "int4"))
    assert "primary-key" not in _created(table)


@pytest.mark.parametrize("type_name", ["json", "jsonb", "text", "_int4", "hstore"])
def test_lobs_vanish_without_a_primary_key_as_with_aws(type_name: str) -> None:
    oid = 70001 if type_name == "hstore" else None
    table = relation(column("id", "int4"), column("v", type_name, oid=oid))
    created = _created(table, lobs_without_primary_key=False)
    assert '"columns":{"id":{"type":"INT32","nullable":true}}' in created
    change = Insert(1, Feed().begin(), 1, table, Row(table, [b"1", b"x"]))
    assert Writer(lobs_without_primary_key=False).data(change) == '{"data":{"id":1}'
    assert Writer().data(change) == '{"data":{"id":1,"v":"x"}'
