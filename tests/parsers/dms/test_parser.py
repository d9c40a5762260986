from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.adapt import AdaptersMap
from psycopg.types.numeric import FloatLoader

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError, RecordFormatError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    Position,
    SchemaChange,
    SnapshotRead,
    Tombstone,
    Truncate,
    Update,
)
from pglogical_cdc.formatters.dms.formatter import DmsFormatter
from pglogical_cdc.formatters.dms.settings import BeforeImage
from pglogical_cdc.formatters.tombstone import Tombstones
from pglogical_cdc.lsn import LSN
from pglogical_cdc.parsers.dms.parser import DmsParser, parse_dms
from tests.feed import Feed

TIME = "2026-01-02T03:04:05.000006Z"
AT = 1_767_323_045_000_006
KEY = b'{"schema":"public","table":"people","id":0}'
PEOPLE: dict[str, Any] = {
    "columns": {
        "id": {"type": "INT32", "nullable": False},
        "name": {"type": "STRING", "length": 40, "nullable": True},
        "attributes": {"type": "STRING", "nullable": True},
    },
    "primary-key": ["id"],
}
TABBED = pytest.mark.parametrize("indent", [None, "\t"], ids=["one line", "tabs"])


def _record(
    operation: str,
    *,
    data: dict[str, Any] | None = None,
    control: dict[str, Any] | None = None,
    indent: str | None = None,
    table: str = "people",
    more: dict[str, Any] | None = None,
    **metadata: Any,
) -> bytes:
    """Return a record as the samples of the format's reference have it."""
    content: dict[str, Any] = {}
    if data is not None:
        content["data"] = data
    if control is not None:
        content["control"] = control
    content |= more or {}
    content["metadata"] = {
        "timestamp": TIME,
        "record-type": "control" if data is None else "data",
        "operation": operation,
        "partition-key-type": "schema-table",
        "schema-name": "public",
        "table-name": table,
        **{name.replace("_", "-"): value for name, value in metadata.items()},
    }
    separators = (",", ":\t") if indent else (",", ":")
    return json.dumps(content, indent=indent, separators=separators, ensure_ascii=False).encode()


def _of(change: Change | Tombstone, kind: type[Any]) -> Any:
    assert type(change) is kind
    return change


def _types(change: Any) -> dict[str, str | None]:
    return {column.name: column.type_name for column in change.relation.columns}


# -- the samples of the format's reference


@TABBED
def test_a_load(indent: str | None) -> None:
    record = _record(
        "load",
        data={"id": 42, "name": "Ada", "age": 30, "attributes": '{"foo": "bar"}'},
        indent=indent,
        partition_key_type="primary-key",
        partition_key_value="public.people.42",
    )

    change = _of(parse_dms(record, b"public.people.42"), SnapshotRead)

    assert (change.schema, change.table) == ("public", "people")
    assert dict(change.after) == {
        "id": 42,
        "name": "Ada",
        "age": 30,
        "attributes": '{"foo": "bar"}',
    }
    assert change.transaction is None
    assert change.position == Position(LSN(0), 0)
    assert change.snapshot == "true"
    assert change.key is None


@TABBED
def test_an_insert(indent: str | None) -> None:
    record = _record(
        "insert",
        data={"id": 46, "name": "Eve", "age": None, "attributes": None},
        indent=indent,
        transaction_id=1139,
        transaction_record_id=1,
        commit_timestamp="2026-01-01T00:00:04.005006Z",
        stream_position="00000002/7C007178.3.00000002/7C007180",
    )

    change = _of(DmsParser().parse(record), Insert)

    assert dict(change.after) == {"id": 46, "name": "Eve", "age": None, "attributes": None}
    assert change.transaction.xid == 1139
    assert change.transaction.commit_time == datetime(
        2026, 1, 1, 0, 0, 4, 5006, tzinfo=timezone.utc
    )
    assert change.position == Position(LSN.parse("2/7C007178"), 1)
    assert change.lsn == LSN.parse("2/7C007180")


@TABBED
def test_an_update_without_an_old_key(indent: str | None) -> None:
    record = _record(
        "update",
        data={"id": 42, "name": "Ada", "age": 33, "attributes": "{}"},
        more={"before-image": {}},
        indent=indent,
        transaction_id=1140,
    )

    change = _of(DmsParser().parse(record, KEY), Update)

    assert change.before is None
    assert change.key == change.old_key == {"id": 42}
    assert change.transaction.commit_timestamp == AT


