from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.debezium.names import (
    AdjustmentMode,
    distinct,
    field_name_adjustment,
    schema_name_adjustment,
    topic_name,
)


class TestTopicName:
    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            (("dbz", "public", "t"), "dbz.public.t"),
            (("dbz", "Weird Schema-\u00e9", 'T "q" \U0001f600'), "dbz.Weird_Schema-_.T__q____"),
            (("a.b", "c_d-E9"), "a.b.c_d-E9"),
            (("\u65e5\u672c", "\u00df"), "__._"),
            # A character outside the Basic Multilingual Plane is two units, half of one is one.
            (("\U0001f600x\U0010ffff",), "__x__"),
            (("\ud83dx", "\uffff"), "_x._"),
            (("\U00010000",), "__"),
            (("", ""), "."),
        ],
    )
    def test_replaces_utf16_units(self, parts: tuple[str, ...], expected: str) -> None:
        assert topic_name(*parts) == expected

    def test_the_delimiter_is_checked_like_the_rest(self) -> None:
        assert topic_name("a", "b", "c", delimiter="_") == "a_b_c"
        assert topic_name("a", "b", delimiter="/") == "a_b"

    @given(st.text())
    def test_is_as_long_as_its_utf16_units(self, text: str) -> None:
        name = topic_name(text)
        assert re.fullmatch("[A-Za-z0-9._-]*", name)
        assert len(name) == len(text.encode("utf-16-le", "surrogatepass")) // 2


class TestAdjustment:
    @pytest.mark.parametrize(
        ("name", "avro", "avro_unicode"),
        [
            ("plain9", "plain9", "plain9"),
            ("1x", "_1x", "_u0031x"),
            ("a1", "a1", "a1"),
            ("_", "_", "_u005f"),
            ("a_b", "a_b", "a_u005fb"),
            ("\u00ff", "_", "_u00ff"),
            ("\u0100", "_", "_u100"),
            ("\u00fcn\u00ef", "_n_", "_u00fcn_u00ef"),
            ("I d", "I_d", "I_u0020d"),
            ("-x", "_x", "_u002dx"),
            ("\t", "_", "_u009"),
            ("\U0001f600", "__", "_ud83d_ude00"),
            ("\u65e5", "_", "_u65e5"),
            # A digit stays behind the underscore, of any script, but what Java takes for none.
            ("\u0661", "_\u0661", "_u661"),
            ("\u00b2", "_", "_u00b2"),
            ("\u1369", "_", "_u1369"),
            ("x\u0661", "x_", "x_u661"),
            ("", "", ""),
        ],
    )
    def test_names(self, name: str, avro: str, avro_unicode: str) -> None:
        for adjustment in (field_name_adjustment, schema_name_adjustment):
            assert adjustment("none")(name) == name
            assert adjustment("avro")(name) == avro
            assert adjustment("avro_unicode")(name) == avro_unicode

    def test_dots_belong_into_names_of_schemas_only(self) -> None:
        assert schema_name_adjustment("avro")("dbz.public.t") == "dbz.public.t"
        assert field_name_adjustment("avro")("a.b") == "a_b"
        assert field_name_adjustment("avro_unicode")("a.b") == "a_u002eb"
        assert schema_name_adjustment("avro_unicode")("My_Tbl-1.a") == "My_u005fTbl_u002d1.a"

    def test_no_name_of_a_schema_begins_with_a_dot(self) -> None:
        assert schema_name_adjustment("avro")(".a") == "_a"
        assert schema_name_adjustment("avro_unicode")(".a") == "_u002ea"

    @given(st.text(), st.sampled_from(["avro", "avro_unicode"]))
    def test_none_of_another_form(self, name: str, mode: AdjustmentMode) -> None:
        # Java's Character.isDigit keeps the digits of other scripts behind the underscore.
        made = re.sub(r"^_(?![A-Za-z0-9_])\d", "_", field_name_adjustment(mode)(name))
        assert re.fullmatch("(?:[A-Za-z_][A-Za-z0-9_]*)?", made)

    @given(st.lists(st.text(max_size=3), unique=True, max_size=20))
    def test_avro_unicode_of_two_names_below_256_differ(self, names: list[str]) -> None:
        low = [name for name in names if all(ord(each) < 256 for each in name)]
        adjust = field_name_adjustment("avro_unicode")
        # A tab is written without its leading zero, which can make two names one.
        high = [name for name in low if all(ord(each) > 15 for each in name)]
        assert len({adjust(name) for name in high}) == len(high)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a", "a", "b", "a"], ["a", "a_2", "b", "a_3"]),
        (["a", "a_2", "a"], ["a", "a_2", "a_3"]),
    ],
)
def test_no_two_names_are_the_same(names: list[str], expected: list[str]) -> None:
    assert distinct(names) == expected
