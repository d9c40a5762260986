from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pglogical_cdc.events import LogicalMessage
from pglogical_cdc.formatters import Record
from pglogical_cdc.formatters.debezium.source import SourceBlock
from pglogical_cdc.formatters.debezium.stream_records import StreamRecords
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock
from tests.formatters.connect_json import faults_of_record

NOW = 1_795_342_295_223_178_901
SOURCE = SourceBlock(
    name="dbz", database="shop", timestamp=1, transaction=None, previous_end_lsn=None
)


def _records(**options: Any) -> StreamRecords:
    return StreamRecords(
        **{
            "prefix": "dbz",
            "delimiter": ".",
            "topic_transaction": "transaction",
            "topic_heartbeat_prefix": "__debezium-heartbeat",
            "schemas": False,
            "binary": "bytes",
            **options,
        }
    )


def _message(records: StreamRecords, block: TransactionBlock | None = None) -> Record:
    change = LogicalMessage(900, None, 1, "p", b"\x00\xff", "shop")
    return records.message(change, SOURCE, block, NOW)


def test_heartbeat() -> None:
    record = _records().heartbeat(NOW)
    assert record.topic == "__debezium-heartbeat.dbz"
    assert (record.key, record.value) == (b'{"serverName":"dbz"}', b'{"ts_ms":1795342295223}')


def test_transaction_mark() -> None:
    record = _records().transaction_mark(b'{"id":"7:9"}', b"{}")
    assert record == Record("dbz.transaction", b'{"id":"7:9"}', b"{}")


def test_message() -> None:
    record = _message(_records())
    assert (record.topic, record.key) == ("dbz.message", b'{"prefix":"p"}')
    assert record.value is not None
    content = json.loads(record.value)
    assert content["message"] == {"prefix": "p", "content": base64.b64encode(b"\x00\xff").decode()}
    assert (content["transaction"], content["ts_ms"]) == (None, 1795342295223)
    assert (content["source"]["table"], content["source"]["lsn"]) == ("", 900)


def test_message_in_a_transaction() -> None:
    record = _message(_records(binary="hex"), TransactionBlock("7:900", 3, 1))
    assert record.value is not None
    content = json.loads(record.value)
    assert content["message"]["content"] == "00ff"
    assert content["transaction"] == {
        "id": "7:900",
        "total_order": 3,
        "data_collection_order": 1,
    }


def test_topics() -> None:
    records = _records(delimiter="_", topic_transaction="t x", topic_heartbeat_prefix="hb")
    assert records.transaction_mark(b"", b"").topic == "dbz_t_x"
    assert records.heartbeat(NOW).topic == "hb_dbz"
    assert records.message_topic == _message(records).topic == "dbz.message"


@pytest.mark.parametrize("binary", ["bytes", "base64"])
def test_schemas(binary: str) -> None:
    records, plain = _records(schemas=True, binary=binary), _records(binary=binary)
    for _ in range(2):
        for record, bare in (
            (records.heartbeat(NOW), plain.heartbeat(NOW)),
            (_message(records), _message(plain)),
        ):
            for text, payload in ((record.key, bare.key), (record.value, bare.value)):
                assert text is not None
                assert payload is not None
                assert faults_of_record(text) == []
                assert json.loads(text)["payload"] == json.loads(payload)
