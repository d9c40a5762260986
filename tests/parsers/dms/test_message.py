from __future__ import annotations

import json
from typing import Any

import pytest

from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.parsers.dms.message import read_message

DATA = {"record-type": "data", "operation": "update"}
CONTROL = {"record-type": "control", "operation": "drop-table"}


def test_a_data_record() -> None:
    value = {"data": {"id": 1}, "old": {"id": 2}, "metadata": DATA}

    message = read_message(json.dumps(value), "old")

    assert not message.is_control
    assert message.operation == "update"
    assert (message.data, message.before, message.control) == ({"id": "1"}, {"id": "2"}, {})
    assert message.metadata.content == DATA


def test_a_data_record_without_before_image() -> None:
    message = read_message(json.dumps({"data": {}, "metadata": DATA}), "old")

    assert (message.data, message.before) == ({}, {})


@pytest.mark.parametrize("control", [{}, {"control": {}}, {"control": {"a": "b"}}])
def test_a_control_record(control: dict[str, Any]) -> None:
    message = read_message(json.dumps({**control, "metadata": CONTROL}), "old")

    assert message.is_control
    assert message.control == control.get("control", {})


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        (5, "an object as value", "a number"),
        (None, "an object as value", "null"),
        ({}, 'an object as "metadata"', "null"),
        ({"metadata": "sesame"}, 'an object as "metadata"', "a string"),
        ({"metadata": {}}, "a string as metadata.record-type", "null"),
        ({"metadata": {"record-type": "data"}}, "a string as metadata.operation", "null"),
        (
            {"metadata": {"record-type": "sesame", "operation": "sesame"}},
            "data or control as metadata.record-type",
            "another",
        ),
        (
            {"data": {}, "metadata": {**DATA, "operation": "sesame"}},
            "an operation of data records as metadata.operation",
            "another",
        ),
        (
            {"metadata": {**DATA, "operation": "drop-table"}},
            "an operation of data records as metadata.operation",
            "another",
        ),
        (
            {"metadata": {**CONTROL, "operation": "insert"}},
            "an operation of control records as metadata.operation",
            "another",
        ),
        ({"metadata": DATA}, 'an object as "data"', "null"),
        ({"data": ["sesame"], "metadata": DATA}, 'an object as "data"', "an array"),
        ({"data": {}, "old": "sesame", "metadata": DATA}, 'an object as "old"', "a string"),
        (
            {"data": {}, "before-image": {"a": "sesame"}, "metadata": DATA},
            "no members but data, metadata, old",
            'another, "before-image"',
        ),
        ({"data": {}, "metadata": CONTROL}, "no members but control, metadata", 'another, "data"'),
        ({"control": None, "metadata": CONTROL}, 'an object as "control"', "null"),
    ],
)
def test_what_is_no_record_is_refused(value: object, expected: str, found: str) -> None:
    with pytest.raises(RecordFormatError) as caught:
        read_message(json.dumps(value), "old")

    assert caught.value.expected == expected
    assert caught.value.found == found


def test_the_repr_has_no_value() -> None:
    value = {"data": {"a": "sesame"}, "old": {"a": "sesame"}, "metadata": DATA}

    assert "sesame" not in repr(read_message(json.dumps(value), "old"))