@TABBED
def test_an_update_with_an_old_key(indent: str | None) -> None:
    record = _record(
        "update",
        data={"id": 45, "name": "Eve", "age": None, "attributes": None},
        more={"before-image": {"id": 46}},
        indent=indent,
        transaction_id=1141,
    )

    change = _of(DmsParser().parse(record, KEY), Update)

    assert dict(change.before) == {
        "id": 46,
        "name": NOT_SENT,
        "age": NOT_SENT,
        "attributes": NOT_SENT,
    }
    assert change.key_changed
    assert (change.key, change.old_key) == ({"id": 45}, {"id": 46})


@TABBED
@pytest.mark.parametrize("null", [{}, {"name": None, "age": None, "attributes": None}])
def test_a_delete(indent: str | None, null: dict[str, Any]) -> None:
    parser = DmsParser()
    parser.parse(_record("insert", data={"id": 45, "name": "Eve", "age": 1, "attributes": ""}))
    record = _record("delete", data={"id": 45, **null}, indent=indent, transaction_id=1144)

    change = _of(parser.parse(record, KEY), Delete)

    assert change.key == {"id": 45}
    assert change.before.missing == ("name", "age", "attributes")


@TABBED
def test_a_table_is_created(indent: str | None) -> None:
    record = _record("create-table", control={"table-def": PEOPLE}, indent=indent)

    change = _of(DmsParser().parse(record), SchemaChange)

    assert change.transaction is None
    assert _types(change) == {"id": "int4", "name": "varchar", "attributes": "text"}
    assert change.relation.key_columns == ("id",)
    assert (change.previous.name, change.previous.columns) == ("people", ())
    assert change.added == ["id", "name", "attributes"]


@TABBED
@pytest.mark.parametrize("control", [None, {}])
def test_a_table_is_dropped(indent: str | None, control: dict[str, Any] | None) -> None:
    parser = DmsParser()
    created = _of(
        parser.parse(_record("create-table", control={"table-def": PEOPLE})), SchemaChange
    )

    change = _of(parser.parse(_record("drop-table", control=control, indent=indent)), SchemaChange)

    assert change.previous is created.relation
    assert change.relation.columns == ()
    assert change.dropped == ["id", "name", "attributes"]
    again = _of(parser.parse(_record("insert", data={"id": 1})), Insert)
    assert _types(again) == {"id": "int8"}


@TABBED
def test_a_table_of_dms_itself_without_details(indent: str | None) -> None:
    record = _record("create-table", indent=indent, table="awsdms_apply_exceptions", schema_name="")

    change = _of(DmsParser().parse(record), SchemaChange)

    assert (change.schema, change.table) == ("", "awsdms_apply_exceptions")
    assert change.relation.columns == change.previous.columns == ()


def test_a_record_of_another_engine() -> None:
    record = _record(
        "update",
        data={"id": 1},
        transaction_id=9324410911751,
        transaction_record_id=1,
        prev_transaction_id=9324410910341,
        prev_transaction_record_id=10,
        commit_timestamp="2019-10-31T22:53:55.000000Z",
        stream_position="mysql-bin-changelog.002171:36912271:0:36912333:9324410911751:x",
    )

    change = _of(DmsParser().parse(record), Update)

    assert change.transaction.xid == 9324410911751
    assert change.position == Position(LSN(0), 1)


# -- values


def test_with_a_definition_values_have_its_types() -> None:
    kinds = {
        "i": "INT64",
        "f": "FLOAT",
        "b": "BOOL",
        "n": "NUMERIC",
        "d": "DATE32",
        "t": "TIMESTAMP",
        "x": "BYTES",
    }
    definition = {"columns": {name: {"type": kind} for name, kind in kinds.items()}}
    parser = DmsParser()
    parser.parse(_record("create-table", control={"table-def": definition}))
    data = {
        "i": 1,
        "f": 2.20000005,
        "b": True,
        "n": 46.57,
        "d": "2018-01-02",
        "t": "2018-01-02T03:04:05.500000Z",
        "x": "0x00ff",
    }

    change = _of(parser.parse(_record("insert", data=data)), Insert)

    assert dict(change.after) == {
        "i": 1,
        "f": 2.2,
        "b": True,
        "n": Decimal("46.57"),
        "d": date(2018, 1, 2),
        "t": datetime(2018, 1, 2, 3, 4, 5, 500_000, tzinfo=timezone.utc),
        "x": b"\x00\xff",
    }


