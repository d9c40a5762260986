from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc._utf16 import utf16_cut, utf16_units


def test_units() -> None:
    assert utf16_units("ab") == ["a", "b"]
    assert utf16_units("\u00e9") == ["\u00e9"]
    assert utf16_units("\U0001f600") == ["\ud83d", "\ude00"]


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("", 2, ""),
        ("abc", 2, "ab"),
        ("\u00e9\u00e9\u00e9", 2, "\u00e9\u00e9"),
        ("\U0001f600a", 2, "\U0001f600"),
        ("\U0001f600a", 3, "\U0001f600a"),
        ("a\U0001f600", 2, "a"),
        ("\U0001f600", 1, ""),
    ],
)
def test_cut(text: str, length: int, expected: str) -> None:
    assert utf16_cut(text, length) == expected


@given(st.text(), st.integers(1, 20))
def test_what_is_cut_is_a_beginning_of_whole_characters(text: str, length: int) -> None:
    cut = utf16_cut(text, length)
    assert text.startswith(cut)
    assert len(utf16_units(cut)) in (length, length - 1, len(utf16_units(text)))
