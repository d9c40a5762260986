from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters import DebeziumFormatter
from pglogical_cdc.formatters.debezium.options import (
    DebeziumOptions,
    TableOptions,
    TypeOptions,
    message_keys,
    placeholder_bytes,
    skipped_letters,
)


def test_options_are_the_formatters_parameters() -> None:
    parameters = [*inspect.signature(DebeziumFormatter).parameters]

    assert parameters == ["topic_prefix", *get_type_hints(DebeziumOptions)]


def test_defaults_are_the_formatters() -> None:
    parameters = inspect.signature(DebeziumFormatter).parameters
    types, tables = TypeOptions(), TableOptions()
    for name, value in (
        ("decimal_handling_mode", types.decimal),
        ("time_precision_mode", types.time),
        ("interval_handling_mode", types.interval),
        ("hstore_handling_mode", types.hstore),
        ("binary_handling_mode", types.binary),
        ("unavailable_value_placeholder", types.placeholder.decode()),
        ("include_unknown_datatypes", types.include_unknown),
        ("money_fraction_digits", types.money_fraction_digits),
        ("faithful", types.faithful),
        ("schemas_enable", tables.schemas),
        ("replace_null_with_default", tables.replace_null_with_default),
        ("schema_name_adjustment_mode", tables.schema_names),
        ("field_name_adjustment_mode", tables.field_names),
        ("topic_delimiter", tables.delimiter),
    ):
        assert parameters[name].default == value, name


@pytest.mark.parametrize(
    ("text", "letters"),
    [("t", "t"), ("none", ""), ("c,u,d,t", "cudt"), (" c , d ", "cd"), ("", "")],
)
def test_skipped_operations(text: str, letters: str) -> None:
    assert skipped_letters(text) == set(letters)


@pytest.mark.parametrize("text", ["x", "c;d", "none,c", "truncate", None, ("c",)])
def test_skipped_operations_refuses_others(text: object) -> None:
    with pytest.raises(ConfigurationError, match="c, u, d, t"):
        skipped_letters(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__debezium_unavailable_value", b"__debezium_unavailable_value"),
        ("", b""),
        ("\u00e9", b"\xc3\xa9"),
        ("hex:DEADBEEF", b"\xde\xad\xbe\xef"),
        ("hex:de ad", b"\xde\xad"),
        ("hex:", b""),
        ("HEX:00", b"HEX:00"),
    ],
)
def test_placeholder(text: str, expected: bytes) -> None:
    assert placeholder_bytes(text) == expected


@pytest.mark.parametrize("text", ["hex:0", "hex:xy", "hex:0x00"])
def test_placeholder_that_is_no_hexadecimal(text: str) -> None:
    with pytest.raises(ConfigurationError, match="unavailable_value_placeholder"):
        placeholder_bytes(text)


class TestMessageKeys:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (None, []),
            ("", []),
            (" ; ", []),
            ("public.t:a", ["public.t.a"]),
            ("public.t:b,a", ["public.t.b", "public.t.a"]),
            (" public.t : b , a ;; s.(.*):c;", ["public.t.b", "public.t.a", "s.(.*).c"]),
            # Only the last colon is the one before the columns.
            ("(?:a|b).t:id", ["(?:a|b).t.id"]),
        ],
    )
    def test_one_expression_of_table_and_column(
        self, text: str | None, expected: list[str]
    ) -> None:
        assert [pattern.pattern for pattern in message_keys(text)] == expected

    def test_ascii_matches_in_either_case(self) -> None:
        (pattern,) = message_keys("Public.T:ä")
        assert pattern.fullmatch("public.t.ä")
        assert not pattern.fullmatch("public.t.Ä")

    @pytest.mark.parametrize("text", ["t", ":a", "t:", "t: , ", "public.t:a;nothing", "(:a"])
    def test_refuses_others(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="message_key_columns"):
            message_keys(text)
