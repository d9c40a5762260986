from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.adapt import AdaptersMap
from psycopg.types.numeric import FloatLoader

from pglogical_cdc import (
    LSN,
    NOT_SENT,
    UNCHANGED,
    Change,
    ConfigurationError,
    DebeziumFormatter,
    DebeziumParser,
    Delete,
    ExcludeColumns,
    Insert,
    LogicalMessage,
    MaskColumns,
    Position,
    RecordFormatError,
    Row,
    SnapshotRead,
    Tombstone,
    Transaction,
    Truncate,
    UnwrappedFormatter,
    Update,
    parse_debezium,
)
from pglogical_cdc.events import RawValue, ReplicaIdentity, RowChange
from tests.formatters.tables import column, relation

TABLE = relation(
    column("id", "int4", identity=True),
    column("name", "text"),
    column("price", "numeric", (10 << 16 | 2) + 4),
    column("due", "date"),
    primary_key=["id"],
    not_null=["id", "price"],
)
TRANSACTION = Transaction(
    750,
    LSN(5000),
    1_795_342_303_513_176,
    previous_end_lsn=LSN(3000),
    origin="upstream",
    origin_lsn=LSN(77),
)
FULL: tuple[RawValue, ...] = (b"7", b"Ann", b"12.50", b"2024-02-29")
OLD_KEY: tuple[RawValue, ...] = (b"7", NOT_SENT, NOT_SENT, NOT_SENT)
SCHEMAS = pytest.mark.parametrize("schemas", [False, True], ids=["plain", "schemas"])


def _formatter(**options: Any) -> DebeziumFormatter:
    return DebeziumFormatter(topic_prefix="shop", **options)


def _insert(*raw: RawValue) -> Insert:
    return Insert(4000, TRANSACTION, 1, TABLE, Row(TABLE, raw or FULL))


def _update(before: tuple[RawValue, ...] | None, *raw: RawValue) -> Update:
    old = None if before is None else Row(TABLE, before)
    return Update(4000, TRANSACTION, 1, TABLE, old, Row(TABLE, raw or FULL))


def _delete(*raw: RawValue) -> Delete:
    return Delete(4000, TRANSACTION, 1, TABLE, Row(TABLE, raw or OLD_KEY))


def _parsed(formatter: DebeziumFormatter, change: Any, **options: Any) -> list[Any]:
    parser = DebeziumParser(**options)
    return [
        parser.parse(record.value, record.key, record.headers)
        for record in formatter.format(change)
    ]


@SCHEMAS
def test_an_insert(schemas: bool) -> None:
    [change] = _parsed(_formatter(schemas_enable=schemas, database="sales"), _insert())

    assert isinstance(change, Insert)
    assert (change.relation.database, change.schema, change.table) == ("sales", "public", "t")
    assert change.key == {"id": 7}
    assert change.lsn == LSN(4000)
    transaction = change.transaction
    assert transaction is not None
    assert transaction.xid == 750
    assert transaction.commit_timestamp == 1_795_342_303_513_176
    assert transaction.previous_end_lsn == LSN(3000)
    assert (transaction.origin, transaction.origin_lsn) == ("upstream", LSN(77))


def test_with_schemas_values_have_their_types() -> None:
    [change] = _parsed(_formatter(schemas_enable=True), _insert())

    assert dict(change.after) == {
        "id": 7,
        "name": "Ann",
        "price": Decimal("12.50"),
        "due": date(2024, 2, 29),
    }
    names = [each.type_name for each in change.relation.columns]
    assert names == ["int4", "text", "numeric", "date"]


def test_without_schemas_values_are_those_of_the_json() -> None:
    [change] = _parsed(_formatter(decimal_handling_mode="string"), _insert())

    assert dict(change.after) == {"id": 7, "name": "Ann", "price": "12.50", "due": 19782}


def test_the_schemas_tell_nullability_and_defaults() -> None:
    table = relation(
        column("id", "int4", identity=True),
        column("note", "text"),
        column("active", "bool"),
        primary_key=["id"],
        not_null=["id"],
        defaults={"note": "'it''s'::text", "active": "true"},
    )
    insert = Insert(1, TRANSACTION, 1, table, Row(table, (b"1", b"x", b"f")))

    [change] = _parsed(_formatter(schemas_enable=True), insert)

    catalog = change.relation.catalog
    assert [each.not_null for each in catalog.columns] == [True, False, False]
    assert [each.default for each in catalog.columns] == [None, "'it''s'::text", "true"]


