from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Delete,
    Insert,
    LogicalMessage,
    Position,
    RawValue,
    ReplicaIdentity,
    Row,
    SchemaChange,
    SnapshotRead,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters import DebeziumFormatter, Formatter, Record
from pglogical_cdc.lsn import LSN
from tests.formatters.tables import column, relation

NOW = 1_795_342_303_513_176_034
TABLE = relation(
    column("id", "int4", identity=True),
    column("v"),
    name="orders",
    primary_key=["id"],
    not_null=["id"],
)
CONTEXT = (
    ("__debezium.context.connectorLogicalName", b'"dbz"'),
    ("__debezium.context.taskId", b'"0"'),
    ("__debezium.context.connectorName", b'"postgresql"'),
    ("__debezium.context.runId", b'"run"'),
)


def _formatter(**options: Any) -> DebeziumFormatter:
    return DebeziumFormatter(topic_prefix="dbz", run_id="run", clock=lambda: NOW, **options)


def _transaction(number: int = 1, previous: int | None = None) -> Transaction:
    return Transaction(
        xid=700 + number,
        commit_lsn=LSN(1000 * number),
        commit_timestamp=1795342295223178,
        previous_end_lsn=None if previous is None else LSN(previous),
    )


def _row(*raw: RawValue) -> Row:
    return Row(TABLE, raw)


def _insert(lsn: int = 900, transaction: Transaction | None = None) -> Insert:
    return Insert(lsn, transaction or _transaction(), 1, TABLE, _row(b"1", b"x"))


def _update(before: Row | None, after: Row) -> Update:
    return Update(900, _transaction(), 1, TABLE, before, after)


def _content(record: Record) -> Any:
    assert record.value is not None
    return json.loads(record.value)


def _shape(records: list[Record] | Any) -> list[tuple[bytes | None, str | None]]:
    return [(each.key, None if each.value is None else _content(each)["op"]) for each in records]


def test_is_a_formatter() -> None:
    assert isinstance(_formatter(), Formatter)


