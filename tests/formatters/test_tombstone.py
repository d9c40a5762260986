from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Insert,
    SnapshotRead,
    TableCatalog,
    Transaction,
    UniqueIndex,
    Update,
)
from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.formatters.debezium.formatter import DebeziumFormatter
from pglogical_cdc.formatters.debezium.unwrapped import UnwrappedFormatter
from pglogical_cdc.formatters.dms.formatter import DmsFormatter
from pglogical_cdc.formatters.tombstone import Tombstones
from pglogical_cdc.protocol import BinaryValue
from tests import wire
from tests.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INT4, INT8, TEXT, BOOL, NUMERIC = 23, 20, 25, 16, 1700


class PlainFormatter:
    """A format of the tests: a record is its change's operation, its key the row's first column."""

    def format(self, change: Change) -> Sequence[Record]:
        row = change.after or change.before
        first = None if row is None else row.raw[0]
        key = first if isinstance(first, bytes) else None
        return [Record("t", key, change.op.encode(), (), change.position)]

    def begin(self, transaction: Transaction) -> Sequence[Record]:
        return [Record("tx", None, b"begin")]

    def commit(
        self, transaction: Transaction, counts: Mapping[tuple[str, str], int]
    ) -> Sequence[Record]:
        return [Record("tx", None, b"commit")]

    def heartbeat(self, time: int) -> Sequence[Record]:
        return [Record("heartbeat", None, b"%d" % time)]


class DividingFormatter(PlainFormatter):
    """Writes a change of the key as the end of one row and the start of another."""

    def format(self, change: Change) -> Sequence[Record]:
        records = super().format(change)
        if isinstance(change, Update) and change.key_changed:
            assert change.before is not None
            old = change.before.raw[0]
            assert isinstance(old, bytes)
            return [Record("t", old, b"delete", (), change.position), *records]
        return records


class SelfTombstoningFormatter(DividingFormatter):
    """Writes tombstones itself, as Debezium does."""

    def format(self, change: Change) -> Sequence[Record]:
        written: list[Record] = []
        for each in super().format(change):
            written.append(each)
            if each.value == b"delete":
                written.append(Record(each.topic, each.key, None, (), each.position))
        return written


class SilentFormatter(PlainFormatter):
    def format(self, change: Change) -> Sequence[Record]:
        return ()


def orders(**table: Any) -> Feed:
    """A feed with the table orders(id int4 primary key, note text), in a transaction."""
    feed = Feed()
    columns = table.pop("columns", [("id", INT4), ("note", TEXT)])
    feed.table(1, "public", "orders", columns, **{"key": ["id"], **table})
    feed.begin()
    return feed


def shape(records: Sequence[Record]) -> list[tuple[bytes | None, bytes | None]]:
    return [(record.key, record.value) for record in records]


def json_key(number: int) -> bytes:
    return b'{"schema":"public","table":"orders","id":%d}' % number


def test_is_a_formatter() -> None:
    assert isinstance(Tombstones(PlainFormatter()), Formatter)


def test_json_keys_for_all_rows_and_a_tombstone_after_a_delete() -> None:
    feed, tombstones = orders(), Tombstones(PlainFormatter())
    insert = feed.insert(1, "1", "a")
    assert isinstance(insert, Insert)
    read = SnapshotRead(insert.wal_start, None, 0, insert.relation, insert.after)
    assert shape(tombstones.format(read)) == [(json_key(1), b"read")]
    assert shape(tombstones.format(insert)) == [(json_key(1), b"insert")]
    assert shape(tombstones.format(feed.update(1, "1", "b"))) == [(json_key(1), b"update")]
    delete = feed.delete(1, key=["1", None])
    records = tombstones.format(delete)
    assert shape(records) == [(json_key(1), b"delete"), (json_key(1), None)]
    assert {record.topic for record in records} == {"t"}
    assert {record.position for record in records} == {delete.position}


def test_a_change_of_the_key_forgets_the_old_one() -> None:
    feed, tombstones = orders(), Tombstones(PlainFormatter())
    change = feed.update(1, "2", "a", key=["1", None])
    assert shape(tombstones.format(change)) == [(json_key(2), b"update"), (json_key(1), None)]


