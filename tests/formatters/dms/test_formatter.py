from __future__ import annotations

import calendar
import json
import time
from types import NoneType
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    AlteredRow,
    Change,
    Insert,
    Relation,
    ReplicaIdentity,
    Row,
    SnapshotRead,
    TableCatalog,
    Update,
    base_type,
)
from pglogical_cdc.formatters.base import ControlRecord, Formatter, Record
from pglogical_cdc.formatters.dms.formatter import DmsFormatter
from pglogical_cdc.formatters.dms.settings import BeforeImage, BeforeImageColumns
from pglogical_cdc.protocol import BinaryValue
from tests import wire
from tests.feed import Feed
from tests.golden.replay import replay_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

INT4, TEXT, VARCHAR, JSONB, BOOL, INT8, BYTEA = 23, 25, 1043, 3802, 16, 20, 17

PEOPLE: list[tuple[str, int] | tuple[str, int, int]] = [
    ("id", INT4),
    ("name", VARCHAR, 44),
    ("age", INT4),
    ("attributes", JSONB),
]
AT = 1_767_323_045_000_006_000  # 2026-01-02T03:04:05.000006Z
TIMESTAMP = '"timestamp":"2026-01-02T03:04:05.000006Z"'


def people(feed: Feed, **options: Any) -> None:
    feed.table(16385, "public", "people", PEOPLE, key=["id"], **options)


def formatter(**options: Any) -> DmsFormatter:
    return DmsFormatter(**{"message_format": "json-unformatted", "clock": lambda: AT, **options})


def only(records: Sequence[Record]) -> Record:
    (record,) = records
    return record


def value(records: Sequence[Record]) -> str:
    content = only(records).value
    assert content is not None
    return content.decode()


def loaded(feed: Feed, change: Change) -> SnapshotRead:
    """Make of an insert the row of a snapshot."""
    assert isinstance(change, Insert)
    return SnapshotRead(change.wal_start, None, 0, change.relation, change.after)


def data(records: Sequence[Record]) -> dict[str, Any]:
    found = json.loads(value(records))["data"]
    assert isinstance(found, dict)
    return found


def test_is_a_formatter() -> None:
    assert isinstance(DmsFormatter(), Formatter)


def test_insert_in_the_default_format_is_laid_out_as_cjson_does() -> None:
    feed = Feed()
    people(feed)
    feed.begin(xid=1139)
    record = only(DmsFormatter(clock=lambda: AT).format(feed.insert(16385, "7", "x", None, None)))
    assert record.value == (
        b"{\n"
        b'\t"data":\t{\n'
        b'\t\t"id":\t7,\n'
        b'\t\t"name":\t"x"\n'
        b"\t},\n"
        b'\t"metadata":\t{\n'
        b'\t\t"timestamp":\t"2026-01-02T03:04:05.000006Z",\n'
        b'\t\t"record-type":\t"data",\n'
        b'\t\t"operation":\t"insert",\n'
        b'\t\t"partition-key-type":\t"schema-table",\n'
        b'\t\t"schema-name":\t"public",\n'
        b'\t\t"table-name":\t"people",\n'
        b'\t\t"transaction-id":\t1139\n'
        b"\t}\n"
        b"}"
    )
    assert record.key == b"public.people"
    assert record.topic == "kafka-default-topic"
    assert record.headers == ()


def test_the_record_has_the_position_of_its_change() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    feed.insert(16385, "1", None, None, None)
    change = feed.insert(16385, "2", None, None, None)
    assert only(formatter().format(change)).position == change.position


# -- data


@pytest.mark.parametrize("nulls", [False, True])
def test_an_unchanged_toasted_value_is_never_null(nulls: bool) -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    change = feed.update(16385, "1", "x", "2", UNCHANGED)
    assert "attributes" not in data(formatter(include_null_and_empty=nulls).format(change))


