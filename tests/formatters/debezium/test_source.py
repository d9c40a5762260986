from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from pglogical_cdc.events import (
    Insert,
    LogicalMessage,
    Row,
    SnapshotPoint,
    SnapshotRead,
    Transaction,
)
from pglogical_cdc.formatters.debezium.source import SOURCE_FIELDS, SourceBlock, Sources
from pglogical_cdc.lsn import LSN
from tests.formatters.tables import column, relation

TABLE = ',"schema":"public","table":"t"'
RELATION = relation(column("id", "int4"))
ROW = Row(RELATION, (b"1",))
NOW = 1_795_342_303_513_176_034


def _block(*, marks_stream: bool = True, **of_transaction: object) -> SourceBlock:
    transaction = Transaction(
        xid=4294967295, commit_lsn=LSN(200), commit_timestamp=1795342295223178
    )
    for name, value in of_transaction.items():
        setattr(transaction, name, value)
    return SourceBlock(
        name="dbz",
        database="shop",
        timestamp=transaction.commit_timestamp,
        transaction=transaction,
        previous_end_lsn=100,
        marks_stream=marks_stream,
    )


def _json(block: SourceBlock, lsn: int = 150) -> bytes:
    return block.json(TABLE, lsn).encode()


def _content(block: SourceBlock, lsn: int = 150) -> dict[str, Any]:
    content = json.loads(_json(block, lsn))
    assert isinstance(content, dict)
    return content


def test_rows_of_two_snapshots_have_their_own_databases() -> None:
    sources = Sources("dbz", None, lambda: 0, marks_stream=True)
    found = []
    for database in ("shop", "other", "shop"):
        table = attrs.evolve(relation(column("id", "int4")), database=database)
        read = SnapshotRead(1, None, 0, table, Row(table, (b"1",)), "true")
        found.append(_content(sources.of(read))["db"])
    assert found == ["shop", "other", "shop"]


class TestSourceBlock:
    def test_is_as_debezium_writes_it(self) -> None:
        assert _json(_block()).decode() == (
            '{"version":"3.6.3.Final","connector":"postgresql","name":"dbz","ts_ms":1795342295223,'
            '"snapshot":"false","db":"shop","sequence":"[\\"100\\",\\"150\\"]",'
            '"ts_us":1795342295223178,"ts_ns":1795342295223178000,"schema":"public","table":"t",'
            '"txId":4294967295,"lsn":150,"xmin":null,"origin":null,"origin_lsn":null}'
        )

    def test_the_stream_is_not_marked_where_null_is_no_default(self) -> None:
        usual, unmarked = _block(), _block(marks_stream=False)
        assert _json(unmarked) == _json(usual).replace(b'"snapshot":"false"', b'"snapshot":null')

    def test_snapshot(self) -> None:
        for marks_stream in (False, True):
            block = SourceBlock(
                name="dbz",
                database="shop",
                timestamp=5,
                transaction=None,
                previous_end_lsn=None,
                snapshot="first",
                marks_stream=marks_stream,
            )
            assert _content(block)["snapshot"] == "first"
            assert block.field("snapshot", "public", "t", 150) == b'"first"'

    def test_origin(self) -> None:
        content = _content(_block(origin='o"', origin_lsn=LSN(7)))
        assert (content["origin"], content["origin_lsn"]) == ('o"', 7)

    def test_outside_transactions(self) -> None:
        block = SourceBlock(
            name="dbz", database="shop", timestamp=5, transaction=None, previous_end_lsn=None
        )
        content = _content(block)
        assert (content["txId"], content["sequence"]) == (None, '[null,"150"]')
        assert content["snapshot"] == "false"

    def test_names_are_json(self) -> None:
        block = SourceBlock(
            name='d"', database="\U0001f600", timestamp=5, transaction=None, previous_end_lsn=None
        )
        content = _content(block)
        assert (content["name"], content["db"]) == ('d"', "\U0001f600")

    def test_time_is_in_three_units(self) -> None:
        block = SourceBlock(
            name="d", database="s", timestamp=5_999, transaction=None, previous_end_lsn=None
        )
        content = _content(block)
        assert [content[f"ts_{unit}"] for unit in ("ms", "us", "ns")] == [5, 5_999, 5_999_000]

    def test_fields_are_those_of_the_block(self) -> None:
        block = _block(origin="o", origin_lsn=LSN(7))
        content = _content(block)
        assert tuple(content) == SOURCE_FIELDS
        for name, value in content.items():
            if name != "snapshot":
                assert json.loads(block.field(name, "public", "t", 150)) == value
        # That of the stream is the schema's default, which is not there for itself.
        assert block.field("snapshot", "public", "t", 150) == b"null"
        assert block.field("table", "public", 't"', 150) == b'"t\\""'


