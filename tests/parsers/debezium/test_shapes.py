from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.debezium.shapes import Shape, Shapes


def _schema(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "struct", "fields": list(fields), "optional": True}


def _types(shape: Shape) -> dict[str, str]:
    return {column.name: column.type.name for column in shape}


INT = {"type": "int32", "optional": False, "field": "id"}
TEXT = {"type": "string", "optional": True, "default": "x", "field": "a"}


def test_a_schema_tells_names_types_nullability_and_defaults() -> None:
    shape = Shapes().of_schema(_schema(INT, TEXT))

    assert _types(shape) == {"id": "int4", "a": "text"}
    assert [column.not_null for column in shape] == [True, False]
    assert [column.default for column in shape] == [None, "x"]


def test_the_same_schema_gives_the_same_shape() -> None:
    shapes, schema = Shapes(), _schema(INT)

    assert shapes.of_schema(schema) is shapes.of_schema(schema)


def test_another_object_of_the_same_schema_gives_the_same_shape() -> None:
    shapes = Shapes()

    assert shapes.of_schema(_schema(INT, TEXT)) is shapes.of_schema(_schema(INT, TEXT))


def test_parameters_tell_what_was_altered() -> None:
    masked = {**TEXT, "parameters": {"masked": "true"}}

    assert [column.altered for column in Shapes().of_schema(_schema(INT, masked))] == [False, True]


def test_schemas_that_are_gone_are_not_taken_for_others() -> None:
    shapes = Shapes()
    for number in range(5000):
        shape = shapes.of_schema(_schema({**INT, "field": f"c{number}"}))
        assert [column.name for column in shape] == [f"c{number}"]


def test_fields_of_the_envelope_are_no_columns() -> None:
    added = {"type": "string", "field": "__op"}

    assert _types(Shapes().of_schema(_schema(INT, added), unwrapped=True)) == {"id": "int4"}
    assert len(Shapes().of_schema(_schema(INT, added))) == 2


@pytest.mark.parametrize(
    "schema",
    [
        *({}, {"fields": None}, {"fields": [1]}, {"fields": [{"field": "a"}]}, {"fields": [{}]}),
        _schema(INT, INT),
        _schema({**INT, "field": 5}),
        _schema({**INT, "field": ["a"]}),
        _schema({**INT, "field": "\ud800"}),
        _schema({**INT, "default": "no number"}),
    ],
)
def test_what_is_no_struct_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(RecordFormatError, match="schema of a struct"):
        Shapes().of_schema(schema)


def test_values_tell_their_types() -> None:
    shape = Shapes().of_values("t", {"id": 1, "a": "x", "b": None}, whole=True)

    assert _types(shape) == {"id": "int8", "a": "text", "b": "text"}


def test_null_tells_nothing_new() -> None:
    shapes = Shapes()
    first = shapes.of_values("t", {"id": 1, "a": 1.5}, whole=True)

    assert shapes.of_values("t", {"id": 2, "a": None}, whole=True) is first
    assert shapes.of_values("t", {"id": None, "a": 2.5}, {"id": 3, "a": None}, whole=False) is first


def test_a_value_of_another_type_does() -> None:
    shapes = Shapes()
    first = shapes.of_values("t", {"a": None}, whole=True)
    second = shapes.of_values("t", {"a": 1}, whole=True)

    assert _types(first) == {"a": "text"}
    assert _types(second) == {"a": "int8"}


def test_whole_rows_tell_which_columns_there_are() -> None:
    shapes = Shapes()
    first = shapes.of_values("t", {"id": 1, "a": "x"}, whole=True)
    part = shapes.of_values("t", {"id": 1}, whole=False)
    dropped = shapes.of_values("t", {"id": 1}, whole=True)
    added = shapes.of_values("t", {"id": 1, "b": "x"}, whole=False)

    assert part is first
    assert list(_types(dropped)) == ["id"]
    assert list(_types(added)) == ["id", "b"]


def test_owners_do_not_mix() -> None:
    shapes = Shapes()
    shapes.of_values("t", {"id": 1, "a": "x"}, whole=True)

    assert list(_types(shapes.of_values("u", {"id": 1}, whole=False))) == ["id"]
