from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.events import (
    AlteredRow,
    Change,
    Delete,
    Insert,
    LogicalMessage,
    Row,
    SnapshotRead,
    Truncate,
    Update,
)
from pglogical_cdc.formatters import UnwrappedFormatter
from tests.feed import Feed
from tests.formatters.debezium.test_formatter import NOW
from tests.formatters.tables import column, relation

if TYPE_CHECKING:
    from pglogical_cdc.events import RawValue, Relation, Transaction

COLUMNS = (column("id", "int4", identity=True), column("v"))
TABLES = (
    relation(*COLUMNS, oid=1, primary_key=["id"], not_null=["id"]),
    relation(*COLUMNS, oid=1, primary_key=["id"], not_null=["id"], schema="later"),
    relation(*COLUMNS, oid=2, name="keyless"),
    relation(oid=3, name="empty"),
)
TRANSACTIONS = (Feed().begin(xid=7), Feed(lsn=0x3_0000_0000).begin(xid=8), None)


def _change(
    kind: type[Change],
    transaction: Transaction | None,
    table: Relation,
    raw: list[RawValue],
    altered: bool,
) -> Change:
    row = Row(table, raw if table.columns else [])
    if altered:
        row = AlteredRow(table, row.raw, Row(table, [b"9", b"base"]))
    if kind is Update:
        return Update(900, transaction, 3, table, Row(table, [b"1", NOT_SENT]), row)
    if kind is Delete:
        return Delete(900, transaction, 3, table, row)
    if kind is Insert:
        return Insert(900, transaction, 3, table, row)
    if kind is Truncate:
        return Truncate(900, transaction, 3, table, cascade=False, restart_identity=False)
    if kind is LogicalMessage:
        return LogicalMessage(900, None, 3, "prefix", b"content")
    return SnapshotRead(900, None, 0, table, row)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"delete_tombstone_handling_mode": "drop"},
        {"delete_tombstone_handling_mode": "delete-to-tombstone"},
        {"skipped_operations": "c"},
        {"skipped_operations": "u,d,t"},
        {"skip_messages_without_change": True},
        {"extended_headers_enabled": False},
    ],
    ids=str,
)
@given(
    st.lists(
        st.builds(
            _change,
            st.sampled_from([Insert, Update, Delete, SnapshotRead, Truncate, LogicalMessage]),
            st.sampled_from(TRANSACTIONS),
            st.sampled_from(TABLES),
            st.tuples(
                st.sampled_from([b"1", b"2", b"no"]),
                st.sampled_from([b"x", "é".encode(), b"\xff", b"", None, NOT_SENT]),
            ),
            st.booleans(),
        )
    )
)
def test_records_are_those_that_are_made_part_by_part(
    options: dict[str, Any], changes: list[Change]
) -> None:
    """Where events are counted there is no frame, and what is counted is not in the records."""
    given = {"topic_prefix": "dbz", "run_id": "run", "clock": lambda: NOW, **options}
    framed = UnwrappedFormatter(**given)
    counting = UnwrappedFormatter(**given, provide_transaction_metadata=True)
    for change in changes:
        found, expected = framed.format(change), counting.format(change)
        assert list(found) == list(expected)
        assert [each.position for each in found] == [each.position for each in expected]
