from __future__ import annotations

import json
from typing import Any

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    CatalogType,
    Change,
    Delete,
    Insert,
    LogicalMessage,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    SnapshotRead,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters import DebeziumFormatter, Formatter, Record, UnwrappedFormatter
from pglogical_cdc.lsn import LSN
from tests.formatters.connect_json import faults_of_record
from tests.formatters.debezium.test_formatter import CONTEXT, NOW
from tests.formatters.tables import column, relation

TABLE = relation(column("id", "int4"), column("v"), primary_key=["id"], not_null=["id"])
TRANSACTION = Transaction(xid=7, commit_lsn=LSN(1000), commit_timestamp=1795342295223178)
INSERT = Insert(900, TRANSACTION, 1, TABLE, Row(TABLE, (b"1", b"x")))
DELETE = Delete(900, TRANSACTION, 1, TABLE, Row(TABLE, (b"1", NOT_SENT)))
KEY_CHANGE = Update(
    900, TRANSACTION, 1, TABLE, Row(TABLE, (b"1", NOT_SENT)), Row(TABLE, (b"2", b"x"))
)
TRUNCATE = Truncate(900, TRANSACTION, 1, TABLE, cascade=False, restart_identity=False)


def _formatter(**options: Any) -> UnwrappedFormatter:
    return UnwrappedFormatter(topic_prefix="dbz", run_id="run", clock=lambda: NOW, **options)


def _values(formatter: UnwrappedFormatter, change: Change) -> list[bytes | None]:
    return [record.value for record in formatter.format(change)]


def _headers(formatter: UnwrappedFormatter, change: Change) -> list[list[tuple[str, str]]]:
    """Return the headers of each record behind those of every record."""
    made = []
    for record in formatter.format(change):
        names = [key for key, _ in record.headers]
        start = names.index(CONTEXT[-1][0]) + 1
        made.append([(key, value.decode()) for key, value in record.headers[start:]])
    return made


def test_is_a_formatter() -> None:
    assert isinstance(_formatter(), Formatter)


def test_the_row_alone() -> None:
    (record,) = _formatter().format(INSERT)
    assert record.topic == "dbz.public.t"
    assert record.key == b'{"id":1}'
    assert record.value == b'{"id":1,"v":"x"}'
    assert tuple(record.headers) == CONTEXT
    assert record.position == INSERT.position


def test_rows_of_a_snapshot() -> None:
    read = SnapshotRead(900, None, 0, TABLE, INSERT.after, "last")
    (record,) = _formatter(add_fields="op,snapshot").format(read)
    assert record.value == b'{"id":1,"v":"x","__op":"r","__snapshot":"last"}'


@pytest.mark.parametrize(
    ("mode", "inserted", "deleted"),
    [
        ("drop", b'{"id":1,"v":"x"}', []),
        ("tombstone", b'{"id":1,"v":"x"}', [b"null"]),
        ("delete-to-tombstone", b'{"id":1,"v":"x"}', [None]),
        (
            "rewrite",
            b'{"id":1,"v":"x","__deleted":"false"}',
            [b'{"id":1,"v":null,"__deleted":"true"}'],
        ),
        (
            "rewrite-with-tombstone",
            b'{"id":1,"v":"x","__deleted":"false"}',
            [b'{"id":1,"v":null,"__deleted":"true"}', None],
        ),
    ],
)
def test_modes(mode: str, inserted: bytes, deleted: list[bytes | None]) -> None:
    formatter = _formatter(delete_tombstone_handling_mode=mode)
    assert _values(formatter, INSERT) == [inserted]
    assert _values(formatter, DELETE) == deleted
    assert [record.key for record in formatter.format(DELETE)] == [b'{"id":1}'] * len(deleted)


def test_change_of_the_key() -> None:
    records = _formatter().format(KEY_CHANGE)
    assert [(record.key, record.value) for record in records] == [
        (b'{"id":1}', b"null"),
        (b'{"id":2}', b'{"id":2,"v":"x"}'),
    ]
    assert [record.headers[0][0] for record in records] == [
        "__debezium.newkey",
        "__debezium.oldkey",
    ]


