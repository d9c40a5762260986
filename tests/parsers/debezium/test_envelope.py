from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.parsers.debezium.connect_json import ConnectRecord
from pglogical_cdc.parsers.debezium.envelope import Envelope, read_envelope

AFTER = {"type": "struct", "field": "after", "fields": []}


def _read(schema: Any = None, **members: Any) -> Envelope:
    content = {"op": "c", "source": {}, "before": None, "after": {"id": 1}, **members}
    return read_envelope(ConnectRecord(content, schema), [])


def test_an_envelope_without_schema() -> None:
    envelope = _read(source={"lsn": 9, "txId": 5, "ts_us": 7, "ts_ms": 8, "db": "shop"})

    assert (envelope.op, envelope.before, envelope.after) == ("c", None, {"id": 1})
    assert (envelope.lsn, envelope.xid, envelope.timestamp) == (LSN(9), 5, 7)
    assert (envelope.text("db"), envelope.text("table")) == ("shop", "")
    assert envelope.row_schema is None
    assert envelope.total_order == 0
    assert not envelope.is_unwrapped


def test_the_schema_of_rows_is_that_of_the_row_after() -> None:
    schema = {"type": "struct", "fields": [{"field": "before"}, AFTER]}

    assert _read(schema).row_schema is AFTER
    assert _read({"fields": "none"}).row_schema is None
    assert _read({"fields": [1]}).row_schema is None


def test_milliseconds_where_there_is_nothing_finer() -> None:
    assert _read(source={"ts_ms": 8}).timestamp == 8000
    assert _read(source={}).timestamp == 0


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [('["100","120"]', 100), ('[null,"120"]', None), (None, None), ("", None)],
)
def test_the_end_of_the_transaction_before(sequence: str | None, expected: int | None) -> None:
    assert _read(source={"sequence": sequence}).previous_end_lsn == expected


@pytest.mark.parametrize(
    "sequence",
    ["[1]", '["a","b"]', "5", '["-1","2"]', '[[],"2"]', "[Infinity,1]", "[" * 100_000],
)
def test_another_sequence_is_refused(sequence: str) -> None:
    with pytest.raises(RecordFormatError, match="two numbers"):
        assert _read(source={"sequence": sequence}).previous_end_lsn


@pytest.mark.parametrize("number", [-1, 1 << 63, 1.5, True, "9"])
def test_another_number_is_refused(number: Any) -> None:
    with pytest.raises(RecordFormatError, match=r"a number from 0 on as source\.lsn"):
        assert _read(source={"lsn": number}).lsn


def test_the_order_in_the_transaction() -> None:
    assert _read(transaction={"total_order": 3}).total_order == 3
    assert _read(transaction={}).total_order == 0
    assert _read(transaction=None).total_order == 0


def test_a_row_alone_is_one_with_what_was_added_to_it() -> None:
    row = {"id": 1, "op": "a column", "__op": "c", "__table": "t"}
    schema = {"type": "struct", "fields": []}

    envelope = read_envelope(ConnectRecord(row, schema), [])

    assert envelope.is_unwrapped
    assert envelope.after == {"id": 1, "op": "a column"}
    assert envelope.row_schema is schema


@pytest.mark.parametrize("text", ['"c"', "c", b"c", b'"c"'])
def test_headers_are_json_or_plain_text(text: bytes | str) -> None:
    record = ConnectRecord({"id": 1, "__table": "t"}, None)

    assert read_envelope(record, [("__op", text), ("other", None), ("odd", b"\xff")]).op == "c"


def test_odd_headers_and_names_of_schemas_tell_nothing() -> None:
    record = ConnectRecord({"id": 1}, {"name": 5})

    with pytest.raises(RecordFormatError, match="op and source"):
        read_envelope(record, [("__op", "[" * 100_000)])


def test_half_a_character_is_no_name() -> None:
    with pytest.raises(RecordFormatError, match="half a character"):
        _read(source={"table": "t\ud800"}).text("table")


def test_the_repr_shows_no_value() -> None:
    assert "sesame" not in repr(_read(after={"pw": "sesame"}))


def test_many_names_are_cut_short() -> None:
    content = {f"c{number}": number for number in range(12)}

    with pytest.raises(RecordFormatError, match=r'"c9" and 2 more$'):
        read_envelope(ConnectRecord(content, None), [])
