"""Tests of `pglogical_cdc.cli.demo_display`."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from pglogical_cdc.cli.demo_display import Display, PlainDisplay, TerminalDisplay
from pglogical_cdc.cli.demo_workload import Step
from pglogical_cdc.cli.event_text import event_text
from pglogical_cdc.events import Change
from pglogical_cdc.formatters import Record
from tests.feed import Feed

LONG = "x" * 300

VALUE = {"op": "c", "after": {"id": 1, "name": LONG, "tags": ["é", None]}}


@pytest.fixture
def change() -> Change:
    feed = Feed()
    feed.begin()
    feed.table(1, "public", "item", [("id", 23), ("name", 25)], key=["id"])
    return feed.insert(1, "1", LONG)


def _show_all(display: Display, change: Change) -> None:
    display.note("A note: [bold]")
    display.step(Step("Title", ("SELECT 1", "SELECT 2")))
    display.event(change)
    value = json.dumps(VALUE, ensure_ascii=False).encode()
    display.records(
        "debezium",
        [Record("t", b'{"id":1}', value), Record("t", b'{"id":1}', None), Record("t", None, b"{}")],
    )
    display.records("dms", [])


def test_in_a_pipe_every_document_is_whole_and_on_its_line(change: Change) -> None:
    stream = io.BytesIO()
    _show_all(PlainDisplay(stream), change)
    lines = stream.getvalue().decode().splitlines()
    assert lines == [
        "A note: [bold]",
        "",
        "== Title",
        "sql       SELECT 1",
        "sql       SELECT 2",
        "",
        f"event     {event_text(change)}",
        "debezium  topic t",
        'debezium  key   {"id":1}',
        f"debezium  value {json.dumps(VALUE, ensure_ascii=False)}",
        "debezium  topic t",
        'debezium  key   {"id":1}',
        "debezium  value null (tombstone)",
        "debezium  topic t",
        "debezium  key   none",
        "debezium  value {}",
        "dms       DMS sends nothing",
    ]


def test_on_a_terminal_it_is_coloured_unfolded_and_cut(change: Change) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system="standard", width=80)
    _show_all(TerminalDisplay(console), change)
    assert "\x1b[" in shown.getvalue()
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())
    assert "A note: [bold]\n" in text
    assert "Title ─" in text
    assert LONG not in text
    assert "xxx… (300 characters)" in text
    assert '    "op": "c",\n    "after": {"id": 1, ' in text
    assert '["é", null]' in text
    assert "null (tombstone)" in text
    assert "DMS sends nothing" in text


@pytest.mark.parametrize("number", ["1.10", "1E+400", "123456789012345678901234567890.50"])
def test_numbers_keep_their_digits_on_a_terminal(number: str) -> None:
    shown = io.StringIO()
    display = TerminalDisplay(Console(file=shown, force_terminal=True, color_system=None))
    display.records("dms", [Record("t", None, b'{"a":%b,"b":[1]}' % number.encode())])
    assert f'"a": {number},' in shown.getvalue()


def test_names_cannot_write_to_the_terminal() -> None:
    stream = io.BytesIO()
    PlainDisplay(stream).records("dms", [Record("t", b"a\x1b[31mb\n", b"{}")])
    assert rb"key   a\x1b[31mb\n" in stream.getvalue()
