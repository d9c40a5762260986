from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.dms.strict_json import Number, json_type, not_dms, read_json


@pytest.mark.parametrize(
    "text", ["0", "-1", "46.570000", "9.2233720368547758e+18", "1E5", "1" * 5000]
)
def test_a_number_keeps_its_text(text: str) -> None:
    number = read_json("value", text)

    assert type(number) is Number
    assert number == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_all_else_is_what_json_says(content: object) -> None:
    assert read_json("value", json.dumps(content)) == content
    assert read_json("value", json.dumps(content, indent="\t").encode()) == content


@pytest.mark.parametrize(
    ("given", "expected", "found"),
    [
        (b"", "JSON in the value", "something else at character 0"),
        (b'{"a":1', "JSON in the value", "something else at character 6"),
        (b'{"a":"\xff"}', "UTF-8 in the value", "another byte at offset 6"),
        ("\ufeff{}", "JSON in the value", "something else at character 0"),
        (b"[" * 100_000, "JSON in the value", "nesting that is too deep to read"),
        (b'{"a":' * 100_000, "JSON in the value", "nesting that is too deep to read"),
        (b'{"sesame":1,"sesame":2}', "members of different names", "two of one name"),
        (b'{"a":{"sesame":1,"b":2,"sesame":1}}', "members of different names", "two of one name"),
        (b'{"a":NaN}', "a number of JSON", "one that JSON does not have"),
        (b"-Infinity", "a number of JSON", "one that JSON does not have"),
    ],
)
def test_what_is_no_json_is_refused(given: bytes | str, expected: str, found: str) -> None:
    with pytest.raises(RecordFormatError) as caught:
        read_json("value", given)

    assert expected in caught.value.expected
    assert caught.value.found == found
    assert "sesame" not in str(caught.value)


def test_types_have_the_names_of_json() -> None:
    values = read_json("value", b'[null,true,1,"a",[],{}]')

    assert [json_type(value) for value in values] == [
        *("null", "a boolean", "a number", "a string", "an array", "an object")
    ]


def test_the_error_names_the_format() -> None:
    assert str(not_dms("a", "b")) == "not AWS DMS JSON: expected a, found b"