class TestRows:
    def test_insert(self) -> None:
        (record,) = _formatter().format(_insert())

        assert record.topic == "dbz.public.orders"
        assert record.key == b'{"id":1}'
        assert tuple(record.headers) == CONTEXT
        assert record.position == Position(LSN(1000), 1)
        assert record.value is not None
        assert record.value.decode() == (
            '{"before":null,"after":{"id":1,"v":"x"},"source":{"version":"3.6.3.Final",'
            '"connector":"postgresql","name":"dbz","ts_ms":1795342295223,"snapshot":"false",'
            '"db":"shop","sequence":"[null,\\"900\\"]","ts_us":1795342295223178,'
            '"ts_ns":1795342295223178000,"schema":"public","table":"orders","txId":701,"lsn":900,'
            '"xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"op":"c",'
            '"ts_ms":1795342303513,"ts_us":1795342303513176,"ts_ns":1795342303513176034}'
        )

    def test_update(self) -> None:
        (record,) = _formatter().format(_update(_row(b"1", b"x"), _row(b"1", None)))
        content = _content(record)
        assert content["before"] == {"id": 1, "v": "x"}
        assert content["after"] == {"id": 1, "v": None}
        assert content["op"] == "u"

    def test_delete_and_tombstone(self) -> None:
        change = Delete(900, _transaction(), 3, TABLE, _row(b"1", NOT_SENT))
        deleted, tombstone = _formatter().format(change)
        assert _content(deleted)["before"] == {"id": 1, "v": None}
        assert _content(deleted)["after"] is None
        assert tombstone == Record(
            "dbz.public.orders", b'{"id":1}', None, CONTEXT, Position(LSN(1000), 3)
        )

    def test_delete_without_tombstone(self) -> None:
        change = Delete(900, _transaction(), 3, TABLE, _row(b"1", NOT_SENT))
        assert _shape(_formatter(tombstones_on_delete=False).format(change)) == [(b'{"id":1}', "d")]

    def test_change_of_the_key(self) -> None:
        change = _update(_row(b"1", NOT_SENT), _row(b"2", b"x"))
        records = _formatter().format(change)
        assert _shape(records) == [
            (b'{"id":1}', "d"),
            (b'{"id":1}', None),
            (b'{"id":2}', "c"),
        ]
        assert [record.headers[0] for record in records] == [
            ("__debezium.newkey", b'{"id":2}'),
            ("__debezium.newkey", b'{"id":2}'),
            ("__debezium.oldkey", b'{"id":1}'),
        ]
        assert all(tuple(record.headers[1:]) == CONTEXT for record in records)
        assert {record.position for record in records} == {change.position}

    def test_an_old_key_that_was_not_sent_counts_as_another(self) -> None:
        # Replica identity is an index beside the primary key.
        records = _formatter().format(_update(_row(NOT_SENT, b"a"), _row(b"1", b"b")))
        assert _shape(records) == [
            (b'{"id":0}', "d"),
            (b'{"id":0}', None),
            (b'{"id":1}', "c"),
        ]

    def test_truncate(self) -> None:
        change = Truncate(900, _transaction(), 1, TABLE, cascade=False, restart_identity=False)
        assert _formatter().format(change) == ()
        (record,) = _formatter(skipped_operations="none").format(change)
        content = _content(record)
        assert record.key is None
        assert (content["op"], content["before"], content["after"]) == ("t", None, None)

    @pytest.mark.parametrize(
        ("letter", "left"), [("c", "uud"), ("u", "cd"), ("d", "cuu"), ("c,u,d", "")]
    )
    def test_skipped_operations(self, letter: str, left: str) -> None:
        formatter = _formatter(skipped_operations=letter, tombstones_on_delete=False)
        changes = [
            _insert(),
            _update(None, _row(b"1", b"y")),
            _update(None, _row(b"1", b"z")),
            Delete(900, _transaction(), 3, TABLE, _row(b"1", NOT_SENT)),
        ]
        records = [record for change in changes for record in formatter.format(change)]
        assert [_content(record)["op"] for record in records] == list(left)

    def test_snapshot(self) -> None:
        formatter = _formatter()
        changes = [
            SnapshotRead(900, None, 0, TABLE, _row(b"1", b"x"), "first"),
            SnapshotRead(900, None, 0, TABLE, _row(b"2", b"x"), "last"),
        ]
        sources = [_content(formatter.format(change)[0])["source"] for change in changes]
        assert [source["snapshot"] for source in sources] == ["first", "last"]
        assert sources[0]["sequence"] == '[null,"900"]'
        assert sources[0]["txId"] is None
        # What is streamed afterwards is no snapshot any more.
        after = _content(formatter.format(_insert())[0])["source"]
        assert after["snapshot"] == "false"

    def test_schema_change_gives_nothing(self) -> None:
        assert _formatter().format(SchemaChange(900, _transaction(), 1, TABLE, TABLE)) == ()

    def test_a_new_version_of_a_table(self) -> None:
        formatter = _formatter()
        formatter.format(_insert())
        altered = relation(column("id", "int4"), column("w", "int4"), name="orders")
        change = Insert(901, _transaction(), 2, altered, Row(altered, (b"1", b"2")))
        assert _content(formatter.format(change)[0])["after"] == {"id": 1, "w": 2}

    def test_without_catalog(self) -> None:
        bare = relation(
            column("id", "int4", identity=True),
            column("e", "mood", oid=16400),
            with_catalog=False,
            identity=ReplicaIdentity.DEFAULT,
        )
        change = Insert(900, _transaction(), 1, bare, Row(bare, (b"1", b"ok")))
        (record,) = _formatter().format(change)
        assert record.key == b'{"id":1}'
        assert _content(record)["after"] == {"id": 1}

    def test_database_of_the_caller(self) -> None:
        (record,) = _formatter(database="other").format(_insert())
        assert _content(record)["source"]["db"] == "other"


