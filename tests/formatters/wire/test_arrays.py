from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.arrays import (
    array_converter,
    dimensions,
    integer_array_json,
    nested_integer_array_json,
    read_array,
)
from pglogical_cdc.formatters.wire.json_text import json_string


class TestReadArray:
    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (b"{}", []),
            (b"{1,NULL,2}", [b"1", None, b"2"]),
            (b'{"a b",NULL,"NULL",""}', [b"a b", None, b"NULL", b""]),
            (rb'{"b,\"c\"","back\\slash"}', [b'b,"c"', b"back\\slash"]),
            (b'{a;b,"c d"}', [b"a;b", b"c d"]),
            (b"[2:3]={7,8}", [b"7", b"8"]),
        ],
    )
    def test_elements(self, wire: bytes, expected: list[bytes | None]) -> None:
        assert read_array(wire) == expected

    def test_other_delimiter(self) -> None:
        assert read_array(b"{(2,2),(0,0);NULL}", b";") == [b"(2,2),(0,0)", None]

    def test_arrays_in_the_array(self) -> None:
        assert [bytes(x) for x in read_array(b'{{a,"}"},{c,NULL}}') if x is not None] == [
            b'{a,"}"}',
            b"{c,NULL}",
        ]

    @pytest.mark.parametrize("wire", [b"", b"1,2", b"{", b'{"a}', b"}{"])
    def test_refuses_other_text(self, wire: bytes) -> None:
        with pytest.raises(ValueError, match="array"):
            read_array(wire)

    @given(st.lists(st.none() | st.text()))
    def test_any_texts(self, texts: list[str | None]) -> None:
        quoted = [
            "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            for text in texts
        ]
        wire = f"{{{','.join(quoted)}}}".encode(errors="replace")
        expected = [None if text is None else text.encode(errors="replace") for text in texts]
        assert read_array(wire) == expected


class TestConverters:
    def test_integers(self) -> None:
        assert integer_array_json(b"{1,NULL,-2}") == b"[1,null,-2]"
        assert integer_array_json(b"{}") == b"[]"
        assert integer_array_json(b"{{1,2},{3,NULL}}") == b"[null,null]"
        assert integer_array_json(b"[0:1]={7,8}") == b"[7,8]"

    def test_texts(self) -> None:
        convert = array_converter(json_string, nested=json_string)
        assert convert(b'{a,NULL,"b c"}') == b'["a",null,"b c"]'
        assert convert(b"{{a,b},{c,NULL}}") == b'["{a,b}","{c,NULL}"]'

    def test_one_null_makes_the_whole_null(self) -> None:
        convert = array_converter(json_string, null_elements=False)
        assert convert(b"{a,NULL}") is None
        assert convert(b"{a}") == b'["a"]'
        assert convert(b"{}") == b"[]"

    def test_text_that_is_json(self) -> None:
        assert array_converter(None)(b"{1,NULL}") == b"[1,null]"

    @given(st.lists(st.none() | st.integers()))
    def test_any_integers(self, numbers: list[int | None]) -> None:
        wire = ",".join("NULL" if number is None else str(number) for number in numbers)
        assert json.loads(integer_array_json(f"{{{wire}}}".encode())) == numbers

    def test_integers_in_any_number_of_dimensions(self) -> None:
        assert nested_integer_array_json(b"{}") == b"[]"
        assert nested_integer_array_json(b"{1,NULL,-2}") == b"[1,null,-2]"
        assert nested_integer_array_json(b"{{1,NULL},{2,3}}") == b"[[1,null],[2,3]]"
        assert nested_integer_array_json(b"[0:0][2:3][1:1]={{{1},{2}}}") == b"[[[1],[2]]]"

    def test_arrays_in_any_number_of_dimensions(self) -> None:
        convert = array_converter(json_string, nested="array")
        assert convert(b'{a,NULL,"{b}"}') == b'["a",null,"{b}"]'
        assert convert(b'{{a,"}"},{NULL,""}}') == b'[["a","}"],[null,""]]'
        assert convert(b"{{{a},{b}}}") == b'[[["a"],["b"]]]'

    def test_arrays_in_the_array_are_null_unless_told_otherwise(self) -> None:
        assert array_converter(json_string)(b"{{a},{b}}") == b"[null,null]"
        assert array_converter(json_string, null_elements=False)(b"{{a},{b}}") is None

    def test_other_delimiter(self) -> None:
        convert = array_converter(json_string, nested="array", delimiter=b";")
        assert convert(b"{(1,1),(0,0);NULL}") == b'["(1,1),(0,0)",null]'
        assert convert(b"{{(1,1),(0,0)};{NULL}}") == b'[["(1,1),(0,0)"],[null]]'

    def test_an_element_without_json_is_null(self) -> None:
        def only_a(value: bytes) -> bytes | None:
            return b'"a"' if value == b"a" else None

        assert array_converter(only_a)(b"{a,b}") == b'["a",null]'
        assert array_converter(only_a, null_elements=False)(b"{a,b}") is None


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"{}", 1),
        (b"{1,2}", 1),
        (b"{{1},{2}}", 2),
        (b"{{{1}}}", 3),
        (b"[2:3]={7,8}", 1),
        (b"[1:1][1:1]={{7}}", 2),
        (b'{"{{x"}', 1),
    ],
)
def test_dimensions(wire: bytes, expected: int) -> None:
    assert dimensions(wire) == expected