def test_without_a_definition_values_are_those_of_the_json() -> None:
    record = _record("insert", data={"i": 1, "f": 0, "b": True, "t": "2018-01-02T03:04:05Z"})
    record = record.replace(b'"f":0', b'"f":46.570000')

    change = _of(DmsParser().parse(record.decode()), Insert)

    assert dict(change.after) == {
        "i": 1,
        "f": Decimal("46.570000"),
        "b": True,
        "t": "2018-01-02T03:04:05Z",
    }
    assert change.after.raw[1] == b"46.570000"


def test_a_column_that_an_insert_leaves_out_is_null() -> None:
    parser = DmsParser()
    first = _of(parser.parse(_record("insert", data={"id": 1, "name": "x"})), Insert)
    second = _of(parser.parse(_record("insert", data={"id": 2})), Insert)
    third = _of(parser.parse(_record("load", data={"name": "y"})), SnapshotRead)

    assert dict(second.after) == {"id": 2, "name": None}
    assert dict(third.after) == {"id": None, "name": "y"}
    assert first.relation is second.relation is third.relation


def test_a_column_that_an_update_leaves_out() -> None:
    kinds: dict[str, Any] = {**PEOPLE["columns"], "age": {"type": "INT32"}}
    create = _record("create-table", control={"table-def": {"columns": kinds}})
    update = _record("update", data={"id": 1}, more={"before-image": {"id": 1, "name": "x"}})
    parser, null = DmsParser(), DmsParser(absent="null")
    for each in (parser, null):
        each.parse(create)

    found = _of(parser.parse(update), Update).after
    assert dict(found) == {"id": 1, "name": None, "attributes": UNCHANGED, "age": None}
    assert not _of(null.parse(update), Update).after.missing


def test_the_adapters_of_the_caller_make_the_values() -> None:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_loader("numeric", FloatLoader)
    parser = DmsParser(adapters=adapters)

    change = _of(parser.parse(_record("insert", data={"a": 1.5})), Insert)

    assert type(change.after["a"]) is float


# -- old values


def test_the_before_image_has_the_name_that_the_task_gives_it() -> None:
    record = _record("update", data={"id": 2}, more={"old": {"id": 1}})

    change = _of(DmsParser(field_name="old").parse(record, KEY), Update)

    assert change.old_key == {"id": 1}
    with pytest.raises(RecordFormatError, match='another, "old"'):
        DmsParser().parse(record)


def test_old_values_as_columns() -> None:
    parser = DmsParser(column_prefix="BI_")
    columns: dict[str, Any] = {**PEOPLE["columns"], "BI_id": {"type": "INT32"}}
    definition = {"columns": columns, "primary-key": ["id"]}
    created = _of(
        parser.parse(_record("create-table", control={"table-def": definition})), SchemaChange
    )
    moved = _record("update", data={"id": 2, "name": "x", "attributes": "", "BI_id": 1})
    stayed = _record("update", data={"id": 2, "name": "y", "attributes": "", "BI_id": None})
    inserted = _record("insert", data={"id": 2, "BI_id": None})
    deleted = _record("delete", data={"id": None, "name": None, "BI_id": 2, "BI_name": "x"})

    change = _of(parser.parse(moved), Update)
    assert change.old_key == {"id": 1}
    assert change.key == {"id": 2}
    assert _of(parser.parse(stayed), Update).before is None
    insert = _of(parser.parse(inserted), Insert)
    assert list(insert.after) == ["id", "name", "attributes"]
    assert dict(_of(parser.parse(deleted), Delete).before) == {
        "id": 2,
        "name": "x",
        "attributes": NOT_SENT,
    }
    assert change.relation is insert.relation is created.relation


def test_null_as_an_old_value_does_not_make_null_of_what_is_unchanged() -> None:
    parser = DmsParser(column_prefix="BI_")
    record = _record("update", data={"id": 2, "BI_id": 1, "BI_note": None})

    change = _of(parser.parse(record, KEY), Update)

    assert dict(change.before) == {"id": 1, "note": NOT_SENT}
    assert change.after["note"] is UNCHANGED