def test_no_tombstone_where_debezium_sends_none() -> None:
    formatter = _formatter(
        delete_tombstone_handling_mode="rewrite-with-tombstone", tombstones_on_delete=False
    )
    assert len(formatter.format(DELETE)) == 1


def test_truncates_are_dropped() -> None:
    assert _formatter(skipped_operations="none").format(TRUNCATE) == ()


def test_a_table_without_columns() -> None:
    empty = relation()
    change = Insert(900, TRANSACTION, 1, empty, Row(empty, ()))
    assert _values(_formatter(), change) == []
    assert _values(_formatter(), SnapshotRead(900, None, 0, empty, Row(empty, ()))) == []
    assert _values(_formatter(faithful=True), change) == [b"{}"]
    rewrite = _formatter(faithful=True, delete_tombstone_handling_mode="rewrite")
    assert _values(rewrite, change) == [b'{"__deleted":"false"}']


def test_messages_pass_as_they_are() -> None:
    change = LogicalMessage(900, TRANSACTION, 1, "p", b"x", "shop")
    for schemas in (False, True):
        envelope = DebeziumFormatter(topic_prefix="dbz", schemas_enable=schemas, clock=lambda: NOW)
        assert _formatter(schemas_enable=schemas).format(change) == envelope.format(change)


def test_transaction_metadata_passes_as_it_is() -> None:
    options: dict[str, Any] = {"provide_transaction_metadata": True, "clock": lambda: NOW}
    envelope = DebeziumFormatter(topic_prefix="dbz", **options)
    unwrapped = UnwrappedFormatter(
        topic_prefix="dbz", delete_tombstone_handling_mode="drop", **options
    )
    for each in (envelope, unwrapped):
        each.begin(TRANSACTION)
        # What is dropped is counted all the same.
        each.format(DELETE)
    assert unwrapped.commit(TRANSACTION, {}) == envelope.commit(TRANSACTION, {})