def test_an_old_key_that_is_the_same_is_not_forgotten() -> None:
    feed, tombstones = orders(), Tombstones(PlainFormatter())
    change = feed.update(1, "1", "b", key=["1", None])
    assert shape(tombstones.format(change)) == [(json_key(1), b"update")]


def test_under_full_the_old_row_tells_whether_the_key_changed() -> None:
    feed = orders(identity="f", catalog=TableCatalog("shop", 1, "public", "orders", (), ("id",)))
    tombstones = Tombstones(PlainFormatter())
    same = feed.update(1, "1", "b", old=["1", "a"])
    assert shape(tombstones.format(same)) == [(json_key(1), b"update")]
    other = feed.update(1, "2", "b", old=["1", "b"])
    assert shape(tombstones.format(other)) == [(json_key(2), b"update"), (json_key(1), None)]
    delete = feed.delete(1, old=["2", "b"])
    assert shape(tombstones.format(delete))[-1] == (json_key(2), None)


def test_each_record_of_a_divided_update_has_the_key_of_its_row() -> None:
    feed, tombstones = orders(), Tombstones(DividingFormatter())
    change = feed.update(1, "2", "a", key=["1", None])
    assert shape(tombstones.format(change)) == [
        (json_key(1), b"delete"),
        (json_key(2), b"update"),
        (json_key(1), None),
    ]


@pytest.mark.parametrize("key", ["json", "formatter"])
def test_no_doubles_around_a_formatter_that_writes_its_own(key: Any) -> None:
    feed, tombstones = orders(), Tombstones(SelfTombstoningFormatter(), key=key)
    one, two = (json_key(1), json_key(2)) if key == "json" else (b"1", b"2")
    moved = feed.update(1, "2", "a", key=["1", None])
    assert shape(tombstones.format(moved)) == [(one, b"delete"), (one, None), (two, b"update")]
    gone = feed.delete(1, key=["2", None])
    assert shape(tombstones.format(gone)) == [(two, b"delete"), (two, None)]
    assert shape(Tombstones(tombstones, key=key).format(gone)) == [(two, b"delete"), (two, None)]


def test_a_delete_without_record_has_no_tombstone() -> None:
    assert Tombstones(SilentFormatter()).format(orders().delete(1, key=["1", None])) == ()


def test_records_of_no_row_stay_as_they_are() -> None:
    feed, plain = orders(), PlainFormatter()
    tombstones = Tombstones(plain)
    transaction = feed.transaction
    (truncate,) = feed.send(wire.truncate([1]))
    (message,) = feed.send(wire.logical_decoding_message("p", b"x"))
    for change in (truncate, message):
        assert tombstones.format(change) == plain.format(change)
    assert tombstones.begin(transaction) == plain.begin(transaction)
    assert tombstones.commit(transaction, {}) == plain.commit(transaction, {})
    assert tombstones.heartbeat(5) == plain.heartbeat(5)


@pytest.mark.parametrize("formatter", [DebeziumFormatter, UnwrappedFormatter])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("key", ["json", "formatter"])
def test_each_forgotten_key_has_one_tombstone_in_debezium(
    formatter: type[DebeziumFormatter], own: bool, key: Any
) -> None:
    inner = formatter(topic_prefix="dbz", database="shop", tombstones_on_delete=own)
    feed, tombstones = orders(), Tombstones(inner, key=key)
    moved = tombstones.format(feed.update(1, "2", "a", key=["1", None]))
    gone = tombstones.format(feed.delete(1, key=["2", None]))
    for records, row in ((moved, 1), (gone, 2)):
        (tombstone,) = [record for record in records if record.value is None]
        assert tombstone.topic == "dbz.public.orders"
        assert tombstone.key == (json_key(row) if key == "json" else b'{"id":%d}' % row)


# -- what the JSON key looks like


def key_of(columns: Sequence[tuple[str, int]], values: Sequence[str | bytes], **table: Any) -> str:
    feed = orders(columns=columns, **{"key": [name for name, _ in columns], **table})
    (record,) = Tombstones(PlainFormatter()).format(feed.insert(1, *values))
    assert record.key is not None
    return record.key.decode()