def test_without_the_option_they_are_columns_like_others() -> None:
    change = _of(DmsParser().parse(_record("update", data={"id": 2, "BI_id": 1})), Update)

    assert list(change.after) == ["id", "BI_id"]
    assert change.before is None


# -- keys


@pytest.mark.parametrize("key", [None, b"public.people", "public.people.1", b"1", b"\xff"])
def test_keys_of_dms_tell_no_columns(key: bytes | str | None) -> None:
    change = _of(DmsParser().parse(_record("update", data={"id": 1}), key), Update)

    assert change.key is None
    assert DmsParser().parse(None, key).key is None


def test_a_key_of_another_table_tells_nothing() -> None:
    other = KEY.replace(b"people", b"persons")

    assert DmsParser().parse(_record("update", data={"id": 1}), other).key is None


def test_a_key_that_was_told_stays() -> None:
    parser = DmsParser()
    first = _of(parser.parse(_record("insert", data={"id": 1}), KEY), Insert)
    second = _of(parser.parse(_record("insert", data={"id": 2}), b"public.people"), Insert)

    assert second.key == {"id": 2}
    assert second.relation is first.relation


def test_primary_keys_of_the_caller() -> None:
    parser = DmsParser(primary_keys={"public.people": ["part", "id"]})
    record = _record("delete", data={"id": 1, "part": "a", "name": None})

    change = _of(parser.parse(record), Delete)

    assert list(change.key.items()) == [("part", "a"), ("id", 1)]
    assert change.before.missing == ("name",)


def test_a_deleted_row_tells_the_key() -> None:
    parser = DmsParser()
    parser.parse(_record("insert", data={"id": 1, "name": "x"}))

    assert parser.parse(_record("delete", data={"id": 1})).key == {"id": 1}
    assert parser.parse(_record("update", data={"id": 2, "name": "x"})).key == {"id": 2}


def test_a_deleted_row_with_null_tells_none() -> None:
    change = _of(DmsParser().parse(_record("delete", data={"id": 1, "name": None})), Delete)

    assert change.key is None
    assert dict(change.before) == {"id": 1, "name": None}


@pytest.mark.parametrize("known", [False, True])
def test_a_tombstone(known: bool) -> None:
    parser = DmsParser()
    if known:
        parser.parse(_record("create-table", control={"table-def": PEOPLE}))

    change = _of(parser.parse(None, b'{"schema":"public","table":"people","id":7}'), Tombstone)

    assert (change.schema, change.table, change.key) == ("public", "people", {"id": 7})


# -- control records


def _altered(parser: DmsParser, operation: str, **control: Any) -> SchemaChange:
    change: SchemaChange = _of(parser.parse(_record(operation, control=control)), SchemaChange)
    return change


@pytest.fixture
def parser() -> DmsParser:
    """A parser that knows a table."""
    parser = DmsParser()
    parser.parse(_record("create-table", control={"table-def": PEOPLE}))
    return parser


@pytest.mark.parametrize(
    ("operation", "columns", "added", "dropped"),
    [
        ("add-column", {**PEOPLE["columns"], "age": {"type": "INT32"}}, ["age"], []),
        ("drop-column", {"id": {"type": "INT32"}}, [], ["name", "attributes"]),
        (
            "rename-column",
            {"id": {"type": "INT32"}, "called": {"type": "STRING"}},
            ["called"],
            ["name", "attributes"],
        ),
        ("column-type-change", {**PEOPLE["columns"], "name": {"type": "INT32"}}, [], []),
        ("change-columns", {**PEOPLE["columns"], "name": {"type": "INT32"}}, [], []),
    ],
)
def test_a_table_is_altered(
    parser: DmsParser,
    operation: str,
    columns: dict[str, Any],
    added: list[str],
    dropped: list[str],
) -> None:
    before = _of(parser.parse(_record("insert", data={"id": 1})), Insert)

    change = _altered(parser, operation, **{"table-def": {"columns": columns}, "column-name": "x"})

    assert change.previous is before.relation
    assert list(change.relation.positions) == list(columns)
    assert (change.added, change.dropped) == (added, dropped)
    after = _of(parser.parse(_record("insert", data={"id": 1})), Insert)
    assert after.relation is change.relation


