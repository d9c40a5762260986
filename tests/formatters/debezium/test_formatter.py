from __future__ import annotations

import base64
import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Delete,
    Insert,
    LogicalMessage,
    Position,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    SchemaChange,
    SnapshotMarker,
    SnapshotPoint,
    SnapshotRead,
    Transaction,
    Truncate,
    UniqueIndex,
    Update,
)
from pglogical_cdc.formatters import DebeziumFormatter, Formatter, Record
from pglogical_cdc.formatters.debezium.envelope import message_schema
from pglogical_cdc.formatters.wire.binary import BinaryMode
from pglogical_cdc.lsn import LSN
from pglogical_cdc.transforms import ExcludeColumns
from tests.formatters.connect_json import faults_of_record
from tests.formatters.debezium.columns import tables
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

    @pytest.mark.parametrize(
        ("letters", "left"),
        [("c", ["d", None]), ("d", ["c"]), ("u", ["d", None, "c"]), ("c,d", []), ("c,u,d", [])],
    )
    def test_skipped_operations_of_a_change_of_the_key(
        self, letters: str, left: list[str | None]
    ) -> None:
        # They are those of the records, whatever change those are of.
        change = _update(_row(b"1", NOT_SENT), _row(b"2", b"x"))
        records = _formatter(skipped_operations=letters).format(change)
        assert [op for _key, op in _shape(records)] == left

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
        assert (content["op"], content["ts_ms"]) == ("m", NOW // 1_000_000)
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
            ("time_precision_mode", "iso"),
            ("interval_handling_mode", "iso"),
            ("hstore_handling_mode", "text"),
            ("binary_handling_mode", "escape"),
            ("schema_name_adjustment_mode", "avro-unicode"),
            ("field_name_adjustment_mode", None),
            ("skipped_operations", "x"),
            ("skipped_operations", None),
            ("message_key_columns", "public.orders"),
            ("column_propagate_source_type", "("),
            ("datatype_propagate_source_type", "("),
            ("unavailable_value_placeholder", "hex:DEADBEE"),
            ("money_fraction_digits", -1),
            ("money_fraction_digits", "2"),
            ("money_fraction_digits", True),
            ("schemas_enable", "true"),
            ("include_unknown_datatypes", 1),
            ("replace_null_with_default", 0),
            ("tombstones_on_delete", None),
            ("skip_messages_without_change", "false"),
            ("provide_transaction_metadata", "true"),
            ("faithful", 1),
        ],
    )
    def test_refuses_what_it_does_not_support(self, option: str, value: object) -> None:
        with pytest.raises(ConfigurationError, match=option):
            _formatter(**{option: value})

    def test_refuses_an_empty_prefix(self) -> None:
        with pytest.raises(ConfigurationError, match="topic_prefix"):
            DebeziumFormatter(topic_prefix="")


def _insert_of(table: Relation, *raw: RawValue) -> Insert:
    return Insert(900, _transaction(), 1, table, Row(table, raw))


def _after(formatter: DebeziumFormatter, table: Relation, *raw: RawValue) -> str:
    """Return the JSON of the row of an insert."""
    (record,) = formatter.format(_insert_of(table, *raw))
    assert record.value is not None
    text = record.value.decode()
    return text[text.index('"after":') + 8 : text.index(',"source":')]


