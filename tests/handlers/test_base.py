from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc import DebeziumFormatter, parse_debezium
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    Row,
    RowChange,
    SchemaChange,
    SnapshotRead,
    Tombstone,
    Truncate,
    Update,
)
from pglogical_cdc.handlers import ChangeHandler
from tests.handlers.changes import PEOPLE, delete, insert, read, truncate, update


class Told(ChangeHandler):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def insert(self, change: Insert) -> None:
        self.events.append(("insert", change))

    def update(self, change: Update) -> None:
        self.events.append(("update", change))

    def delete(self, change: Delete) -> None:
        self.events.append(("delete", change))

    def truncate(self, change: Truncate) -> None:
        self.events.append(("truncate", change))


class ToldAll(Told):
    def load(self, change: SnapshotRead) -> None:
        self.events.append(("load", change))

    def tombstone(self, tombstone: Tombstone) -> None:
        self.events.append(("tombstone", tombstone))

    def schema(self, change: SchemaChange) -> None:
        self.events.append(("schema", change))

    def message(self, change: LogicalMessage) -> None:
        self.events.append(("message", change))


EVENTS: list[tuple[str, Change | Tombstone]] = [
    ("load", read(PEOPLE, "1", "a", "b")),
    ("insert", insert(PEOPLE, "1", "a", "b")),
    ("update", update(PEOPLE, "1", "a", "b")),
    ("delete", delete(PEOPLE, "1", None, None)),
    ("truncate", truncate(PEOPLE)),
    ("tombstone", Tombstone({"id": 1})),
    ("schema", SchemaChange(1, None, 0, PEOPLE, PEOPLE)),
    ("message", LogicalMessage(1, None, 0, "p", b"c")),
]


def test_each_event_has_its_method() -> None:
    handler = ToldAll()
    for _, event in EVENTS:
        handler.handle(event)
    assert handler.events == EVENTS


def test_what_is_not_about_rows_may_be_left_out() -> None:
    handler = Told()
    for _, event in EVENTS:
        handler.handle(event)
    assert [name for name, _ in handler.events] == [
        "insert",
        "insert",
        "update",
        "delete",
        "truncate",
    ]


def test_a_row_of_a_snapshot_is_inserted() -> None:
    handler = Told()
    loaded = read(PEOPLE, "1", "a", "b")
    handler.handle(loaded)
    ((_, change),) = handler.events
    assert isinstance(change, Insert)
    assert (change.after, change.relation, change.position) == (
        loaded.after,
        PEOPLE,
        loaded.position,
    )


NEEDED = {name: getattr(Told, name) for name in ("insert", "update", "delete", "truncate")}


@pytest.mark.parametrize("name", NEEDED)
def test_a_handler_that_forgets_changes_cannot_be_made(name: str) -> None:
    type("Whole", (ChangeHandler,), NEEDED)()
    rest = {each: method for each, method in NEEDED.items() if each != name}
    with pytest.raises(TypeError, match=name):
        type("Forgetful", (ChangeHandler,), rest)()


def test_what_is_no_event_is_refused() -> None:
    nothing: Any = b'{"op":"c"}'
    with pytest.raises(ConfigurationError, match="not bytes: parse records first"):
        Told().handle(nothing)


def test_records_of_debezium_are_handled_too() -> None:
    handler = Told()
    changed = update(PEOPLE, "2", "a", "b", before=("1", None, None))
    for record in DebeziumFormatter(topic_prefix="dbz", database="shop").format(changed):
        handler.handle(parse_debezium(record.value, record.key))
    assert [name for name, _ in handler.events] == ["delete", "insert"]
    keys = [change.key for _, change in handler.events if isinstance(change, RowChange)]
    assert keys == [{"id": 1}, {"id": 2}]
    assert isinstance(handler.events[1][1].after, Row)