@SCHEMAS
def test_an_update_keeps_what_was_not_sent_apart_from_null(schemas: bool) -> None:
    update = _update(None, b"7", UNCHANGED, b"1", None)

    [change] = _parsed(_formatter(schemas_enable=schemas), update)

    assert isinstance(change, Update)
    assert change.before is None
    assert change.after["name"] is UNCHANGED
    assert change.after["due"] is None
    assert change.key == change.old_key == {"id": 7}


@SCHEMAS
def test_a_whole_old_row(schemas: bool) -> None:
    [change] = _parsed(_formatter(schemas_enable=schemas), _update((b"7", b"Bob", b"1", None)))

    assert isinstance(change, Update)
    assert change.before is not None
    assert (change.before["name"], change.before["due"]) == ("Bob", None)
    assert not change.key_changed


@SCHEMAS
def test_the_image_of_an_old_key(schemas: bool) -> None:
    deleted, tombstone = _parsed(_formatter(schemas_enable=schemas), _delete())

    assert isinstance(deleted, Delete)
    # Debezium writes a zero for the price, which must not be NULL.
    assert deleted.before.missing == ("name", "price", "due")
    assert deleted.key == {"id": 7}
    assert isinstance(tombstone, Tombstone)
    assert tombstone.key == {"id": 7}


@SCHEMAS
def test_a_deleted_row_that_is_known_as_a_whole(schemas: bool) -> None:
    deleted, _ = _parsed(_formatter(schemas_enable=schemas), _delete(b"7", b"Ann", b"0", None))

    assert deleted.before["name"] == "Ann"
    assert deleted.before["due"] is None


@SCHEMAS
def test_a_change_of_the_key_is_a_delete_and_an_insert(schemas: bool) -> None:
    update = _update((b"6", NOT_SENT, NOT_SENT, NOT_SENT))

    deleted, tombstone, inserted = _parsed(_formatter(schemas_enable=schemas), update)

    assert isinstance(deleted, Delete)
    assert deleted.key == tombstone.key == {"id": 6}
    assert isinstance(inserted, Insert)
    assert inserted.key == {"id": 7}


@SCHEMAS
def test_a_row_of_a_snapshot(schemas: bool) -> None:
    read = SnapshotRead(4000, None, 0, TABLE, Row(TABLE, FULL), "first")

    [change] = _parsed(_formatter(schemas_enable=schemas), read)

    assert isinstance(change, SnapshotRead)
    assert change.snapshot == "first"
    assert change.transaction is None
    assert change.position == Position(LSN(4000), 0)


@SCHEMAS
def test_a_truncate_has_the_key_that_earlier_records_had(schemas: bool) -> None:
    formatter = _formatter(schemas_enable=schemas, skipped_operations="none")
    parser = DebeziumParser()
    [insert] = formatter.format(_insert())
    [truncate] = formatter.format(Truncate(4100, TRANSACTION, 2, TABLE, True, True))

    first = parser.parse(insert.value, insert.key)
    change = parser.parse(truncate.value, truncate.key)

    assert isinstance(change, Truncate)
    assert isinstance(first, Insert)
    assert (change.cascade, change.restart_identity) == (False, False)
    if schemas:
        assert change.relation is first.relation


@pytest.mark.parametrize("mode", ["bytes", "base64", "base64-url-safe", "hex"])
def test_a_message(mode: Any) -> None:
    message = LogicalMessage(4000, TRANSACTION, 1, "audit", b"\xfb\xff\x00", "shop")
    outside = LogicalMessage(4000, None, 0, "audit", b"", "shop")

    [change] = _parsed(_formatter(binary_handling_mode=mode), message, binary_handling_mode=mode)
    [other] = _parsed(_formatter(binary_handling_mode=mode), outside, binary_handling_mode=mode)

    assert isinstance(change, LogicalMessage)
    assert (change.prefix, change.content, change.database) == ("audit", b"\xfb\xff\x00", "shop")
    assert change.transactional
    assert other.content == b""
    assert not other.transactional


def test_positions_ascend_as_the_stream_did() -> None:
    # Two transactions at the same time: the one whose rows came first in the WAL commits last.
    first = Transaction(751, LSN(250), 1, previous_end_lsn=LSN(90))
    second = Transaction(750, LSN(400), 2, previous_end_lsn=LSN(260))
    row = Row(TABLE, FULL)
    stream = [
        Insert(200, first, 1, TABLE, row),
        Insert(100, second, 1, TABLE, row),
        Insert(300, second, 2, TABLE, row),
    ]
    for metadata in (False, True):
        formatter = _formatter(provide_transaction_metadata=metadata)
        parser = DebeziumParser()
        changes = [
            parser.parse(record.value, record.key)
            for change in stream
            for record in formatter.format(change)
        ]
        positions = [change.position for change in changes if isinstance(change, Insert)]
        assert positions == sorted(set(positions))
        assert len(positions) == 3
        assert isinstance(changes[1], Insert)
        assert isinstance(changes[2], Insert)
        assert changes[1].transaction is changes[2].transaction
        if metadata:
            assert [position.ordinal for position in positions] == [1, 1, 2]


