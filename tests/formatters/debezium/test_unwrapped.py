from __future__ import annotations

import json
from typing import Any

import pytest

from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    Row,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters import DebeziumFormatter, Formatter, UnwrappedFormatter
from pglogical_cdc.lsn import LSN
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


def test_is_a_formatter() -> None:
    assert isinstance(_formatter(), Formatter)


def test_the_row_alone() -> None:
    (record,) = _formatter().format(INSERT)
    assert record.topic == "dbz.public.t"
    assert record.key == b'{"id":1}'
    assert record.value == b'{"id":1,"v":"x"}'
    assert tuple(record.headers) == CONTEXT
    assert record.position == INSERT.position


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


def test_added_fields_and_headers() -> None:
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


def test_added_fields_as_one_string() -> None:
    names = ["op", "source.ts_ms"]
    for text in ("op,source.ts_ms", " op , source.ts_ms "):
        assert _formatter(add_fields=text, add_headers=text).format(INSERT) == _formatter(
            add_fields=names, add_headers=names
        ).format(INSERT)
    assert _formatter(add_fields="op").format(INSERT) == _formatter(add_fields=["op"]).format(
        INSERT
    )
    assert _formatter(add_fields="").format(INSERT) == _formatter().format(INSERT)


@pytest.mark.parametrize("text", ["op:NEW", "op,", "op,ts_ms:AT", "o,p", "before.id"])
def test_refuses_unknown_fields_in_one_string(text: str) -> None:
    with pytest.raises(ConfigurationError, match="add_headers"):
        _formatter(add_headers=text)


@pytest.mark.parametrize("name", ["nothing", "before.id", "source.nothing", "op:operation", ""])
def test_refuses_unknown_fields(name: str) -> None:
    with pytest.raises(ConfigurationError, match="add_fields"):
        _formatter(add_fields=[name])


def test_refuses_unknown_modes() -> None:
    with pytest.raises(ConfigurationError, match="delete_tombstone_handling_mode"):
        _formatter(delete_tombstone_handling_mode="none")


def test_truncates_are_dropped() -> None:
    assert _formatter(skipped_operations="none").format(TRUNCATE) == ()


def test_a_table_without_columns() -> None:
    empty = relation()
    change = Insert(900, TRANSACTION, 1, empty, Row(empty, ()))
    assert _values(_formatter(), change) == [b"{}"]
    rewrite = _formatter(delete_tombstone_handling_mode="rewrite")
    assert _values(rewrite, change) == [b'{"__deleted":"false"}']


def test_messages_pass_as_they_are() -> None:
    change = LogicalMessage(900, TRANSACTION, 1, "p", b"x", "shop")
    envelope = DebeziumFormatter(topic_prefix="dbz", clock=lambda: NOW)
    assert _formatter().format(change) == envelope.format(change)
