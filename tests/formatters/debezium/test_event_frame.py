from __future__ import annotations

import json

import pytest

from pglogical_cdc.events import Transaction
from pglogical_cdc.formatters.debezium.event_frame import after_rows
from pglogical_cdc.formatters.debezium.options import TableOptions
from pglogical_cdc.formatters.debezium.source import SourceBlock
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock
from pglogical_cdc.lsn import LSN
from tests.formatters.tables import column, relation

TABLE = TableFormat(relation(column("id", "int4")), TableOptions(prefix="dbz"))


def _source() -> SourceBlock:
    transaction = Transaction(xid=7, commit_lsn=LSN(200), commit_timestamp=5_000)
    return SourceBlock(
        name="dbz",
        database="shop",
        timestamp=5_000,
        transaction=transaction,
        previous_end_lsn=100,
    )


def _after_rows(lsn: int, block: TransactionBlock | None, now: int) -> str:
    return after_rows(_source(), TABLE.source, lsn, block, "c", now)


def test_the_members_after_the_rows() -> None:
    content = json.loads('{"after":{}' + _after_rows(150, None, 1_732_752_000_123_456_789))
    assert list(content) == [
        *("after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"),
    ]
    assert content["source"] == json.loads(_source().json(TABLE.source, 150))
    assert (content["transaction"], content["op"]) == (None, "c")


def test_an_lsn_is_written_as_a_number() -> None:
    assert _after_rows(LSN(150), None, 0) == _after_rows(150, None, 0)


def test_the_place_in_the_transaction() -> None:
    content = json.loads("{" + _after_rows(150, TransactionBlock("7:1", 2, 1), 0)[1:])
    assert content["transaction"] == {"id": "7:1", "total_order": 2, "data_collection_order": 1}


@pytest.mark.parametrize(
    "now", [0, 1, 999, 1000, 999_999, 1_000_000, 1_732_752_000_123_456_789, -1, -1_000_001]
)
def test_the_time_in_three_units(now: int) -> None:
    content = json.loads("{" + _after_rows(150, None, now)[1:])
    assert [content[f"ts_{unit}"] for unit in ("ms", "us", "ns")] == [
        *(now // 1_000_000, now // 1000, now),
    ]