class TestSchemas:
    def test_insert(self) -> None:
        (record,) = _formatter(schemas_enable=True).format(_insert())
        assert record.key == (
            b'{"schema":{"type":"struct","fields":['
            b'{"type":"int32","optional":false,"field":"id"}],"optional":false,'
            b'"name":"dbz.public.orders.Key"},"payload":{"id":1}}'
        )
        (plain,) = _formatter().format(_insert())
        assert record.value is not None
        assert plain.value is not None
        assert record.value.endswith(b',"payload":%b}' % plain.value)
        schema = json.loads(record.value)["schema"]
        assert [field["field"] for field in schema["fields"]] == list(_content(plain))
        assert (schema["name"], schema["version"]) == ("dbz.public.orders.Envelope", 2)
        assert faults_of_record(record.value) == []

    def test_every_kind_of_record(self) -> None:
        formatter = _formatter(
            schemas_enable=True, skipped_operations="none", provide_transaction_metadata=True
        )
        transaction = _transaction()
        changes = [
            _insert(),
            _update(_row(b"1", NOT_SENT), _row(b"2", b"x")),
            Delete(900, transaction, 3, TABLE, _row(b"1", NOT_SENT)),
            Truncate(900, transaction, 4, TABLE, cascade=False, restart_identity=False),
            SnapshotRead(900, None, 0, TABLE, _row(b"1", b"x"), "last"),
            LogicalMessage(900, transaction, 5, "p", b"x", "shop"),
            LogicalMessage(900, None, 0, "p", b"x", "shop"),
        ]
        records = [record for change in changes for record in formatter.format(change)]
        records += formatter.begin(transaction)
        records += formatter.commit(transaction, {})
        records += formatter.heartbeat(NOW)
        assert len(records) == 13
        for record in records:
            for text in (record.key, record.value):
                if text is not None:
                    assert faults_of_record(text) == []

    def test_heartbeat(self) -> None:
        (record,) = _formatter(schemas_enable=True).heartbeat(NOW)
        assert record.key == (
            b'{"schema":{"type":"struct","fields":['
            b'{"type":"string","optional":false,"field":"serverName"}],"optional":false,'
            b'"name":"io.debezium.connector.common.ServerNameKey","version":1},'
            b'"payload":{"serverName":"dbz"}}'
        )
        assert record.value == (
            b'{"schema":{"type":"struct","fields":['
            b'{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false,'
            b'"name":"io.debezium.connector.common.Heartbeat","version":1},'
            b'"payload":{"ts_ms":1795342303513}}'
        )

    @pytest.mark.parametrize("mode", ["bytes", "hex"])
    def test_message(self, mode: BinaryMode) -> None:
        change = LogicalMessage(900, _transaction(), 1, "p", b"\x00\xff", "shop")
        options = {"binary_handling_mode": mode}
        (plain,) = _formatter(**options).format(change)
        (record,) = _formatter(**options, schemas_enable=True).format(change)
        assert record.key == (
            b'{"schema":{"type":"struct","fields":['
            b'{"type":"string","optional":true,"field":"prefix"}],"optional":false,'
            b'"name":"io.debezium.connector.postgresql.MessageKey","version":1},'
            b'"payload":{"prefix":"p"}}'
        )
        assert plain.value is not None
        assert record.value == b'{"schema":%b,"payload":%b}' % (
            message_schema(mode).json(),
            plain.value,
        )
        assert _content(plain)["message"]["content"] == {"bytes": "AP8=", "hex": "00ff"}[mode]

    def test_headers_hold_the_key_alone(self) -> None:
        change = _update(_row(b"1", NOT_SENT), _row(b"2", b"x"))
        records = _formatter(schemas_enable=True).format(change)
        assert [record.headers[0] for record in records] == [
            ("__debezium.newkey", b'{"id":2}'),
            ("__debezium.newkey", b'{"id":2}'),
            ("__debezium.oldkey", b'{"id":1}'),
        ]
        deleted, tombstone, created = records
        assert deleted.key == tombstone.key
        assert json.loads(created.key or b"")["payload"] == {"id": 2}

    def test_a_table_without_key_has_none(self) -> None:
        table = relation(column("v"))
        (record,) = _formatter(schemas_enable=True).format(_insert_of(table, b"x"))
        assert record.key is None

    def test_names_are_adjusted(self) -> None:
        # As Debezium wrote of such a table.
        table = relation(
            *(column("I d", "int4"), column("\u00fcn\u00ef"), column("1x", "int4")),
            name="My Tbl-1",
            primary_key=["I d"],
            not_null=["I d"],
        )
        formatter = _formatter(
            schemas_enable=True,
            schema_name_adjustment_mode="avro_unicode",
            field_name_adjustment_mode="avro_unicode",
        )
        (record,) = formatter.format(_insert_of(table, b"1", b"a", b"2"))
        assert record.topic == "dbz.public.My_Tbl-1"
        content = _content(record)
        assert content["payload"]["after"] == {
            "I_u0020d": 1,
            "_u00fcn_u00ef": "a",
            "_u0031x": 2,
        }
        assert content["payload"]["source"]["table"] == "My Tbl-1"
        names = [content["schema"]["name"], content["schema"]["fields"][0]["name"]]
        names.append(json.loads(record.key or b"")["schema"]["name"])
        assert names == [
            f"dbz.public.My_u005fTbl_u002d1.{each}" for each in ("Envelope", "Value", "Key")
        ]


