from __future__ import annotations

import json

import pytest

from pglogical_cdc.formatters.dms.layout import LAYOUTS, Json, quoted, timestamp, timestamps


@pytest.mark.parametrize("name", ["json", "json-unformatted"])
def test_layouts_say_the_same(name: str) -> None:
    layout = LAYOUTS[name]
    member = layout.member('"data"', [f'"a"{layout.colon}1', f'"b"{layout.colon}"é"'])
    message = layout.message([member, layout.member('"control"', [])])
    assert json.loads(message) == {"data": {"a": 1, "b": "é"}, "control": {}}
    assert "é".encode() in message


def test_tabs_and_lines() -> None:
    layout = LAYOUTS["json"]
    assert layout.message([layout.member('"data"', ['"a":\t1'])]) == (
        b'{\n\t"data":\t{\n\t\t"a":\t1\n\t}\n}'
    )


def test_objects_in_objects() -> None:
    content: dict[str, Json] = {
        "a": {"b": {}, "c": ["x", "y"], "d": []},
        "e": {"f": {"g": True, "h": -3}},
    }
    flat, tabbed = LAYOUTS["json-unformatted"], LAYOUTS["json"]
    assert flat.message([flat.member('"z"', flat.members(content))]) == (
        b'{"z":{"a":{"b":{},"c":["x","y"],"d":[]},"e":{"f":{"g":true,"h":-3}}}}'
    )
    assert tabbed.message([tabbed.member('"z"', tabbed.members(content))]) == (
        b'{\n\t"z":\t{\n'
        b'\t\t"a":\t{\n'
        b'\t\t\t"b":\t{\n\t\t\t},\n'
        b'\t\t\t"c":\t["x", "y"],\n'
        b'\t\t\t"d":\t[]\n'
        b"\t\t},\n"
        b'\t\t"e":\t{\n'
        b'\t\t\t"f":\t{\n'
        b'\t\t\t\t"g":\ttrue,\n'
        b'\t\t\t\t"h":\t-3\n'
        b"\t\t\t}\n\t\t}\n\t}\n}"
    )


def test_quoted() -> None:
    assert quoted('é"\n') == '"é\\"\\n"'


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


def test_times_that_follow_each_other() -> None:
    second = 1_767_323_045_000_000_000
    times = [-1, 0, 999, 999_999_999, 1_000_000_000, 1_000_001_999, second, second + 6_999]
    times += [second + 999_999_999, second + 1_000_000_000, second - 1, 10**21, 10**21 + 7_000]
    given = iter(times)
    written = timestamps(lambda: next(given))
    assert [written() for _ in times] == [timestamp(each // 1000) for each in times]
