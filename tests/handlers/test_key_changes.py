from __future__ import annotations

import pytest

from pglogical_cdc import UNCHANGED, DebeziumFormatter, parse_debezium
from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.events import Change, Insert, Tombstone, Update
from pglogical_cdc.handlers import KeyChanges
from tests.formatters.tables import column
from tests.handlers.changes import PEOPLE, delete, insert, table, update

DELETE = delete(PEOPLE, "1", NOT_SENT, NOT_SENT, lsn=0x500)
TOMBSTONE = Tombstone({"id": 1})
INSERT = insert(PEOPLE, "2", "a", UNCHANGED, lsn=0x500)


def taken(*events: Change | Tombstone) -> list[Change | Tombstone]:
    whole = KeyChanges()
    return [each for event in events for each in whole.take(event)] + whole.rest()


@pytest.mark.parametrize("events", [(DELETE, TOMBSTONE, INSERT), (DELETE, INSERT)])
def test_the_parts_of_one_update(events: tuple[Change | Tombstone, ...]) -> None:
    (change,) = taken(*events)
    assert isinstance(change, Update)
    assert (change.before, change.after) == (DELETE.before, INSERT.after)
    assert (change.old_key, change.key, change.key_changed) == ({"id": 1}, {"id": 2}, True)
    assert (change.relation, change.position) == (PEOPLE, INSERT.position)


OTHER_TABLE = table(column("id", "int4"), column("name"), column("big"), name="other")


@pytest.mark.parametrize(
    "events",
    [
        (DELETE, TOMBSTONE),
        (DELETE, insert(PEOPLE, "2", "a", "b", lsn=0x508)),
        (DELETE, insert(OTHER_TABLE, "2", "a", "b", lsn=0x500)),
        (DELETE, TOMBSTONE, update(PEOPLE, "2", "a", "b", lsn=0x500)),
        (DELETE, Tombstone({"id": 2}), INSERT),
        (DELETE, TOMBSTONE, delete(PEOPLE, "2", None, None, lsn=0x500), INSERT)[:3],
        # Records that do not tell their LSN.
        (delete(PEOPLE, "1", None, None, lsn=0), insert(PEOPLE, "2", "a", "b", lsn=0)),
        (INSERT, DELETE),
    ],
)
def test_all_else_goes_through(events: tuple[Change | Tombstone, ...]) -> None:
    assert taken(*events) == list(events)


def test_a_delete_is_kept_back_until_it_is_asked_for() -> None:
    whole = KeyChanges()
    assert list(whole.take(INSERT)) == [INSERT]
    assert list(whole.take(DELETE)) == []
    assert list(whole.take(TOMBSTONE)) == []
    assert whole.rest() == [DELETE, TOMBSTONE]
    assert whole.rest() == []


def test_what_debezium_made_of_an_update_becomes_it_again() -> None:
    first = update(PEOPLE, "2", "a", UNCHANGED, before=("1", NOT_SENT, NOT_SENT))
    then = insert(PEOPLE, "1", "c", "d")
    formatter = DebeziumFormatter(topic_prefix="dbz", database="shop", schemas_enable=True)
    records = [record for change in (first, then) for record in formatter.format(change)]
    assert len(records) == 4
    changed, inserted = taken(*(parse_debezium(each.value, each.key) for each in records))
    assert isinstance(changed, Update)
    assert (changed.old_key, changed.after) == ({"id": 1}, first.after)
    assert isinstance(inserted, Insert)
    assert inserted.after == then.after