class TestTransactionMetadata:
    def _formatter(self, **options: Any) -> DebeziumFormatter:
        return _formatter(provide_transaction_metadata=True, **options)

    def test_records_around_a_transaction(self) -> None:
        formatter, transaction = self._formatter(), _transaction()
        transaction.begin_lsn, transaction.end_lsn = LSN(890), LSN(1030)
        (begin,) = formatter.begin(transaction)
        formatter.format(_insert(900, transaction))
        (end,) = formatter.commit(transaction, {})
        assert begin == Record(
            "dbz.transaction",
            b'{"id":"701:890"}',
            b'{"status":"BEGIN","id":"701:890","event_count":null,"data_collections":null,'
            b'"ts_ms":1795342295223}',
        )
        assert end == Record(
            "dbz.transaction",
            b'{"id":"701:1030"}',
            b'{"status":"END","id":"701:1030","event_count":1,"data_collections":'
            b'[{"data_collection":"public.orders","event_count":1}],"ts_ms":1795342295223}',
        )

    def test_positions_that_nobody_told(self) -> None:
        formatter, transaction = self._formatter(), _transaction()
        assert formatter.begin(transaction)[0].key == b'{"id":"701:1000"}'
        assert formatter.commit(transaction, {})[0].key == b'{"id":"701:1000"}'

    def test_each_event_has_its_place(self) -> None:
        formatter, transaction = self._formatter(), _transaction()
        other = relation(column("id", "int4"), name="other", oid=2)
        formatter.begin(transaction)
        records = [
            *formatter.format(_insert(900, transaction)),
            # A change of the key is two events.
            *formatter.format(
                Update(910, transaction, 2, TABLE, _row(b"1", NOT_SENT), _row(b"2", b"x"))
            ),
            *formatter.format(Insert(920, transaction, 3, other, Row(other, (b"1",)))),
            *formatter.format(LogicalMessage(930, transaction, 4, "p", b"", "shop")),
        ]
        blocks = [_content(record)["transaction"] for record in records if record.value is not None]
        assert [tuple(block.values()) for block in blocks] == [
            ("701:900", 1, 1),
            ("701:910", 2, 2),
            ("701:910", 3, 3),
            ("701:920", 4, 1),
            ("701:930", 5, 1),
        ]
        end = _content(formatter.commit(transaction, {("public", "orders"): 2})[0])
        assert end["event_count"] == 5
        assert sorted(tuple(each.values()) for each in end["data_collections"]) == [
            ("dbz.message", 1),
            ("public.orders", 3),
            ("public.other", 1),
        ]

    def test_what_is_skipped_does_not_count(self) -> None:
        formatter, transaction = self._formatter(skipped_operations="u"), _transaction()
        formatter.format(_insert(900, transaction))
        formatter.format(Update(910, transaction, 2, TABLE, None, _row(b"1", b"y")))
        assert _content(formatter.commit(transaction, {})[0])["event_count"] == 1

    def test_every_transaction_counts_for_itself(self) -> None:
        formatter = self._formatter()
        for number in (1, 2):
            transaction = _transaction(number)
            (record,) = formatter.format(_insert(900, transaction))
            assert _content(record)["transaction"]["total_order"] == 1

    def test_what_has_no_transaction_has_no_place(self) -> None:
        formatter = self._formatter()
        read = SnapshotRead(900, _transaction(), 0, TABLE, _row(b"1", b"x"), "incremental")
        message = LogicalMessage(900, None, 0, "p", b"", "shop")
        for change in (read, message):
            (record,) = formatter.format(change)
            assert _content(record)["transaction"] is None

    def test_topic(self) -> None:
        formatter = self._formatter(topic_transaction="t x", topic_delimiter="_")
        assert formatter.begin(_transaction())[0].topic == "dbz_t_x"


class TestTopics:
    def test_delimiter(self) -> None:
        formatter = _formatter(topic_delimiter="_", topic_heartbeat_prefix="hb")
        message = LogicalMessage(900, None, 0, "p", b"", "shop")
        assert formatter.format(_insert())[0].topic == "dbz_public_orders"
        assert formatter.heartbeat(NOW)[0].topic == "hb_dbz"
        # That one has a dot whatever the delimiter is.
        assert formatter.format(message)[0].topic == "dbz.message"

    def test_names_are_cleaned(self) -> None:
        table = relation(column("id", "int4"), schema="S 1", name="\u00e9\U0001f600")
        formatter = DebeziumFormatter(topic_prefix="d b", run_id="run")
        (record,) = formatter.format(_insert_of(table, b"1"))
        assert record.topic == "d_b.S_1.___"
        source = _content(record)["source"]
        assert (source["name"], source["schema"], source["table"]) == (
            "d b",
            "S 1",
            "\u00e9\U0001f600",
        )