def test_without_a_sequence_an_event_has_its_own_lsn() -> None:
    alone = Transaction(751, LSN(250), 1)

    [change] = _parsed(_formatter(), Insert(200, alone, 1, TABLE, Row(TABLE, FULL)))

    assert change.position == Position(LSN(200), 0)


def test_servers_do_not_mix() -> None:
    parser = DebeziumParser()
    for server in ("a", "b"):
        formatter = DebeziumFormatter(topic_prefix=server, database="shop")
        table = TABLE if server == "a" else relation(*TABLE.columns[:2], primary_key=["id"])
        raw: tuple[RawValue, ...] = FULL[: len(table.columns)]
        change: Change = Insert(1, None, 0, table, Row(table, raw))
        if server == "b":
            change = Update(1, None, 0, table, None, Row(table, raw))
        [record] = formatter.format(change)
        read = parser.parse(record.value, record.key)
        assert isinstance(read, Insert | Update)
        assert list(read.after) == [column.name for column in table.columns]


def test_a_relation_lasts_as_long_as_the_records_say_the_same() -> None:
    for schemas in (False, True):
        formatter = _formatter(schemas_enable=schemas)
        parser = DebeziumParser()
        records = [
            *formatter.format(_insert()),
            *formatter.format(_insert(b"8", None, b"1", None)),
            *formatter.format(_update(None, b"8", UNCHANGED, b"1", None)),
            *formatter.format(_delete()),
        ]
        changes = [parser.parse(record.value, record.key) for record in records]

        assert len({id(each.relation) for each in changes if isinstance(each, RowChange)}) == 1


def test_a_column_that_was_added_makes_another_relation() -> None:
    wider = relation(*TABLE.columns, column("extra", "int4"), primary_key=["id"])
    for schemas in (False, True):
        formatter = _formatter(schemas_enable=schemas)
        parser = DebeziumParser()
        [first] = formatter.format(_insert())
        [second] = formatter.format(Insert(1, None, 0, wider, Row(wider, (*FULL, b"5"))))

        one, two = parser.parse(first.value, first.key), parser.parse(second.value, second.key)

        assert isinstance(one, Insert)
        assert isinstance(two, Insert)
        assert one.relation is not two.relation
        assert one.relation.oid == two.relation.oid
        assert two.after["extra"] == 5


def test_tables_of_the_same_name_elsewhere_are_others() -> None:
    parser = DebeziumParser()
    [one] = _formatter(database="a").format(_insert())
    [two] = _formatter(database="b").format(_insert())

    first, second = parser.parse(one.value, one.key), parser.parse(two.value, two.key)

    assert isinstance(first, Insert)
    assert isinstance(second, Insert)
    assert first.relation.oid != second.relation.oid


@SCHEMAS
def test_an_altered_row_has_the_key_of_its_record(schemas: bool) -> None:
    formatter = _formatter(schemas_enable=schemas)
    masked = MaskColumns(["public.t.name"], chars=3)(_insert())
    text_key = relation(
        column("name", "text", identity=True), column("n", "int4"), primary_key=["name"]
    )
    keyed = Insert(1, None, 0, text_key, Row(text_key, (b"Ann", b"5")))
    masked_key = MaskColumns(["public.t.name"], chars=3)(keyed)
    without_key = ExcludeColumns(["public.t.name"])(keyed)

    changes = [*_parsed(formatter, masked), *_parsed(formatter, masked_key)]
    [excluded] = _parsed(formatter, without_key)

    assert [change.after["name"] for change in changes] == ["***", "***"]
    assert [change.key for change in changes] == [{"id": 7}, {"name": "Ann"}]
    assert dict(excluded.after) == {"n": 5}
    assert excluded.key == {"name": "Ann"}


def test_without_its_key_a_record_gives_a_change_without() -> None:
    [record] = _formatter().format(_insert())

    change = parse_debezium(record.value)

    assert isinstance(change, Insert)
    assert change.key is None
    assert change.relation.replica_identity is ReplicaIdentity.FULL


