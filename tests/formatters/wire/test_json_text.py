from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.json_text import (
    json_string,
    json_text,
    object_mapper_text,
    utf8,
)


class TestStrings:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", '""'),
            ("plain", '"plain"'),
            ('"\\/', '"\\"\\\\/"'),
            ("\b\t\n\f\r", '"\\b\\t\\n\\f\\r"'),
            ("\x01\x1f\x0b", '"\\u0001\\u001F\\u000B"'),
            ("\x7f\u2028\ufeff", '"\x7f\u2028\ufeff"'),
            ("h\u00e9llo \u65e5", '"h\u00e9llo \u65e5"'),
            ("\U0001f600", '"\\uD83D\\uDE00"'),
            ("\\u001f", '"\\\\u001f"'),
            ("\\u001f\x1f", '"\\\\u001f\\u001F"'),
        ],
    )
    def test_escapes_as_jackson(self, text: str, expected: str) -> None:
        assert json_text(text).decode() == expected
        assert json_string(text.encode()).decode() == expected

    def test_replaces_what_is_no_utf8(self) -> None:
        assert json_string(b"a\xffb") == '"a\ufffdb"'.encode()
        assert utf8(b"\xff") == "\ufffd"

    def test_leaves_surrogates_alone_inside_a_string(self) -> None:
        assert object_mapper_text('\U0001f600"\x1f') == '"\U0001f600\\"\\u001F"'

    @given(st.text())
    def test_is_json_of_the_text(self, text: str) -> None:
        text = text.encode(errors="replace").decode()
        assert json.loads(json_text(text)) == text

    @given(st.binary())
    def test_is_json_whatever_the_bytes(self, value: bytes) -> None:
        assert json.loads(json_string(value)) == value.decode(errors="replace")