def test_an_empty_string_is_not_null() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    change = feed.insert(16385, "1", "", None, None)
    assert data(formatter().format(change)) == {"id": 1, "name": ""}


def test_a_row_without_a_value_is_an_empty_object() -> None:
    feed = Feed()
    feed.table(1, "public", "t", [("a", TEXT)])
    feed.begin()
    change = feed.insert(1, None)
    assert value(formatter().format(change)).startswith('{"data":{},"metadata":')
    tabbed = value(DmsFormatter().format(change))
    assert tabbed.startswith('{\n\t"data":\t{\n\t},\n\t"metadata":\t{\n')


def test_text_is_raw_utf8_with_control_characters_escaped() -> None:
    feed = Feed()
    feed.table(1, "public", "t", [("a", TEXT)])
    feed.begin()
    change = feed.insert(1, 'Привет 😀 "\\/\x01\x1f\t\n\x7f\u2028')
    assert value(formatter().format(change)).startswith(
        '{"data":{"a":"Привет 😀 \\"\\\\/\\u0001\\u001f\\t\\n\x7f\u2028"},'
    )


def test_names_are_escaped() -> None:
    feed = Feed()
    feed.table(1, 'a"b', "t\n", [('c\\"', TEXT)], key=['c\\"'])
    feed.begin()
    message = json.loads(value(DmsFormatter().format(feed.insert(1, "x"))))
    assert message["data"] == {'c\\"': "x"}
    assert message["metadata"]["schema-name"] == 'a"b'
    assert message["metadata"]["table-name"] == "t\n"


def test_value_options() -> None:
    feed = Feed()
    feed.table(1, "public", "t", [("big", INT8), ("yes", BOOL), ("raw", BYTEA)])
    feed.begin()
    change = feed.insert(1, "9223372036854775807", "t", "\\x00ff")
    assert value(formatter().format(change)).startswith(
        '{"data":{"big":9223372036854775807,"yes":true,"raw":"0x00ff"},'
    )
    as_aws = formatter(
        use_large_integer_value=False, map_boolean_as_boolean=False, no_hex_prefix=True
    )
    assert value(as_aws.format(change)).startswith(
        '{"data":{"big":9.2233720368547758e+18,"yes":"true","raw":"00ff"},'
    )


def test_a_new_version_of_a_table_is_described_anew() -> None:
    feed = Feed()
    people(feed)
    dms = formatter()
    feed.begin()
    assert data(dms.format(feed.insert(16385, "1", "x", None, None))) == {"id": 1, "name": "x"}
    (schema_change,) = feed.table(16385, "public", "people", [("id", TEXT)], key=["id"])
    assert dms.format(schema_change) == ()
    assert data(dms.format(feed.insert(16385, "1"))) == {"id": "1"}


def test_a_binary_value_is_refused() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    change = feed.insert(16385, BinaryValue(b"\0\0\0\x01"), None, None, None)
    with pytest.raises(ConfigurationError, match=r"public\.people .* binary=False"):
        formatter().format(change)
    with pytest.raises(ConfigurationError, match=r"public\.people .* binary=False"):
        formatter(partition_key="primary-key").format(change)


CONVERTED = {"numeric", "money", "bytea", "timestamp", "timestamptz", "bool"} | {
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "oid",
}


def test_a_recorded_stream_of_every_type() -> None:
    """What is not converted is the server's text, to the letter."""
    dms = formatter()
    kept = converted = 0
    for change in replay_changes():
        for record in dms.format(change):
            members = data([record])
            row = change.after or change.before
            assert row is not None
            for column, raw in zip(row.relation.columns, row.raw, strict=True):
                if type(raw) is not bytes:
                    assert column.name not in members
                elif base_type(row.relation, column)[0] in CONVERTED:
                    converted += 1
                    assert isinstance(members[column.name], (str, int, float, NoneType))
                else:
                    kept += 1
                    assert members[column.name] == raw.decode()
    assert kept > 500
    assert converted > 500