@pytest.mark.parametrize("value", [None, b"null", "null", b'{"schema":null,"payload":null}'])
def test_no_value_is_a_tombstone(value: bytes | str | None) -> None:
    [record] = _formatter(schemas_enable=True).format(_insert())

    assert parse_debezium(value, record.key).key == {"id": 7}
    assert parse_debezium(value, b'{"id":7,"part":"a"}').key == {"id": 7, "part": "a"}
    assert parse_debezium(value).key is None


def test_the_placeholder_is_that_of_the_connector() -> None:
    formatter = _formatter(unavailable_value_placeholder="hex:fffe", binary_handling_mode="hex")
    table = relation(
        column("id", "int4", identity=True),
        column("t", "text"),
        column("b", "bytea"),
        column("i", "_int4"),
        column("u", "_uuid"),
        primary_key=["id"],
    )
    absent = (b"1", UNCHANGED, UNCHANGED, UNCHANGED, UNCHANGED)
    update = Update(1, None, 1, table, None, Row(table, absent))

    [change] = _parsed(formatter, update, unavailable_value_placeholder="hex:fffe")

    assert change.after.missing == ("t", "b", "i", "u")


def test_a_faithful_record_leaves_out_what_was_not_sent() -> None:
    for schemas in (False, True):
        formatter = _formatter(faithful=True, schemas_enable=schemas)
        parser = DebeziumParser()
        update = _update((b"7", None, NOT_SENT, NOT_SENT), b"7", b"a", UNCHANGED, None)
        [insert] = formatter.format(_insert())
        [record] = formatter.format(update)

        parser.parse(insert.value, insert.key)
        change = parser.parse(record.value, record.key)

        assert isinstance(change, Update)
        assert change.before is not None
        assert change.before.missing == ("name", "price", "due")
        assert change.after["due"] is None


def test_the_adapters_of_the_caller_make_the_values() -> None:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_loader("numeric", FloatLoader)

    [change] = _parsed(_formatter(schemas_enable=True), _insert(), adapters=adapters)

    assert change.after["price"] == 12.5
    assert isinstance(change.after["price"], float)


def test_an_event_of_an_old_debezium() -> None:
    source = {"connector": "postgresql", "ts_ms": 1, "db": "d", "schema": "s", "table": "t"}
    value = {"before": None, "after": {"id": 1}, "source": source, "op": "c", "ts_ms": 2}
    source |= {"txId": 5, "lsn": 9, "snapshot": "false"}

    change = parse_debezium(json.dumps(value, indent=1))

    assert isinstance(change, Insert)
    assert change.transaction is not None
    assert change.transaction.commit_timestamp == 1000
    assert change.transaction.previous_end_lsn is None
    assert change.lsn == LSN(9)


# -- unwrapped rows


@SCHEMAS
def test_an_unwrapped_row_with_what_tells_the_operation(schemas: bool) -> None:
    formatter = UnwrappedFormatter(
        topic_prefix="shop",
        schemas_enable=schemas,
        delete_tombstone_handling_mode="rewrite",
        add_fields="op,source.lsn,txId,source.ts_us" if schemas else "op,schema,table,lsn,db",
    )

    [insert] = _parsed(formatter, _insert())
    [delete] = _parsed(formatter, _delete())

    assert isinstance(insert, Insert)
    assert list(insert.after) == ["id", "name", "price", "due"]
    assert (insert.schema, insert.table, insert.lsn) == ("public", "t", LSN(4000))
    assert isinstance(delete, Delete)
    assert delete.key == {"id": 7}
    if schemas:
        assert insert.transaction is not None
        assert insert.transaction.commit_timestamp == TRANSACTION.commit_timestamp
    else:
        assert insert.transaction is None
        assert insert.relation.database == "shop"


def test_headers_tell_the_operation_as_well() -> None:
    formatter = UnwrappedFormatter(topic_prefix="shop", add_headers="op,source.table,schema,db")

    [change] = _parsed(formatter, _update(None))
    [record] = formatter.format(_update(None))
    plain = [(key, value.decode().strip('"')) for key, value in record.headers]

    assert isinstance(change, Update)
    assert (change.relation.database, change.schema, change.table) == ("shop", "public", "t")
    assert isinstance(parse_debezium(record.value, record.key, plain), Update)


def test_a_column_is_no_added_field_of_an_envelope() -> None:
    table = relation(column("__op", "text"), column("__table", "text"))
    insert = Insert(1, None, 0, table, Row(table, (b"a", b"b")))

    [change] = _parsed(_formatter(schemas_enable=True), insert)

    assert dict(change.after) == {"__op": "a", "__table": "b"}