class TestSkipMessagesWithoutChange:
    FULL = relation(
        *(column("id", "int4"), column("v"), column("x", "box")),
        primary_key=["id"],
        not_null=["id"],
        identity=ReplicaIdentity.FULL,
    )

    def _formatted(self, before: tuple[RawValue, ...] | None, *after: RawValue) -> int:
        old = None if before is None else Row(self.FULL, before)
        change = Update(900, _transaction(), 1, self.FULL, old, Row(self.FULL, after))
        assert len(_formatter().format(change)) == 1
        return len(_formatter(skip_messages_without_change=True).format(change))

    def test_updates_that_change_nothing(self) -> None:
        assert self._formatted((b"1", b"x", None), b"1", b"x", None) == 0
        assert self._formatted((b"1", b"x", None), b"1", b"y", None) == 1
        assert self._formatted((b"1", None, None), b"1", b"", None) == 1

    def test_columns_that_are_not_written_do_not_count(self) -> None:
        assert self._formatted((b"1", b"x", b"(1,1),(0,0)"), b"1", b"x", None) == 0

    def test_without_an_old_row_nothing_is_left_out(self) -> None:
        assert self._formatted(None, b"1", b"x", None) == 1

    def test_what_was_not_sent_counts_as_null(self) -> None:
        assert self._formatted((b"1", NOT_SENT, NOT_SENT), b"1", b"x", None) == 1
        assert self._formatted((b"1", NOT_SENT, NOT_SENT), b"1", None, None) == 0
        old, new = Row(self.FULL, (b"1", NOT_SENT, NOT_SENT)), Row(self.FULL, (b"1", None, None))
        faithful = _formatter(skip_messages_without_change=True, faithful=True)
        change = Update(900, _transaction(), 1, self.FULL, old, new)
        assert len(faithful.format(change)) == 1

    def test_null_and_the_default_that_is_written_for_it_differ(self) -> None:
        table = relation(
            *(column("id", "int4"), column("d", "int4")),
            primary_key=["id"],
            defaults={"d": "5"},
            identity=ReplicaIdentity.FULL,
        )
        rows = Row(table, (b"1", None)), Row(table, (b"1", b"5"))
        for replaced in (True, False):
            formatter = _formatter(
                skip_messages_without_change=True, replace_null_with_default=replaced
            )
            change = Update(900, _transaction(), 1, table, *rows)
            assert len(formatter.format(change)) == 1

    def test_a_key_that_is_left_out(self) -> None:
        table = relation(
            *(column("id", "int4"), column("v")),
            primary_key=["id"],
            not_null=["id"],
            identity=ReplicaIdentity.FULL,
        )
        change = ExcludeColumns(".*id")(
            Update(
                900, _transaction(), 1, table, Row(table, (b"1", b"x")), Row(table, (b"2", b"x"))
            )
        )
        assert isinstance(change, Update)
        for faithful, count in ((False, 0), (True, 3)):
            formatter = _formatter(skip_messages_without_change=True, faithful=faithful)
            assert len(formatter.format(change)) == count

    def test_other_operations_are_not_left_out(self) -> None:
        formatter = _formatter(skip_messages_without_change=True)
        assert len(formatter.format(_insert())) == 1
        assert len(formatter.format(_update(_row(b"1", b"x"), _row(b"2", b"x")))) == 3


class TestNullAndDefault:
    TABLE = relation(
        column("id", "int4"),
        column("d", "int4"),
        column("e", "int4"),
        primary_key=["id"],
        not_null=["id", "e"],
        defaults={"d": "5", "e": "7"},
    )

    def test_null_is_written_as_the_default(self) -> None:
        formatter = _formatter(schemas_enable=True)
        (record,) = formatter.format(_insert_of(self.TABLE, b"1", None, b"2"))
        content = _content(record)
        assert content["payload"]["after"] == {"id": 1, "d": 5, "e": 2}
        assert content["payload"]["source"]["snapshot"] == "false"

    def test_null_stays_null(self) -> None:
        formatter = _formatter(schemas_enable=True, replace_null_with_default=False)
        (record,) = formatter.format(_insert_of(self.TABLE, b"1", None, b"2"))
        content = _content(record)
        assert content["payload"]["after"] == {"id": 1, "d": None, "e": 2}
        # That default is not written either; the schema has both.
        assert content["payload"]["source"]["snapshot"] is None
        fields = {each["field"]: each for each in content["schema"]["fields"]}
        assert [each.get("default") for each in fields["after"]["fields"]] == [None, 5, 7]
        source = {each["field"]: each for each in fields["source"]["fields"]}
        assert source["snapshot"]["default"] == "false"

    def test_keys_are_compared_before_null_is_replaced(self) -> None:
        table = relation(
            *(column("id", "int4"), column("d", "int4")),
            defaults={"d": "5"},
            unique=[UniqueIndex("u", ("d",), identifies=False)],
            identity=ReplicaIdentity.FULL,
        )
        change = Update(
            900, _transaction(), 1, table, Row(table, (b"1", None)), Row(table, (b"1", b"5"))
        )
        for replaced, old in ((True, b'{"d":5}'), (False, b'{"d":null}')):
            gone, _tombstone, come = _formatter(replace_null_with_default=replaced).format(change)
            assert (gone.key, come.key) == (old, b'{"d":5}')
            # The converter of headers has an option of its own.
            assert gone.headers[0] == ("__debezium.newkey", b'{"d":5}')
            assert come.headers[0] == ("__debezium.oldkey", b'{"d":5}')

    def test_a_snapshots_rows_are_marked_all_the_same(self) -> None:
        formatter = _formatter(replace_null_with_default=False)
        read = SnapshotRead(900, None, 0, TABLE, _row(b"1", b"x"), "first")
        assert _content(formatter.format(read)[0])["source"]["snapshot"] == "first"

    def test_not_null_columns_of_a_key_image_have_the_default(self) -> None:
        delete = Delete(
            900, _transaction(), 1, self.TABLE, Row(self.TABLE, (b"1", NOT_SENT, NOT_SENT))
        )
        for replaced, d in ((True, 5), (False, None)):
            formatter = _formatter(replace_null_with_default=replaced)
            before = _content(formatter.format(delete)[0])["before"]
            assert before == {"id": 1, "d": d, "e": 7}