def test_a_table_is_renamed(parser: DmsParser) -> None:
    before = _of(parser.parse(_record("insert", data={"id": 1})), Insert)
    control = {
        "table-def": PEOPLE,
        "old-schema-name": "public",
        "old-table-name": "people",
    }

    change = _of(
        parser.parse(_record("rename-table", table="persons", control=control)), SchemaChange
    )

    assert change.previous is before.relation
    assert (change.table, change.relation.oid) == ("persons", before.relation.oid)
    other = _of(parser.parse(_record("insert", data={"id": 1})), Insert)
    assert other.relation.oid != before.relation.oid
    renamed = _of(parser.parse(_record("insert", table="persons", data={"id": 1})), Insert)
    assert renamed.relation is change.relation


def test_a_table_of_another_name_that_was_not_known() -> None:
    control = {"old-schema-name": "public", "old-table-name": "people"}

    change = _of(
        DmsParser().parse(_record("rename-table", table="persons", control=control)), SchemaChange
    )

    assert (change.previous.name, change.relation.name) == ("people", "persons")
    assert change.previous.columns == change.relation.columns == ()


@pytest.mark.parametrize(
    "operation",
    ["drop-column", "rename-column", "column-type-change", "change-columns", "rename-table"],
)
def test_without_details_a_table_starts_anew(parser: DmsParser, operation: str) -> None:
    change = _of(parser.parse(_record(operation)), SchemaChange)

    assert change.dropped == ["id", "name", "attributes"]
    inserted = _of(parser.parse(_record("insert", data={"id": 1})), Insert)
    assert _types(inserted) == {"id": "int8"}


def test_without_details_an_added_column_waits_for_a_row(parser: DmsParser) -> None:
    change = _of(parser.parse(_record("add-column")), SchemaChange)

    assert change.relation is change.previous
    inserted = _of(parser.parse(_record("insert", data={"id": 1, "age": 5})), Insert)
    assert list(inserted.after) == ["id", "name", "attributes", "age"]
    assert inserted.key == {"id": 1}


@pytest.mark.parametrize("control", [None, {}])
def test_a_table_is_truncated(parser: DmsParser, control: dict[str, Any] | None) -> None:
    inserted = _of(parser.parse(_record("insert", data={"id": 1})), Insert)
    record = _record("truncate-table", control=control, transaction_id=5)

    change = _of(parser.parse(record), Truncate)

    assert change.relation is inserted.relation
    assert (change.cascade, change.restart_identity) == (False, False)
    assert change.transaction.xid == 5


def test_what_has_no_transaction_in_the_records_of_aws(parser: DmsParser) -> None:
    assert _of(parser.parse(_record("truncate-table")), Truncate).transaction is None


# -- transactions


def _changes(parser: DmsParser, *records: bytes) -> list[Any]:
    return [parser.parse(record) for record in records]


def test_changes_of_one_transaction_share_it() -> None:
    position = "00000002/00001000.{}.00000002/00001{}00"
    commit = "2026-01-01T00:00:00.000000Z"
    details = [
        _record(
            "insert",
            data={"id": number},
            transaction_id=7,
            transaction_record_id=number,
            commit_timestamp=commit,
            stream_position=position.format(number, number),
        )
        for number in (1, 2)
    ]

    first, second = _changes(DmsParser(), *details)

    assert first.transaction is second.transaction
    assert first.position < second.position
    assert second.lsn - first.lsn == 0x100


def test_without_details_the_xid_tells_them_apart() -> None:
    records = [
        _record("insert", data={"id": 1}, transaction_id=xid, timestamp=f"2026-01-01T00:00:0{n}Z")
        for n, xid in enumerate([7, 7, 8])
    ]

    first, second, third = _changes(DmsParser(), *records)

    assert first.transaction is second.transaction
    assert first.transaction is not third.transaction
    assert first.position == Position(LSN(0), 0)


def test_an_xid_that_came_round_again_is_another_transaction() -> None:
    records = [
        _record(
            "insert", data={"id": 1}, transaction_id=7, commit_timestamp=f"202{n}-01-01T00:00:00Z"
        )
        for n in range(2)
    ]

    first, second = _changes(DmsParser(), *records)

    assert first.transaction is not second.transaction


# -- records of our own formatter