def _sources(database: str | None = None) -> Sources:
    return Sources("dbz", database, lambda: NOW, marks_stream=True)


def _transaction(number: int, previous: int | None = None) -> Transaction:
    return Transaction(
        xid=number,
        commit_lsn=LSN(1000 * number),
        commit_timestamp=number,
        previous_end_lsn=None if previous is None else LSN(previous),
    )


def _insert(transaction: Transaction) -> Insert:
    return Insert(900, transaction, 1, RELATION, ROW)


def _sequence(block: SourceBlock) -> Any:
    return json.loads(_content(block)["sequence"])[0]


class TestSources:
    def test_one_block_for_a_transaction(self) -> None:
        sources, one, other = _sources(), _transaction(1), _transaction(2, 1010)
        block = sources.of(_insert(one))
        message = LogicalMessage(950, one, 2, "p", b"", "shop")
        assert sources.of(_insert(one)) is sources.of_message(message) is block
        following = sources.of(_insert(other))
        assert following is not block
        assert _content(following)["txId"] == 2

    def test_a_message_may_be_the_first_of_a_transaction(self) -> None:
        sources, one = _sources(), _transaction(1, 10)
        block = sources.of_message(LogicalMessage(950, one, 1, "p", b"", "shop"))
        assert sources.of(_insert(one)) is block
        assert _content(block)["db"] == "shop"
        assert _sequence(block) == "10"

    def test_the_database_is_that_of_the_change_or_of_the_caller(self) -> None:
        assert _content(_sources().of(_insert(_transaction(1))))["db"] == "shop"
        assert _content(_sources("other").of(_insert(_transaction(1))))["db"] == "other"
        message = LogicalMessage(950, None, 0, "p", b"", "messages")
        assert _content(_sources().of_message(message))["db"] == "messages"

    @pytest.mark.parametrize("dated", [None, 77])
    def test_what_has_no_transaction_has_the_time_of_the_last_one(self, dated: int | None) -> None:
        sources = _sources()
        if dated is not None:
            sources.dated = Transaction(1, LSN(1), dated)
        expected = NOW // 1000 if dated is None else dated
        message = LogicalMessage(950, None, 0, "p", b"", "shop")
        read = SnapshotRead(900, None, 0, RELATION, ROW, "last")
        for block in (sources.of_message(message), sources.of(read)):
            assert _content(block)["ts_us"] == expected
            assert _content(block)["txId"] is None

    def test_rows_of_a_snapshot_know_of_no_commit(self) -> None:
        sources, transaction = _sources(), _transaction(2, 1010)
        read = SnapshotRead(900, transaction, 0, RELATION, ROW, "incremental")
        assert _sequence(sources.of(_insert(transaction))) == "1010"
        block = sources.of(read)
        assert (_sequence(block), _content(block)["snapshot"]) == (None, "incremental")
        taken = SnapshotPoint(77, 5_000_000)
        read = SnapshotRead(900, None, 1, RELATION, ROW, "incremental", 1, taken)
        content = _content(sources.of(read))
        assert (content["txId"], content["ts_ms"]) == (None, 5000)
        # What is streamed in the same transaction is no snapshot.
        message = LogicalMessage(950, transaction, 2, "p", b"", "shop")
        assert _content(sources.of_message(message))["snapshot"] == "false"
        assert _content(sources.of(_insert(transaction)))["snapshot"] == "false"

    def test_a_message_outside_transactions_counts_as_the_last_commit(self) -> None:
        sources = _sources()
        message = LogicalMessage(2500, None, 0, "p", b"", "shop")
        assert _sequence(sources.of(_insert(_transaction(2, 1010)))) == "1010"
        assert _content(sources.of_message(message), 2500)["sequence"] == '["2500","2500"]'
        assert _sequence(sources.of(_insert(_transaction(3, 2010)))) == "2500"
        # Until the next commit, and not in a replay from before it.
        assert _sequence(sources.of(_insert(_transaction(4, 3010)))) == "3010"
        assert _sequence(sources.of(_insert(_transaction(2, 1010)))) == "1010"
        assert _sequence(sources.of(_insert(_transaction(1)))) is None
