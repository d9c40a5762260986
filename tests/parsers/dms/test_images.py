from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.dms.column_types import named_type
from pglogical_cdc.parsers.dms.images import (
    BeforeColumns,
    deleted_raw,
    inserted_raw,
    old_raw,
    updated_raw,
)
from pglogical_cdc.parsers.dms.strict_json import Number
from pglogical_cdc.parsers.dms.table_definition import TableColumn, TableDefinition

COLUMNS = (
    TableColumn("id", named_type("INT32"), is_defined=True),
    TableColumn("name", named_type("STRING"), is_defined=True),
    TableColumn("age", named_type("INT32"), is_defined=True),
)
ONE = Number("1")


def test_what_a_new_row_does_not_show_is_null() -> None:
    assert inserted_raw(COLUMNS, {"id": ONE, "name": ""}) == [b"1", b"", None]


def test_what_an_update_does_not_show_may_be_unchanged() -> None:
    raw = updated_raw(COLUMNS, {"id": ONE}, {}, null_for_absent=False)

    assert raw == [b"1", UNCHANGED, None]
    assert updated_raw(COLUMNS, {"id": ONE, "name": None}, {}, null_for_absent=False) == [
        *(b"1", None, None)
    ]


def test_without_a_definition_it_may_be_so_in_any_column() -> None:
    columns = [TableColumn(each.name, each.type) for each in COLUMNS]

    assert updated_raw(columns, {"id": ONE}, {}, null_for_absent=False) == [
        *(b"1", UNCHANGED, UNCHANGED)
    ]


def test_what_the_before_image_has_was_sent() -> None:
    raw = updated_raw(COLUMNS, {"id": ONE}, {"name": "x"}, null_for_absent=False)

    assert raw == [b"1", None, None]


def test_it_is_null_if_the_caller_says_so() -> None:
    assert updated_raw(COLUMNS, {"id": ONE}, {}, null_for_absent=True) == [b"1", None, None]


def test_what_a_before_image_does_not_show_was_not_sent() -> None:
    assert old_raw("before-image", COLUMNS, {"id": ONE}) == [b"1", NOT_SENT, NOT_SENT]


@pytest.mark.parametrize(
    ("key", "data", "expected"),
    [
        (("id",), {"id": ONE}, [b"1", NOT_SENT, NOT_SENT]),
        (("id",), {"id": ONE, "name": None, "age": None}, [b"1", NOT_SENT, NOT_SENT]),
        (("id",), {"id": ONE, "name": "x", "age": None}, [b"1", b"x", None]),
        (("id",), {"id": ONE, "name": "x"}, [b"1", b"x", NOT_SENT]),
        (("id", "age"), {"id": ONE, "name": None, "age": ONE}, [b"1", NOT_SENT, b"1"]),
        (None, {"id": ONE, "name": None, "age": None}, [b"1", None, None]),
    ],
)
def test_deleted_rows(
    key: tuple[str, ...] | None, data: dict[str, Any], expected: list[Any]
) -> None:
    assert deleted_raw(COLUMNS, key, data) == expected


@pytest.mark.parametrize("value", ["sesame", True, [1], {}, Number("1.5")])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(RecordFormatError, match=r"type int4 as before-image\.id") as caught:
        old_raw("before-image", COLUMNS, {"id": value})

    assert "sesame" not in str(caught.value)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(RecordFormatError, match=r"type text as data\.name"):
        inserted_raw(COLUMNS, {"name": "\ud800"})


# -- old values as columns


@pytest.mark.parametrize(
    ("prefix", "suffix", "name", "expected"),
    [
        ("BI_", "", "BI_id", "id"),
        ("BI_", "", "BI_", None),
        ("BI_", "", "id", None),
        ("", "_old", "id_old", "id"),
        ("", "_old", "_old", None),
        ("<", ">", "<id>", "id"),
        ("<", ">", "<id", None),
        ("a", "a", "a", None),
        ("", "", "BI_id", None),
    ],
)
def test_names_of_columns_with_old_values(
    prefix: str, suffix: str, name: str, expected: str | None
) -> None:
    assert BeforeColumns(prefix, suffix).column(name) == expected


def test_a_row_is_divided() -> None:
    columns = BeforeColumns("BI_", "")

    assert columns.divided({"id": ONE, "BI_id": "x", "BI_a": None}) == (
        {"id": ONE},
        {"id": "x", "a": None},
    )
    assert columns.divided({"id": ONE, "BI_id": None}) == ({"id": ONE}, {})


@pytest.mark.parametrize(
    ("key", "before", "expected"),
    [
        (["id"], {"id": ONE, "name": None}, {"id": ONE}),
        (["id"], {"id": ONE, "name": "x", "age": None}, {"id": ONE, "name": "x", "age": None}),
        (None, {"id": ONE, "name": "x", "age": None}, {"id": ONE, "name": "x"}),
    ],
)
def test_null_is_also_what_was_not_sent(
    key: list[str] | None, before: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert BeforeColumns("BI_", "").sent(before, key) == expected


def test_without_prefix_and_suffix_a_row_stays_whole() -> None:
    data = {"id": ONE, "BI_id": "x"}

    assert BeforeColumns("", "").divided(data) == (data, {})


def test_a_definition_is_divided() -> None:
    definition = TableDefinition((*COLUMNS, TableColumn("BI_id", COLUMNS[0].type)), ("id",))

    assert BeforeColumns("BI_", "").left_out(definition) == TableDefinition(COLUMNS, ("id",))