def test_a_feed_with_tombstones_and_control_records() -> None:
    """Everything that a consumer of the topic needs is there again."""
    feed = Feed()
    formatter = Tombstones(
        DmsFormatter(
            include_transaction_details=True,
            include_table_alter_operations=True,
            include_control_details=True,
            include_null_and_empty=True,
            before_image=BeforeImage(),
        )
    )
    int4, text = 23, 25
    feed.table(1, "public", "orders", [("schema", int4), ("note", text)], key=["schema"])
    feed.begin()
    changes: list[Change] = [feed.insert(1, "1", "a"), feed.update(1, "2", "b", key=["1", None])]
    feed.commit()
    feed.begin()
    columns = [("schema", int4), ("note", text), ("more", text)]
    changes += feed.table(1, "public", "orders", columns, key=["schema"])
    changes += [feed.insert(1, "3", "c", None), feed.delete(1, key=["3", None, None])]

    parser = DmsParser()
    found = [
        parser.parse(record.value, record.key)
        for change in changes
        for record in formatter.format(change)
    ]

    kinds = [type(each) for each in found]
    assert kinds == [
        *(SchemaChange, Insert, Update, Tombstone, SchemaChange, Insert, Delete, Tombstone)
    ]
    created = _of(found[0], SchemaChange)
    updated, old = _of(found[2], Update), _of(found[3], Tombstone)
    altered, again = _of(found[4], SchemaChange), _of(found[5], Insert)
    deleted, last = _of(found[6], Delete), _of(found[7], Tombstone)
    assert found[1].key == {"schema": 1}
    assert updated.old_key == old.key == {"schema": 1}
    assert updated.key == {"schema": 2}
    assert altered.added == ["more"]
    assert altered.previous is created.relation
    assert altered.relation is again.relation is deleted.relation
    assert deleted.key == last.key == {"schema": 3}
    assert deleted.before.missing == ("note", "more")
    assert (again.lsn, again.ordinal) == (changes[3].lsn, changes[3].ordinal)


# -- options, and what is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"absent": "maybe"}, "absent must be 'unchanged' or 'null'"),
        ({"field_name": "data"}, "field_name must be"),
        ({"field_name": None}, "field_name must be a string"),
        ({"column_prefix": None}, "column_prefix must be a string"),
        ({"column_suffix": 5}, "column_suffix must be a string"),
        ({"primary_keys": {"public.t": "id"}}, "primary_keys must have a sequence"),
        ({"primary_keys": {"public.t": []}}, "primary_keys must have a sequence"),
        ({"primary_keys": {"public.t": [1]}}, "primary_keys must have a sequence"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        DmsParser(**options)


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        (b"sesame", "JSON in the value", "something else at character 0"),
        (b"null", "an object as value", "null"),
        (_record("insert", data={"a": ["sesame"]}), "the value of a column as data.a", "an array"),
        (
            _record("insert", data={"_doc": {"a": "sesame"}}),
            "the value of a column as data._doc",
            "an object",
        ),
        (
            _record("update", data={}, more={"before-image": {"a": {"sesame": 1}}}),
            "the value of a column as before-image.a",
            "an object",
        ),
        (_record("insert", data={}, table_name=""), "a name as metadata.table-name", "empty"),
        (
            _record("insert", data={}, transaction_id=1, timestamp="sesame"),
            "a time in UTC as metadata.timestamp",
            "another form",
        ),
        (_record("add-column", control={"table-def": "sesame"}), "control.table-def", "a string"),
    ],
)
def test_what_is_no_record_is_refused_without_a_word_of_it(
    value: bytes, expected: str, found: str
) -> None:
    with pytest.raises(RecordFormatError) as caught:
        DmsParser().parse(value)

    assert expected in caught.value.expected
    assert found in caught.value.found
    assert "sesame" not in str(caught.value)


def test_a_value_that_is_not_of_its_type_is_refused(parser: DmsParser) -> None:
    with pytest.raises(RecordFormatError, match=r"type int4 as data\.id, found a string") as caught:
        parser.parse(_record("insert", data={"id": "sesame"}))

    assert "sesame" not in str(caught.value)


def test_a_record_that_is_refused_leaves_the_table_as_it_was(parser: DmsParser) -> None:
    damaged: Sequence[dict[str, Any]] = [
        {"table-def": {"columns": {"x": {}}}},
        {"table-def": PEOPLE, "old-table-name": 5},
    ]
    before = _of(parser.parse(_record("insert", data={"id": 1})), Insert)
    for control in damaged:
        with pytest.raises(RecordFormatError):
            parser.parse(_record("rename-table", control=control))

    assert _of(parser.parse(_record("insert", data={"id": 1})), Insert).relation is before.relation