# -- what is no event

ENVELOPE: dict[str, Any] = {
    "before": None,
    "after": {"id": 1, "secret": "sesame"},
    "source": {"schema": "public", "table": "t", "lsn": 1},
    "op": "c",
}


def _from(**source: Any) -> dict[str, Any]:
    return {**ENVELOPE, "source": {"table": "t", **source}}


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        (b"\xff", "UTF-8 in the value", "another byte at offset 0"),
        (b'{"a"', "JSON in the value", "something else at character 4"),
        (b"[" * 100_000, "JSON in the value", "nesting that is too deep to read"),
        (b"[1]", "an object as value", "an array"),
        (b'"sesame"', "an object as value", "a string"),
        (b'{"ts_ms":1}', "op and source", 'an object with "ts_ms"'),
        (b"{}", "op and source", "an object with no members"),
        ({**ENVELOPE, "op": "x"}, "c, u, d, r, t or m as op", "another"),
        ({**ENVELOPE, "op": ["sesame"]}, "c, u, d, r, t or m as op", "another"),
        ({**ENVELOPE, "after": None}, "an object as after where op is c", "null"),
        ({**ENVELOPE, "after": "sesame"}, "an object as after", "a string"),
        (
            {**ENVELOPE, "source": {"table": "t", "lsn": "sesame"}},
            "a number from 0 on as source.lsn",
            "a string",
        ),
        (
            {**ENVELOPE, "source": {"table": "t", "lsn": -1}},
            "a number from 0 on as source.lsn",
            "a number",
        ),
        ({**ENVELOPE, "source": {}}, "name of a table as source.table", "none"),
        ({**ENVELOPE, "source": {"schema": 5}}, "a string as source.schema", "a number"),
        (
            {**ENVELOPE, "source": {"table": "t", "txId": 1, "sequence": "sesame"}},
            "two numbers in source.sequence",
            "something else",
        ),
        (
            {**ENVELOPE, "transaction": {"total_order": "sesame"}},
            "transaction.total_order",
            "a str",
        ),
        (
            {**ENVELOPE, "source": {"connector": "mysql"}},
            "an event of the connector for PostgreSQL",
            "one of another connector",
        ),
        ({**ENVELOPE, "op": "m"}, "prefix and content as strings", "something else"),
        (
            {**ENVELOPE, "op": "m", "message": {"prefix": "p", "content": "sesame!"}},
            "binary_handling_mode='bytes'",
            "a string of another form",
        ),
        ({"schema": {"type": "struct"}, "payload": ENVELOPE}, None, None),
        (
            {"schema": {"fields": [{"field": "after", "fields": 5}]}, "payload": ENVELOPE},
            "the schema of a struct",
            "another",
        ),
        (
            {
                "schema": {
                    "fields": [{"field": "after", "fields": [{"field": "secret", "type": "bytes"}]}]
                },
                "payload": {**ENVELOPE, "after": {"secret": "sesame!!"}},
            },
            "a value of type bytea in after.secret",
            "a string that is none",
        ),
    ],
)
def test_what_is_no_event_is_refused_without_a_word_of_it(
    value: bytes | dict[str, Any], expected: str | None, found: str | None
) -> None:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    if expected is None or found is None:
        assert isinstance(parse_debezium(text), Insert)
        return

    with pytest.raises(RecordFormatError) as caught:
        DebeziumParser().parse(text)

    assert expected in caught.value.expected
    assert found in caught.value.found
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("key", [b"7", b'"a"', b"[1]"])
def test_a_key_that_is_no_object_is_refused(key: bytes) -> None:
    with pytest.raises(RecordFormatError, match="expected an object as key"):
        parse_debezium(json.dumps(ENVELOPE), key)


def test_options_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="binary_handling_mode"):
        DebeziumParser(binary_handling_mode="octal")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="hexadecimal"):
        DebeziumParser(unavailable_value_placeholder="hex:xy")


def test_many_tables_in_turns_are_remembered() -> None:
    parser = DebeziumParser()
    tables = [
        relation(column("id", "int4", identity=True), oid=i, name=f"t{i}", primary_key=["id"])
        for i in range(400)
    ]
    formatter = _formatter(schemas_enable=True)
    for _ in range(2):
        for table in tables:
            insert = Insert(1, None, 0, table, Row(table, (b"5",)))
            [record] = formatter.format(insert)
            change = parser.parse(record.value, record.key)
            assert isinstance(change, Insert)
            assert (change.table, change.key) == (table.name, {"id": 5})