class TestMessagesAndSequence:
    def test_transactional(self) -> None:
        change = LogicalMessage(900, _transaction(), 1, "p\u00e9", b"\x00\xff\x10", "shop")
        (record,) = _formatter().format(change)
        assert (record.topic, record.headers) == ("dbz.message", ())
        assert record.key == '{"prefix":"p\u00e9"}'.encode()
        content = _content(record)
        assert list(content) == ["op", "ts_ms", "source", "transaction", "message"]
        assert content["message"] == {"prefix": "p\u00e9", "content": "AP8Q"}
        assert (content["source"]["schema"], content["source"]["txId"]) == ("", 701)

    def test_content_follows_the_binary_mode(self) -> None:
        change = LogicalMessage(900, _transaction(), 1, "p", b"\x00\xff\x10", "shop")
        (record,) = _formatter(binary_handling_mode="hex").format(change)
        assert _content(record)["message"]["content"] == "00ff10"

    def test_outside_transactions_has_the_time_of_the_last_transaction(self) -> None:
        formatter = _formatter()
        formatter.format(_insert())
        (record,) = formatter.format(LogicalMessage(1500, None, 0, "p", b"", "shop"))
        source = _content(record)["source"]
        assert (source["ts_us"], source["txId"]) == (1795342295223178, None)
        assert source["sequence"] == '["1500","1500"]'

    @pytest.mark.parametrize("skipped", ["none", "c"])
    def test_is_the_same_whether_transactions_are_announced_or_not(self, skipped: str) -> None:
        alone, told = _formatter(skipped_operations=skipped), _formatter(skipped_operations=skipped)
        message = LogicalMessage(2500, None, 0, "p", b"", "shop")
        later = attrs.evolve(_transaction(2), commit_timestamp=1795342295999999)
        records: list[Record] = []
        announced: list[Record] = []
        for transaction in (_transaction(1), later):
            insert = _insert(transaction.commit_lsn - 1, transaction)
            records += [*alone.format(insert), *alone.format(message)]
            announced += [*told.begin(transaction), *told.format(insert), *told.format(message)]
        assert records == announced
        assert _content(records[-1])["source"]["ts_us"] == 1795342295999999

    def test_before_any_transaction_has_the_clock(self) -> None:
        (record,) = _formatter().format(LogicalMessage(1500, None, 0, "p", b"", "shop"))
        assert _content(record)["source"]["ts_us"] == NOW // 1000

    def test_marks_the_sequence_until_the_next_commit(self) -> None:
        formatter = _formatter()

        def first(number: int, previous: int | None) -> str | None:
            transaction = _transaction(number, previous)
            change = _insert(transaction.commit_lsn - 1, transaction)
            sequence = json.loads(_content(formatter.format(change)[0])["source"]["sequence"])
            element: str | None = sequence[0]
            return element

        assert first(1, None) is None
        assert first(2, 1010) == "1010"
        formatter.format(LogicalMessage(2500, None, 0, "p", b"", "shop"))
        assert first(3, 2010) == "2500"
        assert first(4, 3010) == "3010"
        # A replay from before the message knows nothing of it.
        assert first(2, 1010) == "1010"


class TestOthers:
    def test_transactions_give_nothing(self) -> None:
        formatter = _formatter()
        assert formatter.begin(_transaction()) == ()
        assert formatter.commit(_transaction(), {("public", "orders"): 1}) == ()

    def test_heartbeat(self) -> None:
        assert _formatter().heartbeat(NOW) == (
            Record(
                "__debezium-heartbeat.dbz",
                b'{"serverName":"dbz"}',
                b'{"ts_ms":1795342303513}',
            ),
        )

    def test_every_formatter_has_its_own_run(self) -> None:
        runs = {
            dict(DebeziumFormatter(topic_prefix="dbz").format(_insert())[0].headers)[
                "__debezium.context.runId"
            ]
            for _ in range(2)
        }
        assert len(runs) == 2

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("decimal_handling_mode", "exact"),
            ("time_precision_mode", "isostring"),
            ("interval_handling_mode", "iso"),
            ("hstore_handling_mode", "text"),
            ("binary_handling_mode", "escape"),
            ("skipped_operations", "x"),
            ("skipped_operations", None),
            ("message_key_columns", "public.orders:id"),
            ("message_key_columns", ""),
            ("faithful", True),
            ("schemas_enable", True),
            ("provide_transaction_metadata", True),
            ("unavailable_value_placeholder", "hex:DEADBEEF"),
        ],
    )
    def test_refuses_what_it_does_not_support(self, option: str, value: object) -> None:
        with pytest.raises(ConfigurationError, match=option):
            _formatter(**{option: value})

    def test_refuses_an_empty_prefix(self) -> None:
        with pytest.raises(ConfigurationError, match="topic_prefix"):
            DebeziumFormatter(topic_prefix="")
