from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.parsers.dms.metadata import Metadata, TableName
from pglogical_cdc.parsers.dms.strict_json import Number


def _metadata(**members: Any) -> Metadata:
    return Metadata({name.replace("_", "-"): value for name, value in members.items()})


def test_names() -> None:
    assert _metadata(schema_name="", table_name="t").table == TableName("", "t")


def test_a_transaction() -> None:
    metadata = _metadata(
        transaction_id=Number("18446744073709551615"),
        transaction_record_id=Number("3"),
        commit_timestamp="1970-01-01T00:00:01.000002Z",
        stream_position="0000003B/E8007C98.2.0000003B/E8007D28",
    )

    assert metadata.xid == 2**64 - 1
    assert metadata.ordinal == 3
    assert metadata.commit_timestamp == 1_000_002
    assert metadata.position == (LSN.parse("3B/E8007C98"), LSN.parse("3B/E8007D28"))


@pytest.mark.parametrize("members", [{}, {"transaction_id": None, "stream_position": None}])
def test_no_transaction(members: dict[str, Any]) -> None:
    metadata = _metadata(**members)

    assert metadata.xid is None
    assert metadata.ordinal == 0
    assert metadata.commit_timestamp is None
    assert metadata.position == (LSN(0), LSN(0))


@pytest.mark.parametrize(
    "position",
    ["", "mysql-bin-changelog.002171:36912271:0:36912333", "2/7C007178.3.2/7C007178", "00000002"],
)
def test_positions_of_other_engines(position: str) -> None:
    assert _metadata(stream_position=position).position == (LSN(0), LSN(0))


@pytest.mark.parametrize(
    ("attribute", "member", "value", "expected", "found"),
    [
        ("table", "table_name", None, "a string as metadata.table-name", "null"),
        ("table", "table_name", "", "a name as metadata.table-name", "an empty string"),
        ("table", "table_name", "\udc00", "text as metadata.table-name", "half a character"),
        ("table", "schema_name", [], "a string as metadata.schema-name", "an array"),
        ("xid", "transaction_id", "sesame", "0 on as metadata.transaction-id", "a string"),
        ("xid", "transaction_id", True, "0 on as metadata.transaction-id", "a boolean"),
        ("xid", "transaction_id", Number("-1"), "0 on as metadata.transaction-id", "a number"),
        ("xid", "transaction_id", Number("1.5"), "0 on as metadata.transaction-id", "a number"),
        ("xid", "transaction_id", Number(str(2**64)), "metadata.transaction-id", "a number"),
        ("ordinal", "transaction_record_id", {}, "metadata.transaction-record-id", "an object"),
        ("position", "stream_position", Number("5"), "metadata.stream-position", "a number"),
        ("commit_timestamp", "commit_timestamp", "sesame", "a time in UTC", "another form"),
        ("commit_timestamp", "commit_timestamp", "2023-02-29T00:00:00Z", "a time", "another form"),
        ("commit_timestamp", "commit_timestamp", Number("5"), "a string", "a number"),
    ],
)
def test_what_is_damaged_is_refused(
    attribute: str, member: str, value: object, expected: str, found: str
) -> None:
    metadata = _metadata(**{"schema_name": "s", "table_name": "t", member: value})

    with pytest.raises(RecordFormatError) as caught:
        getattr(metadata, attribute)

    assert expected in caught.value.expected
    assert found in caught.value.found
    assert "sesame" not in str(caught.value)


def test_a_time_that_has_to_be_there() -> None:
    assert _metadata(timestamp="1970-01-01T00:00:00Z").time("timestamp") == 0
    with pytest.raises(RecordFormatError, match=r"a string as metadata\.timestamp, found null"):
        _metadata().time("timestamp")