def test_values_of_a_key() -> None:
    columns = [("big", INT8), ("yes", BOOL), ("amount", NUMERIC), ('q"', TEXT)]
    assert key_of(columns, ["9223372036854775807", "t", "1.10", "é\n"]) == (
        '{"schema":"public","table":"orders",'
        '"big":9223372036854775807,"yes":true,"amount":"1.10","q\\"":"é\\n"}'
    )
    assert key_of([("yes", BOOL)], ["f"]).endswith('"yes":false}')


def test_texts_that_are_not_of_their_type_are_strings() -> None:
    columns = [("a", INT4), ("b", BOOL)]
    assert key_of(columns, ["1x", "maybe"]).endswith('"a":"1x","b":"maybe"}')


def test_bytes_that_are_not_utf8_stay_apart() -> None:
    columns = [("a", TEXT)]
    assert key_of(columns, [b"\xff"]) != key_of(columns, [b"\xfe"])


def test_columns_named_like_the_keys_own_names() -> None:
    columns = [("schema", TEXT), ("table", TEXT)]
    assert json.loads(key_of(columns, ["a", "b"])) == {
        "schema": "public",
        "table": "orders",
        "orders.schema": "a",
        "orders.table": "b",
    }


def test_the_order_is_that_of_the_primary_keys_index() -> None:
    catalog = TableCatalog("shop", 1, "public", "orders", (), ("b", "a"))
    assert key_of([("a", INT4), ("b", INT4)], ["1", "2"], catalog=catalog).endswith('"b":2,"a":1}')


def test_the_identitys_index_where_the_primary_key_is_not_sent_on_delete() -> None:
    catalog = TableCatalog("shop", 1, "public", "orders", (), ("id",))
    feed = orders(key=["note"], identity="i", catalog=catalog)
    tombstones = Tombstones(PlainFormatter())
    key = b'{"schema":"public","table":"orders","note":"n"}'
    assert tombstones.format(feed.insert(1, "1", "n"))[0].key == key
    assert tombstones.format(feed.delete(1, key=[None, "n"]))[1].key == key


def test_a_table_without_replica_identity_keeps_its_primary_key() -> None:
    catalog = TableCatalog("shop", 1, "public", "orders", (), ("id",))
    feed = orders(key=[], identity="n", catalog=catalog)
    assert Tombstones(PlainFormatter()).format(feed.insert(1, "1", "n"))[0].key == json_key(1)


# -- rows that nothing identifies


@pytest.mark.parametrize("key", ["json", "formatter"])
@pytest.mark.parametrize("identity", ["f", "d", "n"])
def test_a_table_without_key_is_refused_by_name(key: Any, identity: str) -> None:
    feed = orders(key=[], identity=identity)
    with pytest.raises(ConfigurationError, match=r"public\.orders.*primary key"):
        Tombstones(PlainFormatter(), key=key).format(feed.insert(1, "1", "a"))


def test_debeziums_keys_have_to_identify_rows() -> None:
    debezium = DebeziumFormatter(topic_prefix="dbz", tombstones_on_delete=False)
    feed, tombstones = orders(), Tombstones(debezium, key="formatter")
    assert [record.key for record in tombstones.format(feed.insert(1, "1", "a"))] == [b'{"id":1}']
    nullable = UniqueIndex("a", ("note",), identifies=False)
    catalog = TableCatalog(
        "shop", 1, "public", "orders", (), None, (nullable, UniqueIndex("b", ("id",)))
    )
    feed = orders(catalog=catalog)
    with pytest.raises(ConfigurationError, match=r"public\.orders"):
        tombstones.format(feed.insert(1, "1", "a"))


def test_own_keys_need_the_primary_key_in_a_delete() -> None:
    catalog = TableCatalog("shop", 1, "public", "orders", (), ("id",))
    feed = orders(key=["note"], identity="i", catalog=catalog)
    with pytest.raises(ConfigurationError, match=r"public\.orders"):
        Tombstones(PlainFormatter(), key="formatter").format(feed.insert(1, "1", "a"))


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "is NULL"), (BinaryValue(b"\0\0\0\1"), "binary=False")],
)
def test_a_key_value_that_cannot_be_used(value: BinaryValue | None, words: str) -> None:
    feed = orders()
    with pytest.raises(ConfigurationError, match=rf"public\.orders.*{words}"):
        Tombstones(SilentKeyFormatter()).format(feed.insert(1, value, "a"))