class TestMessageKeyColumns:
    TABLE = relation(
        column("id", "int4", identity=True),
        column("a"),
        column("b", "int4"),
        name="orders",
        primary_key=["id"],
        not_null=["id"],
    )

    def test_keys_are_in_the_order_of_the_option(self) -> None:
        formatter = _formatter(message_key_columns="public.(or.*):b,nothing,a;public.x:id")
        (record,) = formatter.format(_insert_of(self.TABLE, b"1", b"x", b"2"))
        assert record.key == b'{"b":2,"a":"x"}'

    def test_an_old_key_that_was_not_sent(self) -> None:
        # What Debezium writes of such a table under replica identity DEFAULT.
        formatter = _formatter(message_key_columns="public.orders:b,a")
        delete = Delete(
            900, _transaction(), 1, self.TABLE, Row(self.TABLE, (b"1", NOT_SENT, NOT_SENT))
        )
        deleted, tombstone = formatter.format(delete)
        assert deleted.key == tombstone.key == b'{"b":null,"a":null}'

    def test_a_table_without_another_key(self) -> None:
        table = relation(column("v"), column("w"))
        formatter = _formatter(message_key_columns=".*:w")
        assert formatter.format(_insert_of(table, b"x", b"y"))[0].key == b'{"w":"y"}'


class TestValues:
    def test_money_is_rounded_half_away_from_zero(self) -> None:
        table = relation(*(column(name, "money") for name in "abcd"))
        formatter = _formatter(money_fraction_digits=1)
        row = json.loads(_after(formatter, table, b"$1.25", b"-$1.25", b"$1.24", b"-$1.24"))
        numbers = [
            int.from_bytes(base64.b64decode(each), "big", signed=True) for each in row.values()
        ]
        assert numbers == [13, -13, 12, -12]
        more = _after(_formatter(money_fraction_digits=4), table, b"$1.25", b"-$0.01", None, None)
        assert more == '{"a":"MNQ=","b":"nA==","c":null,"d":null}'
        none = _after(_formatter(money_fraction_digits=0), table, b"$0.50", b"-$0.50", None, None)
        assert none == '{"a":"AQ==","b":"/w==","c":null,"d":null}'

    def test_placeholder(self) -> None:
        table = relation(column("v"), column("b", "bytea"), column("n", "_int4"))
        usual = _after(_formatter(unavailable_value_placeholder="p\u00e9"), table, *[UNCHANGED] * 3)
        assert usual == '{"v":"p\u00e9","b":"cMOp","n":[112,-61,-87]}'
        bytes_ = _formatter(unavailable_value_placeholder="hex:DEADBEEF")
        assert _after(bytes_, table, *[UNCHANGED] * 3) == (
            '{"v":"\u07ad\ufffd\ufffd","b":"3q2+7w==","n":[-34,-83,-66,-17]}'
        )

    def test_source_types(self) -> None:
        table = relation(column("id", "int4"), column("v", "varchar", 14), primary_key=["id"])
        formatter = _formatter(
            schemas_enable=True,
            column_propagate_source_type=["public.t.v"],
            datatype_propagate_source_type="x,public.t.int4",
        )
        (record,) = formatter.format(_insert_of(table, b"1", b"x"))
        fields = _content(record)["schema"]["fields"][1]["fields"]
        prefix = "__debezium.source.column."
        assert [field["parameters"] for field in fields] == [
            {
                f"{prefix}type": "INT4",
                f"{prefix}length": "10",
                f"{prefix}scale": "0",
                f"{prefix}name": "id",
            },
            {
                f"{prefix}type": "VARCHAR",
                f"{prefix}length": "10",
                f"{prefix}scale": "0",
                f"{prefix}name": "v",
            },
        ]
        (key,) = json.loads(record.key or b"")["schema"]["fields"]
        assert "parameters" not in key

    def test_unknown_types(self) -> None:
        table = relation(column("id", "int4"), column("x", "pg_lsn"))
        assert _after(_formatter(), table, b"1", b"0/1") == '{"id":1}'
        kept = _formatter(include_unknown_datatypes=True)
        assert _after(kept, table, b"1", b"0/1") == '{"id":1,"x":"MC8x"}'