# -- what gives no record


def test_other_changes_give_nothing() -> None:
    feed = Feed()
    people(feed)
    transaction = feed.begin()
    dms = formatter()
    (truncate,) = feed.send(wire.truncate([16385]))
    (message,) = feed.send(wire.logical_decoding_message("p", b"x"))
    assert dms.format(truncate) == dms.format(message) == ()
    assert dms.begin(transaction) == dms.commit(transaction, {}) == dms.heartbeat(1) == ()


# -- keys and topics


def keyed(*values: str, catalog: TableCatalog | None = None) -> Change:
    feed = Feed()
    columns = [("a", TEXT), ("b", INT4), ("c", TEXT)]
    feed.table(1, "s", "t", columns, key=["a", "b"], catalog=catalog)
    feed.begin(xid=77)
    return feed.insert(1, *values)


@pytest.mark.parametrize(
    ("options", "key", "key_type", "key_value"),
    [
        ({}, b"s.t", "schema-table", None),
        ({"partition_key": "primary-key"}, b"x.7", "primary-key", "x.7"),
        (
            {"partition_key": "primary-key", "partition_include_schema_table": True},
            b"s.t.x.7",
            "primary-key",
            "s.t.x.7",
        ),
        ({"partition_key": "transaction-id"}, b"77", "transaction-id", "77"),
    ],
)
def test_partition_keys(
    options: dict[str, Any], key: bytes, key_type: str, key_value: str | None
) -> None:
    record = only(formatter(include_partition_value=True, **options).format(keyed("x", "7", "y")))
    metadata = json.loads(value([record]))["metadata"]
    assert record.key == key
    assert metadata["partition-key-type"] == key_type
    assert metadata.get("partition-key-value") == key_value
    without = value(formatter(**options).format(keyed("x", "7", "y")))
    assert "partition-key-value" not in without


def test_a_composite_key_is_in_the_order_of_its_index() -> None:
    catalog = TableCatalog("shop", 1, "s", "t", (), ("b", "a"))
    dms = formatter(partition_key="primary-key")
    assert only(dms.format(keyed("x", "7", "y", catalog=catalog))).key == b"7.x"


def test_the_key_is_that_of_the_servers_row_whatever_a_transform_made_of_it() -> None:
    change = keyed("x", "7", "y")
    assert isinstance(change, Insert)
    base = change.relation
    narrow = attrs.evolve(base, columns=base.columns[1:], base=base)
    masked = attrs.evolve(base, base=base)
    for relation, raw in ((narrow, [b"7", b"y"]), (masked, [b"***", b"7", b"y"])):
        altered = attrs.evolve(
            change, relation=relation, after=AlteredRow(relation, raw, change.after)
        )
        record = only(formatter(partition_key="primary-key").format(altered))
        assert record.key == b"x.7"
        assert list(data([record])) == [column.name for column in relation.columns]


def test_a_row_without_key_falls_back_to_schema_table() -> None:
    feed = Feed()
    feed.table(1, "s", "t", [("a", TEXT)], identity="f")
    feed.begin()
    change = feed.insert(1, "x")
    for dms in (formatter(partition_key="primary-key"), formatter()):
        for each in (change, loaded(feed, change)):
            record = only(dms.format(each))
            assert record.key == b"s.t"
            assert '"partition-key-type":"schema-table"' in value([record])


def test_the_key_of_an_update_is_the_new_one() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    change = feed.update(16385, "2", "x", None, None, key=["1", None, None, None])
    assert only(formatter(partition_key="primary-key").format(change)).key == b"2"


@pytest.mark.parametrize("topic", ["", None, 7])
def test_a_topic_is_a_name_or_a_function(topic: object) -> None:
    with pytest.raises(ConfigurationError, match="topic must be a name"):
        formatter(topic=topic)


