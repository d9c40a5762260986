"""Tests of `pglogical_cdc.postgres.options`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.options import (
    publication_names,
    qualified_name,
    quote_identifier,
    slot_name,
    start_replication,
)


@pytest.mark.parametrize("name", ["a", "0", "_", "slot_1", "s" * 63])
def test_slot_name_of_the_servers_kind_is_taken(name: str) -> None:
    assert slot_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "s" * 64, "a-b", "a b", "a;b", 'a"', "a\n", "é", "pg_x", "pg_conflict_detection"],
)
def test_slot_name_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="slot name"):
        slot_name(name)


def test_publication_names_are_one_or_several() -> None:
    assert publication_names("p") == ("p",)
    assert publication_names(["p", 'q"; --', "p"]) == ("p", 'q"; --')
    assert publication_names(["é" * 31]) == ("é" * 31,)


@pytest.mark.parametrize("names", ["", [], [""], ["a\0b"], ["é" * 32], ["\udc80"]])
def test_publication_name_that_cannot_be_is_refused(names: str | list[str]) -> None:
    with pytest.raises(ConfigurationError, match="publication"):
        publication_names(names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("public.t", ("public", "t")),
        ("Shop.Order Items", ("Shop", "Order Items")),
        ('"a.b".c', ("a.b", "c")),
        ('"a""b"."c.d"', ('a"b', "c.d")),
        ("s.t; drop table t", ("s", "t; drop table t")),
    ],
)
def test_qualified_name(text: str, expected: tuple[str, str]) -> None:
    assert qualified_name(text) == expected


@pytest.mark.parametrize("text", ["", "t", ".t", "s.", "a.b.c", '"a.b', 'a"b.c', '"".t', "s.\0"])
def test_name_that_is_not_qualified_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        qualified_name(text)


_names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
).filter(lambda name: len(name.encode()) <= 63)


@given(_names, _names)
def test_quoted_names_come_back(schema: str, table: str) -> None:
    text = f"{quote_identifier(schema)}.{quote_identifier(table)}"
    assert qualified_name(text) == (schema, table)


def test_start_replication_says_only_what_is_asked() -> None:
    plain = start_replication("s", ["p"], start=LSN(0)).as_string()
    assert plain == (
        "START_REPLICATION SLOT \"s\" LOGICAL 0/0 (proto_version '1', publication_names '\"p\"')"
    )
    full = start_replication(
        "s", ["p", "q"], start=LSN(0x1_0000_00AB), binary=True, messages=True, origin="none"
    ).as_string()
    assert full == (
        "START_REPLICATION SLOT \"s\" LOGICAL 1/AB (proto_version '1',"
        " publication_names '\"p\",\"q\"', binary 'true', messages 'true', origin 'none')"
    )


@given(st.lists(_names, min_size=1, max_size=3))
def test_any_name_is_one_literal_of_quoted_identifiers(names: list[str]) -> None:
    command = start_replication("s", names, start=LSN(0)).as_string()
    match = re.fullmatch(r".* publication_names '((?:[^']|'')*)'\)", command, re.DOTALL)
    assert match is not None
    listed = match[1].replace("''", "'")
    assert re.fullmatch(r'"(?:[^"]|"")+"(?:,"(?:[^"]|"")+")*', listed, re.DOTALL)
    assert listed == ",".join(quote_identifier(name) for name in names)