class SilentKeyFormatter(PlainFormatter):
    def format(self, change: Change) -> Sequence[Record]:
        return [Record("t", None, b"x", (), change.position)]


# -- the formatter's own keys


def test_own_keys() -> None:
    feed, tombstones = orders(), Tombstones(PlainFormatter(), key="formatter")
    assert shape(tombstones.format(feed.insert(1, "1", "a"))) == [(b"1", b"insert")]
    gone = feed.delete(1, key=["1", None])
    assert shape(tombstones.format(gone)) == [(b"1", b"delete"), (b"1", None)]


def test_own_keys_of_a_divided_update() -> None:
    feed, tombstones = orders(), Tombstones(DividingFormatter(), key="formatter")
    moved = feed.update(1, "2", "a", key=["1", None])
    assert shape(tombstones.format(moved)) == [
        (b"1", b"delete"),
        (b"2", b"update"),
        (b"1", None),
    ]


def test_own_keys_that_do_not_tell_the_old_one() -> None:
    feed, tombstones = orders(), Tombstones(PlainFormatter(), key="formatter")
    with pytest.raises(ConfigurationError, match=r"PlainFormatter does not tell the old one"):
        tombstones.format(feed.update(1, "2", "a", key=["1", None]))


def test_own_keys_that_are_missing() -> None:
    tombstones = Tombstones(SilentKeyFormatter(), key="formatter")
    with pytest.raises(ConfigurationError, match=r"public\.orders: use key='json'"):
        tombstones.format(orders().insert(1, "1", "a"))


def test_dms_schema_table_keys_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="DmsFormatter do not identify a row"):
        Tombstones(DmsFormatter(), key="formatter")


@pytest.mark.parametrize("options", [{"include_control_details": True}, {"on_truncate": "control"}])
def test_dms_keys_that_a_control_record_could_have_are_refused(options: dict[str, Any]) -> None:
    alone: dict[str, Any] = {
        "partition_key": "primary-key",
        "topic": lambda schema, table: f"{schema}.{table}",
    }
    Tombstones(DmsFormatter(**alone), key="formatter")
    with pytest.raises(ConfigurationError, match="DmsFormatter do not identify a row"):
        Tombstones(DmsFormatter(**alone, **options), key="formatter")


def test_dms_primary_keys() -> None:
    dms = DmsFormatter(partition_key="primary-key", partition_include_schema_table=True)
    feed, tombstones = orders(), Tombstones(dms, key="formatter")
    moved = feed.update(1, "2", "a", key=["1", None])
    assert [(r.key, r.value is None) for r in tombstones.format(moved)] == [
        (b"public.orders.2", False),
        (b"public.orders.1", True),
    ]


def test_dms_primary_keys_that_are_ambiguous() -> None:
    dms = DmsFormatter(partition_key="primary-key", partition_include_schema_table=True)
    tombstones = Tombstones(dms, key="formatter")
    feed = orders(columns=[("a", TEXT), ("b", TEXT)], key=["a", "b"])
    assert tombstones.format(feed.insert(1, "x", "y"))[0].key == b"public.orders.x.y"
    with pytest.raises(ConfigurationError, match=r"public\.orders: use key='json'"):
        tombstones.format(feed.insert(1, "x.y", "z"))


@pytest.mark.parametrize("key", ["json", "formatter"])
def test_control_records_keep_their_keys_and_give_no_tombstone(key: Any) -> None:
    dms = DmsFormatter(
        partition_key="primary-key",
        partition_include_schema_table=True,
        include_control_details=True,
        include_table_alter_operations=True,
        on_truncate="control",
    )
    feed, tombstones = orders(), Tombstones(dms, key=key)
    row = {"json": b'{"schema":"public","table":"orders","id":1}', "formatter": b"public.orders.1"}
    control = b"pglogical-cdc.public.orders"
    gone = tombstones.format(feed.delete(1, key=["1", None]))
    assert [(record.key, record.value is None) for record in gone] == [
        (control, False),
        (row[key], False),
        (row[key], True),
    ]
    (altered,) = feed.table(1, "public", "orders", [("id", INT4)], key=["id"])
    assert [record.key for record in tombstones.format(altered)] == [control]
    (truncate,) = feed.send(wire.truncate([1]))
    assert [record.key for record in tombstones.format(truncate)] == [control]


