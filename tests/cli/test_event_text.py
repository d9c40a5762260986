"""Tests of `pglogical_cdc.cli.event_text`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.cli.event_text import event_text, printable, shortened
from tests import wire
from tests.feed import Feed

INT4, TEXT = 23, 25


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    feed.begin(xid=7)
    feed.table(1, "public", "item", [("id", INT4), ("name", TEXT)], key=["id"])
    return feed


def test_insert_update_and_delete_show_both_rows(feed: Feed) -> None:
    insert = feed.insert(1, "1", None)
    assert (
        event_text(insert) == f"Insert public.item {insert.position} before=None "
        "after={'id': '1', 'name': None}"
    )
    update = feed.update(1, "2", UNCHANGED, key=["1", None])
    assert event_text(update).endswith(
        ":2 before={'id': '1', 'name': NOT_SENT} after={'id': '2', 'name': UNCHANGED}"
    )
    delete = feed.delete(1, key=["2", None])
    assert event_text(delete).startswith("Delete public.item ")
    assert event_text(delete).endswith(" before={'id': '2', 'name': NOT_SENT} after=None")


def test_truncate_message_and_schema_change_show_what_they_have(feed: Feed) -> None:
    (truncate,) = feed.send(wire.truncate([1], options=2))
    assert event_text(truncate).startswith("Truncate public.item ")
    assert event_text(truncate).endswith(" cascade=False restart_identity=True")
    (message,) = feed.send(wire.logical_decoding_message("greeting", b"hello"))
    assert event_text(message).startswith(f"LogicalMessage {message.position} ")
    assert "prefix='greeting' content=b'hello' transactional=True" in event_text(message)
    (change,) = feed.table(1, "public", "item", [("id", INT4), ("size", INT4)], key=["id"])
    assert event_text(change).startswith("SchemaChange public.item ")
    assert event_text(change).endswith(" added=['size'] dropped=['name']")


def test_names_cannot_write_to_a_terminal_or_end_the_line(feed: Feed) -> None:
    feed.table(2, "pub\nlic", "it\x1b[31mem", [("i\x07d", INT4)])
    text = event_text(feed.insert(2, "1\r\n2"))
    assert text.isprintable()
    assert r"pub\nlic.it\x1b[31mem" in text


@given(st.text())
def test_printable_text_is_one_line_and_printable(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_long_strings_are_cut_where_asked_for(feed: Feed) -> None:
    change = feed.insert(1, "1", "x" * 2000)
    assert "x" * 2000 in event_text(change)
    assert "xxxxx… (2,000 characters)'" in event_text(change, 5)
    assert "x" * 6 not in event_text(change, 5)


def test_strings_inside_are_cut_and_other_values_stay() -> None:
    value = {"a": ["long", 12345, None, ("long",)], "b": "abc"}
    cut = "lon… (4 characters)"
    assert shortened(value, 3) == {"a": [cut, 12345, None, ("long",)], "b": "abc"}
    assert shortened(value, None) is value
