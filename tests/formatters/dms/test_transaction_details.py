from __future__ import annotations

import json

from pglogical_cdc.events import RowChange
from pglogical_cdc.formatters.dms.transaction_details import TransactionDetails
from tests.feed import Feed

INT4 = 23


def written(details: TransactionDetails, change: RowChange) -> dict[str, object]:
    assert change.transaction is not None
    members = details.members(change.transaction, change, ":")
    found = json.loads("{" + ",".join(members) + "}")
    assert isinstance(found, dict)
    return found


def test_the_number_of_a_message_counts_begin_and_relations() -> None:
    feed = Feed(lsn=0x1_0000_0000)
    feed.table(1, "public", "t", [("id", INT4)], key=["id"])
    details = TransactionDetails()
    feed.begin()
    changes = [feed.insert(1, str(number)) for number in range(3)]
    assert isinstance(changes[0], RowChange)
    details.relation_described(changes[0].transaction)
    for number, change in enumerate(changes):
        assert isinstance(change, RowChange)
        if number == 2:
            details.relation_described(change.transaction)
        position = written(details, change)["stream-position"]
        assert position == (
            f"00000001/{changes[0].lsn & 0xFFFFFFFF:08X}.{(3, 4, 6)[number]}."
            f"00000001/{change.lsn & 0xFFFFFFFF:08X}"
        )
    feed.commit()
    feed.begin()
    later = feed.insert(1, "9")
    assert isinstance(later, RowChange)
    lsn = f"00000001/{later.lsn & 0xFFFFFFFF:08X}"
    assert written(details, later)["stream-position"] == f"{lsn}.2.{lsn}"


def test_the_members_and_their_order() -> None:
    feed = Feed()
    feed.table(1, "public", "t", [("id", INT4)], key=["id"])
    details = TransactionDetails()
    feed.begin(xid=5)
    first, second = feed.insert(1, "1"), feed.insert(1, "2")
    assert isinstance(first, RowChange)
    assert isinstance(second, RowChange)
    assert list(written(details, first)) == [
        "transaction-record-id",
        "commit-timestamp",
        "stream-position",
    ]
    found = written(details, second)
    assert list(found) == [
        "transaction-record-id",
        "prev-transaction-id",
        "prev-transaction-record-id",
        "commit-timestamp",
        "stream-position",
    ]
    assert (found["prev-transaction-id"], found["prev-transaction-record-id"]) == (5, 1)
    assert found["commit-timestamp"] == "2026-01-01T00:00:04.005006Z"