def test_another_kind_of_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'json' or 'formatter', not 'row'"):
        Tombstones(PlainFormatter(), key="row")  # type: ignore[arg-type]


# -- compaction


IDS = st.integers(0, 4)
STEPS = st.lists(st.tuples(st.sampled_from("iudkn"), st.sampled_from([1, 2]), IDS, IDS))


@settings(max_examples=200)
@given(
    STEPS,
    st.sampled_from(["d", "f"]),
    st.sampled_from(["json", "formatter"]),
    st.sampled_from([DividingFormatter, SelfTombstoningFormatter, "dms"]),
)
def test_a_compacted_topic_equals_the_tables(
    steps: list[tuple[str, int, int, int]], identity: str, key: Any, inner: Any
) -> None:
    """Fold the records by topic and key, as log compaction does, and compare with the tables."""
    feed = Feed()
    for oid, name in ((1, "a"), (2, "b")):
        catalog = TableCatalog("shop", oid, "public", name, (), ("id",))
        columns = [("id", INT4), ("n", INT4)]
        feed.table(oid, "public", name, columns, key=["id"], identity=identity, catalog=catalog)
    formatter = DmsFormatter(
        topic=lambda schema, table: f"{schema}.{table}", partition_key="primary-key"
    )
    tombstones = Tombstones(_ByTable(inner()) if inner != "dms" else formatter, key=key)
    tables: dict[int, dict[int, int]] = {1: {}, 2: {}}
    compacted: dict[tuple[str, bytes | None], bytes] = {}
    feed.begin()

    def old(oid: int, row: int) -> dict[str, list[str | bytes | None]]:
        if identity == "f":
            return {"old": [str(row), str(tables[oid][row])]}
        return {"key": [str(row), None]}

    for number, (step, oid, row, other) in enumerate(steps):
        table = tables[oid]
        if step == "i" and row not in table:
            change = feed.insert(oid, str(row), str(number))
            table[row] = number
        elif step == "u" and row in table:
            before: dict[str, Any] = old(oid, row) if identity == "f" else {}
            change = feed.update(oid, str(row), str(number), **before)
            table[row] = number
        elif step == "k" and row in table and other not in table:
            moved: dict[str, Any] = old(oid, row)
            change = feed.update(oid, str(other), str(table[row]), **moved)
            table[other] = table.pop(row)
        elif step == "d" and row in table:
            gone: dict[str, Any] = old(oid, row)
            change = feed.delete(oid, **gone)
            del table[row]
        else:
            continue
        for record in tombstones.format(change):
            if record.value is None:
                compacted.pop((record.topic, record.key), None)
            else:
                compacted[record.topic, record.key] = record.value
    kept = {
        ({"a": 1, "b": 2}[topic.rpartition(".")[2]], _row_of(identifier, key))
        for topic, identifier in compacted
    }
    assert kept == {(oid, row) for oid, table in tables.items() for row in table}
    if inner == "dms":
        values = [json.loads(value)["data"] for value in compacted.values()]
        rows = [(row, number) for table in tables.values() for row, number in table.items()]
        assert sorted((found["id"], found["n"]) for found in values) == sorted(rows)


class _ByTable:
    """Gives each table its topic."""

    def __init__(self, inner: PlainFormatter) -> None:
        self._inner = inner
        self.begin, self.commit, self.heartbeat = inner.begin, inner.commit, inner.heartbeat

    def format(self, change: Change) -> Sequence[Record]:
        return [
            Record(f"{change.schema}.{change.table}", each.key, each.value, (), each.position)
            for each in self._inner.format(change)
        ]


def _row_of(identifier: bytes | None, key: str) -> int:
    assert identifier is not None
    return int(json.loads(identifier)["id"] if key == "json" else identifier)
