from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    Row,
    SnapshotRead,
    Truncate,
    Update,
)
from pglogical_cdc.formatters.dms.formatter import DmsFormatter
from tests.feed import Feed
from tests.formatters.tables import column, relation

if TYPE_CHECKING:
    from pglogical_cdc.events import RawValue, Relation, Transaction

COLUMNS = (column("id", "int4", identity=True), column("v"))
TABLES = (
    relation(*COLUMNS, oid=1, primary_key=["id"]),
    relation(*COLUMNS, oid=1, primary_key=["id"], schema="later"),
    relation(*COLUMNS, oid=2, name="other"),
)
TRANSACTIONS = (Feed().begin(xid=7), Feed(lsn=0x3_0000_0000).begin(xid=8), None)
AT = 1_767_323_045_000_006_000

OPTIONS: list[dict[str, Any]] = [
    {},
    {"message_format": "json-unformatted", "include_null_and_empty": True},
    {"partition_key": "primary-key", "partition_include_schema_table": True},
    {"partition_key": "primary-key", "include_partition_value": True},
    {"partition_key": "attribute-name", "partition_key_name": "v"},
    {"partition_key": "transaction-id", "include_partition_value": True},
    {"partition_key": "constant", "partition_key_value": "é", "include_partition_value": True},
    {"topic": lambda schema, table: f"{schema}-{table}"},
]


def _change(
    kind: type[Change], transaction: Transaction | None, table: Relation, raw: list[RawValue]
) -> Change:
    row = Row(table, raw)
    if kind is Update:
        return Update(900, transaction, 3, table, Row(table, [b"0", NOT_SENT]), row)
    if kind is Delete:
        return Delete(900, transaction, 3, table, row)
    if kind is Insert:
        return Insert(900, transaction, 3, table, row)
    if kind is Truncate:
        return Truncate(900, transaction, 3, table, cascade=False, restart_identity=False)
    if kind is LogicalMessage:
        return LogicalMessage(900, transaction, 3, "prefix", b"content")
    return SnapshotRead(900, None, 0, table, row)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(
    st.lists(
        st.builds(
            _change,
            st.sampled_from([Insert, Update, Delete, SnapshotRead, Truncate, LogicalMessage]),
            st.sampled_from(TRANSACTIONS),
            st.sampled_from(TABLES),
            st.tuples(
                st.sampled_from([b"1", b"0", b"no", b"\xff", None]),
                st.sampled_from([b"x", b"a b", "é".encode(), b"\xff", b"", None, NOT_SENT]),
            ),
        )
    )
)
def test_a_record_does_not_depend_on_those_before_it(
    options: dict[str, Any], changes: list[Change]
) -> None:
    """A new formatter has no frame, so that it asks for each part of the record."""
    dms = DmsFormatter(clock=lambda: AT, **options)
    for change in changes:
        alone = DmsFormatter(clock=lambda: AT, **options).format(change)
        assert dms.format(change) == alone
        assert [each.position for each in dms.format(change)] == [each.position for each in alone]