def test_topic_of_a_table() -> None:
    dms = formatter(topic=lambda schema, table: f"cdc-{schema}-{table}")
    assert only(dms.format(keyed("x", "7", "y"))).topic == "cdc-s-t"
    assert only(formatter(topic="all").format(keyed("x", "7", "y"))).topic == "all"


# -- keys that identify rows


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"partition_key": "transaction-id"}, False),
        ({"partition_key": "primary-key"}, False),
        ({"partition_key": "primary-key", "partition_include_schema_table": True}, True),
        ({"partition_key": "primary-key", "topic": lambda schema, table: table}, True),
    ],
)
def test_identifies_rows(options: dict[str, Any], expected: bool) -> None:
    assert formatter(**options).identifies_rows is expected


def test_row_key_is_the_record_key_or_none_if_ambiguous() -> None:
    dms = formatter(partition_key="primary-key", partition_include_schema_table=True)

    def row_key(change: Change) -> bytes | None:
        assert isinstance(change, Insert)
        return dms.row_key(change.relation, change.after.raw)

    change = keyed("x", "7", "y")
    assert row_key(change) == only(dms.format(change)).key == b"s.t.x.7"
    assert row_key(keyed("x.y", "7", "y")) is None
    dotted = Relation(1, "s", "t.u", (), ReplicaIdentity.DEFAULT)
    assert dms.row_key(dotted, ()) is None
    assert isinstance(change, Insert)
    for schema, name in (("s", "t.u"), ("s.t", "u")):
        dotted = attrs.evolve(change.relation, schema=schema, name=name)
        assert dms.row_key(dotted, change.after.raw) is None


def test_the_key_of_a_row_comes_from_the_image_that_has_it() -> None:
    dms = formatter(partition_key="primary-key")
    feed = Feed()
    people(feed, catalog=TableCatalog("shop", 16385, "public", "people", (), ("name",)))
    feed.begin()
    # A TOASTed key that did not change comes with the old row.
    moved = feed.update(16385, "2", "Ada", None, None, old=["1", "Ada", None, None])
    assert isinstance(moved, Update)
    toasted = attrs.evolve(moved, after=Row(moved.relation, [b"2", UNCHANGED, None, None]))
    assert only(dms.format(toasted)).key == only(dms.format(moved)).key == b"Ada"
    # Where the server sends it in no image the row cannot be told from others.
    gone = feed.delete(16385, key=["1", None, None, None])
    record = only(dms.format(gone))
    assert record.key == b"public.people"
    assert '"partition-key-type":"schema-table"' in value([record])


def test_row_key_of_one_column_may_have_dots() -> None:
    feed = Feed()
    feed.table(1, "s", "t", [("a", TEXT)], key=["a"])
    feed.begin()
    change = feed.insert(1, "x.y")
    assert isinstance(change, Insert)
    dms = formatter(partition_key="primary-key", partition_include_schema_table=True)
    assert dms.row_key(change.relation, Row(change.relation, [b"x.y"]).raw) == b"s.t.x.y"


# -- before images


def test_a_before_image_is_a_member_of_updates_only() -> None:
    feed = Feed()
    people(feed, identity="f")
    feed.begin()
    dms = formatter(before_image=BeforeImage("old", "non-lob"))
    old = ["1", "Ada", None, "{}"]
    update = feed.update(16385, "2", "Ada", "3", "{}", old=old)
    message = json.loads(value(dms.format(update)))
    assert list(message) == ["data", "old", "metadata"]
    assert message["old"] == {"id": 1, "name": "Ada"}
    for change in (feed.insert(16385, *old), feed.delete(16385, old=old)):
        assert list(json.loads(value(dms.format(change)))) == ["data", "metadata"]


