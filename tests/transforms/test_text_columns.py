from __future__ import annotations

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import Column, RawValue
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.transforms.text_columns import is_character, is_text, longest, on_text
from tests.formatters.tables import column, relation
from tests.transforms.tables import CHARACTERS, OTHERS, TYPES, name_of


@pytest.mark.parametrize("made", CHARACTERS, ids=name_of)
def test_characters_are_text(made: Column) -> None:
    table = relation(made, types=TYPES)
    assert is_character(table, made)
    assert is_text(table, made)


@pytest.mark.parametrize("made", OTHERS, ids=name_of)
def test_others_are_no_characters(made: Column) -> None:
    assert not is_character(relation(made, types=TYPES), made)


@pytest.mark.parametrize("name", ["json", "uuid", "inet", "int4range"])
def test_what_is_written_as_its_text_is_text(name: str) -> None:
    made = column("c", name)
    assert is_text(relation(made), made)
    assert not is_character(relation(made), made)


@pytest.mark.parametrize(
    ("name", "modifier", "expected"),
    [
        ("char", -1, 1),
        ("varchar", 14, 10),
        ("bpchar", 7, 3),
        ("varchar", -1, 0),
        ("text", -1, 0),
        ("int4", -1, 0),
    ],
)
def test_how_many_characters_a_type_allows(name: str, modifier: int, expected: int) -> None:
    made = column("c", name, modifier)
    assert longest(relation(made), made) == expected


def test_a_function_on_text_keeps_what_is_none() -> None:
    upper = on_text(str.upper)
    kept: tuple[RawValue, ...] = (None, UNCHANGED, NOT_SENT)
    for value in kept:
        assert upper(value) is value
    assert upper(b"\xffa") == b"\xffA"
    made = upper(BinaryValue(b"a"))
    assert type(made) is BinaryValue
    assert made == b"A"