class TestAddedFields:
    def test_fields_and_headers(self) -> None:
        formatter = _formatter(
            delete_tombstone_handling_mode="rewrite",
            add_fields=["op", "table", "source.ts_ms", "ts_ms", "ts_ns", "transaction.id"],
            add_headers=("op", "db", "source.lsn"),
        )
        (record,) = formatter.format(INSERT)
        assert record.value is not None
        assert json.loads(record.value) == {
            "id": 1,
            "v": "x",
            "__deleted": "false",
            "__op": "c",
            "__table": "t",
            "__source_ts_ms": 1795342295223,
            "__ts_ms": NOW // 1_000_000,
            "__ts_ns": NOW,
            "__transaction_id": None,
        }
        assert tuple(record.headers) == (
            *CONTEXT,
            ("__op", b'"c"'),
            ("__db", b'"shop"'),
            ("__source_lsn", b"900"),
        )

    def test_as_one_string(self) -> None:
        names = ["op", "source.ts_ms"]
        for text in ("op,source.ts_ms", " op , source.ts_ms "):
            assert _formatter(add_fields=text, add_headers=text).format(INSERT) == _formatter(
                add_fields=names, add_headers=names
            ).format(INSERT)
        assert _formatter(add_fields="op").format(INSERT) == _formatter(add_fields=["op"]).format(
            INSERT
        )
        assert _formatter(add_fields="").format(INSERT) == _formatter().format(INSERT)

    def test_the_clock_is_read_for_either(self) -> None:
        (record,) = _formatter(add_fields="ts_us").format(INSERT)
        assert record.value == b'{"id":1,"v":"x","__ts_us":%d}' % (NOW // 1000)
        (record,) = _formatter(add_headers="ts_us").format(INSERT)
        assert record.headers[-1] == ("__ts_us", b"%d" % (NOW // 1000))

    def test_names_and_prefixes(self) -> None:
        formatter = _formatter(
            add_fields="op:OPER,before.v,after.v:new_v,source.lsn:L",
            add_fields_prefix="f_",
            add_headers="op:OP,source.table,before.id",
            add_headers_prefix="h.",
        )
        update = Update(900, TRANSACTION, 1, TABLE, Row(TABLE, (b"1", b"old")), INSERT.after)
        (record,) = formatter.format(update)
        assert record.value == (
            b'{"id":1,"v":"x","f_OPER":"u","f_before_v":"old","f_new_v":"x","f_L":900}'
        )
        assert tuple(record.headers)[len(CONTEXT) :] == (
            ("h.OP", b'"u"'),
            ("h.source_table", b'"t"'),
            ("h.before_id", b"1"),
        )

    def test_names_are_json(self) -> None:
        formatter = _formatter(add_fields='op:a"\U0001f600', add_fields_prefix="")
        assert _values(formatter, INSERT) == [b'{"id":1,"v":"x","a\\"\\uD83D\\uDE00":"c"}']

    def test_a_row_that_is_not_there(self) -> None:
        formatter = _formatter(
            delete_tombstone_handling_mode="rewrite", add_fields="before.v,after.v"
        )
        assert _values(formatter, INSERT) == [
            b'{"id":1,"v":"x","__deleted":"false","__before_v":null,"__after_v":"x"}'
        ]
        assert _values(formatter, DELETE) == [
            b'{"id":1,"v":null,"__deleted":"true","__before_v":null,"__after_v":null}'
        ]

    def test_a_column_that_the_table_has_not_is_no_field(self) -> None:
        formatter = _formatter(add_fields="before.w,op", add_headers="after.w,op")
        (record,) = formatter.format(INSERT)
        assert record.value == b'{"id":1,"v":"x","__op":"c"}'
        assert tuple(record.headers)[len(CONTEXT) :] == (("__op", b'"c"'),)

    def test_the_place_in_the_transaction(self) -> None:
        formatter = _formatter(
            provide_transaction_metadata=True,
            add_fields="transaction.id,total_order,data_collection_order",
            add_headers="transaction.id",
        )
        formatter.format(Insert(800, TRANSACTION, 1, TABLE, INSERT.after))
        (record,) = formatter.format(INSERT)
        assert record.value == (
            b'{"id":1,"v":"x","__transaction_id":"7:900","__total_order":2,'
            b'"__data_collection_order":2}'
        )
        assert record.headers[-1] == ("__transaction_id", b'"7:900"')

    def test_the_streams_snapshot_is_null(self) -> None:
        # The default of its schema does not come with it.
        formatter = _formatter(add_fields="snapshot", add_headers="snapshot")
        (record,) = formatter.format(INSERT)
        assert record.value == b'{"id":1,"v":"x","__snapshot":null}'
        assert record.headers[-1] == ("__snapshot", b"null")

    def test_headers_of_a_tombstone(self) -> None:
        formatter = _formatter(
            delete_tombstone_handling_mode="rewrite-with-tombstone",
            add_headers="op,source.lsn,op:again",
        )
        deleted, tombstone = _headers(formatter, DELETE)
        assert deleted == [("__op", '"d"'), ("__source_lsn", "900"), ("__again", '"d"')]
        # The transform knows nothing of a tombstone but its operation, and adds it once more.
        assert tombstone == [*deleted, ("__op", '"d"'), ("__again", '"d"')]

    def test_headers_of_a_changed_key(self) -> None:
        formatter = _formatter(add_headers="op")
        assert _headers(formatter, KEY_CHANGE) == [[("__op", '"d"')], [("__op", '"c"')]]

    @pytest.mark.parametrize("text", ["o,p", "op,nothing", "op:", "before."])
    def test_refuses_unknown_fields_in_one_string(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="add_headers"):
            _formatter(add_headers=text)

    @pytest.mark.parametrize("name", ["nothing", "source.nothing", "transaction.op", "before"])
    def test_refuses_unknown_fields(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match="add_fields"):
            _formatter(add_fields=[name])


class TestSchemas:
    def test_a_row(self) -> None:
        (record,) = _formatter(schemas_enable=True).format(INSERT)
        assert record.value == (
            b'{"schema":{"type":"struct","fields":['
            b'{"type":"int32","optional":false,"field":"id"},'
            b'{"type":"string","optional":true,"field":"v"}],"optional":false,'
            b'"name":"dbz.public.t.Value"},"payload":{"id":1,"v":"x"}}'
        )
        assert record.key == (
            b'{"schema":{"type":"struct","fields":['
            b'{"type":"int32","optional":false,"field":"id"}],"optional":false,'
            b'"name":"dbz.public.t.Key"},"payload":{"id":1}}'
        )

    def test_added_fields_come_last(self) -> None:
        formatter = _formatter(
            schemas_enable=True,
            delete_tombstone_handling_mode="rewrite",
            add_fields="op,lsn:L,before.id",
        )
        for change in (INSERT, DELETE):
            (value,) = _values(formatter, change)
            fields = json.loads(value or b"")["schema"]["fields"]
            assert fields[2:] == [
                {"type": "string", "optional": True, "field": "__deleted"},
                {"type": "string", "optional": True, "field": "__op"},
                {"type": "int64", "optional": True, "field": "__L"},
                {"type": "int32", "optional": True, "field": "__before_id"},
            ]

    def test_a_delete_keeps_its_schema(self) -> None:
        (value,) = _values(_formatter(schemas_enable=True), DELETE)
        content = json.loads(value or b"")
        assert content["payload"] is None
        # That of the envelope's row, and as there it may be null.
        assert (content["schema"]["name"], content["schema"]["optional"]) == (
            "dbz.public.t.Value",
            True,
        )

    @pytest.mark.parametrize(
        ("type_name", "options", "before", "after"),
        [
            ("_int4", {"faithful": True}, b"{{1}}", b"{1}"),
            ("_int4", {"faithful": True}, b"{1}", b"{{1}}"),
            ("_int4", {"faithful": True}, b"{{{1}}}", b"{{1}}"),
            ("_mood", {}, b"{a,NULL}", b"{a}"),
            ("numeric", {}, b"NaN", b"1"),
        ],
    )
    def test_added_columns_fit_their_schema(
        self, type_name: str, options: dict[str, Any], before: bytes, after: bytes
    ) -> None:
        types = (
            CatalogType(16400, "public", "mood", "e", array_oid=16401, labels=("a",)),
            CatalogType(16401, "public", "_mood", "b", element_oid=16400),
        )
        columns = [
            column(name, type_name, oid=16401 if type_name == "_mood" else None) for name in "bc"
        ]
        table = relation(*columns, not_null=["b", "c"], types=types, identity=ReplicaIdentity.FULL)
        formatter = _formatter(schemas_enable=True, add_fields="before.c,after.c", **options)
        for old, new in ((after, after), (before, after), (after, before), (after, after)):
            update = Update(
                900, TRANSACTION, 1, table, Row(table, [old, old]), Row(table, [new, new])
            )
            (value,) = _values(formatter, update)
            assert value is not None
            assert faults_of_record(value) == []

    def test_an_added_column_has_its_own_schema_and_may_be_null(self) -> None:
        table = relation(
            column("b", "_text"), column("c", "_int4"), column("n", "numeric"), not_null=["n"]
        )
        row = Row(table, [b"{{x}}", b"{{1}}", b"NaN"])
        formatter = _formatter(schemas_enable=True, faithful=True, add_fields="after.c,after.n")
        (value,) = _values(formatter, Insert(900, TRANSACTION, 1, table, row))
        fields = json.loads(value or b"")["schema"]["fields"]
        integers = {"type": "int32", "optional": True}
        assert fields[-2:] == [
            {
                "type": "array",
                "items": {"type": "array", "items": integers, "optional": True},
                "optional": True,
                "field": "__after_c",
            },
            {"type": "string", "optional": True, "field": "__after_n"},
        ]
        usual = _formatter(schemas_enable=True, add_fields="after.n")
        (value,) = _values(usual, Insert(900, TRANSACTION, 1, table, row))
        fields = json.loads(value or b"")["schema"]["fields"]
        assert fields[-2:] == [
            {"type": "string", "optional": False, "field": "n"},
            {"type": "string", "optional": True, "field": "__after_n"},
        ]


class TestNullAndDefault:
    TABLE = relation(
        *(column("id", "int4"), column("d", "int4"), column("to")),
        primary_key=["id"],
        not_null=["id"],
        defaults={"d": "5", "to": "'there'::text"},
    )

    def _record(self, *, replaced: bool = False, **options: Any) -> Record:
        row = Row(self.TABLE, (b"1", None, None))
        (record,) = _formatter(replace_null_with_default=replaced, **options).format(
            Insert(900, TRANSACTION, 1, self.TABLE, row)
        )
        return record

    def test_a_row_that_is_not_copied_keeps_null(self) -> None:
        assert self._record().value == b'{"id":1,"d":null,"to":null}'
        added = self._record(add_fields="op").value
        assert added == b'{"id":1,"d":null,"to":null,"__op":"c"}'

    def test_a_copy_has_the_default(self) -> None:
        value = self._record(delete_tombstone_handling_mode="rewrite").value
        assert value == b'{"id":1,"d":5,"to":"there","__deleted":"false"}'

    def test_added_columns_keep_null(self) -> None:
        value = self._record(replaced=True, add_fields="after.d").value
        assert value == b'{"id":1,"d":5,"to":"there","__after_d":null}'

    def test_the_topic_is_that_of_the_copy(self) -> None:
        assert self._record(replaced=True, route_by_field="to").topic == "dbz.public.t"
        copied = self._record(delete_tombstone_handling_mode="rewrite", route_by_field="to")
        assert copied.topic == "there"


class TestTopic:
    WIDE = relation(column("id", "int4"), column("to"), column("n", "int4"), primary_key=["id"])

    def _topic(self, value: RawValue, **options: Any) -> str:
        row = Row(self.WIDE, (b"1", value, b"7"))
        formatter = _formatter(**{"route_by_field": "to", **options})
        (record,) = formatter.format(Insert(900, TRANSACTION, 1, self.WIDE, row))
        return record.topic

    @pytest.mark.parametrize(
        ("value", "topic"),
        [
            (b"elsewhere", "elsewhere"),
            (b"a.b_c-9", "a.b_c-9"),
            (b" a/b ", "a_b"),
            (None, "dbz.public.t"),
            (b"", "dbz.public.t"),
            (b"  ", "dbz.public.t"),
            (UNCHANGED, "__debezium_unavailable_value"),
        ],
    )
    def test_is_a_columns_value(self, value: RawValue, topic: str) -> None:
        assert self._topic(value) == topic

    def test_other_columns(self) -> None:
        assert self._topic(b"x", route_by_field="n") == "dbz.public.t"
        assert self._topic(UNCHANGED, faithful=True) == "dbz.public.t"
        assert self._topic(b"x", route_by_field="nothing") == "dbz.public.t"
        assert self._topic(b"x", route_by_field="") == "dbz.public.t"

    def test_of_an_update_the_new_row_counts_and_of_a_delete_the_old(self) -> None:
        formatter = _formatter(
            route_by_field="to", delete_tombstone_handling_mode="rewrite-with-tombstone"
        )
        old, new = Row(self.WIDE, (b"1", b"old", b"7")), Row(self.WIDE, (b"1", b"new", b"7"))
        update = Update(900, TRANSACTION, 1, self.WIDE, old, new)
        assert [record.topic for record in formatter.format(update)] == ["new"]
        delete = Delete(900, TRANSACTION, 1, self.WIDE, old)
        # A tombstone has no row to read it from.
        assert [record.topic for record in formatter.format(delete)] == ["old", "dbz.public.t"]


CHANGES: dict[str, Any] = {"header_changed_name": "Changed", "header_unchanged_name": "Unchanged"}


FULL = relation(
    *(column("id", "int4"), column("v"), column("n", "int4")),
    primary_key=["id"],
    not_null=["id"],
    identity=ReplicaIdentity.FULL,
)


def _update(
    before: tuple[RawValue, ...], after: tuple[RawValue, ...], table: Relation = FULL
) -> Update:
    return Update(900, TRANSACTION, 1, table, Row(table, before), Row(table, after))


class TestChangedColumns:
    def test_headers(self) -> None:
        update = _update((b"1", b"x", None), (b"1", b"y", None))
        assert _headers(_formatter(**CHANGES), update) == [
            [("Changed", '["v"]'), ("Unchanged", '["id","n"]')]
        ]
        assert _headers(_formatter(header_changed_name="C"), update) == [[("C", '["v"]')]]
        assert _headers(_formatter(header_unchanged_name="U"), update) == [[("U", '["id","n"]')]]

    def test_headers_come_before_the_added_ones(self) -> None:
        update = _update((b"1", b"x", None), (b"1", b"y", None))
        (headers,) = _headers(_formatter(**CHANGES, add_headers="op"), update)
        assert [name for name, _ in headers] == ["Changed", "Unchanged", "__op"]

    def test_lists_are_empty_for_all_else(self) -> None:
        without_old_row = Update(900, TRANSACTION, 1, TABLE, None, INSERT.after)
        formatter = _formatter(**CHANGES)
        for change in (INSERT, DELETE, without_old_row):
            assert _headers(formatter, change) == [[("Changed", "[]"), ("Unchanged", "[]")]]
        # A change of the key is a delete and an insert.
        assert _headers(formatter, KEY_CHANGE) == [[("Changed", "[]"), ("Unchanged", "[]")]] * 2

    def test_what_is_written_is_compared(self) -> None:
        made = relation(column("j", "float8"), column("i", "interval"), column("x", "box"))
        update = _update((b"1.0", b"1 mon", b"(1,1),(0,0)"), (b"1", b"30 days 10:30:00", b""), made)
        assert _headers(_formatter(**CHANGES), update) == [
            [("Changed", "[]"), ("Unchanged", '["j","i"]')]
        ]

    def test_bit_strings_always_count_as_changed(self) -> None:
        made = relation(column("b", "bit", 3), column("c", "bit", 3), column("d", "bit", 1))
        update = _update((b"101", None, b"1"), (b"101", None, b"1"), made)
        assert _headers(_formatter(**CHANGES), update) == [
            [("Changed", '["b"]'), ("Unchanged", '["c","d"]')]
        ]
        assert _headers(_formatter(**CHANGES, faithful=True), update) == [
            [("Changed", "[]"), ("Unchanged", '["b","c","d"]')]
        ]

    def test_names_are_those_of_the_fields(self) -> None:
        made = relation(column('a"b'), column("c d"), identity=ReplicaIdentity.FULL)
        update = _update((b"1", b"1"), (b"2", b"2"), made)
        assert _headers(_formatter(header_changed_name="C"), update) == [[("C", '["a\\"b","c d"]')]]
        adjusted = _formatter(header_changed_name="C", field_name_adjustment_mode="avro")
        assert _headers(adjusted, update) == [[("C", '["a_b","c_d"]')]]


class TestDroppedColumns:
    def test_only_what_may_be_null_is_dropped(self) -> None:
        formatter = _formatter(**CHANGES, drop_fields_header_name="Unchanged", add_fields="op")
        update = _update((b"1", b"x", b"5"), (b"1", b"y", b"5"))
        (record,) = formatter.format(update)
        assert (record.key, record.value) == (b'{"id":1}', b'{"id":1,"v":"y","__op":"u"}')

    def test_everything_is_dropped(self) -> None:
        formatter = _formatter(
            **CHANGES,
            drop_fields_header_name="Unchanged",
            drop_fields_keep_schema_compatible=False,
        )
        update = _update((b"1", b"x", b"5"), (b"1", b"y", b"5"))
        (record,) = formatter.format(update)
        assert (record.key, record.value) == (b'{"id":1}', b'{"v":"y"}')

    def test_changed_columns_may_be_dropped_instead(self) -> None:
        formatter = _formatter(**CHANGES, drop_fields_header_name="Changed")
        update = _update((b"1", b"x", b"5"), (b"1", b"y", b"5"))
        assert _values(formatter, update) == [b'{"id":1,"n":5}']

    def test_keys(self) -> None:
        update = _update((b"1", b"x", b"5"), (b"1", b"y", b"5"))
        options = {**CHANGES, "drop_fields_header_name": "Unchanged", "drop_fields_from_key": True}
        (kept,) = _formatter(**options).format(update)
        assert kept.key == b'{"id":1}'
        (dropped,) = _formatter(**options, drop_fields_keep_schema_compatible=False).format(update)
        assert dropped.key == b"{}"

    def test_nothing_is_dropped_of_other_changes(self) -> None:
        formatter = _formatter(
            **CHANGES,
            drop_fields_header_name="Unchanged",
            drop_fields_keep_schema_compatible=False,
            drop_fields_from_key=True,
        )
        (record,) = formatter.format(INSERT)
        assert (record.key, record.value) == (b'{"id":1}', b'{"id":1,"v":"x"}')

    def test_the_schema_has_what_is_left(self) -> None:
        formatter = _formatter(
            **CHANGES,
            schemas_enable=True,
            drop_fields_header_name="Unchanged",
            add_fields="op",
        )
        for old, expected in ((b"x", ["id", "v", "__op"]), (b"y", ["id", "__op"])):
            (value,) = _values(formatter, _update((b"1", old, b"5"), (b"1", b"y", b"5")))
            assert value is not None
            assert faults_of_record(value) == []
            content = json.loads(value)
            assert [field["field"] for field in content["schema"]["fields"]] == expected
            assert content["schema"]["name"] == "dbz.public.t.Value"
            assert list(content["payload"]) == expected

    def test_the_header_has_to_be_one_of_the_two(self) -> None:
        with pytest.raises(ConfigurationError, match="drop_fields_header_name='Other'"):
            _formatter(**CHANGES, drop_fields_header_name="Other")
        with pytest.raises(ConfigurationError, match="drop_fields_header_name"):
            _formatter(drop_fields_header_name="Changed")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("delete_tombstone_handling_mode", "none"),
        ("drop_fields_from_key", 1),
        ("drop_fields_keep_schema_compatible", "true"),
        ("decimal_handling_mode", "exact"),
    ],
)
def test_refuses_other_values(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=option):
        _formatter(**{option: value})


class TestNamesThatAreThereAlready:
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("__deleted", {"delete_tombstone_handling_mode": "rewrite"}),
            ("__op", {"add_fields": "op"}),
            ("mine", {"add_fields": "op:mine", "add_fields_prefix": ""}),
        ],
    )
    def test_a_column_is_called_like_an_added_field(
        self, name: str, options: dict[str, Any]
    ) -> None:
        table = relation(column("id", "int4"), column(name))
        insert = Insert(1, None, 0, table, Row(table, (b"1", b"x")))
        with pytest.raises(ConfigurationError, match=f"added under the name '{name}'"):
            _formatter(**options).format(insert)
        assert _values(_formatter(), insert) == [f'{{"id":1,"{name}":"x"}}'.encode()]

    def test_two_fields_are_added_under_one_name(self) -> None:
        with pytest.raises(ConfigurationError, match="added under the name '__op'"):
            _formatter(add_fields="op,table:op").format(INSERT)


def test_a_faithful_stream_lists_no_column_that_nobody_knows() -> None:
    identity = relation(
        column("id", "int4"),
        column("u", "int4", identity=True),
        column("v"),
        primary_key=["id"],
        not_null=["id", "u"],
        identity=ReplicaIdentity.INDEX,
    )
    old, new = (NOT_SENT, b"1", NOT_SENT), (b"1", b"1", b"x")
    update = Update(1, None, 0, identity, Row(identity, old), Row(identity, new))
    formatter = _formatter(faithful=True, header_changed_name="C", header_unchanged_name="U")
    assert _headers(formatter, update) == [[("C", "[]"), ("U", '["u"]')]]


@pytest.mark.parametrize(
    "options",
    [
        {"route_by_field": 5},
        {"header_changed_name": 5},
        {"header_unchanged_name": b"x"},
        {"add_fields_prefix": None},
        {"add_headers_prefix": None},
        {"add_fields": [5]},
    ],
    ids=str,
)
def test_names_are_strings(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(options))} must be a string"):
        _formatter(**options)