def test_a_before_image_has_null_as_data_has_it_and_never_for_what_was_not_sent() -> None:
    feed = Feed()
    people(feed)
    feed.table(2, "public", "whole", PEOPLE, identity="f")
    feed.begin()
    dms = formatter(before_image=BeforeImage("old", "all"), include_null_and_empty=True)
    moved = feed.update(16385, "2", None, None, None, key=["1", None, None, None])
    assert json.loads(value(dms.format(moved)))["old"] == {"id": 1}
    whole = feed.update(2, "2", "x", "7", "{}", old=["1", None, "7", "{}"])
    assert json.loads(value(dms.format(whole)))["old"] == {
        "id": 1,
        "name": None,
        "age": 7,
        "attributes": "{}",
    }


def test_the_name_of_a_before_image_is_escaped() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    dms = formatter(before_image=BeforeImage('"old"\n'))
    message = json.loads(value(dms.format(feed.update(16385, "1", None, None, None))))
    assert message['"old"\n'] == {}


def test_before_images_as_columns() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    dms = formatter(before_image=BeforeImageColumns())
    moved = feed.update(16385, "2", None, "7", None, key=["1", None, None, None])
    assert data(dms.format(moved)) == {"id": 2, "age": 7, "BI_id": 1}
    insert = feed.insert(16385, "2", None, "7", None)
    assert data(dms.format(insert)) == {"id": 2, "age": 7}
    nulls = formatter(before_image=BeforeImageColumns("", "_old"), include_null_and_empty=True)
    for change in (
        insert,
        loaded(feed, insert),
        feed.update(16385, "2", None, "7", None),
        feed.delete(16385, key=["2", None, None, None]),
    ):
        assert list(data(nulls.format(change)).items())[-1] == ("id_old", None)


# -- control records


def test_a_control_record_comes_before_the_row_that_shows_it() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    dms = formatter(include_control_details=True, include_table_alter_operations=True)
    first = feed.insert(16385, "1", None, None, None)
    create, insert = dms.format(first)
    assert isinstance(create, ControlRecord)
    assert not isinstance(insert, ControlRecord)
    assert create.key == b"pglogical-cdc.public.people"
    assert create.position == insert.position == first.position
    (schema_change,) = feed.table(16385, "public", "people", PEOPLE[:2], key=["id"])
    operations = [
        json.loads(record.value or b"")["metadata"]["operation"]
        for record in dms.format(schema_change)
    ]
    assert operations == ["drop-column", "drop-column"]
    # The row of the new version brings nothing more.
    assert len(dms.format(feed.insert(16385, "2", None))) == 1


def test_a_loop_that_formats_rows_only_has_the_same_control_records() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    dms = formatter(include_table_alter_operations=True)
    assert len(dms.format(feed.insert(16385, "1", None, None, None))) == 1
    feed.table(16385, "public", "people", PEOPLE[:3], key=["id"])
    control, row = dms.format(feed.insert(16385, "2", None, None))
    assert json.loads(control.value or b"") == {
        "metadata": {
            "timestamp": "2026-01-02T03:04:05.000006Z",
            "record-type": "control",
            "operation": "drop-column",
            "partition-key-type": "task-id",
            "schema-name": "public",
            "table-name": "people",
        }
    }
    assert isinstance(control, ControlRecord)
    assert not isinstance(row, ControlRecord)


def test_a_change_that_comes_again_brings_its_control_records_again() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    dms = formatter(include_control_details=True)
    first = feed.insert(16385, "1", None, None, None)
    assert dms.format(first) == dms.format(first)
    assert len(dms.format(first)) == 2
    assert len(dms.format(feed.insert(16385, "2", None, None, None))) == 1


def test_a_change_that_fails_has_told_nothing() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    dms = formatter(include_control_details=True)
    with pytest.raises(ConfigurationError):
        dms.format(feed.insert(16385, BinaryValue(b"\0\0\0\x01"), None, None, None))
    assert len(dms.format(feed.insert(16385, "2", None, None, None))) == 2


