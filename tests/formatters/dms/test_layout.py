from __future__ import annotations

import json

import pytest

from pglogical_cdc.formatters.dms.layout import LAYOUTS, timestamp


@pytest.mark.parametrize("name", ["json", "json-unformatted"])
def test_layouts_say_the_same(name: str) -> None:
    layout = LAYOUTS[name]
    member = layout.member("data", [f'"a"{layout.colon}1', f'"b"{layout.colon}"é"'])
    message = layout.message([member, layout.member("control", [])])
    assert json.loads(message) == {"data": {"a": 1, "b": "é"}, "control": {}}
    assert "é".encode() in message


def test_tabs_and_lines() -> None:
    layout = LAYOUTS["json"]
    assert layout.message([layout.member("data", ['"a":\t1'])]) == (
        b'{\n\t"data":\t{\n\t\t"a":\t1\n\t}\n}'
    )


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_767_323_045_000_006, "2026-01-02T03:04:05.000006Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1 << 63, "9999-12-31T23:59:59.775808Z"),
        (-(1 << 63), "0001-01-01T00:00:00.224192Z"),
    ],
)
def test_timestamp(microseconds: int, text: str) -> None:
    assert timestamp(microseconds) == text