class TestFaithful:
    """What ``faithful=True`` writes where Debezium loses or bends a value."""

    def _after(self, table: Relation, *raw: RawValue, **options: Any) -> str:
        return _after(_formatter(faithful=True, **options), table, *raw)

    def test_null_stays_null(self) -> None:
        table = relation(column("d", "int4"), column("e", "text"), defaults={"d": "5", "e": "''"})
        assert _after(_formatter(), table, None, None) == '{"d":5,"e":""}'
        assert self._after(table, None, None) == '{"d":null,"e":null}'
        # Even if the converter is told otherwise.
        assert self._after(table, None, None, replace_null_with_default=True) == (
            '{"d":null,"e":null}'
        )

    def test_the_stream_is_marked(self) -> None:
        formatter = _formatter(faithful=True, replace_null_with_default=False)
        assert _content(formatter.format(_insert())[0])["source"]["snapshot"] == "false"

    def test_what_was_not_sent_is_left_out(self) -> None:
        table = relation(
            *(column("id", "int4", identity=True), column("v"), column("n", "int4")),
            primary_key=["id"],
            not_null=["id", "n"],
            defaults={"n": "5"},
        )
        delete = Delete(900, _transaction(), 1, table, Row(table, (b"1", NOT_SENT, NOT_SENT)))
        usual, _ = _formatter().format(delete)
        faithful, _ = _formatter(faithful=True).format(delete)
        assert _content(usual)["before"] == {"id": 1, "v": None, "n": 5}
        assert _content(faithful)["before"] == {"id": 1}
        assert faithful.key == b'{"id":1}'

    def test_unchanged_values_have_their_placeholder_or_are_left_out(self) -> None:
        table = relation(column("v"), column("n", "numeric"), column("b", "bytea"))
        assert _after(_formatter(), table, *[UNCHANGED] * 3) == (
            '{"v":"__debezium_unavailable_value","n":null,'
            '"b":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="}'
        )
        assert self._after(table, *[UNCHANGED] * 3) == (
            '{"v":"__debezium_unavailable_value","b":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="}'
        )

    @pytest.mark.parametrize(
        ("type_name", "modifier", "wire", "usual", "faithful"),
        [
            ("name", -1, b"nm", "null", '"nm"'),
            ("_name", -1, b"{nm}", None, '["nm"]'),
            ("_money", -1, b"{$1.25}", None, '["fQ=="]'),
            ("_time", -1, b"{13:14:15.123456}", "[47655123000]", "[47655123456]"),
            ("_timetz", -1, b"{13:14:15.5+00}", '["13:14:15Z"]', '["13:14:15.5Z"]'),
            ("_int4", -1, b"{{1,2},{3,4}}", "[null,null]", "[[1,2],[3,4]]"),
            ("_text", -1, b"{{a},{b}}", '["{a}","{b}"]', '[["a"],["b"]]'),
            ("_bit", 3, b"{101}", "null", '["BQ=="]'),
            ("date", -1, b"infinity", "-2147472692", "2147483647"),
            ("date", -1, b"-infinity", "-2147472691", "-2147483648"),
            ("timestamp", -1, b"infinity", "9223372036825200000", "9223372036854775807"),
            ("timestamp", 3, b"-infinity", "-9223372036832400", "-9223372036854775808"),
            ("timestamptz", -1, b"infinity", '"infinity"', '"infinity"'),
            ("interval", -1, b"infinity", "0", "9223372036854775807"),
        ],
    )
    def test_values(
        self, type_name: str, modifier: int, wire: bytes, usual: str | None, faithful: str
    ) -> None:
        table = relation(column("c", type_name, modifier))
        assert self._after(table, wire) == f'{{"c":{faithful}}}'
        found = _after(_formatter(), table, wire)
        assert found == ("{}" if usual is None else f'{{"c":{usual}}}')

    def test_a_scale_below_zero(self) -> None:
        # numeric(5,-2), which Debezium takes for a scale of 2046.
        table = relation(column("c", "numeric", 329730))
        assert self._after(table, b"12300") == '{"c":"ew=="}'
        usual = json.loads(_after(_formatter(), table, b"12300"))["c"]
        number = int.from_bytes(base64.b64decode(usual), "big", signed=True)
        assert number == 12300 * 10**2046

    def test_infinity_as_text(self) -> None:
        table = relation(column("d", "date"), column("t", "timestamp"), column("i", "interval"))
        options = {"time_precision_mode": "isostring", "interval_handling_mode": "string"}
        row = (b"infinity", b"-infinity", b"infinity")
        assert self._after(table, *row, **options) == (
            '{"d":"infinity","t":"-infinity","i":"infinity"}'
        )

    def test_an_identity_beside_the_primary_key_is_the_key(self) -> None:
        table = relation(
            *(column("id", "int4"), column("u", identity=True)),
            identity=ReplicaIdentity.INDEX,
            primary_key=["id"],
            not_null=["id", "u"],
        )
        formatter = _formatter(faithful=True)
        insert = _insert_of(table, b"1", b"a")
        gone = Delete(900, _transaction(), 2, table, Row(table, (NOT_SENT, b"a")))
        moved = Update(
            900, _transaction(), 3, table, Row(table, (NOT_SENT, b"a")), Row(table, (b"1", b"b"))
        )
        records = [*formatter.format(insert), *formatter.format(gone), *formatter.format(moved)]
        assert _shape(records) == [
            (b'{"u":"a"}', "c"),
            (b'{"u":"a"}', "d"),
            (b'{"u":"a"}', None),
            (b'{"u":"a"}', "d"),
            (b'{"u":"a"}', None),
            (b'{"u":"b"}', "c"),
        ]
        # Only the primary key has changed: that is no change of this key.
        update = Update(900, _transaction(), 4, table, None, Row(table, (b"2", b"b")))
        assert _shape(formatter.format(update)) == [(b'{"u":"b"}', "u")]

    def test_messages_are_one_collection(self) -> None:
        formatter = _formatter(faithful=True, provide_transaction_metadata=True)
        transaction = _transaction()
        for lsn in (900, 910):
            formatter.format(LogicalMessage(lsn, transaction, 1, "p", b"", "shop"))
        end = _content(formatter.commit(transaction, {})[0])
        assert end["data_collections"] == [{"data_collection": "dbz.message", "event_count": 2}]