def test_a_column_of_a_before_image_must_not_be_one_of_the_table() -> None:
    feed = Feed()
    feed.table(1, "public", "t", [("id", INT4), ("BI_id", INT4)], key=["id"])
    feed.begin()
    change = feed.insert(1, "1", "2")
    with pytest.raises(ConfigurationError, match=r"'BI_id' would be a second one of public\.t"):
        formatter(before_image=BeforeImageColumns()).format(change)
    assert data(formatter(before_image=BeforeImageColumns("", "_old")).format(change)) == {
        "id": 1,
        "BI_id": 2,
    }


def test_a_subclass_of_a_change_is_that_change() -> None:
    class Marked(Insert):
        """A user's own."""

    feed = Feed()
    people(feed)
    feed.begin()
    change = feed.insert(16385, "1", None, None, None)
    assert isinstance(change, Insert)
    marked = Marked(
        change.wal_start, change.transaction, change.ordinal, change.relation, change.after
    )
    assert value(formatter().format(marked)) == value(formatter().format(change))


def test_without_the_options_tables_may_change_silently() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    dms = formatter()
    assert len(dms.format(feed.insert(16385, "1", None, None, None))) == 1
    (schema_change,) = feed.table(16385, "public", "people", PEOPLE[:2], key=["id"])
    assert dms.format(schema_change) == ()


def test_a_truncate_is_a_control_record_if_told() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    (truncate,) = feed.send(wire.truncate([16385]))
    assert formatter().format(truncate) == ()
    (record,) = formatter(on_truncate="control", task_id="T").format(truncate)
    assert isinstance(record, ControlRecord)
    assert record.key == b"T.public.people"
    assert record.position == truncate.position
    assert value([record]) == (
        '{"metadata":{' + TIMESTAMP + ',"record-type":"control","operation":"truncate-table",'
        '"partition-key-type":"task-id","schema-name":"public","table-name":"people"}}'
    )
    create, record = formatter(on_truncate="control", include_control_details=True).format(truncate)
    assert b'"operation":"create-table"' in (create.value or b"")
    assert (record.value or b"").startswith(b'{"control":{},"metadata":{')


def test_control_records_go_to_the_topic_of_their_table() -> None:
    feed = Feed()
    people(feed)
    feed.begin()
    dms = formatter(include_control_details=True, topic=lambda schema, table: f"{schema}-{table}")
    records = dms.format(feed.insert(16385, "1", None, None, None))
    assert [record.topic for record in records] == ["public-people"] * 2


# -- options


@pytest.mark.parametrize(
    ("option", "wrong", "words"),
    [
        ("message_format", "xml", "'json' or 'json-unformatted'"),
        ("before_image", "all", "a BeforeImage, a BeforeImageColumns or None"),
        ("include_table_alter_operations", "yes", "True or False"),
        ("include_control_details", 1, "True or False"),
        ("use_large_integer_value", None, "True or False"),
        ("partition_key", "row", "'schema-table' or 'primary-key' or 'transaction-id'"),
        ("primary_key_separator", 7, "a string"),
        ("partition_key_name", "id", "partition_key='attribute-name'"),
        ("partition_key_value", "x", "partition_key='constant'"),
        ("task_id", 7, "a string"),
        ("on_truncate", "clear", "'skip' or 'control'"),
    ],
)
def test_a_wrong_option_names_the_right_values(option: str, wrong: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{option} must be") as caught:
        formatter(**{option: wrong})
    assert words in str(caught.value)


def test_the_default_clock_is_the_time_of_day() -> None:
    before = time.time()
    text = json.loads(value(DmsFormatter().format(keyed("x", "7", "y"))))["metadata"]["timestamp"]
    parsed = time.strptime(text[:19] + " +0000", "%Y-%m-%dT%H:%M:%S %z")
    assert text[19] == "."
    assert len(text) == 27
    assert before - 1 <= calendar.timegm(parsed) <= time.time()