class TestFurtherOptions:
    def test_decimal_format(self) -> None:
        table = relation(
            column("n", "numeric", (10 << 16 | 2) + 4),
            column("v", "numeric"),
            column("m", "money"),
            column("z", "numeric", (10 << 16 | 2) + 4),
            primary_key=["n"],
            not_null=["n", "z"],
            defaults={"n": "7.5"},
        )
        formatter = _formatter(decimal_format="NUMERIC", schemas_enable=True)
        row = Row(table, (b"1.50", b"2.5", b"$3.10", b"0.00"))
        (record,) = formatter.format(Insert(900, _transaction(), 1, table, row))
        assert record.key is not None
        assert record.key.endswith(b'"payload":{"n":1.50}}')
        assert record.value is not None
        assert (
            b'"after":{"n":1.50,"v":{"scale":1,"value":"GQ=="},"m":3.10,"z":0.00}' in record.value
        )
        assert b'"default":7.50' in record.value
        deleted, _ = formatter.format(
            Delete(
                900, _transaction(), 1, table, Row(table, (b"1.50", NOT_SENT, NOT_SENT, NOT_SENT))
            )
        )
        assert deleted.value is not None
        assert b'"before":{"n":1.50,"v":null,"m":null,"z":0.00}' in deleted.value

    def test_without_extended_headers(self) -> None:
        formatter = _formatter(extended_headers_enabled=False)
        assert [record.headers for record in formatter.format(_insert())] == [()]
        moved = _update(_row(b"1", NOT_SENT), _row(b"2", b"x"))
        assert [record.headers for record in formatter.format(moved)] == [
            (("__debezium.newkey", b'{"id":2}'),),
            (("__debezium.newkey", b'{"id":2}'),),
            (("__debezium.oldkey", b'{"id":1}'),),
        ]

    def test_a_key_that_is_left_out_changes_nothing_but_in_a_faithful_stream(self) -> None:
        full = relation(
            *(attrs.evolve(each, is_identity=True) for each in TABLE.columns),
            name="orders",
            primary_key=["id"],
            not_null=["id"],
            identity=ReplicaIdentity.FULL,
        )
        moved = Update(1, None, 0, full, Row(full, (b"1", b"x")), Row(full, (b"2", b"x")))
        change = ExcludeColumns(r"public\.orders\.id")(moved)
        skipping: dict[str, Any] = {"skip_messages_without_change": True}
        assert _formatter(**skipping).format(change) == ()
        assert _shape(_formatter(faithful=True, **skipping).format(change)) == [
            (b'{"id":1}', "d"),
            (b'{"id":1}', None),
            (b'{"id":2}', "c"),
        ]

    def test_rows_that_each_deviate_otherwise_do_not_fill_the_memory(self) -> None:
        names = [f"c{number}" for number in range(10)]
        table = relation(*(column(name, "numeric", (10 << 16 | 2) + 4) for name in names))
        formatter = _formatter(faithful=True, schemas_enable=True)
        for number in range(1024):
            raw = tuple(b"NaN" if number >> bit & 1 else b"1.00" for bit in range(10))
            (record,) = formatter.format(Insert(1, None, 0, table, Row(table, raw)))
            assert record.value is not None
            if number % 100 == 0:
                assert faults_of_record(record.value) == []
        (kept,) = formatter._tables.values()
        assert len(kept._heads) <= 64

    @pytest.mark.parametrize(
        "options",
        [
            {"task_id": 0},
            {"run_id": 5},
            {"connector_name": None},
            {"unavailable_value_placeholder": None},
            {"message_key_columns": ["a"]},
            {"topic_delimiter": None},
            {"column_propagate_source_type": [5]},
            {"database": b"shop"},
            {"decimal_format": "numeric"},
            {"extended_headers_enabled": "true"},
        ],
        ids=str,
    )
    def test_other_values_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            DebeziumFormatter(topic_prefix="dbz", **options)


@settings(max_examples=200)
@given(st.data(), st.booleans(), st.booleans(), st.sampled_from([NOW, 999_999]))
def test_later_changes_of_a_transaction_are_written_as_the_first(
    data: st.DataObject, faithful: bool, tombstones: bool, now: int
) -> None:
    """The short way that they take makes what the long one does."""
    table = data.draw(tables())
    made, transaction = table.relation, _transaction(previous=900)
    keys = ",".join(data.draw(st.lists(st.sampled_from(list(made.positions)), unique=True)))
    options: dict[str, Any] = {"faithful": faithful, "tombstones_on_delete": tombstones}
    if keys:
        options["message_key_columns"] = f"{made.schema}.{made.name}:{keys}"

    def formatter() -> DebeziumFormatter:
        return DebeziumFormatter(topic_prefix="dbz", run_id="run", clock=lambda: now, **options)

    warm = formatter()
    for ordinal in range(1, 5):
        kind = data.draw(st.sampled_from(["insert", "update", "full", "delete"]))
        for _ in range(2):
            row = Row(made, data.draw(table.rows | table.texts))
            old = Row(made, data.draw(table.rows))
            place = (100 * ordinal, transaction, ordinal, made)
            change: Insert | Update | Delete = Insert(*place, row)
            if kind in ("update", "full"):
                change = Update(*place, old if kind == "full" else None, row)
            elif kind == "delete":
                change = Delete(*place, row)
            try:
                expected = formatter().format(change)
            except ConfigurationError:
                with pytest.raises(ConfigurationError):
                    warm.format(change)
            else:
                assert warm.format(change) == expected


def test_tables_and_operations_in_turn_are_written_as_each_alone() -> None:
    """Tables of equal columns, one of other names, and a version that replaces another."""

    def table(oid: int, name: str, *columns: str) -> Relation:
        made = [column("id", "int4", identity=True), *map(column, columns)]
        return relation(*made, oid=oid, name=name, primary_key=["id"], not_null=["id"])

    relations = [
        *(table(1, "a", "v"), table(2, "b", "v"), table(3, "c", "w")),
        *(table(2, "b", "v", "x"), table(2, "b", "v")),
    ]
    warm = _formatter(database="shop")
    for number in range(1, 4):
        transaction = _transaction(number, previous=900)
        for ordinal, made in enumerate(relations * 3, start=1):
            row = Row(made, [b"%d" % ordinal, *[b"t"] * (len(made.columns) - 1)])
            place = (1000 * number + ordinal, transaction, ordinal, made)
            for change in (Insert(*place, row), Update(*place, None, row), Delete(*place, row)):
                expected = _formatter(database="shop").format(change)
                assert warm.format(change) == expected
                assert warm.format(change) == expected


@pytest.mark.parametrize("options", [{}, {"faithful": True}, {"schemas_enable": True}])
def test_rows_of_a_snapshot_and_then_changes_are_written_as_each_alone(
    options: dict[str, Any],
) -> None:
    """Tables whose rows a snapshot writes otherwise than the stream, and one that it does not."""
    relations = [
        relation(column("id", "int4", identity=True), column("v", kind), oid=oid, name=kind)
        for oid, kind in enumerate(("date", "name", "text"), start=1)
    ]
    values = {"date": b"0044-03-15 BC", "name": b"nm", "text": b"t"}
    warm = _formatter(database="shop", **options)
    for number in (1, 2):
        taken = SnapshotPoint(700 + number, 1_795_342_295_223_178 + number)
        markers: list[SnapshotMarker] = ["first", "true", "true", "last_in_data_collection", "last"]
        reads = [
            SnapshotRead(900, None, 0, made, Row(made, [b"1", values[made.name]]), marker, 1, taken)
            for made in relations
            for marker in markers
        ]
        transaction = _transaction(number, previous=900)
        inserts = [
            Insert(901, transaction, 1, made, Row(made, [b"2", values[made.name]]))
            for made in relations * 2
        ]
        for change in [*reads, *inserts]:
            assert warm.format(change) == _formatter(database="shop", **options).format(change)


@pytest.mark.parametrize("skipped", ["c", "u", "d"])
def test_a_skipped_operation_stays_skipped_where_a_change_of_the_key_is_two_others(
    skipped: str,
) -> None:
    formatter = _formatter(skipped_operations=skipped)
    transaction = _transaction()
    moved = Update(900, transaction, 1, TABLE, _row(b"1", NOT_SENT), _row(b"2", b"x"))
    insert, delete = (
        _insert(transaction=transaction),
        Delete(900, transaction, 1, TABLE, _row(b"1", NOT_SENT)),
    )
    update = Update(900, transaction, 1, TABLE, None, _row(b"2", b"x"))
    changes = {"c": insert, "u": update, "d": delete}
    for _ in range(2):
        formatter.format(moved)
        for op, change in changes.items():
            assert bool(formatter.format(change)) is (op != skipped)
